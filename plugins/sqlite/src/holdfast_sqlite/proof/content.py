"""What a database holds, object by object: definitions, numbers of rows, digests of rows.

Imports little but the standard library, because processes that open databases need this and no more.

A digest of rows is the sum, modulo 2^128, of a BLAKE2b of each row's stored values with their types: it does not depend
on the order of rows, on the layout of the file, or on SQLite's version.
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Callable, Iterator

from holdfast_sqlite.child.check import lend_collation

Described = tuple[str, str, "int | None", str]
"""Kind, name, number of rows, digest."""

# Counting rows costs 0.1 to 0.6 s a GB, a dump 2 to 8. Digesting them costs 3 s a GB where rows are long and 2.7 µs
# a row where they are short, 70 s a GB: within these bounds at most 0.2 s, beyond them it has to be asked for.
SMALL_SIZE = 16 << 20  # bytes of image
SMALL_ROWS = 50_000
_MODULUS = 1 << 128
_PRAGMAS = ("application_id", "user_version", "encoding")
_KINDS = {"table": "table definition"}


def describe(connection: sqlite3.Connection, *, digests: bool | None = None, tolerate: bool = False) -> list[Described]:
    """Describe every object that a connection shows: definitions, and for each table the number of its rows.

    `digests` digests the rows as well, None where the database is small. The connection must hold a read
    transaction, or be alone. With `tolerate` a table that cannot be read has neither count nor digest; otherwise
    SQLite's error is raised.
    """
    schema = _schema(connection)
    described = [_pragma(connection, name) for name in _PRAGMAS]
    described += [(_KINDS.get(kind, kind), name, None, _digest(sql, on)) for kind, name, on, sql in schema]
    tables = {name: _tolerant(_count, connection, name, tolerate) for name in _stored_tables(schema)}
    size = _number(connection, "page_count") * _number(connection, "page_size")
    small = size <= SMALL_SIZE and sum(rows or 0 for _, _, rows, _ in tables.values()) <= SMALL_ROWS
    if digests or (digests is None and small):
        tables = {name: _tolerant(_table, connection, name, tolerate) for name in tables}
    return [*described, *tables.values()]


def _tolerant(
    describe_table: Callable[[sqlite3.Connection, str], Described],
    connection: sqlite3.Connection,
    name: str,
    tolerate: bool,
) -> Described:
    while True:
        try:
            return describe_table(connection, name)
        except sqlite3.Error as error:
            if lend_collation(connection, error):
                continue
            if not tolerate:
                raise
            return ("table", name, None, "")


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Every object as `sqlite_schema` has it, SQLite's own tables and the indexes of constraints included."""
    before = connection.text_factory
    connection.text_factory = _text
    try:
        schema = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
        return list(connection.execute(schema))
    finally:
        connection.text_factory = before


def _digest(*texts: str) -> str:
    # Each text with its length, so that no two lists of texts read the same.
    data = b"".join(b"%d:%b" % (len(raw), raw) for raw in (text.encode(errors="surrogateescape") for text in texts))
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _pragma(connection: sqlite3.Connection, name: str) -> Described:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return ("pragma", name, None, _digest(str(value)))


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _stored_tables(schema: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """Tables with rows of their own, and `sqlite_sequence`; a virtual table's rows are in its shadow tables."""
    for kind, name, _, sql in schema:
        if kind == "table" and not sql.lstrip()[:14].upper().startswith("CREATE VIRTUAL"):
            yield name


def _count(connection: sqlite3.Connection, name: str) -> Described:
    rows = connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]  # noqa: S608
    return ("table", name, int(rows), "")


def _table(connection: sqlite3.Connection, name: str) -> Described:
    columns = [
        str(row[1])
        for row in connection.execute(f"PRAGMA table_xinfo({_quoted(name)})")
        if row[6] == 0  # generated columns follow from the others, and may need functions that are not here
    ]
    # NOT INDEXED: an index that holds all columns would be read instead of the table itself.
    query = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(name)} NOT INDEXED"  # noqa: S608
    try:
        count, total = _sum(connection, query, str)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        count, total = _sum(connection, query, _text)
    return ("table", name, count, f"{total:032x}")


def _sum(connection: sqlite3.Connection, query: str, decode: object) -> tuple[int, int]:
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


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
