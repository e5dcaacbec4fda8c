"""Rows that belong into another partition than in the source, loaded by way of the whole table.

Enums hash otherwise in every database, text sorts otherwise under other collations: the server finds the partition.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Chunk
from holdfast_postgres.formats.archive import VIA_ROOT, Entry
from holdfast_postgres.session import quoted

_NAME = rb'(?:"(?:[^"]|"")+"|[^\s".(]+)'
_COPY = re.compile(rb"^COPY " + _NAME + rb"(?:\." + _NAME + rb")? (?=\(|FROM)", re.MULTILINE)
_HEAD = 1 << 16  # pg_restore writes it within the first lines
_ROOT = """
SELECT n.nspname, r.relname FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE r.oid = pg_catalog.pg_partition_root(pg_catalog.to_regclass(%s)) AND r.relkind = 'p' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_partition_tree(r.oid) t JOIN pg_catalog.pg_class c ON c.oid = t.relid
    WHERE c.relkind = 'f')
"""


def partitioned(connection: "Connection[TupleRow]", schema: str, table: str) -> tuple[str, str] | None:
    """The partitioned table of a partition; None where rows could get to another server through it."""
    row = connection.execute(_ROOT, (quoted(schema, table),)).fetchone()
    return None if row is None else (row[0], row[1])


def loaded_alone(connection: "Connection[TupleRow]", entries: Sequence[Entry]) -> list[Entry]:
    """Rows that pg_dump loads by way of a partitioned table which is not there: their table was selected alone."""
    return [
        entry
        for entry in entries
        if entry.definition.startswith(VIA_ROOT) and partitioned(connection, entry.schema, entry.tag) is None
    ]


def copy_into(statement: bytes, table: bytes) -> bytes:
    """A COPY of rows into another table, of this quoted name."""
    return _COPY.sub(lambda _: b"COPY " + table + b" ", statement, count=1)


def copied_into(chunks: Iterable[Chunk], table: bytes) -> Iterator[Chunk]:
    """A script of pg_restore with the rows of one table, which go into another of this quoted name."""
    source, head = iter(chunks), b""
    for chunk in source:
        head += bytes(chunk)
        if len(head) >= _HEAD:
            break
    yield copy_into(head, table)
    yield from source
