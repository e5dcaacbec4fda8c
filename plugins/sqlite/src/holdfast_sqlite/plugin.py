"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind
from holdfast_sqlite.location.parameters import HARMLESS
from holdfast_sqlite.options import SqliteOptions

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="sqlite",
        # The drivers of SQLAlchemy; `file` is there to be explained.
        aliases=("sqlite3", "sqlite+pysqlite", "sqlite+aiosqlite", "sqlite+pysqlcipher", "file"),
        summary="SQLite database files, also while others write",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.ATOMIC_RESTORE,
                Capability.CHECK,
                Capability.FULL_CHECK,
                Capability.PROOF,
                Capability.SELECT,
                Capability.LIVE,
            }
        ),
        options=SqliteOptions,
        harmless_parameters=HARMLESS,
    ),
    dump="holdfast_sqlite.dump:open_dump",
    restore="holdfast_sqlite.restore:open_restore",
    scratch="holdfast_sqlite.scratch:open_scratch",
    moment="holdfast_sqlite.moment:open_moment",
    check="holdfast_sqlite.requirements:requirements",
    databases="holdfast_sqlite.folder.listing:list_databases",
)
