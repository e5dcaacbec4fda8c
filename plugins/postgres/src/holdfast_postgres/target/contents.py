"""What a database holds besides what every new one has."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA, first_column
from holdfast_postgres.session import quoted

# Where something of the role's own can be: not in the schemas that hosters keep for themselves in every database.
OWN_SCHEMA = f"""
{USER_SCHEMA} AND (n.nspname = 'public' OR pg_catalog.pg_has_role(n.nspowner, 'MEMBER')
    OR pg_catalog.has_schema_privilege(n.oid, 'CREATE'))
"""
_FOREIGN_SCHEMAS = f"""
SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} AND NOT ({OWN_SCHEMA}) ORDER BY 1
"""
# An extension, its members and the schema it was put into are no content: installing some is how an empty database
# is prepared. Neither are empty schemas, which the restore would make, nor what only a hoster can have put there.
_OBJECTS = f"""
WITH member AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
object AS (
    SELECT CASE c.relkind WHEN 'S' THEN 2 ELSE 1 END AS rank,
        CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
            WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
        n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {OWN_SCHEMA}
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid)
    UNION ALL
    SELECT 2, 'routine', n.nspname || '.' || p.proname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE {OWN_SCHEMA}
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid)
    UNION ALL
    SELECT 3, 'type', n.nspname || '.' || t.typname
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('d', 'e', 'r', 'c') AND {OWN_SCHEMA}
        AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid)
    UNION ALL
    SELECT 4, 'schema', n.nspname FROM pg_catalog.pg_namespace n
    WHERE n.nspname <> 'public' AND {OWN_SCHEMA}
        AND EXISTS (SELECT FROM pg_catalog.pg_depend d
            WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
                AND d.classid NOT IN ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_extension'::regclass))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extnamespace = n.oid)
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_namespace'::regclass AND objid = n.oid)
    UNION ALL
    SELECT 5, 'large object', m.oid::text FROM pg_catalog.pg_largeobject_metadata m
    UNION ALL
    SELECT 6, 'publication', p.pubname FROM pg_catalog.pg_publication p
    WHERE pg_catalog.pg_has_role(p.pubowner, 'MEMBER')
    UNION ALL
    SELECT 7, 'event trigger', e.evtname FROM pg_catalog.pg_event_trigger e
    WHERE pg_catalog.pg_has_role(e.evtowner, 'MEMBER') AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_catalog.pg_event_trigger'::regclass AND objid = e.oid)
    UNION ALL
    SELECT 8, 'subscription', s.subname FROM pg_catalog.pg_subscription s
    WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    UNION ALL
    SELECT 9, 'foreign-data wrapper', f.fdwname FROM pg_catalog.pg_foreign_data_wrapper f
    WHERE pg_catalog.pg_has_role(f.fdwowner, 'MEMBER') AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass AND objid = f.oid)
    UNION ALL
    SELECT 9, 'foreign server', f.srvname FROM pg_catalog.pg_foreign_server f
    WHERE pg_catalog.pg_has_role(f.srvowner, 'MEMBER') AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_catalog.pg_foreign_server'::regclass AND objid = f.oid)
    UNION ALL
    SELECT 10, 'language', l.lanname FROM pg_catalog.pg_language l
    WHERE l.oid >= 16384 AND pg_catalog.pg_has_role(l.lanowner, 'MEMBER')
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_language'::regclass AND objid = l.oid)
    UNION ALL
    SELECT 11, 'cast',
        pg_catalog.format_type(c.castsource, NULL) || ' to ' || pg_catalog.format_type(c.casttarget, NULL)
    FROM pg_catalog.pg_cast c WHERE c.oid >= 16384
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_cast'::regclass AND objid = c.oid)
)
SELECT kind, name FROM object ORDER BY rank, name
"""


@dataclass(frozen=True, kw_only=True)
class DatabaseObject:
    """One object that makes a database count as not empty."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def read_objects(connection: "Connection[TupleRow]", *, limit: int | None = None) -> list[DatabaseObject]:
    """The objects of a database, the first `limit` of them if given; none means that it is empty."""
    rows = connection.execute(_OBJECTS + (f"LIMIT {limit}" if limit is not None else ""))
    return [DatabaseObject(kind=kind, name=name) for kind, name in rows]


def foreign_schemas(connection: "Connection[TupleRow]") -> list[str]:
    """The schemas where the role can make nothing."""
    return first_column(connection, _FOREIGN_SCHEMAS)


# Of an extension's tables only the rows that pg_dump writes count: it brings the others itself.
_TABLES_OF_ROWS = f"""
SELECT n.nspname, c.relname, coalesce(x.condition, ''), x.condition IS NOT NULL,
    pg_catalog.pg_relation_size(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT e.extcondition[array_position(e.extconfig, c.oid)] AS condition FROM pg_catalog.pg_extension e
    WHERE c.oid = ANY (e.extconfig)
) x ON true
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {USER_SCHEMA}
    AND (x.condition IS NOT NULL OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class TableOfRows:
    """A table whose rows count; those that meet the `condition` of one that an extension brings (`config`)."""

    name: str
    label: str
    condition: str  # a WHERE clause, or empty
    config: bool
    size: int


def tables_of_rows(connection: "Connection[TupleRow]") -> list[TableOfRows]:
    """The tables of a database, without those of extensions of which pg_dump writes no rows."""
    rows = connection.execute(_TABLES_OF_ROWS)
    return [
        TableOfRows(name=quoted(schema, name), label=f"{schema}.{name}", condition=condition, config=config, size=size)
        for schema, name, condition, config, size in rows.fetchall()
    ]


def filled_tables(connection: "Connection[TupleRow]", limit: int = 3) -> list[str]:
    """Tables that hold rows, for a restore of data alone into definitions that are there."""
    filled: list[str] = []
    for table in tables_of_rows(connection):
        if table.size and holds_rows(connection, table.name, table.condition):
            filled.append(table.label)
            if len(filled) == limit:
                break
    return filled


class _Row(Exception):  # noqa: N818 (ends a COPY, never raised to a caller)
    """A row has come."""


def holds_rows(connection: "Connection[TupleRow]", name: str, condition: str = "") -> bool:
    """Whether a table holds rows of its own: by COPY, since not every table can be read by a SELECT."""
    rows = f"(SELECT FROM ONLY {name} {condition})" if condition else name
    try:
        with connection.cursor().copy(f"COPY {rows} TO STDOUT") as copy:
            for _ in copy:
                raise _Row
    except _Row:
        return True
    return False
