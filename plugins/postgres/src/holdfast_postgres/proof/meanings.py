"""Definitions that a restore made of the same text, but with other operators than those of the source."""

from collections.abc import Sequence

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.errors import some_names
from holdfast_postgres.implied_operators import Meaning, read_implied

_ADDRESS = "SELECT classid::int8, objid::int8 FROM pg_catalog.pg_get_object_address(%s, %s, %s)"


def changed_meanings(connection: "Connection[TupleRow]", recorded: Sequence[Meaning]) -> list[str]:
    """A warning of those that are there with other operators."""
    connection.execute("SET search_path TO ''")  # which the names of operators depend on
    there = {each.addresses[0]: each.meaning.operators for each in read_implied(connection)}
    labels = []
    for meaning in recorded:
        place = _place(connection, meaning)
        if place is not None and there.get(place) != meaning.operators:
            labels.append(meaning.label)
    if not labels:
        return []
    warning = (
        f"restored with another meaning: {some_names(labels)}; in the source they compare by operators that the "
        "search_path found, which PostgreSQL does not write down: make them anew with that search_path"
    )
    return [warning]


def _place(connection: "Connection[TupleRow]", meaning: Meaning) -> tuple[int, int] | None:
    """Where a definition is; None where it was not restored."""
    try:
        with connection.transaction():
            return connection.execute(_ADDRESS, (meaning.kind, meaning.names, meaning.arguments)).fetchone()
    except psycopg.ProgrammingError:
        return None
