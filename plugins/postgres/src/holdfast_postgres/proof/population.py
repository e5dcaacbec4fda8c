"""Materialized views that hold no rows after a restore, though the recorded ones did.

A restore computes their rows anew, and warns where the server refuses that: a function in one divides by zero, or has
names without schemas, which PostgreSQL 17 and newer find in no REFRESH. Then the view is all that a restore can make.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.proof.definitions import group_name, prove_definitions, same_portable
from holdfast_postgres.proof.printed import Definition
from holdfast_postgres.proof.reparse import undoing
from holdfast_postgres.session import quoted

_EMPTY, _FILLED = " f", " t"  # `relispopulated`, the last word of a view's portable text
_UNRELATED = ("08", "53", "57", "58", "XX")  # of SQLSTATE: what says nothing about the view

Name = tuple[str, str]


def with_refused(
    connection: "Connection[TupleRow]", definitions: Sequence[Definition], digests: Mapping[Name, str], *, grouped: bool
) -> list[Definition]:
    """The definitions, with those views as filled that were recorded so and whose rows the server refuses to compute.

    Only views of objects that differ from what was recorded are tried; nothing of it stays.
    """
    objects = prove_definitions(definitions, grouped=grouped)
    differing = {
        (proof.kind, proof.name)
        for proof in objects
        if not same_portable(proof.digest, digests.get((proof.kind, proof.name), proof.digest))
    }
    return [
        replace(entry, portable=entry.portable.removesuffix(_EMPTY) + _FILLED)
        if _is_empty(entry) and group_name(entry, grouped=grouped) in differing and _is_refused(connection, entry)
        else entry
        for entry in definitions
    ]


def _is_empty(entry: Definition) -> bool:
    return entry.kind == "view" and entry.portable.startswith("m ") and entry.portable.endswith(_EMPTY)


def _is_refused(connection: "Connection[TupleRow]", entry: Definition) -> bool:
    """Whether the server refuses to compute the rows of a view."""
    with undoing(connection):
        try:
            connection.execute(f"REFRESH MATERIALIZED VIEW {quoted(entry.schema, entry.name)}".encode())
        except psycopg.Error as error:
            if connection.broken or (error.sqlstate or "").startswith(_UNRELATED):
                raise
            return True
    return False
