"""Rows into a table: LOAD DATA LOCAL streamed from memory, or a prepared INSERT where the server does not allow that.

No file is involved: the server's request for one is answered with the rows (MySQL Internals "LOCAL INFILE Request"),
and a request that we did not provoke is refused by the driver. LOAD DATA LOCAL turns errors into warnings, so that
the count of rows and every warning are looked at.
"""

import re
import struct
from collections.abc import Collection, Iterator
from typing import Any

from pymysql.protocol import OKPacketWrapper

from holdfast.api import HoldfastError, IntegrityError, quote_name
from holdfast_mysql.rows.parsers import Fields, Parameters
from holdfast_mysql.rows.wire import RowReader, Unit
from holdfast_mysql.session.connection import Session, literal, quoted

# Two bytes that text hardly ever holds, so that most blocks need no escaping. The same one ends fields and lines:
# the server then reads as many fields for a row as there are columns, and a block is one join.
_END, _ESCAPE = b"\x1e", b"\x10"
_NULL = _ESCAPE + b"N"
_PACKET = 1 << 20
_QUERY, _PREPARE, _EXECUTE, _CLOSE = 0x03, 0x16, 0x17, 0x19
_SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_PARAMETERS = 65535  # of one prepared statement
_BATCH = 1 << 20  # bytes
_VAR_STRING, _BLOB = b"\xfd\x00", b"\xfc\x00"
_TRUNCATED = 1265
LABELS = ("index", "label")
WARNINGS = 65535  # that a server keeps of one statement, at most
_TRUNCATED_VALUE, _NOT_UTF8 = 1292, 1300
# What servers say of a value in an expression, and of a key over one, without the name of a column: truncated, not of
# the character set, divided by zero, of a wrong type, out of range, no JSON.
_OF_EXPRESSIONS = frozenset({_TRUNCATED_VALUE, _NOT_UTF8, 1301, 1365, 1411, 1441, 1916, 1918, *range(4036, 4043)})
_OF_KEYS = frozenset({3751, 3752, 3907})
# Expressions of our own: a value of that kind that caused such a warning would not be what was sent.
_OURS = (("index", _TRUNCATED_VALUE), ("index", 1916), ("json", _NOT_UTF8))
_AT_ROW = re.compile(r" at row \d+$")


class UnseenWarningsError(HoldfastError):
    """A statement had more warnings than the server keeps: one of those that are lost may mean changed data."""


def load(session: Session, reader: RowReader, *, infile: bool, auto_increment: bool) -> int:
    """Insert all rows of a stream; returns their number. The transaction is the caller's.

    With `infile` this may be an `UnseenWarningsError`; without, so few rows make a statement that each is seen.
    """
    unit = reader.unit
    if not unit.columns:
        return _insert_empty(session, reader)
    converted = any(column.kind in ("json", "index") for column in unit.columns)
    # MariaDB's LOAD DATA with a SET clause gives a new number to an id of 0, whatever the sql_mode says; and only
    # INSERT is documented to write the times of a history.
    if infile and not unit.versioned and not (converted and auto_increment):
        return _load_data(session, reader)
    return _insert(session, reader)


def _load_data(session: Session, reader: RowReader) -> int:
    unit, connection = reader.unit, session.connection
    connection._execute_command(_QUERY, _load_statement(unit).encode())
    answer = connection._read_packet()
    if not answer.is_load_local_packet():
        raise HoldfastError("the server did not ask for the rows of LOAD DATA LOCAL")
    fields = Fields(len(unit.columns), _NULL)
    rows = 0
    for _ in reader.feed(fields):
        nulls = fields.nulls
        values = fields.take()
        rows += len(values) // fields.count
        if values:
            _send(connection, _fields(values, nulls))
    connection.write_packet(b"")
    done = OKPacketWrapper(connection._read_packet())
    _check(session, unit, warnings=done.warning_count, affected=done.affected_rows, rows=rows)
    return rows


