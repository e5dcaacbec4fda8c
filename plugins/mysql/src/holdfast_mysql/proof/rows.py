"""The rows of a table as a digest: of the bytes that pass in the order of the key, or a sum in any order.

A sum by the server has two numbers of 64 bits of a SHA-256 over values that carry their length, NULL with a mark of its
own. MySQL 9.6 has no MD5 any more, and SHA-256 was not slower (5 s against 9 s for a million narrow rows).
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pymysql

from holdfast.api import HoldfastError, ObjectProof, quote_name
from holdfast_mysql.catalog.columns import TableColumn
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.rows.key_ranges import RowStream, ordered_by_key
from holdfast_mysql.rows.row_sum import RowSum
from holdfast_mysql.rows.wire import Column, Digest, RowCopy
from holdfast_mysql.session import Session, batches, quoted

_FREE = 16 << 20  # bytes of tables without a key that are summed up whatever the rest has
_SHARE = 6  # beyond that they may be one in so many bytes: summing costs twice what dumping does
_LONG = frozenset({"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json"})
_FLOATS = frozenset({"float", "double"})
_64_BITS = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True)
class StreamDigest:
    """What was read of one stream of rows."""

    rows: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class DigestPlan:
    """Names of the tables whose rows are summed up: by the server, or here, as their bytes pass.

    Here are those without transactions: between the dump and a sum by the server others may write to them.
    """

    by_server: frozenset[str] = frozenset()
    in_passing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tables: Sequence[Table], *, wanted: bool | None, always: Collection[str] = ()) -> "DigestPlan":
        """Those without a key to order them by, while that is cheap or if it is asked for, and those in `always`.

        These hold JSON that the server will print otherwise, which only the server can compare.
        """
        if wanted is False:
            return cls()
        needed = frozenset(table.name for table in tables if table.name in always and table.transactional)
        unordered = [table for table in tables if table.stored and not ordered_by_key(table)]
        unordered = [table for table in unordered if table.row_header().columns]
        size = sum(table.size for table in unordered)
        if not wanted and size > max(_FREE, sum(table.size for table in tables) // _SHARE):
            return cls(by_server=needed)
        return cls(
            by_server=needed | frozenset(table.name for table in unordered if table.transactional),
            in_passing=frozenset(table.name for table in unordered if not table.transactional),
        )

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> "DigestPlan":
        """Those of a proof that is repeated."""
        return cls(
            by_server=frozenset(settings.get("sums", ())), in_passing=frozenset(settings.get("sums_in_passing", ()))
        )

    def digest(self, table: Table) -> Digest | None:
        """What the rows of a table are digested by as they pass; None where nothing would look at it."""
        if table.name in self.in_passing:
            return RowSum()
        return sha256() if ordered_by_key(table) and table.name not in self.by_server else None


def table_proof(table: Table, streams: Sequence[StreamDigest], plan: DigestPlan, total: str) -> ObjectProof:
    """The proof of a table: of its streams in their order, or a sum, that of the server being `total`."""
    digest = total
    if ordered_by_key(table) and table.name not in plan.by_server:
        digest = sha256("".join(stream.digest for stream in streams).encode()).hexdigest()
    elif table.name in plan.in_passing:
        digest = "".join(stream.digest for stream in streams)
    return ObjectProof(kind="rows", name=table.name, rows=sum(stream.rows for stream in streams), digest=digest)


def sum_rows(session: Session, table: Table) -> tuple[int, str]:
    """The number of rows and the sum over them, by the server; a row without a digest is an error."""
    types = {column.name: column.type for column in table.columns}
    values = ", ".join(_summand(table, column, types.get(column.name, "")) for column in table.row_header().columns)
    history = " FOR SYSTEM_TIME ALL" if table.history else ""
    half = "CAST(CONV(SUBSTRING(h, {}, 16), 16, 10) AS UNSIGNED)"
    sql = (
        f"SELECT COUNT(*), COUNT(h), SUM({half.format(1)}), SUM({half.format(17)})"
        f" FROM (SELECT SHA2(CONCAT({values}), 256) AS h FROM {quoted(table.name)}{history}) AS d"
    )
    with translate_errors(f"cannot digest table {quote_name(table.name)}"):
        rows, digests, high, low = session.texts(sql)[0]
    if rows != digests:
        raise HoldfastError(f"cannot digest table {quote_name(table.name)}: a row is longer than the server can hold")
    return int(rows), "".join(f"{int(half or 0) & _64_BITS:016x}" for half in (high, low))


def reprinted(value: str) -> str:
    """A JSON value as MySQL prints it once it has read its text: 1.50, a decimal number, is 1.5 then, a double."""
    return f"CAST(CAST({value} AS CHAR) AS JSON)"


def _summand(table: Table, column: Column, kind: str) -> str:
    """A value with its length before it, as an expression; `kind` is the column's type."""
    name = quoted(column.name)
    if column.kind == "index" or kind == "bit":
        value = f"{name}+0"
    elif kind == "float":
        value = f"{name}-0e0"
    elif kind == "json" and column.kind == "json":
        value = f"SHA2({reprinted(name)}, 256)"
    elif kind in _LONG:
        value = f"SHA2({name}, 256)"  # the row as a whole could be longer than max_allowed_packet
    elif kind == "vector":
        value = f"HEX({name})"
    else:
        value = table.expression(column.name)
    value = f"CAST({value} AS BINARY)"
    return f"IF({name} IS NULL, 'N', CONCAT(OCTET_LENGTH({value}), ':', {value}))"


def digest_stream(session: Session, stream: RowStream, digest: Digest | None) -> StreamDigest:
    """Read the rows of a stream for their number and digest alone."""
    copy = RowCopy(session, stream.sql(), digest=digest)
    with translate_errors(f"cannot read table {quote_name(stream.table.name)}"):
        for _ in copy.chunks():
            pass
    return StreamDigest(rows=copy.rows, digest=copy.digest)


def largest_numbers(session: Session, tables: Iterable[Table], *, without: Collection[str]) -> dict[str, int]:
    """The largest number in each AUTO_INCREMENT column, 0 for none."""
    counting = [
        (table, column)
        for table in tables
        for column in table.columns
        if column.auto_increment and table.stored and table.name not in without
    ]
    numbers: dict[str, int] = {}
    for batch in batches([pair for pair in counting if pair[1].type not in _FLOATS]):
        # Which table cannot be read is seen below, one by one.
        with contextlib.suppress(pymysql.MySQLError):
            numbers |= _largest(session, batch, int)
    for table, column in counting:
        if table.name not in numbers:
            with translate_errors(f"cannot read table {quote_name(table.name)}"):
                # Not every integer of 64 bits goes through a float.
                kind = float if column.type in _FLOATS else int
                numbers |= _largest(session, [(table, column)], kind)
    return numbers


def _largest(
    session: Session, counting: Sequence[tuple[Table, TableColumn]], kind: Callable[[str], float]
) -> dict[str, int]:
    """Those of some tables, whose numbers are of one kind, by one statement."""
    queries = [
        f"SELECT {number}, MAX({quoted(column.name)}) FROM {quoted(table.name)}"
        + (" FOR SYSTEM_TIME ALL" if table.history else "")
        for number, (table, column) in enumerate(counting)
    ]
    rows = session.texts(" UNION ALL ".join(queries))
    return {counting[int(number)][0].name: int(kind(largest or "0")) for number, largest in rows}
