"""The tables below others: partitions, in which a partitioned table has its rows, and those that inherit.

Whoever reads a table reads these with it, so that a selection takes them with it, as `pg_dump --table-and-children`.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.formats.archive import Entry

Name = tuple[str, str]
"""Schema and name."""

_INHERITS = """
SELECT c.oid::int8, i.inhparent::int8, c.relispartition
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE c.relkind IN ('r', 'p', 'f') ORDER BY c.oid, i.inhseqno
"""
_ATTACH = re.compile(r"ALTER TABLE ONLY (?P<parent>.*?) ATTACH PARTITION ", re.DOTALL)
_LIST = re.compile(r"^INHERITS \((.*)\)", re.MULTILINE)
_WORD = r'(?:"((?:[^"]|"")+)"|([^\s".,()]+))'
_NAME = re.compile(rf"{_WORD}\.{_WORD}")


@dataclass(frozen=True, kw_only=True)
class Descendants:
    """The tables right below each table: its `partitions`, and its `heirs` by INHERITS."""

    partitions: Mapping[int, Sequence[int]] = field(default_factory=lambda: defaultdict(list))
    heirs: Mapping[int, Sequence[int]] = field(default_factory=lambda: defaultdict(list))

    def below(self, tables: Iterable[int], excluded: Collection[int]) -> set[int]:
        """All that are below these, at whatever level, without what is excluded and what is below that alone."""
        below, todo = set[int](), list(tables)
        while todo:
            table = todo.pop()
            children = {*self.partitions.get(table, ()), *self.heirs.get(table, ())} - below
            more = [child for child in children if child not in excluded]
            below.update(more)
            todo += more
        return below

    def partitions_of(self, tables: Iterable[int]) -> set[int]:
        """The partitions right below any of these."""
        return {child for table in tables for child in self.partitions.get(table, ())}

    def heirs_of(self, tables: Iterable[int]) -> set[int]:
        """What inherits right from any of these."""
        return {child for table in tables for child in self.heirs.get(table, ())}


def read_descendants(connection: "Connection[TupleRow]") -> Descendants:
    """Those of a database, by OID; a partition that is being detached is one as long as that is not done."""
    partitions: dict[int, list[int]] = defaultdict(list)
    heirs: dict[int, list[int]] = defaultdict(list)
    for child, parent, is_partition in connection.execute(_INHERITS):
        (partitions if is_partition else heirs)[parent].append(child)
    return Descendants(partitions=partitions, heirs=heirs)


def archive_descendants(entries: Iterable[Entry], relations: Mapping[int, Entry]) -> Descendants:
    """Those of an archive, by the ids of its entries."""
    partitions: dict[int, list[int]] = defaultdict(list)
    heirs: dict[int, list[int]] = defaultdict(list)
    for entry in entries:
        tables = [need for need in entry.needs if need in relations]
        if entry.kind == "TABLE ATTACH":
            child = [table for table in tables if is_attached(entry, relations[table])]
            for parent in set(tables) - set(child):
                partitions[parent] += child
        elif names := inheritednames_in(entry):
            for table in tables:
                if (relations[table].schema, relations[table].tag) in names:
                    heirs[table].append(entry.id)
    return Descendants(partitions=partitions, heirs=heirs)


def attached_indexes(entries: Iterable[Entry]) -> dict[int, int]:
    """The indexes and constraints of partitions in an archive, each with that of the table above."""
    entries = list(entries)
    indexes = {entry.id: entry for entry in entries if entry.kind in ("INDEX", "CONSTRAINT")}
    parents = {}
    for entry in entries:
        if entry.kind == "INDEX ATTACH":
            pair = [need for need in entry.needs if need in indexes]
            child = next((need for need in pair if _is_index_of(entry, indexes[need])), None)
            parent = next((need for need in pair if need != child), None)
            if child is not None and parent is not None:
                parents[child] = parent
    return parents


def _is_index_of(attach: Entry, index: Entry) -> bool:
    """Whether an entry that attaches an index attaches this, or that of this constraint, named TABLE NAME."""
    names = index.tag == attach.tag or (index.kind == "CONSTRAINT" and index.tag.endswith(f" {attach.tag}"))
    return names and index.schema == attach.schema


def is_attached(attach: Entry, table: Entry) -> bool:
    """Whether an entry that attaches a partition attaches this table."""
    return (attach.schema, attach.tag) == (table.schema, table.tag)


def attached_to(attach: Entry) -> Name | None:
    """Schema and name of the table that an entry attaches a partition to, which need not be in the archive."""
    match = _ATTACH.match(attach.definition)
    return next(names_in(match["parent"]), None) if match else None


def inheritednames_in(entry: Entry) -> set[Name]:
    """Schema and name of each table that a table of an archive inherits from."""
    match = _LIST.search(entry.definition) if entry.kind in ("TABLE", "FOREIGN TABLE") else None
    return set(names_in(match[1])) if match else set()


def names_in(text: str) -> Iterator[Name]:
    """Each name in a list of names, as pg_dump writes them."""
    for quoted_schema, schema, quoted_name, name in _NAME.findall(text):
        yield schema or quoted_schema.replace('""', '"'), name or quoted_name.replace('""', '"')
