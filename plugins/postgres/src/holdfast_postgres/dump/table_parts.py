"""Large tables: which are read apart from pg_dump, in which parts, and by which statements.

pg_dump reads a table in one piece. Ranges of ctid (a Tid Range Scan, PostgreSQL 14 and newer) split it over
workers: there one huge table is read as fast as many.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from holdfast_postgres.catalog import Table
from holdfast_postgres.session import quoted

_MB = 1 << 20
_MANY_SMALL = 256 * _MB  # of small tables: then pg_dump, which reads one table at a time, would be what all wait for
_SMALL = _MB
# Of binary tables: a value of bytea of 512 MB and more has no text of less than 1 GB, which is all that pg_dump reads,
# and takes at least this much, since lz4 shrinks nothing to less than a 255th.
_BINARY = 2 * _MB
_MOST_PARTS = 256  # of one table, a blob each
_MOST_TABLES = 1000  # a blob, a session and a word in the arguments of pg_dump each, which the system limits
_LEAST_SIZE = 32 * _MB
_RANGES_SINCE = 14


class TablePart(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a table that one COPY reads; `first` and `last` are blocks, None at the open ends."""

    table: Table
    stream: str
    first: int | None
    last: int | None
    size: int

    @property
    def copy_out(self) -> str:
        """The statement that writes it to standard output."""
        binary = " (FORMAT binary)" if self.table.binary else ""
        columns = ", ".join(quoted(column) for column in self.table.columns)
        if self.first is None and self.last is None:
            return f"COPY {self.table.quoted} ({columns}) TO STDOUT{binary};\n"
        bounds = []
        if self.first is not None:
            bounds.append(f"ctid >= '({self.first},0)'::pg_catalog.tid")
        if self.last is not None:
            bounds.append(f"ctid < '({self.last},0)'::pg_catalog.tid")
        where = " AND ".join(bounds)
        return f"COPY (SELECT {columns} FROM ONLY {self.table.quoted} WHERE {where}) TO STDOUT{binary};\n"


def large_tables(tables: Sequence[Table], *, threshold: int, standby: bool) -> list[Table]:
    """The tables that are worth a COPY of their own; `threshold` in bytes."""
    readable = [table for table in tables if _readable(table, standby=standby)]
    rest = sum(table.size for table in readable if table.size < threshold)
    if rest > _MANY_SMALL:
        threshold = min(threshold, _SMALL)
    large = [table for table in readable if table.size >= (min(threshold, _BINARY) if table.binary else threshold)]
    if len(large) <= _MOST_TABLES:
        return large
    largest = {table.oid for table in sorted(large, key=lambda table: -table.size)[:_MOST_TABLES]}
    return [table for table in large if table.oid in largest]


def _readable(table: Table, *, standby: bool) -> bool:
    logged = table.persistence == "p" or not standby  # an unlogged table is empty and unreadable on a standby
    return table.kind == "r" and not (table.config or table.checked) and bool(table.columns) and logged


def split_tables(
    tables: Sequence[Table],
    *,
    part_size: int,
    jobs: int,
    major: int,
    can_select: Callable[[Table], bool] | None = None,
) -> list[TablePart]:
    """Split tables into parts of about `part_size` bytes, the largest first.

    A part is read by a SELECT: where `can_select` says that there can be none, one COPY reads the table. Each part
    costs 0.05 s for its psql and session; with fewer than two for each job one would be idle at the end.
    """
    part_size = min(part_size, max(_LEAST_SIZE, sum(table.size for table in tables) // (2 * jobs)))
    parts: list[TablePart] = []
    names: set[str] = set()
    for table in tables:
        name = _stream_name(table, names)
        splits = _splits(table, part_size) if table.heap and major >= _RANGES_SINCE else 1
        if splits > 1 and can_select is not None and not can_select(table):
            splits = 1
        step = -(-table.blocks // splits)
        parts += [
            TablePart(
                table=table,
                stream=name if splits == 1 else f"{name}/{number + 1:04d}",
                first=number * step if number else None,
                last=(number + 1) * step if number < splits - 1 else None,
                size=table.size // splits,
            )
            for number in range(splits)
        ]
    return sorted(parts, key=lambda part: -part.size)


def _splits(table: Table, part_size: int) -> int:
    return max(1, min(round(table.size / part_size), _MOST_PARTS, table.blocks))


def _stream_name(table: Table, taken: set[str]) -> str:
    """`data/public.orders`; the manifest keeps the exact name elsewhere, so that this one may be made plain."""
    base = "data/" + ".".join(re.sub(r"[^\w-]", "_", part) for part in (table.schema, table.name))
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    taken.add(name)
    return name


def by_table(parts: Sequence[TablePart]) -> Iterator[tuple[Table, list[str]]]:
    """Each table with its streams in the order of its blocks."""
    streams: dict[int, list[TablePart]] = {}
    for part in parts:
        streams.setdefault(part.table.oid, []).append(part)
    for group in streams.values():
        ordered = sorted(group, key=lambda part: part.first or 0)
        yield group[0].table, [part.stream for part in ordered]
