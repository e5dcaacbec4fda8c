"""The planner's statistics, table by table in several sessions: what fails is a warning, since all rows are there."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import quote_name
from holdfast_postgres.catalog import USER_SCHEMA
from holdfast_postgres.errors import server_error
from holdfast_postgres.parallel import in_sessions
from holdfast_postgres.session import quoted

Name = tuple[str, str]

_TABLES = f"""
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {USER_SCHEMA} ORDER BY c.relpages DESC, c.oid
"""


def read_tables(connection: "Connection[TupleRow]") -> list[Name]:
    """The tables and materialized views of a database, the largest first."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def analyze(
    open_session: "Callable[[], AbstractContextManager[Connection[TupleRow]]]", tables: Iterable[Name], jobs: int
) -> list[str]:
    """Collect the statistics of tables; returns what failed, for messages, and raises if the server is lost.

    vacuumdb would end at the first failure, and call functions of the user's under an empty search_path.
    """
    return sorted(filter(None, in_sessions(list(tables), _analyze_table, open_session, jobs)))


def _analyze_table(connection: "Connection[TupleRow]", table: Name) -> str:
    try:
        connection.execute(f"ANALYZE {quoted(*table)}", prepare=False)
    except psycopg.Error as error:
        if connection.closed:
            raise server_error(error, "cannot collect statistics") from error
        text = " ".join((error.diag.message_primary or str(error)).split())
        return f"no statistics of table {quote_name('.'.join(table))}: {text}"
    return ""
