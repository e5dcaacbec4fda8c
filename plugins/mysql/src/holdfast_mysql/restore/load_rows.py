"""Rows into a table: LOAD DATA LOCAL from memory, or a prepared INSERT where the server does not allow that."""

from holdfast_mysql.catalog.last_moment import Ends
from holdfast_mysql.restore.load_data import load_data
from holdfast_mysql.restore.load_warnings import execute_rows
from holdfast_mysql.restore.prepared_insert import insert
from holdfast_mysql.rows.parsers import FieldParser
from holdfast_mysql.rows.wire import RowReader
from holdfast_mysql.session import Session, quoted

_EMPTY_ROWS = 1000  # of one statement


def load_rows(
    session: Session, reader: RowReader, *, infile: bool, auto_increment: bool, ends: Ends | None = None
) -> int:
    """Insert all rows of a stream; returns their number. The transaction is the caller's.

    With `infile` this may be an `UnseenWarningsError`; without, so few rows make a statement that each is seen.
    """
    header = reader.header
    if not header.columns:
        return _insert_empty(session, reader)
    converted = any(column.kind in ("json", "index") for column in header.columns)
    # MariaDB's LOAD DATA with a SET clause gives a new number to an id of 0, whatever the sql_mode says; and only
    # INSERT is documented to write the times of a history.
    if infile and not header.versioned and not (converted and auto_increment):
        return load_data(session, reader)
    return insert(session, reader, ends=ends)


def _insert_empty(session: Session, reader: RowReader) -> int:
    """Rows of a table whose columns are all generated."""
    parser = FieldParser(1, None)
    rows = 0
    for _ in reader.feed(parser):
        count = len(parser.take())
        for start in range(0, count, _EMPTY_ROWS):
            values = ",".join(["()"] * min(_EMPTY_ROWS, count - start))
            sql = f"INSERT INTO {quoted(reader.header.table)} () VALUES {values}"
            execute_rows(session, reader.header.table, sql.encode(), ())
        rows += count
    return rows
