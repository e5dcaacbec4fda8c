"""How relations are dropped that need one another, and nothing else with them."""

from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.merge.relations import KINDS, Relation

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
_VIEWS = """
SELECT DISTINCT r.ev_class::int8, coalesce(t.typrelid, d.refobjid)::int8
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.objid = r.oid
    AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_type t ON t.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
WHERE r.ev_class = ANY(%(relations)s) AND r.rulename = '_RETURN'
"""


def drops(connection: "Connection[TupleRow]", relations: Collection[Relation]) -> list[str]:
    """The statements that drop these, as long as nothing else needs one of them."""
    parameters = {"relations": [relation.oid for relation in relations]}
    crossing = [str(row[0]) for row in connection.execute(_CROSSING, parameters)]
    of_kind = {kind: [old for old in relations if KINDS[old.kind] == kind] for kind in KINDS.values()}
    views = {old.oid: old for old in relations if KINDS[old.kind].endswith("view")}
    needs = [pair for pair in connection.execute(_VIEWS, parameters).fetchall() if views.keys() >= set(pair)]
    tables = ", ".join(old.quoted for old in of_kind["table"])
    return [
        *crossing,
        *(views[oid].drop for oid in _dependents_first(views, needs)),
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
