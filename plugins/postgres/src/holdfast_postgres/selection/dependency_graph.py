"""Which objects of a database cannot be made without which others, by pg_depend.

Manual: chapter "System Catalogs", pg_depend.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import Relation

Node = tuple[str, int]  # a catalog and an OID in it

RELATION, SCHEMA, EXTENSION = "pg_class", "pg_namespace", "pg_extension"
# What pg_dump writes of each schema that it is told to take.
CONTENTS = {
    "pg_type", "pg_proc", "pg_operator", "pg_opclass", "pg_opfamily", "pg_collation", "pg_conversion", "pg_ts_config",
    "pg_ts_dict", "pg_ts_parser", "pg_ts_template",
}  # fmt: skip
# Of these a restore leaves out, with a warning, what leads to a table that is not there.
ROUTINES = {"pg_proc", "pg_operator"}

# Parts of an object, which pg_dump writes with it; `optional` are those without which it can be made.
_PARTS = """
SELECT 'pg_attrdef'::regclass::oid AS classid, oid AS objid, 'pg_class'::regclass::oid AS wholeclass, adrelid AS whole,
    false AS optional FROM pg_attrdef
UNION ALL SELECT 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class, rulename <> '_RETURN' FROM pg_rewrite
UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_class'::regclass, conrelid, contype = 'f' FROM pg_constraint
    WHERE conrelid <> 0
UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_type'::regclass, contypid, false FROM pg_constraint
    WHERE contypid <> 0
UNION ALL SELECT 'pg_trigger'::regclass, oid, 'pg_class'::regclass, tgrelid, true FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'pg_policy'::regclass, oid, 'pg_class'::regclass, polrelid, true FROM pg_policy
UNION ALL SELECT 'pg_class'::regclass, indexrelid, 'pg_class'::regclass, indrelid, false FROM pg_index
UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 'pg_class'::regclass, stxrelid, true FROM pg_statistic_ext
UNION ALL SELECT 'pg_class'::regclass, oid, 'pg_type'::regclass, reltype, false FROM pg_class WHERE relkind = 'c'
UNION ALL SELECT 'pg_type'::regclass, t.oid, 'pg_class'::regclass, c.oid, false FROM pg_type t
    JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c'
UNION ALL SELECT 'pg_type'::regclass, e.typarray, CASE WHEN c.oid IS NULL THEN 'pg_type'::regclass ELSE 'pg_class' END,
    coalesce(c.oid, e.oid), false
    FROM pg_type e LEFT JOIN pg_class c ON c.oid = e.typrelid AND c.relkind <> 'c' WHERE e.typarray <> 0
UNION ALL SELECT 'pg_amop'::regclass, oid, 'pg_opfamily'::regclass, amopfamily, false FROM pg_amop
UNION ALL SELECT 'pg_amproc'::regclass, oid, 'pg_opfamily'::regclass, amprocfamily, false FROM pg_amproc
"""
# What initdb made is everywhere, but for the schema public, which is like any other. A column's sequence does not need
# its table, nor a partition the table that it is attached to: pg_dump writes it as a table of its own. Statistics in a
# schema that is not taken are left out.
_NEEDS = f"""
WITH part AS MATERIALIZED ({_PARTS}), need AS (
    SELECT d.classid, d.objid, d.deptype, coalesce(p.wholeclass, d.classid) AS class, coalesce(p.whole, d.objid) AS oid,
        coalesce(r.wholeclass, d.refclassid) AS refclass, coalesce(r.whole, d.refobjid) AS ref,
        coalesce(p.optional, false) AS optional,
        d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
            AND p.whole IS NULL AS attached
    FROM pg_depend d
    LEFT JOIN part p ON p.classid = d.classid AND p.objid = d.objid
    LEFT JOIN part r ON r.classid = d.refclassid AND r.objid = d.refobjid
    WHERE d.deptype IN ('n', 'a', 'i')
        AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace('public'))
        AND NOT (d.classid = 'pg_statistic_ext'::regclass AND d.refclassid = 'pg_namespace'::regclass)
        AND NOT (d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND EXISTS (
            SELECT FROM pg_class s WHERE s.oid = d.objid AND s.relkind = 'S'))
)
SELECT DISTINCT class::regclass::text, oid::int8, refclass::regclass::text, ref::int8,
    CASE WHEN optional THEN classid::regclass::text ELSE '' END, CASE WHEN optional THEN objid::int8 ELSE 0 END
FROM need WHERE (class, oid) <> (refclass, ref) AND NOT attached
"""
_MEMBERS = """
SELECT classid::regclass::text, objid::int8, refobjid::int8 FROM pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
"""


@dataclass(kw_only=True)
class DependencyGraph:
    """What needs what.

    `optional` are needs that an object can be made without, of its parts, each with the part. `contents` are the
    objects of a schema that pg_dump writes with it. A partition does not need the table that it is attached to.
    """

    needs: dict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))
    optional: dict[Node, set[tuple[Node, Node]]] = field(default_factory=lambda: defaultdict(set))
    contents: dict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))

    def with_dependents(self, nodes: Iterable[Node]) -> set[Node]:
        """These with all that cannot be made without them, directly or not."""
        needed_by = defaultdict(list)
        for node, needs in self.needs.items():
            for need in needs:
                needed_by[need].append(node)
        reached, todo = set(nodes), list(nodes)
        while todo:
            for node in needed_by[todo.pop()]:
                if node not in reached:
                    reached.add(node)
                    todo.append(node)
        return reached


def read_graph(
    connection: "Connection[TupleRow]", relations: Sequence[Relation], public: int | None
) -> DependencyGraph:
    """Read the dependencies of a database; `public` is the OID of the schema that every new database has."""
    members = {(kind, oid): (EXTENSION, extension) for kind, oid, extension in connection.execute(_MEMBERS)}
    graph = DependencyGraph()
    for kind, oid, ref_kind, ref, part, part_oid in connection.execute(_NEEDS):
        node, need = members.get((kind, oid), (kind, oid)), members.get((ref_kind, ref), (ref_kind, ref))
        if ref_kind == SCHEMA:
            need = (ref_kind, ref)
            if node[0] in CONTENTS:
                graph.contents[need].add(node)
            if node[0] == EXTENSION and ref == public:
                continue
        if part:
            graph.optional[node].add(((part, part_oid), need))
        elif node != need:
            graph.needs[node].add(need)
    for relation in relations:
        if relation.owner_table is not None:
            graph.needs[RELATION, relation.owner_table].add((RELATION, relation.oid))
    return graph
