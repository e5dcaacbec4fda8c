"""Large tables: which are read apart from pg_dump, in which parts, and by which statements.

pg_dump reads a table in one piece. Ranges of ctid (a Tid Range Scan, PostgreSQL 14 and newer) split it over
workers: there one huge table is read as fast as many.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast_postgres.catalog import Table
from holdfast_postgres.session import quoted

_MB = 1 << 20
_MANY = 256 * _MB  # of small tables: then pg_dump, which reads one table at a time, would be what all wait for
_SMALL = _MB
_PARTS = 256  # of one table at most, a blob each
_LEAST = 32 * _MB
_RANGES_SINCE = 14


@dataclass(frozen=True, kw_only=True)
class Part:
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


def large(tables: Sequence[Table], *, threshold: int, standby: bool) -> list[Table]:
    """The tables that are worth a COPY of their own; `threshold` in bytes."""
    able = [table for table in tables if _able(table, standby=standby)]
    rest = sum(table.size for table in able if table.size < threshold)
    if rest > _MANY:
        threshold = min(threshold, _SMALL)
    return [table for table in able if table.size >= threshold]


def _able(table: Table, *, standby: bool) -> bool:
    readable = table.persistence == "p" or not standby  # an unlogged table is empty and unreadable on a standby
    return table.kind == "r" and not table.config and bool(table.columns) and readable


def parts(tables: Sequence[Table], *, part_size: int, jobs: int, major: int) -> list[Part]:
    """Cut tables into parts of about `part_size` bytes, the largest first.

    Each part costs 0.05 s for its psql and session; fewer than two for each lane would leave one idle at the end.
    """
    part_size = min(part_size, max(_LEAST, sum(table.size for table in tables) // (2 * jobs)))
    found: list[Part] = []
    taken: set[str] = set()
    for table in tables:
        name = _stream_name(table, taken)
        splits = _splits(table, part_size) if table.heap and major >= _RANGES_SINCE else 1
        step = -(-table.blocks // splits)
        found += [
            Part(
                table=table,
                stream=name if splits == 1 else f"{name}/{number + 1:04d}",
                first=number * step if number else None,
                last=(number + 1) * step if number < splits - 1 else None,
                size=table.size // splits,
            )
            for number in range(splits)
        ]
    return sorted(found, key=lambda part: -part.size)


def _splits(table: Table, part_size: int) -> int:
    wanted = round(table.size / part_size)
    return max(1, min(wanted, _PARTS, table.blocks))


def _stream_name(table: Table, taken: set[str]) -> str:
    """`data/public.orders`; the manifest keeps the exact name elsewhere, so that this one may be tamed."""
    base = "data/" + ".".join(re.sub(r"[^\w-]", "_", part) for part in (table.schema, table.name))
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    taken.add(name)
    return name


def by_table(found: Sequence[Part]) -> Iterator[tuple[Table, list[str]]]:
    """Each table with its streams in the order of its blocks."""
    streams: dict[int, list[Part]] = {}
    for part in found:
        streams.setdefault(part.table.oid, []).append(part)
    for group in streams.values():
        ordered = sorted(group, key=lambda part: part.first or 0)
        yield group[0].table, [part.stream for part in ordered]
