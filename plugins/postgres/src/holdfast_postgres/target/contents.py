"""What a database holds besides what every new one has, and how to remove it again."""

import logging
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA, first_column
from holdfast_postgres.session import literal, quoted

log = logging.getLogger("holdfast.postgres.contents")

_SHOWN = 100  # objects that are left, of which a message names a few

# An extension, its members and the schema it was put into are no content: installing some is how an empty database
# is prepared.
_OBJECTS = f"""
WITH member AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
object AS (
    SELECT 1 AS rank, 'table' AS kind, n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {USER_SCHEMA}
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid)
    UNION ALL
    SELECT 2, 'routine', n.nspname || '.' || p.proname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE {USER_SCHEMA}
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid)
    UNION ALL
    SELECT 3, 'type', n.nspname || '.' || t.typname
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('d', 'e', 'r', 'c') AND {USER_SCHEMA}
        AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid)
    UNION ALL
    SELECT 4, 'schema', n.nspname FROM pg_catalog.pg_namespace n
    WHERE n.nspname <> 'public' AND {USER_SCHEMA}
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extnamespace = n.oid)
        AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_namespace'::regclass AND objid = n.oid)
    UNION ALL
    SELECT 5, 'large object', m.oid::text FROM pg_catalog.pg_largeobject_metadata m
    UNION ALL
    SELECT 6, 'publication', p.pubname FROM pg_catalog.pg_publication p
    UNION ALL
    SELECT 7, 'event trigger', e.evtname FROM pg_catalog.pg_event_trigger e
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_event_trigger'::regclass AND objid = e.oid)
    UNION ALL
    SELECT 8, 'subscription', s.subname FROM pg_catalog.pg_subscription s
    WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    UNION ALL
    SELECT 9, 'foreign-data wrapper', f.fdwname FROM pg_catalog.pg_foreign_data_wrapper f
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass AND objid = f.oid)
    UNION ALL
    SELECT 9, 'foreign server', f.srvname FROM pg_catalog.pg_foreign_server f
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_foreign_server'::regclass AND objid = f.oid)
    UNION ALL
    SELECT 10, 'language', l.lanname FROM pg_catalog.pg_language l
    WHERE l.oid >= 16384
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
class _TableOfRows:
    name: str
    label: str
    condition: str  # a WHERE clause, or empty
    config: bool
    size: int


def _tables_of_rows(connection: "Connection[TupleRow]") -> list[_TableOfRows]:
    rows = connection.execute(_TABLES_OF_ROWS)
    return [
        _TableOfRows(name=quoted(schema, name), label=f"{schema}.{name}", condition=condition, config=config, size=size)
        for schema, name, condition, config, size in rows.fetchall()
    ]


def filled_tables(connection: "Connection[TupleRow]", limit: int = 3) -> list[str]:
    """Tables that hold rows, for a restore of data alone into definitions that are there."""
    filled: list[str] = []
    for table in _tables_of_rows(connection):
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


@dataclass(frozen=True, kw_only=True)
class EmptyState:
    """What an empty database had before we restored into it: to be there again after a failure."""

    extensions: frozenset[str]
    extension_schemas: frozenset[str]
    public: bool
    public_owner: str
    public_grants: tuple[str, ...]
    public_comment: str | None


def read_empty_state(connection: "Connection[TupleRow]") -> EmptyState:
    """What an empty database has, to be kept for `remove_objects`."""
    extensions = frozenset(first_column(connection, "SELECT extname FROM pg_catalog.pg_extension"))
    schemas = first_column(
        connection,
        "SELECT n.nspname FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_extension x ON x.extnamespace = n.oid "
        f"WHERE {USER_SCHEMA}",
    )
    row = connection.execute(
        "SELECT pg_catalog.pg_get_userbyid(nspowner), pg_catalog.obj_description(oid, 'pg_namespace') "
        "FROM pg_catalog.pg_namespace WHERE nspname = 'public'"
    ).fetchone()
    grants = connection.execute(
        """
        SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type,
            a.is_grantable
        FROM pg_catalog.pg_namespace n,
            pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
        WHERE n.nspname = 'public'
        """
    ).fetchall()
    return EmptyState(
        extensions=extensions,
        extension_schemas=frozenset(schemas),
        public=row is not None,
        public_owner=row[0] if row else "",
        public_comment=row[1] if row else None,
        public_grants=tuple(
            f"GRANT {privilege} ON SCHEMA public TO {'PUBLIC' if grantee is None else quoted(grantee)}"
            + (" WITH GRANT OPTION" if grantable else "")
            for grantee, privilege, grantable in grants
        ),
    )


def remove_objects(connection: "Connection[TupleRow]", before: EmptyState) -> list[str]:
    """Make a database empty again; returns what is left, for messages."""
    failed: list[str] = []
    connection.execute("SET client_min_messages TO error")
    for statement in _removals(connection, before):
        try:
            connection.execute(statement)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            log.info("cannot undo with %s: %s", statement, error)
            failed.append(statement)
    remaining = [str(remnant) for remnant in read_objects(connection, limit=_SHOWN)]
    return remaining or ([f"what these statements would have removed: {'; '.join(failed[:3])}"] if failed else [])


def _removals(connection: "Connection[TupleRow]", before: EmptyState) -> list[str]:
    """The statements that undo a restore, those first that could act on the others."""
    of_kind: dict[str, list[str]] = {}
    for entry in read_objects(connection):
        of_kind.setdefault(entry.kind, []).append(entry.name)
    statements = [f"DROP EVENT TRIGGER {quoted(name)}" for name in of_kind.get("event trigger", ())]
    for name in of_kind.get("subscription", ()):
        # A restored subscription was never connected: without its slot nothing on the publisher is touched.
        statements += [
            f"ALTER SUBSCRIPTION {quoted(name)} DISABLE",
            f"ALTER SUBSCRIPTION {quoted(name)} SET (slot_name = NONE)",
            f"DROP SUBSCRIPTION {quoted(name)}",
        ]
    statements += [f"DROP PUBLICATION {quoted(name)}" for name in of_kind.get("publication", ())]
    schemas = first_column(
        connection,
        f"""
        SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
            WHERE d.deptype = 'e' AND d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid
                AND e.extname = ANY (%s))
        """,
        (sorted(before.extensions),),
    )
    new = [name for name in first_column(connection, "SELECT extname FROM pg_catalog.pg_extension")
           if name not in before.extensions]  # fmt: skip
    statements += [f"DROP EXTENSION IF EXISTS {quoted(name)} CASCADE" for name in new]
    statements += [
        f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE"
        for name in schemas
        if name != "public" and name not in before.extension_schemas
    ]
    statements += [_schema_contents(name) for name in sorted(before.extension_schemas - {"public"})]
    statements += _public(before)
    statements += [f"DROP SERVER IF EXISTS {quoted(name)} CASCADE" for name in of_kind.get("foreign server", ())]
    statements += [
        f"DROP FOREIGN DATA WRAPPER IF EXISTS {quoted(name)} CASCADE"
        for name in of_kind.get("foreign-data wrapper", ())
    ]
    statements += [f"DROP LANGUAGE IF EXISTS {quoted(name)} CASCADE" for name in of_kind.get("language", ())]
    for name in of_kind.get("cast", ()):
        source, _, target = name.partition(" to ")
        statements.append(f"DROP CAST IF EXISTS ({source} AS {target})")
    if of_kind.get("large object"):
        statements.append("SELECT count(pg_catalog.lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata")
    return statements


def _public(before: EmptyState) -> list[str]:
    """The schema public as it was; it is kept if extensions that were there live in it."""
    if before.extensions - {"plpgsql"}:
        return [_schema_contents("public")]
    statements = ["DROP SCHEMA IF EXISTS public CASCADE"]
    if before.public:
        statements += [f"CREATE SCHEMA public AUTHORIZATION {quoted(before.public_owner)}", *before.public_grants]
        if before.public_comment is not None:
            text = before.public_comment.replace("'", "''")
            statements.append(f"COMMENT ON SCHEMA public IS '{text}'")
    return statements


def _schema_contents(schema: str) -> str:
    """Drop every object of a schema that no extension owns, one by one in the server."""
    return f"""
        DO $holdfast$
        DECLARE command text;
        BEGIN
            FOR command IN
                SELECT format('DROP %s IF EXISTS %s CASCADE',
                    CASE i.type WHEN 'composite type' THEN 'type' ELSE i.type END, i.identity)
                FROM pg_catalog.pg_depend d,
                    LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
                WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
                    AND d.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {literal(schema)})
                    AND d.deptype = 'n' AND d.classid <> 'pg_catalog.pg_extension'::regclass
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                        WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype IN ('e', 'i'))
            LOOP
                EXECUTE command;
            END LOOP;
        END $holdfast$
        """


def remove_rows(connection: "Connection[TupleRow]") -> list[str]:
    """Remove all rows, of tables that held none before; returns the tables that still hold some."""
    if filled_tables(connection, limit=1):
        tables = _tables_of_rows(connection)
        names = ", ".join(f"ONLY {table.name}" for table in tables if not table.config)
        if names:
            connection.execute(f"TRUNCATE {names}")
        for table in tables:
            if table.config:
                connection.execute(f"DELETE FROM ONLY {table.name} {table.condition}")
    return filled_tables(connection)
