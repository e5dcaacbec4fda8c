"""Extensions that ask for more than CREATE EXTENSION and their rows, as their manuals say."""

from collections.abc import Collection, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UsageError, quote_name
from holdfast_postgres.errors import some_names
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.session import literal, quoted

# Functions before and after a restore: its catalog takes rows as they are, and its workers rest ("Logical backup" in
# the manual of TimescaleDB, which also wants the very version of the dump). Of its tables a selection has no use: what
# they know of a table is split over all of them.
MODES = {"timescaledb": ("timescaledb_pre_restore", "timescaledb_post_restore", "timescaledb.restoring")}
UNDIVIDED = {"timescaledb": "SELECT schema_name, table_name FROM _timescaledb_catalog.hypertable"}
# Made in one database of a server alone: that which this setting names.
PLACES = {"pg_cron": "cron.database_name"}


def undivided(connection: "Connection[TupleRow]", name: str) -> list[tuple[str, str]]:
    """The tables whose rows an extension keeps in others, which only its catalog tells."""
    if name not in UNDIVIDED:
        return []
    return [(schema, table) for schema, table in connection.execute(UNDIVIDED[name])]


def check_selection(
    installed: Sequence[ExtensionHint], taken: Collection[tuple[str, str]], *, selects: bool, excludes: bool
) -> None:
    """Refuse a selection that divides what an extension keeps together."""
    for extension in installed:
        tables = set(extension.undivided)
        divided = tables.intersection(taken) if selects else tables.difference(taken) if excludes else set()
        if divided:
            names = some_names(sorted(".".join(table) for table in divided))
            raise UsageError(
                f"extension {quote_name(extension.name)} keeps the rows of {names} where a selection cannot follow",
                hint="take the whole database, or all but tables that are not that extension's with --exclude alone",
            )


def place_of(connection: "Connection[TupleRow]", name: str) -> str | None:
    """The only database of this server that may have an extension; None where its library is not loaded."""
    row = connection.execute("SELECT pg_catalog.current_setting(%s, true)", (PLACES[name],)).fetchone()
    place: str | None = row[0] if row else None
    return place


def misplaced(connection: "Connection[TupleRow]", names: Sequence[str], database: str) -> list[str]:
    """Those of these extensions that a database cannot have, since another one of its server may."""
    return [name for name in names if name in PLACES and place_of(connection, name) != database]


def enter_statements(extension: ExtensionHint, *, make: bool) -> list[str]:
    """What puts a database into the mode for a restore; with `make` the extension is made first."""
    schema = quoted(extension.schema)
    making = [
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"CREATE EXTENSION {quoted(extension.name)} SCHEMA {schema} VERSION {literal(extension.version)}",
    ]
    return [*(making if make else ()), f"SELECT {schema}.{MODES[extension.name][0]}()"]


def leave_statement(extension: ExtensionHint) -> str:
    """What ends that mode, once all is restored."""
    return f"SELECT {quoted(extension.schema)}.{MODES[extension.name][1]}()"


def reset_statement(extension: ExtensionHint, database: str) -> str:
    """What takes the mode from a database that holds nothing of the restore any more."""
    return f"ALTER DATABASE {quoted(database)} RESET {MODES[extension.name][2]}"


def with_modes(installed: Sequence[ExtensionHint]) -> list[ExtensionHint]:
    """Those of these extensions that have such a mode, and rows that need it."""
    return [extension for extension in installed if extension.name in MODES and extension.configuration]
