"""Constraints that rows of the backup break: made for rows to come, and the rows are kept."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.session import quoted

_MOST = 20  # constraints that one table's rows may break
# CHECKs of a table, of its ancestors, and of the domains of its columns; inherited ones go with the ancestor's.
_CHECKS = """
WITH RECURSIVE tables(oid) AS (
    SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(table)s
    UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhrelid
), types(oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN tables t ON t.oid = a.attrelid WHERE a.attnum > 0
    UNION SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.typelem END
        FROM pg_catalog.pg_type y JOIN types t ON t.oid = y.oid WHERE y.typtype = 'd' OR y.typelem <> 0
)
SELECT CASE WHEN k.contypid = 0 THEN 'TABLE' ELSE 'DOMAIN' END,
    ARRAY[n.nspname, coalesce(c.relname, y.typname)]::text[], k.conname, pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k
    LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid LEFT JOIN pg_catalog.pg_type y ON y.oid = k.contypid
    JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(c.relnamespace, y.typnamespace)
WHERE k.contype = 'c' AND k.coninhcount = 0
    AND (k.conrelid IN (SELECT oid FROM tables) OR k.contypid IN (SELECT oid FROM types))
"""


class RelaxedChecks:
    """The CHECKs that were taken away so that the rows of one table come in; `restore` makes them for rows to come."""

    def __init__(self, connection: "Connection[TupleRow]", schema: str, table: str) -> None:
        self._connection = connection
        self._names = {"schema": schema, "table": table}
        self._taken: list[tuple[str, str, str]] = []

    @property
    def names(self) -> Sequence[str]:
        """What was taken away, for messages."""
        return [f"{name} of {owner.lower()}" for owner, name, _ in self._taken]

    def relax(self, message: str) -> bool:
        """Take away those that a message of the server names, in whatever language; whether there were any."""
        known = self._connection.execute(_CHECKS, self._names).fetchall()
        broken = [row for row in known if row[2] in message]
        for kind, names, constraint, definition in broken:
            owner = f"{kind} {quoted(*names)}"
            self._connection.execute(f"ALTER {owner} DROP CONSTRAINT {quoted(constraint)}")
            self._taken.append((owner, constraint, definition.removesuffix(" NOT VALID")))
        return bool(broken) and len(self._taken) <= _MOST

    def restore(self) -> None:
        """Make them again, NOT VALID."""
        for owner, constraint, definition in reversed(self._taken):
            self._connection.execute(f"ALTER {owner} ADD CONSTRAINT {quoted(constraint)} {definition} NOT VALID")
