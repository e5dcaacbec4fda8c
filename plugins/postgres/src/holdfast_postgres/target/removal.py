"""An empty database made empty again, after a restore into it that failed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import first_column, schemas
from holdfast_postgres.session import execute_each, literal, quoted
from holdfast_postgres.target.contents import (
    OWN_SCHEMA,
    TableOfRows,
    filled_tables,
    holds_rows,
    read_objects,
    tables_of_rows,
)
from holdfast_postgres.target.schemas import SchemaState, as_before, read_schemas
from holdfast_postgres.unfinished import remove_marks

log = logging.getLogger("holdfast.postgres.contents")

_BATCH = 100  # objects that one statement drops
_SHOWN = 100  # objects that are left, of which a message names a few
_LOCK_WAIT = "60s"  # for what somebody else uses in the database


@dataclass(frozen=True, kw_only=True)
class EmptyState:
    """What an empty database had before we restored into it: to be there again after a failure."""

    extensions: frozenset[str]
    names: frozenset[str]  # of all schemas, those where the role can make nothing too
    schemas: tuple[SchemaState, ...]  # public, those for extensions, and empty ones
    extension_tables: tuple[TableOfRows, ...]  # of which the extensions leave the rows to dumps: those without any
    large_objects: frozenset[int]  # that a restore of data alone finds there


def read_empty_state(connection: "Connection[TupleRow]") -> EmptyState:
    """What an empty database has, to be kept for `remove_objects`."""
    extensions = frozenset(first_column(connection, "SELECT extname FROM pg_catalog.pg_extension"))
    return EmptyState(
        extensions=extensions,
        names=frozenset(schemas(connection)),
        schemas=tuple(read_schemas(connection)),
        extension_tables=tuple(
            table
            for table in tables_of_rows(connection)
            if table.config and not holds_rows(connection, table.name, table.condition)
        ),
        large_objects=_large_objects(connection),
    )


def remove_objects(connection: "Connection[TupleRow]", before: EmptyState) -> list[str]:
    """Make a database empty again; returns what is left, for messages."""
    failed: list[str] = []
    connection.execute(f"SET client_min_messages TO error; SET lock_timeout TO '{_LOCK_WAIT}'")
    _execute(connection, _removals(connection, before), failed)
    _execute(connection, as_before(connection, before.schemas), failed)
    remaining = [str(remnant) for remnant in read_objects(connection, limit=_SHOWN)]
    if not remaining and failed:
        remaining = [f"what these statements would have removed: {'; '.join(failed[:3])}"]
    return _unmarked(connection, remaining)


def _unmarked(connection: "Connection[TupleRow]", remaining: list[str]) -> list[str]:
    """What remains; a database in which nothing does is that of a restore which has not ended no longer."""
    if not remaining:
        for text in remove_marks(connection, connection.info.dbname):
            log.info("%s", text)
    return remaining


def _execute(connection: "Connection[TupleRow]", statements: Sequence[str], failed: list[str]) -> None:
    """Run the statements; those that the server refuses are added to `failed`."""
    for statement, error in execute_each(connection, statements):
        log.info("cannot undo with %s: %s", statement, error)
        failed.append(statement)


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
    statements += _batched_drops(connection)
    schemas = first_column(
        connection,
        f"""
        SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {OWN_SCHEMA} AND NOT EXISTS (
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
        if name not in {schema.name for schema in before.schemas}
    ]
    statements += [_schema_contents(schema.name) for schema in before.schemas]
    statements += _extension_rows(connection, before)
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
        batch = f"SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT {_BATCH}"
        unlink = f"SELECT count(pg_catalog.lo_unlink(oid)) FROM ({batch}) o"
        statements += [unlink] * -(-len(of_kind["large object"]) // _BATCH)
    return statements


# Partitions before their tables, and else the newest first. The columns of a partition key belong to their own table.
_DROPPABLE = f"""
SELECT CASE WHEN kind = 'f' THEN 'ROUTINE' WHEN kind = 'v' THEN 'VIEW' WHEN kind = 'm' THEN 'MATERIALIZED VIEW'
    ELSE 'TABLE' END, name
FROM (
    SELECT c.oid, c.relispartition AS part, translate(c.relkind::text, 'rp', 'tt') AS kind,
        format('%I.%I', n.nspname, c.relname) AS name, 'pg_catalog.pg_class'::regclass AS class
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't' AND {OWN_SCHEMA}
    UNION ALL
    SELECT p.oid, false, 'f', p.oid::regprocedure::text, 'pg_catalog.pg_proc'::regclass
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE {OWN_SCHEMA}
) o WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = o.class AND d.objid = o.oid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
ORDER BY kind = 'f', NOT part, oid DESC
"""


def _batched_drops(connection: "Connection[TupleRow]") -> list[str]:
    """Drop relations and routines some at a time: all of a schema at once would take a lock on each thing in it."""
    rows = connection.execute(_DROPPABLE).fetchall()
    statements = []
    for kind, group in groupby(rows, key=itemgetter(0)):
        names = [name for _, name in group]
        batches = (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))
        statements += [f"DROP {kind} IF EXISTS {', '.join(batch)} CASCADE" for batch in batches]
    return statements


