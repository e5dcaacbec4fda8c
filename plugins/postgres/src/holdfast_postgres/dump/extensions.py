"""The extensions of a database: their version, their schema, and the tables whose rows they leave to pg_dump."""

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres import special_extensions
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.session import quoted

if TYPE_CHECKING:
    from holdfast_postgres.selection.backup_scope import BackupScope

log = logging.getLogger("holdfast.postgres.dump")

# The order of pg_extension.extconfig is that in which the extension named them.
_EXTENSIONS = """
WITH member AS MATERIALIZED (
    SELECT classid, objid, refobjid AS extension FROM pg_catalog.pg_depend
    WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e'
), used AS MATERIALIZED (
    SELECT DISTINCT m.extension FROM pg_catalog.pg_depend d
    JOIN member m ON m.classid = d.refclassid AND m.objid = d.refobjid
    WHERE d.deptype = 'n' AND NOT EXISTS (SELECT FROM member o WHERE o.classid = d.classid AND o.objid = d.objid)
)
SELECT e.extname, e.extversion, n.nspname, ARRAY(
    SELECT ARRAY[s.nspname::text, c.relname::text]
    FROM unnest(e.extconfig) WITH ORDINALITY AS u(oid, place) JOIN pg_catalog.pg_class c ON c.oid = u.oid
    JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace ORDER BY u.place),
    e.oid IN (SELECT extension FROM used)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql' ORDER BY 1
"""

# The index of a constraint, which is no entry of an archive, as that entry does not say: EXCLUDE needs btree_gist.
_CONSTRAINTS = """
WITH member AS MATERIALIZED (
    SELECT d.classid, d.objid, e.extname
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
)
SELECT DISTINCT m.extname, n.nspname, c.relname || ' ' || k.conname
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND i.indrelid = k.conrelid
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT 'pg_catalog.pg_opclass'::regclass AS classid, unnest(i.indclass::oid[]) AS objid
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, unnest(k.conexclop)
) used JOIN member m ON m.classid = used.classid AND m.objid = used.objid
WHERE k.contype IN ('p', 'u', 'x') ORDER BY 1, 2, 3
"""

# The extension's own statements wrote its tables' rows in the transaction that made, or updated, what belongs to it.
_MEMBERS = """
SELECT e.extname, n.nspname, c.relname, ARRAY(
    SELECT DISTINCT m.xmin::text FROM pg_catalog.pg_depend m
    WHERE m.refclassid = 'pg_catalog.pg_extension'::regclass AND m.refobjid = e.oid AND m.deptype = 'e'
    UNION SELECT e.xmin::text)
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
    AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_class c ON c.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid <> ALL (coalesce(e.extconfig, '{}'))
    AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT e.extname = ANY (%s)
ORDER BY 1, 2, 3
"""
_NEWER_ROWS = """
SELECT EXISTS (SELECT FROM ONLY {} WHERE xmin::text <> ALL (%s)
    AND age(xmin) < (SELECT max(age(id::xid)) FROM unnest(%s::text[]) id))
"""


def unmarked_rows(connection: "Connection[TupleRow]", scope: "BackupScope | None") -> list[str]:
    """Tables of extensions with rows that the extension neither made itself nor marks as configuration.

    Nothing can be told of rows that are older than the extension: pg_upgrade has made their cluster.
    """
    listed = connection.execute(_MEMBERS, (list(special_extensions.MODES),)).fetchall()
    return [
        f"{schema}.{name}"
        for extension, schema, name, ids in listed
        if (scope is None or extension in scope.extensions) and _holds_newer(connection, quoted(schema, name), ids)
    ]


def _holds_newer(connection: "Connection[TupleRow]", table: str, ids: list[str]) -> bool:
    """Whether a table has rows that were written after these transactions."""
    connection.execute("SAVEPOINT holdfast")
    try:
        row = connection.execute(_NEWER_ROWS.format(table), (ids, ids)).fetchone()
    except psycopg.Error as error:  # locked, or not to be read
        connection.execute("ROLLBACK TO SAVEPOINT holdfast")
        log.info("cannot look for rows of an extension in %s: %s", table, error)
        return False
    connection.execute("RELEASE SAVEPOINT holdfast")
    return bool(row and row[0])


def read_extensions(
    connection: "Connection[TupleRow]", scope: "BackupScope | None", *, selects: bool
) -> list[ExtensionHint]:
    """The extensions that a dump makes: all of them, or those of a selection; `selects` is not by --exclude alone."""
    constraints = defaultdict[str, list[tuple[str, str]]](list)
    for name, schema, constraint in connection.execute(_CONSTRAINTS):
        constraints[name].append((schema, constraint))
    return [
        ExtensionHint(
            name=name,
            version=version,
            schema=schema,
            used=used,
            undivided=special_extensions.undivided(connection, name),
            configuration=[
                (pair[0], pair[1]) for pair in configuration if not (selects and name in special_extensions.MODES)
            ],
            constraints=constraints[name],
        )
        for name, version, schema, configuration, used in connection.execute(_EXTENSIONS).fetchall()
        if scope is None or name in scope.extensions
    ]
