"""Rows with values of more than a MiB, written in pieces: the memory that they take does not grow with them.

They are read through SQLite's incremental I/O; before SQLite 3.43 a text is read as a whole once all the same, to tell
how long it is. Of a table without rowids or with generated columns, which that does not reach, the row is in memory.
"""

from __future__ import annotations

import codecs
import io
import sqlite3
from collections.abc import Callable, Iterator

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.script.columns import Table
from holdfast_sqlite.script.survey import LENGTH, LONG, is_long
from holdfast_sqlite.script.values import expression

TYPE_CHECKING = False  # see `holdfast_sqlite.child.channel`
if TYPE_CHECKING:
    from typing import Any

_PIECE = 1 << 20
_AS_HEX = (b"\0", b"\r")  # as `values.expression` does: what the shell would end or change the text at


class LongRows:
    """The long rows of one table; `place` is what a query has to select besides, so that `write` knows the row."""

    def __init__(
        self, connection: sqlite3.Connection, table: Table, columns: list[str], write: Callable[[bytes], object],
        *, utf8: bool,
    ) -> None:  # fmt: skip
        self._connection = connection
        self._table = table
        self._columns = columns
        self._write = write
        self._utf8 = utf8
        self._rowid = identifier(table.alias) if table.alias else table.rowid
        # The incremental I/O of newer versions (3.49, not yet 3.44) takes no table with generated columns.
        self._is_open = bool(self._rowid) and not table.is_computed
        self.place = f",{self._rowid or 'NULL'}" + ("" if self._is_open else self._whole())

    def _whole(self) -> str:
        """SQL that selects of each column of a long row its type and value, texts as they are stored."""
        long = is_long(self._table)
        parts = []
        for name in map(identifier, self._columns):
            value = f"CASE WHEN typeof({name}) IN ('text','blob') THEN CAST({name} AS BLOB) ELSE quote({name}) END"
            parts.append(f",CASE WHEN {long} THEN typeof({name}) END,CASE WHEN {long} THEN {value} END")
        return "".join(parts)

    def write(self, place: tuple[Any, ...]) -> None:
        """Write the row at a place in brackets, its values as literals."""
        values = self._by_rowid(place[0]) if self._is_open else self._in_memory(place[1:])
        self._write(b"(")
        separator = b"" if not self._table.rowid else b"%d," % place[0]
        for literal in values:
            self._write(separator)
            for piece in literal:
                self._write(piece)
            separator = b","
        self._write(b")")

    def _by_rowid(self, rowid: int) -> Iterator[Iterator[bytes]]:
        for column in self._columns:
            name = identifier(column)
            short = f"CASE WHEN typeof({name}) NOT IN ('text','blob') OR {LENGTH}({name}) <= {LONG} THEN "
            literal = f"{short}{expression(name, utf8=self._utf8)} END"
            query = f"SELECT typeof({name}),{literal} FROM {identifier(self._table.name)} WHERE {self._rowid}=?"  # noqa: S608
            kind, text = self._connection.execute(query, (rowid,)).fetchone()
            if text is not None:
                yield iter((text,))
                continue
            with self._connection.blobopen(self._table.name, column, rowid, readonly=True) as blob:
                yield self._literal(kind, blob)

    def _in_memory(self, place: tuple[Any, ...]) -> Iterator[Iterator[bytes]]:
        for kind, value in zip(place[::2], place[1::2], strict=True):
            yield self._literal(kind, io.BytesIO(value)) if kind in (b"text", b"blob") else iter((value,))

    def _literal(self, kind: bytes, value: sqlite3.Blob | io.BytesIO) -> Iterator[bytes]:
        if kind == b"text" and self._utf8 and _is_plain(value):
            yield b"'"
            for piece in _pieces(value):
                yield piece.replace(b"'", b"''")
            yield b"'"
            return
        yield b"X'" if kind == b"blob" else b"CAST(X'"
        for piece in _pieces(value):
            yield piece.hex().encode()
        yield b"'" if kind == b"blob" else b"' AS TEXT)"


def _pieces(value: sqlite3.Blob | io.BytesIO) -> Iterator[bytes]:
    value.seek(0)
    while piece := value.read(_PIECE):
        yield piece


def _is_plain(value: sqlite3.Blob | io.BytesIO) -> bool:
    """Whether a text can be written as it is: it is UTF-8, and holds nothing that a script cannot."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in _pieces(value):
            decoder.decode(piece)
            if any(byte in piece for byte in _AS_HEX):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