def _extension_rows(connection: "Connection[TupleRow]", before: EmptyState) -> list[str]:
    """The statements that remove the rows of extensions that were there before; a superuser needs no order of them."""
    rows = [f"DELETE FROM ONLY {table.name} {table.condition}" for table in before.extension_tables]
    if rows and connection.info.parameter_status("is_superuser") == "on":
        return ["; ".join(["SET LOCAL session_replication_role TO replica", *rows])]
    return rows


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
                        WHERE e.classid = d.classid AND e.objid = d.objid AND e.objsubid = 0
                            AND e.deptype IN ('e', 'i'))
            LOOP
                EXECUTE command;
            END LOOP;
        END $holdfast$
        """


# TRUNCATE refuses a table that foreign keys lead to without the tables of these, and a partitioned one is no ONLY.
_TRUNCATED = """
WITH RECURSIVE emptied(oid) AS (
    SELECT unnest(%s::text[]::pg_catalog.regclass[])::oid
    UNION
    SELECT r.oid FROM emptied e CROSS JOIN LATERAL (
        SELECT k.conrelid AS oid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.confrelid = e.oid
        UNION ALL
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
        WHERE i.inhparent = e.oid AND p.relkind = 'p'
    ) r
)
SELECT CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END || format('%%I.%%I', n.nspname, c.relname)
FROM emptied e JOIN pg_catalog.pg_class c ON c.oid = e.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""


def remove_rows(connection: "Connection[TupleRow]", before: EmptyState) -> list[str]:
    """Remove all rows, of tables that held none before, and new large objects; returns what is left, for messages."""
    connection.execute(f"SET lock_timeout TO '{_LOCK_WAIT}'")
    filled = [
        table
        for table in tables_of_rows(connection)
        if table.size and holds_rows(connection, table.name, table.condition)
    ]
    # Whatever else is empty is left alone: it may have triggers that forbid to truncate it.
    if names := first_column(connection, _TRUNCATED, ([table.name for table in filled if not table.config],)):
        connection.execute(f"TRUNCATE {', '.join(names)}")
    for table in filled:
        if table.config:
            connection.execute(f"DELETE FROM ONLY {table.name} {table.condition}")
    new = sorted(_large_objects(connection) - before.large_objects)
    for start in range(0, len(new), _BATCH):
        connection.execute("SELECT count(pg_catalog.lo_unlink(o)) FROM unnest(%s::oid[]) o", (new[start:][:_BATCH],))
    return _unmarked(connection, [f"rows in {label}" for label in filled_tables(connection)])


def _large_objects(connection: "Connection[TupleRow]") -> frozenset[int]:
    return frozenset(row[0] for row in connection.execute("SELECT oid::int8 FROM pg_catalog.pg_largeobject_metadata"))
