"""Which rows go into one stream: ranges of the primary key, of about a million rows or 64 MiB, and their queries."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from holdfast.api import quote_name
from holdfast_mysql.catalog.columns import INTEGERS, TableColumn
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.session import Session, quoted

ROWS = 1_000_000
SIZE = 64 << 20
_DEPTH = 64  # halvings of a range of 64 bits


@dataclass(frozen=True, kw_only=True)
class KeyRange:
    """Rows whose key is at least `low` and below `high`, each an SQL literal, None for no bound."""

    low: str | None = None
    high: str | None = None

    def condition(self, column: str) -> str:
        """What comes after WHERE, empty for all rows."""
        bounds = [f"{quoted(column)}>={self.low}"] if self.low is not None else []
        bounds += [f"{quoted(column)}<{self.high}"] if self.high is not None else []
        return " AND ".join(bounds)


@dataclass(frozen=True, kw_only=True)
class RowStream:
    """One stream of rows: a table and the range of its keys."""

    table: Table
    key_range: KeyRange

    def sql(self) -> str:
        """The query of these rows, in the order of the key, in which a restored table gives the same bytes."""
        table = self.table
        if not ordered_by_key(table):
            return table.select()
        condition = self.key_range.condition(table.key[0])
        # Without the hint a secondary index that covers the query could be read instead, in its own order.
        where = f" WHERE {condition}" if condition else ""
        return f"{table.select()} FORCE INDEX (PRIMARY){where} ORDER BY {', '.join(quoted(name) for name in table.key)}"


def ordered_by_key(table: Table) -> bool:
    """Whether rows come in the order of a key that makes it complete, at no cost."""
    return bool(table.key) and not table.versioned and table.engine.lower() == "innodb"


def divide(session: Session, table: Table) -> list[KeyRange]:
    """Divide a table; the first and the last range are open, so that no row is outside."""
    wanted = max(table.rows // ROWS, table.size // SIZE)
    if wanted < 2 or not ordered_by_key(table):
        return [KeyRange()]
    column = next(column for column in table.columns if column.name == table.key[0])
    with translate_errors(f"cannot divide table {quote_name(table.name)}"):
        if column.type in INTEGERS:
            cuts = list(_integer_cuts(session, table))
        else:
            cuts = list(_counted_cuts(session, table, column, wanted))
    edges = [None, *cuts, None]
    return [KeyRange(low=low, high=high) for low, high in pairwise(edges)]


def _integer_cuts(session: Session, table: Table) -> Iterator[str]:
    """Halve the range of the key until each part is small by the optimizer's estimate, which costs no scan."""
    key, name = quoted(table.key[0]), quoted(table.name)
    ends = session.texts(f"SELECT MIN({key}), MAX({key}) FROM {name}")[0]
    if "" in ends:
        return  # rows that the estimate counts are not committed yet, or no longer there
    low, high = map(int, ends)
    width = max(1, table.size // max(1, table.rows))
    limit = max(1, min(ROWS, SIZE // width))

    def estimate(first: int, last: int) -> int:
        # Without a format it is the server's default, a tree in MySQL 9.7; with FORCE INDEX MySQL estimates one row.
        query = f"SELECT 1 FROM {name} USE INDEX (PRIMARY) WHERE {key}>={first} AND {key}<={last}"
        rows = session.dicts(f"EXPLAIN FORMAT=TRADITIONAL {query}")
        return max((int(row["rows"] or 0) for row in rows), default=0)

    def halve(first: int, last: int, rows: int, depth: int) -> Iterator[int]:
        if rows <= limit * 3 // 2 or first >= last or depth > _DEPTH:
            return
        middle = (first + last) // 2 + 1
        left = estimate(first, middle - 1)
        yield from halve(first, middle - 1, left, depth + 1)
        yield middle
        yield from halve(middle, last, max(0, rows - left), depth + 1)

    last_cut = low
    pending = 0
    for cut in halve(low, high, table.rows, 0):
        # A range that holds next to nothing, as between two clusters of ids, goes to its neighbour.
        pending += estimate(last_cut, cut - 1)
        last_cut = cut
        if pending >= limit // 4:
            pending = 0
            yield str(cut)


def _counted_cuts(session: Session, table: Table, column: TableColumn, wanted: int) -> Iterator[str]:
    """Walk the index for every n-th key: a scan of keys that other types cannot do without."""
    key, name = quoted(table.key[0]), quoted(table.name)
    step = max(1, table.rows // wanted)
    last = ""
    while True:
        where = f" WHERE {key}>{last}" if last else ""
        rows = session.rows(
            f"SELECT {key} FROM {name} FORCE INDEX (PRIMARY){where} ORDER BY {key} LIMIT 1 OFFSET {step}"
        )
        if not rows or rows[0][0] is None:
            return
        last = _value(rows[0][0], column)
        yield last


def _value(raw: bytes, column: TableColumn) -> str:
    """A value of the key as a literal, of the column's own character set and collation."""
    if column.type == "bit":
        return str(int.from_bytes(raw, "big"))
    value = f"0x{raw.hex()}" if raw else "''"
    if column.charset:
        return f"_{column.charset} {value} COLLATE {column.collation}"
    if column.type in ("binary", "varbinary"):
        return value
    return f"'{raw.decode()}'"
