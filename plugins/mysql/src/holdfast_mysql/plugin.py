"""What the plugin offers, as data, and where its parts are."""

from holdfast.api import Capability, Component, EngineHooks, Kind
from holdfast_mysql.options import MysqlOptions

plugin = EngineHooks(
    Component(
        kind=Kind.ENGINE,
        name="mysql",
        aliases=("mariadb",),
        summary="MySQL and MariaDB databases, in one snapshot over several connections",
        capabilities=frozenset(
            {
                Capability.SNAPSHOT,
                Capability.PARALLEL_DUMP,
                Capability.PARALLEL_RESTORE,
                Capability.SELECT,
                Capability.PROOF,
            }
        ),
        options=MysqlOptions,
    ),
    dump="holdfast_mysql.dump:open_dump",
    restore="holdfast_mysql.restore:open_restore",
    scratch="holdfast_mysql.scratch:open_scratch",
    databases="holdfast_mysql.catalog.databases:list_databases",
)
