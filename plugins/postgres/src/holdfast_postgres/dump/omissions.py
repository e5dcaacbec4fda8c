"""What pg_dump leaves out without a word, or with one too general: read from the catalogs, named in warnings."""

from collections.abc import Iterator, Sequence

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import quote_name
from holdfast_postgres.catalog import Table, first_column
from holdfast_postgres.dump.extension_members import changed_members
from holdfast_postgres.errors import some_names
from holdfast_postgres.session import quoted, releasing_locks
from holdfast_postgres.snapshot import Snapshot

_SUBSCRIPTIONS = """
SELECT subname FROM pg_catalog.pg_subscription WHERE NOT %s
    AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1
"""
# Who sees the options of a user mapping: as the view pg_user_mappings decides.
_MAPPINGS = """
SELECT format('%%s on %%s', m.usename, m.srvname) FROM pg_catalog.pg_user_mappings m
JOIN pg_catalog.pg_foreign_server s ON s.oid = m.srvid
WHERE m.umoptions IS NULL AND NOT %s AND NOT CASE
    WHEN m.umuser <> 0 AND m.usename = current_user
        THEN pg_catalog.pg_has_role(s.srvowner, 'USAGE') OR pg_catalog.has_server_privilege(s.oid, 'USAGE')
    ELSE m.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE') END
ORDER BY 1
"""
# An index of an extension's own depends on its table in a row of pg_depend that the extension's own statement wrote;
# so one from another transaction, or from a later command of it, is somebody else's; constraints may come last in an
# extension's script. Where pg_upgrade has made the cluster the table is older than its
# extension, and only what is newer than that can be told.
_OWN_PARTS = """
WITH member AS (
    SELECT d.objid AS oid, d.refobjid AS extension, e.extname FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass
        AND d.deptype = 'e'
), made AS (
    SELECT refobjid AS extension, xmin::text AS id, max(cmin::text::int8) AS last FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e' GROUP BY 1, 2
), part AS (
    SELECT i.indrelid AS relation, 'index' AS kind, c.relname AS name, 'pg_catalog.pg_class'::regclass AS class, c.oid
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL SELECT conrelid, 'constraint', conname, 'pg_catalog.pg_constraint'::regclass, oid
        FROM pg_catalog.pg_constraint WHERE conrelid <> 0 AND conparentid = 0 AND contype <> 'n'
    UNION ALL SELECT tgrelid, 'trigger', tgname, 'pg_catalog.pg_trigger'::regclass, oid
        FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT ev_class, 'rule', rulename, 'pg_catalog.pg_rewrite'::regclass, oid
        FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN'
)
SELECT DISTINCT format('%s %s on %s.%s', p.kind, p.name, n.nspname, c.relname)
FROM part p JOIN member m ON m.oid = p.relation JOIN pg_catalog.pg_class c ON c.oid = p.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_depend d ON d.classid = p.class AND d.objid = p.oid AND d.deptype IN ('a', 'n')
WHERE NOT EXISTS (SELECT FROM made
        WHERE made.extension = m.extension AND made.id = d.xmin::text
            AND (p.kind = 'constraint' OR d.cmin::text::int8 <= made.last))
    AND p.oid > m.extension AND (m.oid > m.extension OR p.class = 'pg_catalog.pg_class'::regclass)
ORDER BY 1
"""
_PUBLISHED = """
SELECT format('%s.%s in publication %s', n.nspname, c.relname, p.pubname)
FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
    AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""
_INVALID = """
SELECT format('%s.%s', n.nspname, c.relname) FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 1
"""
# What somebody has made in the system's schema; extensions may put their members there.
_IN_SYSTEM = """
SELECT pg_catalog.pg_describe_object(o.class, o.oid, 0) FROM (
    SELECT 'pg_catalog.pg_class'::regclass AS class, oid, relnamespace AS schema FROM pg_catalog.pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type
        WHERE typtype IN ('d', 'e', 'r') OR typtype = 'b' AND typelem = 0
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace FROM pg_catalog.pg_operator
) o WHERE o.oid >= 16384 AND o.schema IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
ORDER BY 1
"""
# A grant to a role that has been removed is written with its number, which no server takes for a role. It is looked for
# in the text of all rights of an object, which costs a fifth of taking them apart, and once in that of those which many
# objects have alike: a thousand roles that may read 600 tables are 600,000 rights.
_GONE_GRANTEES = """
WITH held AS MATERIALIZED (SELECT o.class, o.oid, o.acl FROM (
    SELECT 'pg_catalog.pg_class'::regclass AS class, oid, relacl AS acl FROM pg_catalog.pg_class
    UNION ALL SELECT 'pg_catalog.pg_class'::regclass, attrelid, attacl FROM pg_catalog.pg_attribute
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, proacl FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typacl FROM pg_catalog.pg_type
    UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, nspacl FROM pg_catalog.pg_namespace
    UNION ALL SELECT 'pg_catalog.pg_language'::regclass, oid, lanacl FROM pg_catalog.pg_language
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, srvacl FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwacl
        FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_catalog.pg_default_acl'::regclass, oid, defaclacl FROM pg_catalog.pg_default_acl
    UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass, oid, lomacl FROM pg_catalog.pg_largeobject_metadata
    UNION ALL SELECT classoid, objoid, initprivs FROM pg_catalog.pg_init_privs
) o WHERE o.acl IS NOT NULL
), numbered AS MATERIALIZED (
    SELECT d.acl FROM (SELECT acl FROM held GROUP BY acl OFFSET 0) d WHERE d.acl::text ~ '[{,][0-9]+='
)
SELECT DISTINCT pg_catalog.pg_describe_object(o.class, o.oid, 0)
FROM (SELECT * FROM held WHERE acl IN (SELECT acl FROM numbered) OFFSET 0) o, LATERAL pg_catalog.aclexplode(o.acl) a
WHERE a.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = a.grantee) ORDER BY 1
"""


def unseen(connection: "Connection[TupleRow]", *, superuser: bool) -> Iterator[str]:
    """What only others may see, in words: it is not in a backup by this role."""
    if names := first_column(connection, _SUBSCRIPTIONS, (superuser,)):
        yield f"subscription {some_names(names)}"
    if names := first_column(connection, _MAPPINGS, (superuser,)):
        yield f"the options of user mapping {some_names(names)}"


def omissions(snapshot: Snapshot) -> Iterator[str]:
    """Warnings about the definitions that the dump will lack."""
    connection, superuser = snapshot.connection, snapshot.server.superuser
    role = quote_name(snapshot.server.role)
    if snapshot.scope is None:
        if names := first_column(connection, _SUBSCRIPTIONS, (superuser,)):
            yield f"not in the backup, since role {role} is no superuser: subscription {some_names(names)}"
        if names := first_column(connection, _MAPPINGS, (superuser,)):
            what = f"the options of user mapping {some_names(names)}"
            yield f"not in the backup, since role {role} may not see them: {what}"
        if names := first_column(connection, _PUBLISHED):
            yield f"not in the backup, since the tables are an extension's: table {some_names(names)}"
        if names := first_column(connection, _IN_SYSTEM):
            yield f"not in the backup, since pg_dump writes nothing of the system's schemas: {some_names(names)}"
        if names := first_column(connection, _OWN_PARTS):
            yield (
                "not in the backup, since they are on tables of extensions, of which pg_dump writes no definition: "
                f"{some_names(names)}"
            )
        if names := changed_members(connection):
            yield (
                "not in the backup, since pg_dump writes nothing of what belongs to extensions but rights: "
                f"{some_names(names)}; say it again after a restore"
            )
    if names := first_column(connection, _INVALID):
        yield f"not in the backup, since they are invalid (REINDEX makes them anew): index {some_names(names)}"
    if names := first_column(connection, _GONE_GRANTEES):
        yield f"rights of roles that have been removed cannot be restored: on {some_names(names)}"


_HAS_LARGE_OBJECTS = "SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)"
# Columns that may hold numbers of large objects: oid and domains over it, and what applications keep them in.
_NUMBER_COLUMNS = """
WITH RECURSIVE base(oid, final) AS (
    SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
    UNION ALL SELECT t.oid, b.final FROM pg_catalog.pg_type t JOIN base b ON t.typbasetype = b.oid WHERE t.typtype = 'd'
)
SELECT a.attrelid::int8, a.attname, b.final = 'pg_catalog.oid'::regtype
FROM pg_catalog.pg_attribute a JOIN base b ON b.oid = a.atttypid
WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
    AND b.final::regtype::text IN ('oid', 'integer', 'bigint', 'text', 'character varying')
