"""The materialized views of a selection, filled as they were: no dump of definitions does it."""

from collections.abc import Collection

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.merge.relations import Name
from holdfast_postgres.session import literal, quoted

# Oldest first: what was restored was made in the order in which it needs one another.
_FILLED = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated ORDER BY c.oid
"""


def refreshes(staged: "Connection[TupleRow]", left: Collection[Name], path: str) -> list[str]:
    """Statements that fill all but the `left` of those that are filled where they were restored first.

    What the server refuses to compute is a warning. `path` is the search_path of these statements.
    """
    names = [(schema, name) for schema, name in staged.execute(_FILLED) if (schema, name) not in left]
    opening = ["SET client_min_messages TO warning", f"SET search_path TO {path}"] if names else []
    return opening + [f"DO {literal(_refresh(*name))}" for name in names]


def _refresh(schema: str, name: str) -> str:
    statement = literal(f"REFRESH MATERIALIZED VIEW {quoted(schema, name)}")
    return (
        f"BEGIN EXECUTE {statement}; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'not restored: %', "
        f"{literal(f'rows of materialized view {schema}.{name}: ')} || SQLERRM; END"
    )
