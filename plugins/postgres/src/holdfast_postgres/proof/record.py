"""The proof: what the snapshot held, computed by the server, independent of the order of rows.

Two seeds of `sum(hashtextextended(row::text, seed)::numeric)` and the number of rows for each table: `t::text` tells
1.0 from 1.00 and works for json, where `hash_record_extended` does neither; physical order is not kept by a restore,
so the digest of a COPY stream would prove nothing. Manual: "Composite Types", "pg_proc" for the hash functions.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, IntegrityError, ObjectProof, Proof, quote_name
from holdfast_postgres.catalog import SequenceState, Table
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.proof import definitions
from holdfast_postgres.session import literal, quoted

METHOD = "postgresql-rows-1"
TABLE, SEQUENCE, OBJECTS = "table", "sequence", "large objects"
DEFAULT_UP_TO = 32 << 20  # bytes: two seeds cost about 10 ms a MB, and a small dump takes half a second anyway
_BIG = 64 << 20  # bytes from which a value counts by its length and digest: text of a row ends at 1 GB
_TOAST = 256 << 10  # of a table's TOAST below which no value can be that big: pglz shrinks 64 MB to 700 kB at best

Query = tuple[str, str]


class TableSetting(msgspec.Struct, frozen=True, array_like=True):
    """How one table was digested: `wide` names the columns that can hold values of more than 64 MB."""

    schema: str
    name: str
    wide: list[str] = []


class ProofSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to repeat a proof: in the manifest as `proof.settings`."""

    major: int
    tables: list[TableSetting]
    sequences: list[tuple[str, str]] = []
    definitions: bool = False
    grouped: bool = False
    large_objects: bool = False


@dataclass(frozen=True, kw_only=True)
class ProofScope:
    """What the dump holds and a proof therefore covers."""

    tables: tuple[Table, ...]
    sequences: tuple[SequenceState, ...]
    definitions: bool
    large_objects: bool


def record_proof(
    scope: ProofScope, open_session: "Callable[[], Connection[TupleRow]]", *, major: int, jobs: int
) -> Proof:
    """Compute the proof of a dump; `open_session` gives a session in its snapshot, one for each of `jobs` threads."""
    with translate_errors("cannot compute the proof"), open_session() as connection:
        wide = _wide_columns(connection, scope.tables)
        settings = [TableSetting(table.schema, table.name, wide.get(table.oid, [])) for table in scope.tables]
        found, grouped = _whole(connection, major, scope.definitions, None, large_objects=scope.large_objects)
    rows = _tables(settings, open_session, jobs)
    sequences = [_sequence(one.schema, one.name, one.last_value, one.is_called) for one in scope.sequences]
    settings_ = ProofSettings(
        major=major,
        tables=settings,
        sequences=[(one.schema, one.name) for one in scope.sequences],
        definitions=scope.definitions,
        grouped=grouped,
        large_objects=scope.large_objects,
    )
    missing = [name for name, one in zip(settings, rows, strict=True) if one is None]
    if missing:
        raise HoldfastError(f"table {quote_name(missing[0].name)} vanished from the snapshot")
    objects = [*(one for one in rows if one is not None), *sequences, *found]
    return Proof(method=METHOD, objects=tuple(objects), settings=msgspec.to_builtins(settings_))


def repeat_proof(
    recorded: Proof, open_session: "Callable[[], Connection[TupleRow]]", *, major: int, jobs: int
) -> Proof:
    """Compute a recorded proof anew in another database; what is not there is left out."""
    try:
        settings = msgspec.convert(dict(recorded.settings), ProofSettings)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the proof's settings are not those of a PostgreSQL proof: {error}") from error
    with translate_errors("cannot compute the proof"), open_session() as connection:
        grouped = settings.grouped
        found, _ = _whole(connection, major, settings.definitions, grouped, large_objects=settings.large_objects)
        sequences = _read_sequences(connection, settings.sequences)
    if major != settings.major:
        found = _portable(found, recorded)
    rows = [one for one in _tables(settings.tables, open_session, jobs) if one is not None]
    return Proof(method=METHOD, objects=(*rows, *sequences, *found), settings=recorded.settings)


def _whole(
    connection: "Connection[TupleRow]", major: int, wanted: bool, grouped: bool | None, *, large_objects: bool
) -> tuple[list[ObjectProof], bool]:
    """What is not in a table: definitions and large objects."""
    found: list[ObjectProof] = []
    if wanted:
        found, grouped = definitions.proofs(connection, major, grouped=grouped)
    if large_objects:
        found.append(_large_objects(connection))
    return found, bool(grouped)


def _portable(found: Sequence[ObjectProof], recorded: Proof) -> list[ObjectProof]:
    """Between major versions only the portable half of definitions is compared: see `definitions`."""
    known = {(one.kind, one.name): one.digest for one in recorded.objects}
    return [
        ObjectProof(
            kind=one.kind,
            name=one.name,
            rows=one.rows,
            digest=definitions.portable_only(one.digest, known[one.kind, one.name])
            if one.kind.startswith(("definition of", "comments")) and (one.kind, one.name) in known
            else one.digest,
        )
        for one in found
    ]


