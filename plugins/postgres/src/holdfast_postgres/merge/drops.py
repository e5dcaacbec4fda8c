"""How relations and routines are dropped that need one another, and nothing else with them."""

from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.merge.relations import KINDS, Relation
from holdfast_postgres.merge.routines import Routine

# What of a relation may need another that needs this one: a policy of a table that looks into a view of the table.
_CROSSING = """
SELECT format('DROP POLICY %%I ON %%I.%%I', p.polname, n.nspname, c.relname)
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY(%(relations)s) AND EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
        AND d.objid = p.oid AND d.refobjid = ANY(%(relations)s) AND d.refobjid <> c.oid)
UNION ALL
SELECT format('DROP RULE %%I ON %%I.%%I', r.rulename, n.nspname, c.relname)
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY(%(relations)s) AND r.rulename <> '_RETURN' AND EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        AND d.objid = r.oid AND d.refobjid = ANY(%(relations)s) AND d.refobjid <> c.oid)
ORDER BY 1
"""
# Views and routines that need one another: a routine by its OID below zero, as it may have that of a view.
_NEEDS = """
WITH thing(class, id, node) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, v, v::int8 FROM unnest(%(views)s::oid[]) v
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p, -p::int8 FROM unnest(%(routines)s::oid[]) p
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, unnest(ARRAY[t.oid, t.typarray]), t.typrelid::int8
        FROM pg_catalog.pg_type t WHERE t.typrelid = ANY(%(views)s)
    UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, r.ev_class::int8
        FROM pg_catalog.pg_rewrite r WHERE r.ev_class = ANY(%(views)s) AND r.rulename = '_RETURN'
)
SELECT DISTINCT a.node, b.node FROM pg_catalog.pg_depend d
JOIN thing a ON a.class = d.classid AND a.id = d.objid JOIN thing b ON b.class = d.refclassid AND b.id = d.refobjid
WHERE d.classid <> 'pg_catalog.pg_type'::pg_catalog.regclass
"""


def drops(
    connection: "Connection[TupleRow]", relations: Collection[Relation], routines: Collection[Routine]
) -> list[str]:
    """The statements that drop these, as long as nothing else needs one of them."""
    parameters = {"relations": [relation.oid for relation in relations]}
    crossing = [str(row[0]) for row in connection.execute(_CROSSING, parameters)]
    of_kind = {kind: [old for old in relations if KINDS[old.kind] == kind] for kind in KINDS.values()}
    views = {old.oid: old.drop for old in relations if KINDS[old.kind].endswith("view")}
    things = {"views": list(views), "routines": [routine.oid for routine in routines]}
    needs = connection.execute(_NEEDS, things).fetchall()
    dropping = views | {-routine.oid: routine.drop for routine in routines}
    tables = ", ".join(old.quoted for old in of_kind["table"])
    return [
        *crossing,
        *(dropping[oid] for oid in _dependents_first(dropping, needs)),
        *(old.drop for old in of_kind["foreign table"]),
        *([f"DROP TABLE {tables}"] if tables else []),
        *(old.drop for old in of_kind["sequence"]),
    ]


def _dependents_first(oids: Collection[int], needs: Collection[tuple[int, int]]) -> Iterator[int]:
    """In an order in which what needs another comes before that."""
    sorter: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(oids, ()))
    for needing, needed in needs:
        if needing != needed:
            sorter.add(needed, needing)
    return iter(sorter.static_order())
