"""The order in which rows can be loaded while foreign keys are in force: what others refer to goes first."""

from collections.abc import Mapping

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA

Name = tuple[str, str]

_REFERENCES = f"""
SELECT n.nspname, c.relname, m.nspname, r.relname FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND {USER_SCHEMA}
"""


def references(connection: "Connection[TupleRow]") -> dict[Name, set[Name]]:
    """Each table that takes part in a foreign key, with the others that it refers to."""
    found: dict[Name, set[Name]] = {}
    for schema, name, other_schema, other in connection.execute(_REFERENCES):
        found.setdefault((schema, name), set()).add((other_schema, other))
        found.setdefault((other_schema, other), set())
    return found


def levels(referring: Mapping[Name, set[Name]]) -> dict[Name, int]:
    """0 for what refers to nothing, else one more than all it refers to.

    For tables that refer to each other in a circle, and for those behind them, no order is known: they are all the
    last, and what the server says of them stands.
    """
    left, found = dict(referring), dict[Name, int]()
    number = 0
    while left:
        free = [name for name, others in left.items() if left.keys().isdisjoint(others)] or list(left)
        for name in free:
            found[name] = number
            del left[name]
        number += 1
    return found
