"""The rows of tables, digested by the server in several sessions, independent of their order.

Two seeds of `sum(hashtextextended(row::text, seed)::numeric)` and the number of rows for each table: `t::text` tells
1.0 from 1.00 and works for json, where `hash_record_extended` does neither; physical order is not kept by a restore,
so the digest of a COPY stream would prove nothing. Manual: "Composite Types", "pg_proc" for the hash functions.
"""

from collections.abc import Callable, Sequence

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, ObjectProof, quote_name
from holdfast_postgres.catalog import Table
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.parallel import in_sessions
from holdfast_postgres.proof.values import hex_digest, object_name
from holdfast_postgres.session import quoted

TABLE = "table"
_BIG = 64 << 20  # bytes from which a value counts by its length and digest: text of a row ends at 1 GB
_TOAST = 256 << 10  # of a table's TOAST below which no value can be that big: pglz shrinks 64 MB to 700 kB at best
# What octet_length() tells without reading a value.
_SIZED = {"text", "character varying", "character", "bytea"}


class TableSetting(msgspec.Struct, frozen=True, array_like=True):
    """How one table was digested: `wide` names the columns that can hold values of more than 64 MB."""

    schema: str
    name: str
    wide: list[str] = []


def prove_tables(
    settings: Sequence[TableSetting], open_session: "Callable[[], Connection[TupleRow]]", jobs: int
) -> list[ObjectProof | None]:
    """Digest tables in up to `jobs` sessions, None for those that are not there; the first error is raised here."""
    with translate_errors("cannot compute the proof"):
        return in_sessions(settings, _prove_table, open_session, jobs)


def _prove_table(connection: "Connection[TupleRow]", setting: TableSetting) -> ObjectProof | None:
    """Rows and digest of one table; None where there is none of that name."""
    name = quoted(setting.schema, setting.name)
    row = _row_text(connection, setting)
    query = f"""
        SELECT count(*), sum(pg_catalog.hashtextextended(x COLLATE "C", 0)::numeric),
            sum(pg_catalog.hashtextextended(x COLLATE "C", 7461001)::numeric)
        FROM (SELECT {row} AS x FROM ONLY {name} t OFFSET 0) rows
    """
    connection.execute("SAVEPOINT holdfast")
    try:
        counted = connection.execute(query).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn):
        connection.execute("ROLLBACK TO SAVEPOINT holdfast")
        return None
    connection.execute("RELEASE SAVEPOINT holdfast")
    assert counted is not None  # noqa: S101 (an aggregate has one row)
    rows, *sums = counted
    if rows and None in sums:
        raise HoldfastError(f"the digest of table {quote_name(setting.name)} is NULL")
    return ObjectProof(kind=TABLE, name=object_name(setting.schema, setting.name), rows=rows, digest=hex_digest(sums))


def _row_text(connection: "Connection[TupleRow]", setting: TableSetting) -> str:
    """A row as text: its columns by name, since those of an inheriting table may change places in a restore.

    Values of more than 64 MB stand as their length and SHA-256. A domain counts as its base type.
    """
    query = """
        WITH RECURSIVE base(oid, final) AS (
            SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
            UNION ALL
            SELECT t.oid, b.final FROM pg_catalog.pg_type t JOIN base b ON t.typbasetype = b.oid WHERE t.typtype = 'd'
        )
        SELECT a.attname, pg_catalog.format_type(b.final, NULL)
        FROM pg_catalog.pg_attribute a JOIN base b ON b.oid = a.atttypid
        WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
    """
    columns = connection.execute(query, (quoted(setting.schema, setting.name),)).fetchall()
    wide = set(setting.wide)
    parts = []
    for name, kind in sorted(columns):
        column = f"t.{quoted(name)}"
        parts.append(_wide_text(column, kind) if name in wide else column)
    return f"ROW({', '.join(parts)})::text"


def _wide_text(column: str, kind: str) -> str:
    """The text of a column, or of its length and digest where that is too long."""
    size = f"octet_length({column})" if kind in _SIZED else f"pg_column_size({column})"
    content = column if kind == "bytea" else f"textsend({column}::text)"
    digest = f"octet_length({content}) || ' ' || encode(sha256({content}), 'hex')"
    return f"CASE WHEN {size} > {_BIG} THEN {digest} ELSE {column}::text END"


def wide_columns(connection: "Connection[TupleRow]", tables: Sequence[Table]) -> dict[int, list[str]]:
    """Columns without a limit of their size, of tables that have put enough aside to hold a big value."""
    query = """
        SELECT c.oid::int8, array_agg(a.attname::text ORDER BY a.attnum)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.oid = ANY (%s) AND c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > %s
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attlen = -1
        GROUP BY c.oid
    """
    return dict(connection.execute(query, ([table.oid for table in tables], _TOAST)).fetchall())
