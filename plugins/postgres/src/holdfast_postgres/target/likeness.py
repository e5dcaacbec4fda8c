"""How a database differs from the one that was backed up, in what belongs to it besides its content."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import quote_name
from holdfast_postgres.database_properties import Property, other_settings, read_properties
from holdfast_postgres.errors import some_names
from holdfast_postgres.hints import DatabaseHint
from holdfast_postgres.session import read_server


def tablespace(connection: "Connection[TupleRow]", name: str) -> tuple[str, list[str]]:
    """The tablespace of that name where the server has it, else the default one, an empty name, and a warning."""
    query = "SELECT FROM pg_catalog.pg_tablespace WHERE spcname = %s"
    if not name or connection.execute(query, (name,)).fetchone() is not None:
        return name, []
    return "", [f"the server has no tablespace {quote_name(name)}: the database is in the default one"]


def settings_warnings(connection: "Connection[TupleRow]", wanted: Sequence[Property], name: str) -> list[str]:
    """Name the settings of the backup that a database of that name has not, or has otherwise."""
    names = other_settings(wanted, read_properties(connection, name).items)
    if not names:
        return []
    where = f"database {quote_name(name)}"
    return [f"{where} keeps its own settings, which are others than those of the backup: {some_names(names)}"]


def locale_warnings(connection: "Connection[TupleRow]", hint: DatabaseHint, name: str) -> list[str]:
    """Say that this database sorts otherwise than the source."""
    locale = sorts_otherwise(connection, hint)
    if not locale:
        return []
    source = quote_name(hint.locale or hint.collate)
    return [
        f"database {quote_name(name)} has locale {quote_name(locale)}, the source {source}: text may sort differently"
    ]


def sorts_otherwise(connection: "Connection[TupleRow]", hint: DatabaseHint) -> str:
    """The locale of this database where that is not the one of the source, else an empty text."""
    provider, locale, rules = "'c'", "NULL", "NULL"
    major = read_server(connection).major
    if major >= 15:
        provider, locale = "datlocprovider::text", "datlocale" if major >= 17 else "daticulocale"
    if major >= 16:
        rules = "daticurules"
    row = connection.execute(
        f"SELECT {provider}, coalesce({locale}, datcollate), coalesce({rules}, '') FROM pg_catalog.pg_database "
        "WHERE datname = pg_catalog.current_database()"
    ).fetchone()
    assert row is not None  # noqa: S101 (we are connected to it)
    source = (hint.provider, _spelling(hint.locale or hint.collate), hint.rules or "")
    there: str = row[1]
    return "" if (row[0], _spelling(there), row[2]) == source else there


def _spelling(locale: str) -> str:
    """A locale as systems compare them: C.UTF-8 is C.utf8, and POSIX is C."""
    plain = locale.lower().replace("-", "").replace("_", "")
    return "c" if plain == "posix" else plain
