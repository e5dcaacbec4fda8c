"""Partitions whose rows may belong into another partition once the database has been restored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import Table

if TYPE_CHECKING:
    from holdfast_postgres.selection.backup_scope import BackupScope

# As pg_dump has it (--load-via-partition-root, which it takes by itself for these): an enum is hashed by its OID.
_UNSAFE = """
SELECT l.oid::int8, r.oid::int8, n.nspname, r.relname
FROM unnest(%s::oid[]) l(oid)
JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(l.oid)
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_partition_ancestors(l.oid) a
    JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = a.relid
    JOIN pg_catalog.pg_opclass o ON o.oid = ANY (p.partclass) JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
    WHERE o.opcname = 'enum_ops' AND o.opcnamespace = 'pg_catalog'::regnamespace AND m.amname = 'hash')
"""


def partition_roots(
    connection: "Connection[TupleRow]", tables: Sequence[Table], scope: "BackupScope | None"
) -> dict[int, tuple[str, str]]:
    """The partitioned table of each such partition, by its OID, as far as the dump holds that table."""
    rows = connection.execute(_UNSAFE, ([table.oid for table in tables],))
    return {oid: (schema, name) for oid, root, schema, name in rows if scope is None or root in scope.relations}
