"""The rows of a table as INSERT statements."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.script.columns import Table
from holdfast_sqlite.script.long_rows import LongRows
from holdfast_sqlite.script.survey import is_long
from holdfast_sqlite.script.values import row_expression, valid_utf8

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_BATCH = 1 << 16  # bytes of a statement of several rows
_MOST_COLUMNS = 2000  # of a result, as which VALUES of several rows count, and of a table, to which its rowid comes


def write_rows(
    connection: sqlite3.Connection,
    table: Table,
    write: Callable[[bytes], object],
    *,
    computed: bool = False,
    has_long: bool = False,
) -> None:
    """Write all rows of a table as INSERT statements of some 64 KiB.

    `computed` writes generated columns that are stored as well. With `has_long` the rows that have a value of more
    than a MiB are written in pieces, each as a statement of its own.
    """
    columns = [column.name for column in table.columns if computed or not column.is_generated]
    named = [*([table.rowid] if table.rowid else []), *map(identifier, columns)]
    head = f"INSERT INTO {identifier(table.name)}({','.join(named)}) VALUES\n".encode()
    utf8 = connection.execute("PRAGMA encoding").fetchone()[0] == "UTF-8"
    literals = f"'('||{row_expression(named, utf8=utf8)}||')'"
    selected = f"CASE WHEN {is_long(table)} THEN NULL ELSE {literals} END" if has_long else literals
    long_rows = LongRows(connection, table, columns, write, utf8=utf8)
    batch: list[bytes] = []
    size = 0
    room = _BATCH if len(named) <= _MOST_COLUMNS else 0
    query = f"SELECT {selected}{long_rows.place if has_long else ''} FROM {identifier(table.name)} NOT INDEXED"  # noqa: S608
    for row in _fetch(connection, query):
        if (values := row[0]) is not None:
            batch.append(values)
            size += len(values)
            if size < room:
                continue
        if batch:
            write(head + b",\n".join(valid_utf8(batch)) + b";\n")
            batch, size = [], 0
        if values is None:
            write(head)
            long_rows.write(row[1:])
            write(b";\n")
    if batch:
        write(head + b",\n".join(valid_utf8(batch)) + b";\n")


def _fetch(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    cursor = connection.cursor()
    factory, connection.text_factory = connection.text_factory, bytes
    try:
        yield from cursor.execute(query)
    finally:
        connection.text_factory = factory