def _load_statement(unit: Unit) -> str:
    targets, settings = [], []
    for number, column in enumerate(unit.columns):
        name = quoted(column.name)
        if column.kind in ("json", "index"):
            variable = f"@v{number}"
            targets.append(variable)
            value = f"CONVERT({variable} USING utf8mb4)" if column.kind == "json" else f"CAST({variable} AS UNSIGNED)"
            settings.append(f"{name}={value}")
        else:
            targets.append(name)
    then = f" SET {', '.join(settings)}" if settings else ""
    end = f"0x{_END.hex()}"
    return (
        f"LOAD DATA LOCAL INFILE 'holdfast' INTO TABLE {quoted(unit.table)} CHARACTER SET binary"
        f" FIELDS TERMINATED BY {end} ESCAPED BY 0x{_ESCAPE.hex()} LINES TERMINATED BY {end}"
        f" ({', '.join(targets)}){then}"
    )


def _fields(values: list[bytes], nulls: int) -> bytes:
    """Values as LOAD DATA reads them; escaping is the exception and costs four times the rest."""
    values.append(b"")
    block = _END.join(values)
    if block.count(_END) == len(values) - 1 and block.count(_ESCAPE) == nulls:
        return block
    escaped = [
        value if value is _NULL else value.replace(_ESCAPE, _ESCAPE + _ESCAPE).replace(_END, _ESCAPE + _END)
        for value in values
    ]
    return _END.join(escaped)


def _send(connection: Any, block: bytes) -> None:
    view = memoryview(block)
    for start in range(0, len(block), _PACKET):
        connection.write_packet(bytes(view[start : start + _PACKET]))


