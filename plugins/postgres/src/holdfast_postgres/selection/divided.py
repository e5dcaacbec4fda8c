"""Selections that take only some of the partitions among which a restore divides rows anew.

The hash of an enum is that of its OID, another one in each database, and so pg_dump writes such rows for the table at
the top. Source: pg_dump.c, `getPartitioningInfo` and `forcePartitionRootLoad`.
"""

from collections.abc import Iterable

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UsageError
from holdfast_postgres.catalog import first_column
from holdfast_postgres.errors import some_names

_BELOW = """
WITH RECURSIVE hashed(oid) AS (
    SELECT p.partrelid FROM pg_catalog.pg_partitioned_table p
    JOIN pg_catalog.pg_opclass o ON o.oid = ANY (p.partclass)
    WHERE p.partstrat = 'h' AND o.opcname = 'enum_ops' AND o.opcnamespace = 'pg_catalog'::regnamespace
), below(top, oid, level) AS (
    SELECT oid, oid, 0 FROM hashed
    UNION ALL SELECT b.top, i.inhrelid, b.level + 1 FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
)
"""
_DIVIDED = f"""{_BELOW}
SELECT n.nspname || '.' || c.relname
FROM below b JOIN pg_catalog.pg_class c ON c.oid = b.top JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
GROUP BY b.top, n.nspname, c.relname HAVING bool_or(b.level > 0 AND b.oid::int8 = ANY (%s))
    AND NOT bool_and(b.oid::int8 = ANY (%s) AND pg_catalog.pg_partition_root(b.top)::oid::int8 = ANY (%s))
ORDER BY 1
"""


def refuse_divided(connection: "Connection[TupleRow]", taken: Iterable[int]) -> None:
    """Refuse a selection that takes only some of the partitions among which rows move: it could not be restored."""
    oids = list(taken)
    tables = first_column(connection, _DIVIDED, (oids, oids, oids))
    if tables:
        raise UsageError(
            f"only some partitions are selected of {some_names(tables)}, whose rows a restore divides anew, since the "
            "hash of an enum is another one in each database",
            hint="select or exclude it with all its partitions",
        )
