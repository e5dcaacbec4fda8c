"""Rows from the image into the target, raw where both have one encoding, and the comparison afterwards.

Between two tables of one definition `INSERT INTO a SELECT * FROM b` copies records as they lie
(https://www.sqlite.org/src/doc/trunk/src/insert.c, xferOptimization), as VACUUM does: rowids stay, and so do rows that
are not as their column is declared. It needs an index to keep the rowids of a table without INTEGER PRIMARY KEY: one
of no rows will do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from holdfast_sqlite.catalog import Entry, identifier
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.merge.plan import KEEPER
from holdfast_sqlite.tokens import folded, label

IMAGE = "holdfast_image"
"""What the image is attached as."""
_ALIASES = ("rowid", "_rowid_", "oid")
# Beyond these, only numbers of rows and rowids are compared: reading every value back takes as long as all the rest.
_MOST_ROWS = 50_000


class Table:
    """A table of the image that is to be filled in the target."""

    def __init__(self, image: sqlite3.Connection, entry: Entry) -> None:
        self.name = entry.name
        self.quoted = identifier(entry.name)
        rows = image.execute(f"PRAGMA table_xinfo({self.quoted})").fetchall()
        indexes = {row[3] for row in image.execute(f"PRAGMA index_list({self.quoted})")}
        taken = {folded(row[1]) for row in rows}
        without_rowid = "pk" in indexes and _is_without_rowid(image, self.quoted)
        has_key = any(row[5] for row in rows) and "pk" not in indexes  # an INTEGER PRIMARY KEY, which is the rowid
        self.columns = [str(row[1]) for row in rows if row[6] == 0]
        self.generates = len(self.columns) < len(rows)
        #: A name of the rowid, "" where there is none or a column is it.
        self.rowid = "" if without_rowid or has_key else next((name for name in _ALIASES if name not in taken), "")
        #: Whether nothing but an index of its own would keep its rowids.
        self.heap = not (without_rowid or has_key or indexes & {"pk", "u"} or self.generates)

    @property
    def stored(self) -> str:
        """The columns of a row as it is stored, with its rowid."""
        return ", ".join([*filter(None, [self.rowid]), *map(identifier, self.columns)])

    def scan(self, connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
        """The rows as they are stored and in the order in which they lie, each beginning with its rowid."""
        if len(self.columns) + bool(self.rowid) <= connection.getlimit(sqlite3.SQLITE_LIMIT_COLUMN):
            return connection.execute(self._all_of(self.stored))
        # A result has no more columns than a table may have: the rowid is one too many.
        columns = connection.execute(self._all_of(", ".join(map(identifier, self.columns))))
        rowids = connection.execute(self._all_of(self.rowid))
        return (rowid + values for rowid, values in zip(rowids, columns, strict=True))

    def _all_of(self, columns: str) -> str:
        return f"SELECT {columns} FROM {self.quoted} NOT INDEXED"  # noqa: S608

    def keeper(self, schema: str) -> str:
        """The statement that makes the index which keeps rowids."""
        return f"CREATE INDEX {schema}.{self.keeper_name} ON {self.quoted}({identifier(self.columns[0])}) WHERE 0"

    @property
    def keeper_name(self) -> str:
        """The quoted name of that index."""
        return identifier(f"{KEEPER} {self.name}")


def _is_without_rowid(connection: sqlite3.Connection, quoted: str) -> bool:
    """Whether a table with an index for its primary key lies in that index."""
    try:
        connection.execute(f"SELECT _rowid_, rowid, oid FROM {quoted} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError as error:
        return "no such column" in str(error)
    return False


def copy_attached(target: sqlite3.Connection, table: Table) -> None:
    """Copy the rows of a table of the attached image, where a heap has its keeper."""
    if table.generates:  # raw only without indexes; and what is generated may be so anew
        into, of = f"({table.stored})", table.stored
    else:
        into, of = "", "*"
    if table.heap:
        target.execute(table.keeper("main"))
    target.execute(f"INSERT INTO main.{table.quoted}{into} SELECT {of} FROM {IMAGE}.{table.quoted}")  # noqa: S608
    if table.heap:
        target.execute(f"DROP INDEX main.{table.keeper_name}")


def copy_converted(image: sqlite3.Connection, target: sqlite3.Connection, table: Table) -> None:
    """Copy rows between databases of two encodings; text that is not valid in its own cannot be converted."""
    _check_text(image, table)
    parameters = ", ".join("?" * (len(table.columns) + bool(table.rowid)))
    insert = f"INSERT INTO {table.quoted}({table.stored}) VALUES ({parameters})"  # noqa: S608
    try:
        target.executemany(insert, table.scan(image))
    except sqlite3.IntegrityError as error:
        raise TaskError(
            "failed",
            f"a row of table {label(table.name)} is not as its columns are declared, and the target has another text "
            f"encoding, so that it cannot be copied as it is: {error}",
            hint="restore into a new file, which keeps the encoding",
        ) from error


def _check_text(image: sqlite3.Connection, table: Table) -> None:
    encoding = image.execute("PRAGMA encoding").fetchone()[0]

    def valid(raw: bytes) -> bool:
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            return False
        return True

    image.create_function("holdfast_valid", 1, valid)
    for column in map(identifier, table.columns):
        query = (
            f"SELECT count(*) FROM {table.quoted} NOT INDEXED WHERE typeof({column}) = 'text' "  # noqa: S608
            f"AND NOT holdfast_valid(CAST({column} AS BLOB))"
        )
        if count := image.execute(query).fetchone()[0]:
            raise TaskError(
                "failed",
                f"table {label(table.name)} holds text that is not valid {encoding} ({count} values in column "
                f"{label(column)}), and the target has another text encoding, into which that cannot be converted",
                hint="restore into a new file, which keeps the encoding",
            )


def compare(image: sqlite3.Connection, target: sqlite3.Connection, table: Table) -> None:
    """Make sure that the target has the rows of the image: numbers and rowids, and all values where they are few."""
    rowid = table.rowid
    sums = f", min({rowid}), max({rowid}), total({rowid})" if rowid else ""
    query = f"SELECT count(*){sums} FROM {table.quoted} NOT INDEXED"  # noqa: S608
    expected, seen = (connection.execute(query).fetchone() for connection in (image, target))
    if expected != seen:
        what = f"{expected[0]} rows recorded, {seen[0]} found" if expected[0] != seen[0] else "its rowids differ"
        raise TaskError("damaged", f"table {label(table.name)} did not come out as it was recorded: {what}")
    if expected[0] <= _MOST_ROWS and any(map(_differ, table.scan(image), table.scan(target))):
        raise TaskError("damaged", f"table {label(table.name)} did not come out as it was recorded: its rows differ")


def _differ(left: tuple[object, ...], right: tuple[object, ...]) -> bool:
    return left != right or [type(value) for value in left] != [type(value) for value in right]  # 1 and 1.0 are equal
