"""What somebody has changed of members of extensions: their rights alone are in a dump."""

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import first_column

# What a script of an extension makes or changes it does in a transaction that made members, or updated the extension:
# rows of the catalogs from others are somebody else's. pg_upgrade makes each member in a transaction of its own: then
# nothing can be told. A GRANT, which pg_dump has, writes the row of a member too: only what has the rights that it came
# with tells of another change. Members belong to whoever made the extension, or to the superuser of initdb where that
# was a trusted one. What is older than its membership was there before it was added to the extension.
_CHANGED = """
WITH member AS MATERIALIZED (
    SELECT classid, objid, refobjid AS extension, xmin::text AS id FROM pg_catalog.pg_depend
    WHERE refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e'
), extension AS MATERIALIZED (
    SELECT e.oid, e.extowner, array_agg(DISTINCT m.id) || e.xmin::text AS ids
    FROM pg_catalog.pg_extension e JOIN member m ON m.extension = e.oid
    GROUP BY e.oid, e.extowner, e.xmin::text HAVING count(*) < 4 OR count(DISTINCT m.id) * 2 <= count(*)
), known AS MATERIALIZED (
    SELECT m.classid, m.objid, m.id, e.extowner, e.ids, (
        SELECT i.initprivs FROM pg_catalog.pg_init_privs i
        WHERE i.classoid = m.classid AND i.objoid = m.objid AND i.objsubid = 0) AS acl
    FROM member m JOIN extension e ON e.oid = m.extension
), owned AS (
    SELECT 'pg_catalog.pg_class'::regclass AS class, oid, relowner AS owner, xmin::text AS id FROM pg_catalog.pg_class
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, proowner, xmin::text FROM pg_catalog.pg_proc
    -- PostgreSQL 18 has types of arrays and rows among the members: they go with what they are made of.
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid, t.typowner, t.xmin::text FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
        WHERE coalesce(c.relkind, 'c') = 'c'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprowner, xmin::text FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, nspowner, xmin::text FROM pg_catalog.pg_namespace
    UNION ALL SELECT 'pg_catalog.pg_language'::regclass, oid, lanowner, xmin::text FROM pg_catalog.pg_language
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwowner, xmin::text
        FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, srvowner, xmin::text
        FROM pg_catalog.pg_foreign_server
), given AS (
    SELECT k.classid, k.objid FROM known k JOIN owned o ON o.class = k.classid AND o.oid = k.objid
    WHERE o.owner NOT IN (k.extowner, 10) AND o.id <> ALL (k.ids)
)
SELECT 'owner of ' || pg_catalog.pg_describe_object(classid, objid, 0) FROM given
UNION SELECT 'all of ' || pg_catalog.pg_describe_object(k.classid, k.objid, 0)
FROM known k JOIN owned o ON o.class = k.classid AND o.oid = k.objid WHERE age(o.id::xid) > age(k.id::xid)
UNION SELECT 'definition of ' || pg_catalog.pg_describe_object(k.classid, k.objid, 0)
FROM known k LEFT JOIN pg_catalog.pg_proc p ON k.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = k.objid
LEFT JOIN pg_catalog.pg_rewrite w
    ON k.classid = 'pg_catalog.pg_class'::regclass AND w.ev_class = k.objid AND w.rulename = '_RETURN'
WHERE (p.xmin::text <> ALL (k.ids) AND age(p.xmin) < age(k.id::xid) AND p.proacl IS NOT DISTINCT FROM k.acl
        AND NOT EXISTS (SELECT FROM given g WHERE g.classid = k.classid AND g.objid = k.objid))
    OR w.xmin::text <> ALL (k.ids)
UNION SELECT 'definition of ' || pg_catalog.pg_describe_object(k.classid, k.objid, a.attnum)
FROM known k JOIN pg_catalog.pg_attribute a ON k.classid = 'pg_catalog.pg_class'::regclass AND a.attrelid = k.objid
JOIN pg_catalog.pg_class c ON c.oid = k.objid
WHERE a.attnum > 0 AND a.xmin::text <> ALL (k.ids) AND a.attacl IS NULL AND c.relkind IN ('r', 'p', 'f')
    AND NOT a.attisdropped
UNION SELECT 'comment on ' || pg_catalog.pg_describe_object(k.classid, k.objid, d.objsubid)
FROM known k JOIN pg_catalog.pg_description d ON d.classoid = k.classid AND d.objoid = k.objid
WHERE d.xmin::text <> ALL (k.ids)
UNION SELECT 'comment on extension ' || e.extname
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_description d
    ON d.classoid = 'pg_catalog.pg_extension'::regclass AND d.objoid = e.oid
WHERE e.oid < 16384 AND d.xmin::text <> e.xmin::text
ORDER BY 1
"""


def changed_members(connection: "Connection[TupleRow]") -> list[str]:
    """What the backup lacks of that."""
    return first_column(connection, _CHANGED)
