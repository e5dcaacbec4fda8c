"""The relations of a database, and what is there besides that a change of one would touch."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA, InSchema
from holdfast_postgres.session import quoted

KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}

Name = tuple[str, str]
"""Schema and name."""


class Relation(InSchema, frozen=True, kw_only=True):
    """One relation; `owner` is the OID of the table of whose column it is the sequence: it goes with that.

    `parents` are the OIDs of the tables that it inherits from, and `partition` says that it is one of such a table.
    `referable` tells whether the role may make foreign keys that lead to it.
    """

    kind: str
    owner: int | None
    parents: tuple[int, ...] = ()
    partition: bool = False
    referable: bool = True

    @property
    def owned(self) -> bool:
        """Whether it is the sequence of a column, which comes and goes with its table."""
        return self.owner is not None

    @property
    def key(self) -> Name:
        """Schema and name."""
        return self.schema, self.name

    @property
    def drop(self) -> str:
        """The statement that drops it and nothing else."""
        return f"DROP {KINDS[self.kind].upper()} {self.quoted}"


_RELATIONS = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, (
    SELECT d.refobjid::int8 FROM pg_catalog.pg_depend d WHERE c.relkind = 'S' AND d.objid = c.oid
        AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
        AND d.deptype IN ('a', 'i') LIMIT 1),
    ARRAY(SELECT i.inhparent::int8 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid), c.relispartition,
    CASE WHEN c.relkind IN ('r', 'p') THEN pg_catalog.has_table_privilege(c.oid, 'REFERENCES')
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') ELSE false END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {USER_SCHEMA} AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.deptype = 'e')
ORDER BY c.oid
"""
_PARTS = """
SELECT 'index of ' || n.nspname || '.' || t.relname, n.nspname, t.relname, i.relname
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_class t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE t.oid = ANY(%(tables)s)
UNION ALL
SELECT 'trigger of ' || n.nspname || '.' || t.relname, n.nspname, t.relname, g.tgname
FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class t ON t.oid = g.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE t.oid = ANY(%(tables)s) AND NOT g.tgisinternal
ORDER BY 1, 2, 3, 4
"""
# Views of views go with the first: all are named at once.
_VIEWS_ABOVE = """
WITH RECURSIVE above(oid) AS (
    SELECT unnest(%(tables)s::oid[])
    UNION
    SELECT r.ev_class FROM above a
        CROSS JOIN LATERAL (
            SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, a.oid AS oid
            UNION ALL
            SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, unnest(ARRAY[t.oid, t.typarray])
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.oid = a.oid
        ) w
        JOIN pg_catalog.pg_depend d ON d.refclassid = w.class AND d.refobjid = w.oid
            AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
)
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text
FROM above a JOIN pg_catalog.pg_class c ON c.oid = a.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.oid = ANY(%(tables)s)
ORDER BY 2, 3
"""
# What DROP TABLE would take along without a word, or refuse with words that name one thing alone.
_BOUND = """
WITH doomed(class, oid) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, unnest(%(tables)s::oid[])
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, unnest(ARRAY[t.oid, t.typarray])
    FROM pg_catalog.pg_type t WHERE t.typrelid = ANY(%(tables)s)
    UNION ALL
    SELECT s.classid, s.objid FROM pg_catalog.pg_depend s JOIN pg_catalog.pg_class c ON c.oid = s.objid
    WHERE s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.refclassid = s.classid
        AND s.refobjid = ANY(%(tables)s) AND s.deptype IN ('a', 'i') AND c.relkind = 'S'
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, unnest(%(routines)s::oid[])
)
SELECT CASE WHEN r.rulename = '_RETURN'
    THEN CASE c.relkind WHEN 'm' THEN 'materialized ' ELSE '' END || 'view ' || n.nspname || '.' || c.relname
    ELSE pg_catalog.pg_describe_object(d.classid, r.oid, 0) END
FROM pg_catalog.pg_depend d JOIN doomed w ON w.class = d.refclassid AND w.oid = d.refobjid
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND NOT r.ev_class = ANY(%(tables)s)
UNION
SELECT CASE WHEN c.relispartition THEN 'partition ' ELSE 'inheriting table ' END || n.nspname || '.' || c.relname
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ANY(%(tables)s) AND NOT i.inhrelid = ANY(%(tables)s) AND c.relkind IN ('r', 'p', 'f')
UNION
SELECT 'table ' || n.nspname || '.' || p.relname || ', of which ' || c.relname || ' is a part'
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
WHERE i.inhrelid = ANY(%(tables)s) AND NOT i.inhparent = ANY(%(tables)s) AND c.relkind IN ('r', 'p', 'f')
    AND NOT i.inhrelid = ANY(%(attached)s)
UNION
SELECT 'publication ' || p.pubname
FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
WHERE r.prrelid = ANY(%(tables)s)
UNION
SELECT 'routine ' || n.nspname || '.' || f.proname
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = d.objid
    JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND EXISTS (SELECT FROM doomed w WHERE w.class = d.refclassid AND w.oid = d.refobjid)
    AND NOT f.oid = ANY(%(routines)s)
UNION
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
FROM pg_catalog.pg_depend d JOIN doomed w ON w.class = d.refclassid AND w.oid = d.refobjid
LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = d.objid
LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
LEFT JOIN pg_catalog.pg_trigger g ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid = d.objid
LEFT JOIN pg_catalog.pg_index i ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = d.objid
LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
WHERE d.deptype = 'n' AND d.classid NOT IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
        'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
    AND k.contype IS DISTINCT FROM 'f'
    AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0)
    AND NOT coalesce(a.adrelid, k.conrelid, p.polrelid, g.tgrelid, i.indrelid, t.typrelid, d.objid) = ANY(%(tables)s)
    AND NOT EXISTS (  -- these are named themselves
        SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = ANY(%(tables)s)
            AND h.inhrelid = coalesce(a.adrelid, k.conrelid, p.polrelid, g.tgrelid, i.indrelid, t.typrelid, d.objid))
ORDER BY 1
"""
# With an empty search path every name is written with its schema. A partition cannot be dropped as long as one leads to
# a table that it is below.
_FOREIGN_KEYS = """
WITH RECURSIVE above(oid) AS (
    SELECT unnest(%(tables)s::oid[])
    UNION
    SELECT i.inhparent FROM above a JOIN pg_catalog.pg_class c ON c.oid = a.oid AND c.relispartition
        JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid
)
SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid IN (SELECT oid FROM above)
    AND NOT k.conrelid = ANY(%(tables)s)
ORDER BY k.oid
"""


