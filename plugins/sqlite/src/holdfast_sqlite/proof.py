"""What a database held, object by object: a digest of every definition, and rows and a digest of every table.

The image of the database is its own proof: the core's plain digest of it, recorded as an object of kind `stream`,
tells of any changed bit. The other objects are there to say which one it was, and for backups that are restored
from SQL text. A digest of rows is the sum, modulo 2^128, of a BLAKE2b of each row's stored values with their types:
it does not depend on the order of rows, on the layout of the file, or on SQLite's version.
"""

import hashlib
import marshal
import sqlite3
from collections.abc import Callable, Iterator, Sequence

from holdfast.api import ObjectProof, Proof, shown
from holdfast_sqlite.check import database_error

METHOD = "sqlite-1"
# Counting rows costs 0.1 to 0.6 s a GB, a dump 2 to 8. Digesting them costs 3 s a GB where rows are long and 2.7 µs
# a row where they are short, 70 s a GB: within these bounds at most 0.2 s, beyond them it has to be asked for.
SMALL_SIZE = 16 << 20  # bytes of image
SMALL_ROWS = 50_000
_MODULUS = 1 << 128
_PRAGMAS = ("application_id", "user_version", "encoding")
_KINDS = {"table": "table definition", "index": "index", "view": "view", "trigger": "trigger"}


def record(connection: sqlite3.Connection, *, digests: bool | None = None, tolerate: bool = False) -> list[ObjectProof]:
    """Describe every object that a connection shows: definitions, and for each table the number of its rows.

    `digests` digests the rows as well, None where the database is small. The connection must hold a read
    transaction, or be alone. With `tolerate` a table that cannot be read has neither count nor digest; otherwise
    that is the error that the file's state means.
    """
    try:
        schema = _schema(connection)
        found = [_pragma(connection, name) for name in _PRAGMAS]
        size = _number(connection, "page_count") * _number(connection, "page_size")
    except sqlite3.Error as error:
        raise database_error(error, "cannot read the schema") from error
    found += [
        ObjectProof(kind=_KINDS.get(kind, kind), name=name, digest=_digest(sql, on)) for kind, name, on, sql in schema
    ]
    tables = {name: _tolerant(_count, connection, name, tolerate) for name in _stored_tables(schema)}
    small = size <= SMALL_SIZE and sum(one.rows or 0 for one in tables.values()) <= SMALL_ROWS
    if digests or (digests is None and small):
        tables = {name: _tolerant(_table, connection, name, tolerate) for name in tables}
    return [*found, *tables.values()]


def assemble(objects: Sequence[ObjectProof], *, image: str | None) -> Proof:
    """Make the proof of what `record` found; `image` is the name of the stream that holds the image, if one does."""
    stream = [ObjectProof(kind="stream", name=image)] if image else []
    return Proof(
        method=METHOD,
        objects=(*stream, *objects),
        settings={"digests": any(one.kind == "table" and one.digest for one in objects)},
    )


def _tolerant(
    describe: Callable[[sqlite3.Connection, str], ObjectProof],
    connection: sqlite3.Connection,
    name: str,
    tolerate: bool,
) -> ObjectProof:
    try:
        return describe(connection, name)
    except sqlite3.Error as error:
        if not tolerate:
            raise database_error(error, f"cannot read table {shown(name)}") from error
        return ObjectProof(kind="table", name=name)


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Every object as `sqlite_schema` has it, SQLite's own tables and the indexes of constraints included."""
    schema = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
    return list(connection.execute(schema))


def _digest(*texts: str) -> str:
    # Each text with its length, so that no two lists of texts read the same.
    data = b"".join(b"%d:%b" % (len(raw), raw) for raw in (text.encode(errors="surrogateescape") for text in texts))
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _pragma(connection: sqlite3.Connection, name: str) -> ObjectProof:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return ObjectProof(kind="pragma", name=name, digest=_digest(str(value)))


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _stored_tables(schema: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """Tables with rows of their own, and `sqlite_sequence`; a virtual table's rows are in its shadow tables."""
    for kind, name, _, sql in schema:
        if kind == "table" and not sql.lstrip()[:14].upper().startswith("CREATE VIRTUAL"):
            yield name


def _count(connection: sqlite3.Connection, name: str) -> ObjectProof:
    rows = connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]  # noqa: S608
    return ObjectProof(kind="table", name=name, rows=int(rows))


def _table(connection: sqlite3.Connection, name: str) -> ObjectProof:
    columns = [
        str(row[1])
        for row in connection.execute(f"PRAGMA table_xinfo({_quoted(name)})")
        if row[6] == 0  # generated columns follow from the others, and may need functions that are not here
    ]
    # NOT INDEXED: an index that holds all columns would be read instead of the table itself.
    query = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(name)} NOT INDEXED"  # noqa: S608
    try:
        count, total = _sum(connection, query)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        count, total = _sum(connection, query, lambda raw: raw.decode(errors="surrogateescape"))
    return ObjectProof(kind="table", name=name, rows=count, digest=f"{total:032x}")


def _sum(connection: sqlite3.Connection, query: str, decode: object = str) -> tuple[int, int]:
    before = connection.text_factory
    connection.text_factory = decode
    try:
        count = total = 0
        for row in connection.execute(query):
            count += 1
            # marshal's version 2 writes a value always the same way, with its type: 1, 1.0, '1' and x'31' differ.
            total += int.from_bytes(hashlib.blake2b(marshal.dumps(row, 2), digest_size=16).digest(), "little")
        return count, total % _MODULUS
    finally:
        connection.text_factory = before


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
