"""Rows of a selection whose values are names of objects (regclass, regproc, regtype, …) that it leaves out.

A restore looks each name up, so that such rows can be loaded only where the objects are already.
"""

import logging

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import NAMING_COLUMNS, Table
from holdfast_postgres.errors import some_names
from holdfast_postgres.selection.backup_scope import BackupScope
from holdfast_postgres.session import quoted, releasing_locks
from holdfast_postgres.snapshot import Snapshot

log = logging.getLogger("holdfast.postgres.dump")

_COLUMNS = (
    f"{NAMING_COLUMNS} SELECT relation::int8, name, type, is_array FROM naming WHERE relation = ANY (%s) ORDER BY 1, 2"
)
# Each object by the relation that it is or is on, else by its schema.
_OBJECTS = {
    "pg_class": """
        SELECT o.oid, coalesce(i.indrelid, CASE WHEN o.relkind <> 'c' THEN o.oid END) AS relation,
            o.relnamespace AS schema
        FROM pg_catalog.pg_class o LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = o.oid
    """,
    "pg_type": """
        SELECT o.oid, CASE WHEN c.relkind <> 'c' THEN c.oid END AS relation, o.typnamespace AS schema
        FROM pg_catalog.pg_type o LEFT JOIN pg_catalog.pg_type e ON e.oid = o.typelem
        LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(nullif(o.typrelid, 0), nullif(e.typrelid, 0))
    """,
    "pg_namespace": "SELECT o.oid, NULL::oid AS relation, o.oid AS schema FROM pg_catalog.pg_namespace o",
    "pg_proc": "SELECT o.oid, NULL::oid AS relation, o.pronamespace AS schema FROM pg_catalog.pg_proc o",
    "pg_operator": "SELECT o.oid, NULL::oid AS relation, o.oprnamespace AS schema FROM pg_catalog.pg_operator o",
    "pg_ts_config": "SELECT o.oid, NULL::oid AS relation, o.cfgnamespace AS schema FROM pg_catalog.pg_ts_config o",
    "pg_ts_dict": "SELECT o.oid, NULL::oid AS relation, o.dictnamespace AS schema FROM pg_catalog.pg_ts_dict o",
    "pg_collation": "SELECT o.oid, NULL::oid AS relation, o.collnamespace AS schema FROM pg_catalog.pg_collation o",
}
_CATALOGS = {
    "regclass": "pg_class",
    "regtype": "pg_type",
    "regnamespace": "pg_namespace",
    "regproc": "pg_proc",
    "regprocedure": "pg_proc",
    "regoper": "pg_operator",
    "regoperator": "pg_operator",
    "regconfig": "pg_ts_config",
    "regdictionary": "pg_ts_dict",
    "regcollation": "pg_collation",
}
# Of objects that initdb made every database has all; numbers of objects that are gone are written as numbers.
_LEFT_OUT = """
SELECT pg_catalog.pg_describe_object('pg_catalog.{catalog}'::regclass, o.oid, 0) FROM ({objects}) o
WHERE o.oid >= 16384 AND o.oid IN (SELECT {value}::pg_catalog.oid FROM ONLY {table} r{unnested})
    AND CASE WHEN o.relation IS NOT NULL THEN o.relation <> ALL (%(relations)s::oid[])
        ELSE o.schema NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(schemas)s)) END
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.{catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e'
            AND e.extname = ANY (%(extensions)s))
ORDER BY 1
"""


def named_objects(snapshot: Snapshot) -> list[str]:
    """A warning of each column of a selection that names what the selection leaves out."""
    scope, connection = snapshot.scope, snapshot.connection
    if scope is None:
        return []
    tables = {table.oid: table for table in snapshot.tables if table.kind == "r" and not table.config}
    if snapshot.server.standby:
        tables = {oid: table for oid, table in tables.items() if table.persistence == "p"}
    warnings = []
    for oid, column, kind, is_array in connection.execute(_COLUMNS, (list(tables),)).fetchall():
        if names := _left_out(connection, scope, tables[oid], column, kind, is_array=is_array):
            warnings.append(
                f"rows of table {tables[oid].label} cannot be restored without what the selection leaves out and their "
                f"column {column} names: {some_names(names)}; select these too"
            )
    return warnings


def _left_out(
    connection: "Connection[TupleRow]", scope: BackupScope, table: Table, column: str, kind: str, *, is_array: bool
) -> list[str]:
    catalog = _CATALOGS[kind]
    content, rows = (name.replace("%", "%%") for name in (f"r.{quoted(column)}::pg_catalog.{kind}", table.quoted))
    query = _LEFT_OUT.format(
        catalog=catalog,
        objects=_OBJECTS[catalog],
        value="u.v" if is_array else content,
        table=rows,
        unnested=f", unnest({content}[]) u(v)" if is_array else "",
    )
    parameters = {
        "relations": list(scope.relations), "schemas": list(scope.schemas), "extensions": list(scope.extensions),
    }  # fmt: skip
    try:
        with releasing_locks(connection):
            return [name for (name,) in connection.execute(query, parameters)]
    except psycopg.ProgrammingError as error:  # no right to read, which the dump says, or no plan without a search_path
        log.info("cannot look for names of objects in %s: %s", table.label, error)
        return []