# What is made is locked until the transaction ends: each relation, with its indexes and its TOAST table.
_MADE = """
SELECT count(*) FROM pg_catalog.pg_class
WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 't')
"""
# What is dropped, too, and each constraint, default and type of it on its own.
_DROPPED = """
SELECT sum(3 + CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE 2 END
    + (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid)
    + (SELECT count(*) FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid)
    + (SELECT count(*) FROM pg_catalog.pg_attrdef a WHERE a.adrelid = c.oid))
FROM pg_catalog.pg_class c WHERE c.oid = ANY(%(tables)s)
"""


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key of a table that stays."""

    table: str
    name: str
    definition: str

    @property
    def drop(self) -> str:
        """The statement that drops it."""
        return f"ALTER TABLE {self.table} DROP CONSTRAINT {quoted(self.name)}"

    @property
    def add(self) -> str:
        """The statement that adds it again."""
        return f"ALTER TABLE {self.table} ADD CONSTRAINT {quoted(self.name)} {self.definition}"


def read_relations(connection: "Connection[TupleRow]") -> list[Relation]:
    """The relations of a database without those of extensions, oldest first."""
    return [
        Relation(
            oid=oid,
            schema=schema,
            name=name,
            kind=kind,
            owner=owner,
            parents=tuple(parents),
            partition=partition,
            referable=referable,
        )
        for oid, schema, name, kind, owner, parents, partition, referable in connection.execute(_RELATIONS)
    ]


def read_parts(connection: "Connection[TupleRow]", tables: Collection[Relation]) -> dict[tuple[str, ...], str]:
    """The indexes and triggers of tables, each with what it is for messages."""
    rows = connection.execute(_PARTS, {"tables": _oids(tables)})
    return {(schema, table, what.partition(" ")[0], name): what for what, schema, table, name in rows}


def bound_to(
    connection: "Connection[TupleRow]",
    tables: Collection[Relation],
    attached: Collection[Relation],
    carried: Callable[[Collection[int]], Collection[int]],
) -> list[str]:
    """What depends on these and would go, or be changed, with them, although it is not one of them.

    The `attached` are partitions that will be attached again to the tables that they are attached to; `carried` tells
    which routines will be made again if relations of some OIDs are dropped.
    """
    views = connection.execute(_VIEWS_ABOVE, {"tables": _oids(tables)}).fetchall()
    going = [*_oids(tables), *(oid for oid, *_ in views)]
    parameters = {"tables": going, "attached": _oids(attached), "routines": list(carried(going))}
    others = connection.execute(_BOUND, parameters)
    return [*(f"{KINDS[kind]} {schema}.{name}" for _, schema, name, kind in views), *(str(row[0]) for row in others)]


def foreign_keys_into(connection: "Connection[TupleRow]", tables: Collection[Relation]) -> Sequence[ForeignKey]:
    """The foreign keys of other tables that lead to these."""
    connection.execute("SET search_path TO ''")
    rows = connection.execute(_FOREIGN_KEYS, {"tables": _oids(tables)})
    return [
        ForeignKey(table=quoted(schema, table), name=name, definition=definition)
        for schema, table, name, definition in rows
    ]


def locked_by_merge(
    staged: "Connection[TupleRow]", target: "Connection[TupleRow]", replaced: Collection[Relation]
) -> int:
    """About how many objects are locked at once by making all of a database and dropping these of another."""
    made = staged.execute(_MADE).fetchone()
    dropped = target.execute(_DROPPED, {"tables": _oids(replaced)}).fetchone()
    return sum(int(row[0] or 0) for row in (made, dropped) if row)


def _oids(tables: Collection[Relation]) -> list[int]:
    return [table.oid for table in tables]
