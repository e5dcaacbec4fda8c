"""What a dump leaves for its restore, in the manifest: checked when it comes back, since a manifest can be forged."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import IntegrityError
from holdfast_postgres.catalog import USER_SCHEMA, strings
from holdfast_postgres.session import quoted

Format = Literal["parallel", "plain", "custom", "directory", "tar"]


class LargeTableHint(msgspec.Struct, frozen=True, kw_only=True):
    """One table whose rows are in streams of their own."""

    schema: str
    table: str
    columns: list[str]
    binary: bool
    streams: list[str]


class DatabaseHint(msgspec.Struct, frozen=True, kw_only=True):
    """How the source database was made; `provider` is c, i or b, as in pg_database."""

    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    locale: str | None = None
    rules: str | None = None


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """`major` is the server's version, `client` that of pg_dump; `size` the bytes that the database took."""

    format: Format
    major: int
    client: int
    database: DatabaseHint
    size: int = 0
    archive: str = ""
    sequences: str = ""
    globals: str = ""
    schema_only: bool = False
    data_only: bool = False
    selected: bool = False
    lanes: list[LargeTableHint] = []
    extensions: list[str] = []
    owners: list[str] = []
    grantees: list[str] = []
    policy_roles: list[str] = []
    tablespaces: list[str] = []

    def as_data(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


def read_hints(facts: Mapping[str, Any]) -> Hints:
    """Take the hints of a manifest, or raise `IntegrityError` if they are not such."""
    try:
        return msgspec.convert(dict(facts), Hints)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the manifest's hints are not those of a PostgreSQL dump: {error}") from error


_OWN = "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
_ROLES = f"""
SELECT DISTINCT r.rolname FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
WHERE d.dbid = ({_OWN}) AND d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype::text = ANY (%s)
    AND r.rolname !~ '^pg_' ORDER BY 1
"""
# Dependencies on the superuser that initdb made are pinned and recorded nowhere.
_FIRST = f"""
SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = 10 AND EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relowner = 10 AND {USER_SCHEMA}
    UNION ALL SELECT FROM pg_catalog.pg_proc c JOIN pg_catalog.pg_namespace n ON n.oid = c.pronamespace
        WHERE c.proowner = 10 AND {USER_SCHEMA}
    UNION ALL SELECT FROM pg_catalog.pg_namespace n WHERE n.nspowner = 10 AND {USER_SCHEMA})
"""
_TABLESPACES = f"""
SELECT DISTINCT s.spcname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace WHERE {USER_SCHEMA} AND s.spcname <> 'pg_global' ORDER BY 1
"""
# PostgreSQL 15.20 keeps a random pg_attver with each column, which its own pg_dump hides and that of 18 writes out.
_FOREIGN_OPTIONS = f"""
SELECT DISTINCT split_part(o, '=', 1) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(a.attoptions) o
WHERE {USER_SCHEMA} AND o NOT LIKE 'n_distinct%' ORDER BY 1
"""
_EXTENSIONS = "SELECT extname FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"


def needs(connection: "Connection[TupleRow]") -> dict[str, list[str]]:
    """What a server must have before this database can be restored there as it was."""
    owners = strings(connection, _ROLES, (["o"],)) + strings(connection, _FIRST)
    return {
        "extensions": strings(connection, _EXTENSIONS),
        "owners": sorted(set(owners)),
        "grantees": strings(connection, _ROLES, (["a", "r"],)),
        "policy_roles": strings(connection, _ROLES, (["r"],)),
        "tablespaces": strings(connection, _TABLESPACES),
    }


def foreign_options(connection: "Connection[TupleRow]") -> list[str]:
    """Options of columns that only this server's own version knows."""
    return strings(connection, _FOREIGN_OPTIONS)


def database_hint(connection: "Connection[TupleRow]", major: int) -> tuple[DatabaseHint, int]:
    """How this database was made, and how many bytes it takes."""
    provider, locale, rules = "'c'", "NULL", "NULL"
    if major >= 15:
        provider, locale = "datlocprovider::text", "daticulocale"
    if major >= 16:
        rules = "daticurules"
    if major >= 17:
        locale = "datlocale"
    row = connection.execute(
        f"SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, {provider}, {locale}, {rules}, "
        "pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    ).fetchone()
    assert row is not None  # noqa: S101 (we are connected to it)
    encoding, collate, ctype, found_provider, found_locale, found_rules, size = row
    hint = DatabaseHint(
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        provider=found_provider,
        locale=found_locale,
        rules=found_rules,
    )
    return hint, size


def copy_in(schema: str, table: str, columns: Sequence[str], *, binary: bool) -> str:
    """The statement that loads rows from standard input."""
    names = ", ".join(quoted(column) for column in columns)
    return f"COPY {quoted(schema, table)} ({names}) FROM STDIN" + (" (FORMAT binary)" if binary else "")