# --- tables ---


def _tables(
    settings: Sequence[TableSetting], open_session: "Callable[[], Connection[TupleRow]]", jobs: int
) -> list[ObjectProof | None]:
    """Digest tables in up to `jobs` sessions; the first error is raised here."""
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(settings)):
        todo.put(number)
    found: list[ObjectProof | None] = [None] * len(settings)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with translate_errors("cannot compute the proof"), open_session() as connection:
                while not failed:
                    number = todo.get_nowait()
                    found[number] = _table(connection, settings[number])
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits)
            failed.append(error)

    workers = min(jobs, len(settings))
    threads = [threading.Thread(target=work, name="holdfast-proof", daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return found


def _table(connection: "Connection[TupleRow]", setting: TableSetting) -> ObjectProof | None:
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
        raise HoldfastError(f"a digest of table {quote_name(setting.name)} is NULL")
    return ObjectProof(kind=TABLE, name=_name(setting.schema, setting.name), rows=rows, digest=_hex(sums))


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
        parts.append(_wide(column, kind) if name in wide else column)
    return f"ROW({', '.join(parts)})::text"


def _wide(column: str, kind: str) -> str:
    """The text of a column, or of its length and digest where that is too long."""
    size = f"octet_length({column})" if kind in _SIZED else f"pg_column_size({column})"
    content = column if kind == "bytea" else f"textsend({column}::text)"
    digest = f"octet_length({content}) || ' ' || encode(sha256({content}), 'hex')"
    return f"CASE WHEN {size} > {_BIG} THEN {digest} ELSE {column}::text END"


_SIZED = {"text", "character varying", "character", "bytea"}  # what octet_length() tells without reading a value


def _wide_columns(connection: "Connection[TupleRow]", tables: Sequence[Table]) -> dict[int, list[str]]:
    """Columns without a limit of their size, of tables that have put enough aside to hold a big value."""
    query = """
        SELECT c.oid::int8, array_agg(a.attname::text ORDER BY a.attnum)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE c.oid = ANY (%s) AND c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > %s
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attlen = -1
        GROUP BY c.oid
    """
    return dict(connection.execute(query, ([table.oid for table in tables], _TOAST)).fetchall())


# --- sequences and large objects ---


def _sequence(schema: str, name: str, last_value: int, is_called: bool) -> ObjectProof:
    text = f"{last_value} {is_called}"
    return ObjectProof(kind=SEQUENCE, name=_name(schema, name), digest=hashlib.sha256(text.encode()).hexdigest())


def _read_sequences(connection: "Connection[TupleRow]", names: Sequence[tuple[str, str]]) -> list[ObjectProof]:
    found = []
    for schema, name in names:
        exists = connection.execute(
            "SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(%s) AND relkind = 'S'",
            (quoted(schema, name),),
        ).fetchone()
        if exists is not None:
            rows = connection.execute(f"SELECT last_value, is_called FROM {quoted(schema, name)}")
            found += [_sequence(schema, name, *row) for row in rows]
    return found


def _large_objects(connection: "Connection[TupleRow]") -> ObjectProof:
    """All large objects: in pieces of 64 MB, since lo_get() returns at most 1 GB at once."""
    query = f"""
        SELECT count(*), sum(pg_catalog.hashtextextended(x, 0)::numeric),
            sum(pg_catalog.hashtextextended(x, 7461001)::numeric)
        FROM (
            SELECT (s.oid || ' ' || s.size || ' ' || (
                SELECT string_agg(encode(sha256(lo_get(s.oid, piece, {_BIG})), 'hex'), '' ORDER BY piece)
                FROM generate_series(0::int8, greatest(s.size - 1, 0), {_BIG}::int8) piece)) COLLATE "C" AS x
            FROM (
                SELECT f.oid, lo_lseek64(f.fd, 0, 2) AS size, lo_close(f.fd) AS closed
                FROM (SELECT m.oid, lo_open(m.oid, 262144) AS fd FROM pg_catalog.pg_largeobject_metadata m OFFSET 0) f
                OFFSET 0
            ) s
        ) objects
    """
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 (an aggregate has one row)
    return ObjectProof(kind=OBJECTS, name="database", rows=row[0], digest=_hex(row[1:]))


def _hex(sums: Sequence[Any]) -> str:
    """Two sums of 64-bit hashes, as 128 bits each: they are far from that for any number of rows."""
    return "".join(f"{int(value or 0) % (1 << 128):032x}" for value in sums)


def _name(schema: str, name: str) -> str:
    """The name for people, quoted where it must be to be unique."""
    return ".".join(part if part.isidentifier() else literal(part).replace("'", '"') for part in (schema, name))
