"""The planner's statistics, in several sessions: what fails is a warning, since all rows are there."""

from collections.abc import Sequence

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import quote_name
from holdfast_postgres.errors import server_error
from holdfast_postgres.parallel import Sessions, in_batches
from holdfast_postgres.session import quoted
from holdfast_postgres.target.contents import OWN_SCHEMA

Name = tuple[str, str]
_LOCK_WAIT = "5s"

_TABLES = f"""
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {OWN_SCHEMA} ORDER BY c.relpages DESC, c.oid
"""
# Not by to_regclass(), which fails in a schema that the role may not use.
_SIZES = """
SELECT coalesce(pg_catalog.pg_relation_size(c.oid), 0)
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY w(schema, name, place)
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name ORDER BY w.place
"""


def read_tables(connection: "Connection[TupleRow]") -> list[Name]:
    """The tables and materialized views of a database, the largest first."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def analyze(sessions: Sessions, tables: Sequence[Name]) -> list[str]:
    """Collect the statistics of tables; returns what failed, for messages, and raises if the server is lost.

    vacuumdb would end at the first failure, and call functions of the user's under an empty search_path.
    """
    names = [schema for schema, _ in tables], [name for _, name in tables]
    sizes = sessions.first.execute(_SIZES, names).fetchall()
    batches = in_batches([(table, int(size)) for table, (size,) in zip(tables, sizes, strict=True)])
    failures = sessions.each(batches, _analyze_batch)
    return sorted(failure for batch in failures for failure in batch)


def _analyze_batch(connection: "Connection[TupleRow]", batch: Sequence[Name]) -> list[str]:
    """Several tables by one statement, which the server takes table by table; where it fails, each alone tells why."""
    try:
        # Long enough for an autovacuum to give way; what another session holds for longer is none of a result that is
        # there.
        connection.execute(f"SET lock_timeout TO '{_LOCK_WAIT}'", prepare=False)
        connection.execute(f"ANALYZE {', '.join(quoted(*table) for table in batch)}", prepare=False)
    except psycopg.Error as error:
        if connection.closed:
            raise server_error(error, "cannot collect statistics") from error
        if len(batch) > 1:
            return [failure for table in batch for failure in _analyze_batch(connection, [table])]
        text = " ".join((error.diag.message_primary or str(error)).split())
        return [f"no statistics of table {quote_name('.'.join(batch[0]))}: {text}"]
    return []
