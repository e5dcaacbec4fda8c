"""The rows of tables, digested by the server in several sessions, independent of their order.

Two seeds of `sum(hashtextextended(row::text, seed)::numeric)` and the number of rows for each table: `t::text` tells
1.0 from 1.00 and works for json, where `hash_record_extended` does neither; physical order is not kept by a restore,
so the digest of a COPY stream would prove nothing. Manual: "Composite Types", "pg_proc" for the hash functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, ObjectProof, quote_name
from holdfast_postgres.catalog import Table, schemas, unambiguous_schemas
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.parallel import Sessions, in_batches
from holdfast_postgres.proof.values import hex_digest, object_name
from holdfast_postgres.session import quoted, releasing_locks

TABLE = "table"
STORED = "stored columns"  # the rows of a table without those columns that functions of the user's compute
_BIG = 64 << 20  # bytes from which a value counts by its length and digest: text of a row ends at 1 GB
_TOAST = 256 << 10  # of a table's TOAST below which no value can be that big: pglz shrinks 64 MB to 700 kB at best
# What octet_length() tells without reading a value.
_SIZED = {"text", "character varying", "character", "bytea"}


class TableSetting(msgspec.Struct, frozen=True, array_like=True):
    """How one table was digested: `wide` names the columns that can hold values of more than 64 MB.

    Those `without` which it was digested do not count.
    """

    schema: str
    name: str
    wide: list[str] = []
    without: list[str] = []


_REMOVED = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)
_UNDEFINED = (*_REMOVED, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedObject)

_Conditional = tuple[TableSetting, str]
"""A table, and which of its rows count: a WHERE clause or an empty text."""


def table_sizes(connection: "Connection[TupleRow]", settings: Sequence[TableSetting]) -> list[int]:
    """Bytes of tables with their TOAST tables, 0 of those that are not there."""
    query = """
        SELECT coalesce(pg_catalog.pg_relation_size(c.oid), 0)
            + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0)
        FROM unnest(%s::text[]) WITH ORDINALITY w(name, place)
        LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name) ORDER BY w.place
    """
    names = [quoted(setting.schema, setting.name) for setting in settings]
    return [int(size) for (size,) in connection.execute(query, (names,))]


def prove_tables(
    settings: Sequence[TableSetting],
    sizes: Sequence[int],
    sessions: Sessions,
    conditions: Mapping[tuple[str, str], str],
) -> list[ObjectProof | None]:
    """Digest tables, None for those that are not there; the first error is raised here.

    Of those with a condition, a WHERE clause, only these rows count.
    """
    tables = [(setting, conditions.get((setting.schema, setting.name), "")) for setting in settings]
    order = sorted(range(len(settings)), key=lambda number: -sizes[number])
    batches = in_batches([(number, sizes[number]) for number in order])
    with translate_errors("cannot compute the proof"):
        work = [[tables[number] for number in batch] for batch in batches]
        results = sessions.each(work, _prove_batch)
    proofs: list[ObjectProof | None] = [None] * len(settings)
    for batch, group in zip(batches, results, strict=True):
        for number, proof in zip(batch, group, strict=True):
            proofs[number] = proof
    return proofs


def _prove_batch(connection: "Connection[TupleRow]", batch: Sequence[_Conditional]) -> list[ObjectProof | None]:
    """Rows and digest of each of several tables by one query; None where there is no table of that name."""
    columns = _read_columns(connection, [setting for setting, _ in batch])
    query = " UNION ALL ".join(_query(number, *batch[number], columns[number]) for number in columns)
    if not query:
        return [None] * len(batch)
    try:
        with releasing_locks(connection):
            counted = {number: values for number, *values in connection.execute(query)}
    except _UNDEFINED:
        # One was removed or changed just now, or is not planned without a search_path: which, each alone tells.
        if len(batch) > 1:
            return [_prove_batch(connection, [table])[0] for table in batch]
        counted = _counted_by_paths(connection, query, batch[0][0].schema)
    return [_proof(setting, counted.get(number)) for number, (setting, _) in enumerate(batch)]


def _counted_by_paths(connection: "Connection[TupleRow]", query: str, schema: str) -> dict[int, list[Any]]:
    """What a query returns where names are looked for in other schemas; nothing where that is no help.

    The planner looks into functions of SQL in indexes and constraints, whose names may have no schemas. Its own comes
    first and alone: which others there are takes a look through the whole catalog. At last all others do, since what is
    stored is the same whatever they mean.
    """
    with suppress(*_UNDEFINED):
        return _counted_by_path(connection, query, [schema])
    known = [schema, *unambiguous_schemas(connection)]
    with suppress(*_UNDEFINED):
        return _counted_by_path(connection, query, known)
    try:
        return _counted_by_path(connection, query, [*known, *schemas(connection)])
    except _REMOVED:
        return {}


def _counted_by_path(connection: "Connection[TupleRow]", query: str, names: Iterable[str]) -> dict[int, list[Any]]:
    path = ", ".join(dict.fromkeys(quoted(name) for name in names))
    with releasing_locks(connection):
        connection.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (path,))
        return {number: values for number, *values in connection.execute(query)}


def _proof(setting: TableSetting, counted: Sequence[Any] | None) -> ObjectProof | None:
    if counted is None:
        return None
    rows, *sums = counted
    if rows and None in sums:
        raise HoldfastError(f"the digest of table {quote_name(setting.name)} is NULL")
    kind = STORED if setting.without else TABLE
    return ObjectProof(kind=kind, name=object_name(setting.schema, setting.name), rows=rows, digest=hex_digest(sums))


def prove_computed(
    connection: "Connection[TupleRow]", setting: TableSetting, expressions: Mapping[str, str], path: Sequence[str]
) -> ObjectProof | None:
    """Digest a table with the values that some columns get from expressions under this path; None where it gives none.

    The transaction of the connection stays as it was.
    """
    columns = _read_columns(connection, [setting])
    try:
        query = _query(0, setting, "", columns[0], expressions)
        return _proof(setting, next(iter(_counted_by_path(connection, query, path).values()), None))
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.InternalError):
        return None


def _query(
    number: int,
    setting: TableSetting,
    condition: str,
    columns: Sequence[tuple[str, str]],
    expressions: Mapping[str, str] = MappingProxyType({}),
) -> str:
    name = quoted(setting.schema, setting.name)
    return f"""
        SELECT {number}, count(*), sum(pg_catalog.hashtextextended(x COLLATE "C", 0)::numeric),
            sum(pg_catalog.hashtextextended(x COLLATE "C", 7461001)::numeric)
        FROM (SELECT {_row_text(setting, columns, expressions)} AS x FROM ONLY {name} t {condition} OFFSET 0) r
    """


def _row_text(setting: TableSetting, columns: Sequence[tuple[str, str]], expressions: Mapping[str, str]) -> str:
    """A row as text: its columns by name, since those of an inheriting table may change places in a restore.

    Some may have `expressions` in their place. Values of more than 64 MB stand as their length and SHA-256.
    """
    wide = set(setting.wide)
    parts = []
    for name, kind in sorted(columns):
        if name in setting.without:
            continue
        column = f"({expressions[name]})" if name in expressions else f"t.{quoted(name)}"
        parts.append(_wide_text(column, kind) if name in wide else column)
    return f"ROW({', '.join(parts)})::text"


def _read_columns(
    connection: "Connection[TupleRow]", batch: Sequence[TableSetting]
) -> dict[int, list[tuple[str, str]]]:
    """Names and types of the columns of those tables that are there; a domain counts as its base type."""
    query = """
        SELECT w.place::int - 1, a.attname, pg_catalog.format_type(CASE WHEN t.typtype <> 'd' THEN t.oid ELSE (
            WITH RECURSIVE base(oid) AS (
                SELECT t.typbasetype
                UNION ALL SELECT d.typbasetype FROM base b JOIN pg_catalog.pg_type d ON d.oid = b.oid
                    WHERE d.typtype = 'd'
            )
            SELECT b.oid FROM base b JOIN pg_catalog.pg_type d ON d.oid = b.oid WHERE d.typtype <> 'd') END, NULL)
        FROM unnest(%s::text[]) WITH ORDINALITY w(name, place)
        JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    """
    columns: dict[int, list[tuple[str, str]]] = {}
    names = [quoted(setting.schema, setting.name) for setting in batch]
    for number, name, kind in connection.execute(query, (names,)):
        columns.setdefault(number, [])
        if name is not None:
            columns[number].append((name, kind))
    return columns


def _wide_text(column: str, kind: str) -> str:
    """The text of a column, or of its length and digest where that is too long."""
    size = f"octet_length({column})" if kind in _SIZED else f"pg_column_size({column})"
    content = column if kind == "bytea" else f"textsend({column}::text)"
    digest = f"octet_length({content}) || ' ' || encode(sha256({content}), 'hex')"
    return f"CASE WHEN {size} > {_BIG} THEN {digest} ELSE {column}::text END"


def wide_columns(connection: "Connection[TupleRow]", tables: Sequence[Table]) -> dict[int, list[str]]:
    """Columns without a limit of their size, of tables that have put enough aside to hold a big value.

    Those of partitions are of all partitions of one table: a restore may put a row into another of them.
    """
    query = """
        WITH listed AS MATERIALIZED (
            SELECT c.oid, CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::oid ELSE c.oid END
                    AS root,
                c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > %s AS big
            FROM pg_catalog.pg_class c WHERE c.oid = ANY (%s)
        )
        SELECT l.oid::int8, array_agg(a.attname::text ORDER BY a.attnum)
        FROM listed l JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid
        WHERE l.root IN (SELECT root FROM listed WHERE big) AND a.attnum > 0 AND NOT a.attisdropped AND a.attlen = -1
        GROUP BY l.oid
    """
    return dict(connection.execute(query, (_TOAST, [table.oid for table in tables])).fetchall())


def computed_columns(connection: "Connection[TupleRow]", tables: Sequence[Table]) -> dict[int, list[str]]:
    """Generated columns of tables that call a function or operator of the user's, by the table's OID.

    What it returns may depend on more than the row, for it is IMMUTABLE by declaration alone.
    """
    query = """
        SELECT a.attrelid::int8, array_agg(a.attname::text ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attgenerated = 's' AND a.attrelid = ANY (%s) AND EXISTS (
            SELECT FROM pg_catalog.pg_depend u WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass AND u.objid = d.oid
                AND u.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                    WHERE e.classid = u.refclassid AND e.objid = u.refobjid AND e.deptype = 'e'))
        GROUP BY a.attrelid
    """
    return dict(connection.execute(query, ([table.oid for table in tables],)).fetchall())
