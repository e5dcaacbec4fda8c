"""The rows of a table as INSERT statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.script.values import row_expression, valid_utf8

_BATCH = 1 << 16  # bytes of a statement of several rows
_MOST_COLUMNS = 2000  # of a result, as which VALUES of several rows count, and of a table, to which its rowid comes
_ROWIDS = ("rowid", "_rowid_", "oid")


def write_rows(connection: sqlite3.Connection, table: str, write: Callable[[bytes], object]) -> None:
    """Write all rows of a table as INSERT statements of some 64 KiB."""
    columns = _columns(connection, table)
    named = [column if column in _ROWIDS else identifier(column) for column in columns]
    head = f"INSERT INTO {identifier(table)}({','.join(named)}) VALUES\n".encode()
    utf8 = connection.execute("PRAGMA encoding").fetchone()[0] == "UTF-8"
    values = row_expression(named, utf8=utf8)
    room = _BATCH if len(named) <= _MOST_COLUMNS else 0
    batch: list[bytes] = []
    size = 0
    for row in _fetch(connection, f"SELECT '('||{values}||')' FROM {identifier(table)}"):  # noqa: S608
        batch.append(row)
        size += len(row)
        if size >= room:
            write(head + b",\n".join(valid_utf8(batch)) + b";\n")
            batch, size = [], 0
    if batch:
        write(head + b",\n".join(valid_utf8(batch)) + b";\n")


def _fetch(connection: sqlite3.Connection, query: str) -> Iterator[bytes]:
    cursor = connection.cursor()
    factory, connection.text_factory = connection.text_factory, bytes
    try:
        for (row,) in cursor.execute(query):
            yield row
    finally:
        connection.text_factory = factory


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns to insert into: generated ones follow from the others; the rowid, where no column stands for it."""
    infos = connection.execute(f"PRAGMA table_xinfo({identifier(table)})").fetchall()
    columns = [str(info[1]) for info in infos if info[6] == 0]
    keys = [info for info in infos if info[5]]
    origins = [row[3] for row in connection.execute(f"PRAGMA index_list({identifier(table)})")]
    if len(keys) == 1 and str(keys[0][2]).upper() == "INTEGER" and "pk" not in origins:
        return columns  # an INTEGER PRIMARY KEY is the rowid
    taken = {str(info[1]).lower() for info in infos}
    name = next((name for name in _ROWIDS if name not in taken), None)
    if name is not None and _has(connection, table, name):
        return [name, *columns]
    return columns


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a table has a rowid: those WITHOUT ROWID say that there is no such column."""
    try:
        connection.execute(f"SELECT {column} FROM {identifier(table)} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError as error:
        if not str(error).startswith("no such column"):
            raise
        return False
    return True
