"""Rows into a table by prepared INSERTs: where LOAD DATA LOCAL is not allowed, or would change values."""

import logging
import struct
from collections.abc import Iterator

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.catalog.last_moment import Ends
from holdfast_mysql.restore.load_warnings import check_outcome, kept_warnings
from holdfast_mysql.rows.parsers import ParameterParser, ParameterRow
from holdfast_mysql.rows.wire import Column, RowHeader, RowReader
from holdfast_mysql.session import Session, driver, quoted

log = logging.getLogger("holdfast.mysql")

_SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_PARAMETERS = 65535  # of one prepared statement
_BATCH = 1 << 20  # bytes
_VAR_STRING, _BLOB = b"\xfd\x00", b"\xfc\x00"


def insert(session: Session, reader: RowReader, *, ends: Ends | None = None, until_refused: bool = False) -> int:
    """Insert all rows of a stream; returns their number.

    `ends` are those of a history, where they differ here. With `until_refused` these are the rows before the first one
    that the server does not take as it is.
    """
    header = reader.header
    nullable = any(column.nullable for column in header.columns)
    parser = ParameterParser(len(header.columns), nullable=nullable, damaged=reader.damaged)
    statements = _PreparedInserts(session, header, ends if header.versioned else None)
    waiting: list[ParameterRow] = []
    rows = 0
    sizes, most = statements.sizes, statements.most
    execute = statements.execute_taken if until_refused else statements.execute_all
    for _ in reader.feed(parser):
        waiting += parser.take()
        rows += execute(_batches(waiting, sizes, most, at_end=False))
        if statements.refused:
            return rows
    rows += execute(_batches(waiting, sizes, most, at_end=True))
    statements.close()
    return rows


class _PreparedInserts:
    """Prepared INSERTs of one table, one for each number of rows that is used."""

    def __init__(self, session: Session, header: RowHeader, ends: Ends | None) -> None:
        self._session = session
        self._header = header
        self._ends = ends
        self._numbers: dict[int, int] = {}
        self.refused = False
        self._types = b"".join(
            _BLOB if column.kind in ("utf8", "latin", "label", "bytes") else _VAR_STRING for column in header.columns
        )
        self._limit = session.packet_limit
        # Of the rows of one statement: before them come types and a bitmap of NULLs.
        self.most = max(1, min(_BATCH, self._limit - 3 * _PARAMETERS))
        # So few rows that the server keeps all their warnings, should each value have one.
        values = min(_PARAMETERS, kept_warnings(session))
        self.sizes = [size for size in _SIZES if size * len(header.columns) <= values] or [1]

    def _statement(self, size: int) -> int:
        if size not in self._numbers:
            columns = ", ".join(quoted(column.name) for column in self._header.columns)
            row = f"({','.join(map(self._parameter, self._header.columns))})"
            sql = f"INSERT INTO {quoted(self._header.table)} ({columns}) VALUES {','.join([row] * size)}"
            self._numbers[size] = driver.prepare(self._session.connection, sql.encode())
        return self._numbers[size]

    def _parameter(self, column: Column) -> str:
        if self._ends:
            return self._ends.parameter(self._session, self._header.table, column.name)
        return "?+0" if column.kind == "index" else "?"

    def execute_all(self, batches: Iterator[list[ParameterRow]]) -> int:
        """Insert batches of rows, each as many as one of `sizes`; returns the number of rows."""
        rows = 0
        for batch in batches:
            self._execute(batch)
            rows += len(batch)
        return rows

    def execute_taken(self, batches: Iterator[list[ParameterRow]]) -> int:
        """The same up to the first row that the server refuses or changes; then `refused` is set."""
        rows = 0
        for batch in batches:
            if not self._is_taken(batch):
                self.refused = True
                return rows + (self.execute_taken(iter([row] for row in batch)) if len(batch) > 1 else 0)
            rows += len(batch)
        return rows

    def _is_taken(self, rows: list[ParameterRow]) -> bool:
        self._session.execute("SAVEPOINT holdfast")
        try:
            self._execute(rows)
        except (HoldfastError, pymysql.MySQLError) as error:
            log.info("rows of table %s are left out: %s", quote_name(self._header.table), error.args[-1])
            self._session.execute("ROLLBACK TO SAVEPOINT holdfast")
            return False
        return True

    def _execute(self, rows: list[ParameterRow]) -> None:
        statement = self._statement(len(rows))
        head = struct.pack("<IBI", statement, 0, 1) + self._null_bitmap(rows) + b"\x01" + self._types * len(rows)
        payload = b"".join([head, *(values for values, _ in rows)])
        if len(payload) >= self._limit:
            half = len(rows) // 2  # a power of two, as `sizes` are
            if half:
                self._execute(rows[:half])
                self._execute(rows[half:])
                return
            raise HoldfastError(
                f"a row of table {quote_name(self._header.table)} has {len(payload)} bytes, and the server takes "
                f"statements of {self._limit}",
                hint="raise max_allowed_packet on the server",
            )
        outcome = driver.execute(self._session.connection, payload)
        check_outcome(self._session, self._header, outcome, rows=len(rows))

    def _null_bitmap(self, rows: list[ParameterRow]) -> bytes:
        width = len(self._header.columns)
        bitmap = bytearray((len(rows) * width + 7) // 8)
        for number, (_, nulls) in enumerate(rows):
            for position in nulls:
                bit = number * width + position
                bitmap[bit >> 3] |= 1 << (bit & 7)
        return bytes(bitmap)

    def close(self) -> None:
        """Give the statements back."""
        for number in self._numbers.values():
            driver.close_statement(self._session.connection, number)


def _batches(waiting: list[ParameterRow], sizes: list[int], most: int, *, at_end: bool) -> Iterator[list[ParameterRow]]:
    """Take rows off the list, in numbers for which there is a statement; before the end few are left for later."""
    start = 0
    while start < len(waiting):
        total, count = 0, 0
        for values, _ in waiting[start : start + sizes[0]]:
            total += len(values)
            if count and total > most:
                break
            count += 1
        if count < sizes[0] and total <= most and not at_end:
            break
        count = next(size for size in sizes if size <= count)
        yield waiting[start : start + count]
        start += count
    del waiting[:start]
