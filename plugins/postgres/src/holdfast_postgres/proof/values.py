"""What a proof holds besides rows and definitions: sequences and large objects."""

import hashlib
from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.catalog import sequence_values
from holdfast_postgres.session import literal, quoted, releasing_locks

SEQUENCE, LARGE_OBJECTS = "sequence", "large objects"
_PIECE = 64 << 20  # bytes of a large object: lo_get() returns at most 1 GB at once


def prove_sequence(schema: str, name: str, last_value: int, is_called: bool) -> ObjectProof:
    """The value of one sequence."""
    text = f"{last_value} {is_called}"
    return ObjectProof(kind=SEQUENCE, name=object_name(schema, name), digest=hashlib.sha256(text.encode()).hexdigest())


def read_sequences(connection: "Connection[TupleRow]", names: Sequence[tuple[str, str]]) -> list[ObjectProof]:
    """The values of those of these sequences that are there."""
    query = """
        SELECT w.place::int - 1 FROM unnest(%s::text[]) WITH ORDINALITY w(name, place)
        JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name) WHERE c.relkind = 'S' ORDER BY 1
    """
    listed = connection.execute(query, ([quoted(*name) for name in names],)).fetchall()
    there = [names[number] for (number,) in listed]
    with releasing_locks(connection):
        values = list(sequence_values(connection, there))
    return [prove_sequence(*name, *value) for name, value in zip(there, values, strict=True)]


def prove_large_objects(connection: "Connection[TupleRow]") -> ObjectProof:
    """All large objects, each in pieces."""
    query = f"""
        SELECT count(*), sum(pg_catalog.hashtextextended(x, 0)::numeric),
            sum(pg_catalog.hashtextextended(x, 7461001)::numeric)
        FROM (
            SELECT (s.oid || ' ' || s.size || ' ' || (
                SELECT string_agg(encode(sha256(lo_get(s.oid, piece, {_PIECE})), 'hex'), '' ORDER BY piece)
                FROM generate_series(0::int8, greatest(s.size - 1, 0), {_PIECE}::int8) piece)) COLLATE "C" AS x
            FROM (
                SELECT f.oid, lo_lseek64(f.fd, 0, 2) AS size, lo_close(f.fd) AS closed
                FROM (SELECT m.oid, lo_open(m.oid, 262144) AS fd FROM pg_catalog.pg_largeobject_metadata m OFFSET 0) f
                OFFSET 0
            ) s
        ) objects
    """
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 (an aggregate has one row)
    return ObjectProof(kind=LARGE_OBJECTS, name="database", rows=row[0], digest=hex_digest(row[1:]))


def hex_digest(sums: Sequence[Any]) -> str:
    """Two sums of 64-bit hashes, as 128 bits each: they are far from that for any number of rows."""
    return "".join(f"{int(value or 0) % (1 << 128):032x}" for value in sums)


def add_digests(digests: Sequence[str]) -> str:
    """The digest of what several of `hex_digest` stand for together."""
    halves = [(int(digest[:32], 16), int(digest[32:], 16)) for digest in digests]
    return hex_digest([sum(values) for values in zip(*halves, strict=True)])


def object_name(schema: str, name: str) -> str:
    """The name in a proof, quoted where it must be to be unique."""
    return ".".join(part if part.isidentifier() else literal(part).replace("'", '"') for part in (schema, name))