ORDER BY 1, a.attnum
"""
_SAMPLE = 100
_AS_OID = """
CASE WHEN r.v ~ '^(0|[1-9][0-9]{0,9})$'
    THEN CASE WHEN r.v::pg_catalog.int8 <= 4294967295 THEN r.v::pg_catalog.oid END END
"""


def tables_of_large_objects(snapshot: Snapshot) -> list[Table]:
    """The tables whose rows hold numbers of large objects.

    A column of numbers or text counts where all of its first values are such numbers; one of oids where any is.
    """
    connection = snapshot.connection
    row = connection.execute(_HAS_LARGE_OBJECTS).fetchone()
    if row is None or not row[0]:
        return []
    tables = {table.oid: table for table in snapshot.tables if table.kind == "r" and not table.config}
    if snapshot.server.standby:
        tables = {oid: table for oid, table in tables.items() if table.persistence == "p"}
    rows = connection.execute(_NUMBER_COLUMNS, (list(tables),)).fetchall()
    columns = [_NumberColumn(table=tables[oid], name=name, exact=exact) for oid, name, exact in rows]
    from holdfast_postgres.parallel import in_batches

    pointing = {
        column.table.oid: column.table
        for batch in in_batches([(column, 0) for column in columns])
        for column in _pointing(connection, batch)
    }
    return list(pointing.values())


class _NumberColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that may hold numbers of large objects; `exact` where it can hold nothing else that counts."""

    table: Table
    name: str
    exact: bool

    def query(self, number: int) -> str:
        """A query that returns this number if it does."""
        column, rows = quoted(self.name), f"ONLY {self.table.quoted}"
        if self.exact:
            join = f"JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = r.{column}::pg_catalog.oid"
            return f"SELECT {number} WHERE EXISTS (SELECT FROM {rows} r {join})"
        # By the index over OIDs: a comparison of texts would read all of them for each table.
        sample = f'SELECT {column}::text COLLATE "C" AS v FROM {rows} WHERE {column} IS NOT NULL LIMIT {_SAMPLE}'
        known = f"EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = {_AS_OID})"
        return f"SELECT {number} FROM (SELECT bool_and({known}) AS every FROM ({sample}) r) s WHERE every"


def _pointing(connection: "Connection[TupleRow]", columns: Sequence[_NumberColumn]) -> list[_NumberColumn]:
    """Those of several columns that hold such numbers, by one query."""
    query = " UNION ALL ".join(column.query(number) for number, column in enumerate(columns))
    try:
        with releasing_locks(connection):
            numbers = {number for (number,) in connection.execute(query)}
    except psycopg.ProgrammingError as error:
        # No right to read, which the dump says soon enough, or no plan: an index calls a function of SQL whose names
        # have no schemas. COPY reads such a table.
        if len(columns) == 1:
            denied = isinstance(error, psycopg.errors.InsufficientPrivilege)
            return [] if denied or not columns[0].exact else list(columns)
        return [column for each in columns for column in _pointing(connection, [each])]
    return [column for number, column in enumerate(columns) if number in numbers]