class _Prepared:
    """Prepared INSERTs of one table, one for each number of rows that is used."""

    def __init__(self, session: Session, unit: Unit) -> None:
        self._session = session
        self._connection = session.connection
        self._unit = unit
        self._known: dict[int, int] = {}
        self._types = b"".join(
            _BLOB if column.kind in ("utf8", "latin", "label", "bytes") else _VAR_STRING for column in unit.columns
        )
        self._limit = int(session.value("SELECT @@max_allowed_packet"))
        self.sizes = [size for size in _SIZES if size * len(unit.columns) <= _PARAMETERS]

    def _statement(self, size: int) -> int:
        if size not in self._known:
            columns = ", ".join(quoted(column.name) for column in self._unit.columns)
            row = "(" + ",".join("?+0" if column.kind == "index" else "?" for column in self._unit.columns) + ")"
            sql = f"INSERT INTO {quoted(self._unit.table)} ({columns}) VALUES {','.join([row] * size)}"
            connection = self._connection
            connection._execute_command(_PREPARE, sql.encode())
            found = connection._read_packet().get_all_data()
            number, columns_sent, parameters = struct.unpack_from("<IHH", found, 1)
            for count in (parameters, columns_sent):
                for _ in range(count + 1 if count else 0):
                    connection._read_packet()
            self._known[size] = number
        return self._known[size]

    def execute(self, rows: list[tuple[bytes, tuple[int, ...]]]) -> None:
        """Insert rows, as many as one of `sizes`."""
        width = len(self._unit.columns)
        nulls = bytearray((len(rows) * width + 7) // 8)
        for number, (_, places) in enumerate(rows):
            for place in places:
                bit = number * width + place
                nulls[bit >> 3] |= 1 << (bit & 7)
        statement = self._statement(len(rows))
        head = struct.pack("<IBI", statement, 0, 1) + bytes(nulls) + b"\x01" + self._types * len(rows)
        payload = b"".join([head, *(values for values, _ in rows)])
        if len(payload) >= self._limit:
            raise HoldfastError(
                f"a row of table {quote_name(self._unit.table)} has {len(payload)} bytes, and the server takes "
                f"statements of {self._limit}",
                hint="raise max_allowed_packet on the server",
            )
        self._connection._execute_command(_EXECUTE, payload)
        done = OKPacketWrapper(self._connection._read_packet())
        _check(self._session, self._unit, warnings=done.warning_count, affected=done.affected_rows, rows=len(rows))

    def close(self) -> None:
        """Give the statements back."""
        for number in self._known.values():
            self._connection._execute_command(_CLOSE, struct.pack("<I", number))


def _insert(session: Session, reader: RowReader) -> int:
    unit = reader.unit
    parameters = Parameters(len(unit.columns), nullable=any(column.nullable for column in unit.columns))
    prepared = _Prepared(session, unit)
    waiting: list[tuple[bytes, tuple[int, ...]]] = []
    rows = 0
    for _ in reader.feed(parameters):
        waiting += parameters.take()
        for batch in _batches(waiting, prepared.sizes, all_of_them=False):
            prepared.execute(batch)
            rows += len(batch)
    for batch in _batches(waiting, prepared.sizes, all_of_them=True):
        prepared.execute(batch)
        rows += len(batch)
    prepared.close()
    return rows


def _batches(
    waiting: list[tuple[bytes, tuple[int, ...]]], sizes: list[int], *, all_of_them: bool
) -> Iterator[list[tuple[bytes, tuple[int, ...]]]]:
    """Take rows off the list, in numbers for which there is a statement; few are left for later."""
    place = 0
    while place < len(waiting):
        total, count = 0, 0
        for values, _ in waiting[place : place + sizes[0]]:
            total += len(values)
            if count and total > _BATCH:
                break
            count += 1
        if count < sizes[0] and total <= _BATCH and not all_of_them:
            break
        count = next(size for size in sizes if size <= count)
        yield waiting[place : place + count]
        place += count
    del waiting[:place]


def _insert_empty(session: Session, reader: RowReader) -> int:
    """Rows of a table whose columns are all generated."""
    fields = Fields(1, None)
    rows = 0
    for _ in reader.feed(fields):
        count = len(fields.take())
        for start in range(0, count, 1000):
            some = min(1000, count - start)
            session.execute(f"INSERT INTO {quoted(reader.unit.table)} () VALUES {','.join(['()'] * some)}")
        rows += count
    return rows


def _check(session: Session, unit: Unit, *, warnings: int, affected: int, rows: int) -> None:
    """Make sure that every row is in the table as it was sent."""
    if warnings:
        labels = {column.name for column in unit.columns if column.kind in LABELS}
        own = {code for column in unit.columns for kind, code in _OURS if column.kind == kind}
        _look(session, unit.table, labels, own=own)
    if affected != rows:
        raise IntegrityError(f"table {quote_name(unit.table)} took {affected} of {rows} rows")


def execute_rows(session: Session, table: str, statement: bytes, labels: Collection[str]) -> int:
    """Run one INSERT of a script and look at its warnings; `labels` names the columns of ENUM and SET."""
    result = session.query(statement)
    if result.warning_count:
        _look(session, table, labels)
    return int(result.affected_rows)


def _look(session: Session, table: str, labels: Collection[str], *, own: Collection[int] = ()) -> None:
    """Raise what means changed data; `own` are numbers that expressions of our statement could cause."""
    found = session.texts("SHOW WARNINGS")
    if len(found) >= WARNINGS:
        raise UnseenWarningsError(
            f"a statement that loads table {quote_name(table)} has {WARNINGS} warnings or more: the server keeps "
            "no more of them to look at, and one that it lost may mean changed data",
            hint="restore by hand with the commands in RESTORE.md",
        )
    serious = [(int(code), text) for level, code, text in found if level != "Note"]
    if not serious:
        return
    columns = session.texts(
        "SELECT column_name, generation_expression FROM information_schema.columns"
        f" WHERE table_schema=DATABASE() AND table_name={literal(table)}"
    )
    written = [name for name, expression in columns if not expression]
    computed = [name for name, expression in columns if expression]
    for code, text in serious:
        # The index 0 of an ENUM, which stands for a value that never was one of its members, is stored with this.
        expected = code == _TRUNCATED and any(f"'{name}'" in text for name in labels)
        # What the server computes it computes from the same values as before, and LOAD DATA and INSERT say so.
        expected |= code in _OF_KEYS or (code in _OF_EXPRESSIONS and code not in own and not _AT_ROW.search(text))
        expected |= _is_about(text, computed) and not _is_about(text, written)
        if not expected:
            raise IntegrityError(f"table {quote_name(table)} does not take its rows as they were: {text} ({code})")


def _is_about(text: str, columns: Collection[str]) -> bool:
    """Whether a warning ends with one of the columns: its beginning may quote a value that says anything.

    The forms are `… for column 'name' at row 1` and, in MariaDB, also ``… for column `db`.`table`.`name` at row 1``.
    """
    text, rows = _AT_ROW.subn("", text)
    return rows > 0 and text.endswith(tuple(end for name in columns for end in (f" '{name}'", f".`{name}`")))
