"""Rows into a table by LOAD DATA LOCAL, from memory.

No file is involved: the server's request for one is answered with the rows (MySQL Internals "LOCAL INFILE Request"),
and a request that we did not provoke is refused by the driver. LOAD DATA LOCAL turns errors into warnings, so that
the count of rows and every warning are looked at.
"""

from holdfast.api import HoldfastError
from holdfast_mysql.restore.load_warnings import check_outcome
from holdfast_mysql.rows.parsers import FieldParser
from holdfast_mysql.rows.wire import RowHeader, RowReader
from holdfast_mysql.session import Session, driver, quoted

# Two bytes that text hardly ever holds, so that most blocks need no escaping. The same one ends fields and lines:
# the server then reads as many fields for a row as there are columns, and a block is one join.
_END, _ESCAPE = b"\x1e", b"\x10"
_NULL = _ESCAPE + b"N"


def load_data(session: Session, reader: RowReader) -> int:
    """Insert all rows of a stream by one statement; returns their number."""
    header, connection, limit = reader.header, session.connection, session.packet_limit
    if not driver.begin_load(connection, _statement(header).encode()):
        raise HoldfastError("the server did not ask for the rows of LOAD DATA LOCAL")
    parser = FieldParser(len(header.columns), _NULL)
    rows = 0
    for _ in reader.feed(parser):
        nulls = parser.nulls
        values = parser.take()
        rows += len(values) // parser.count
        if values:
            driver.send_rows(connection, _fields(values, nulls), limit=limit)
    check_outcome(session, header, driver.end_load(connection), rows=rows)
    return rows


def _statement(header: RowHeader) -> str:
    targets, settings = [], []
    for number, column in enumerate(header.columns):
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
        f"LOAD DATA LOCAL INFILE 'holdfast' INTO TABLE {quoted(header.table)} CHARACTER SET binary"
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
