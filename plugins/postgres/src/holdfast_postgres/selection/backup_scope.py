"""What a backup of a selection takes: the relations asked for and, by pg_depend, what they cannot be made without.

pg_dump takes what its patterns say and nothing else: a table whose type, sequence or parent is not there cannot be
restored. Manual: chapter "System Catalogs", pg_depend.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation, schemas
from holdfast_postgres.errors import some_names
from holdfast_postgres.selection.patterns import Selection, nothing_left
from holdfast_postgres.session import quoted

Node = tuple[str, int]  # a catalog and an OID in it

_RELATION, _SCHEMA, _EXTENSION = "pg_class", "pg_namespace", "pg_extension"
# What pg_dump writes of each schema that it is told to take.
_CONTENTS = {
    "pg_type", "pg_proc", "pg_operator", "pg_opclass", "pg_opfamily", "pg_collation", "pg_conversion", "pg_ts_config",
    "pg_ts_dict", "pg_ts_parser", "pg_ts_template",
}  # fmt: skip
# Of these a restore leaves out, with a warning, what leads to a table that is not there.
_ROUTINES = {"pg_proc", "pg_operator"}

# Parts of an object, which pg_dump writes with it; `aside` are those without which it can be made.
_PARTS = """
SELECT 'pg_attrdef'::regclass::oid AS classid, oid AS objid, 'pg_class'::regclass::oid AS wholeclass, adrelid AS whole,
    false AS aside FROM pg_attrdef
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
        coalesce(p.aside, false) AS aside,
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
    CASE WHEN aside THEN classid::regclass::text WHEN attached THEN 'attached' ELSE '' END,
    CASE WHEN aside THEN objid::int8 ELSE 0 END
FROM need WHERE (class, oid) <> (refclass, ref)
"""
_MEMBERS = """
SELECT classid::regclass::text, objid::int8, refobjid::int8 FROM pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
"""


@dataclass(frozen=True, kw_only=True)
class BackupScope:
    """OIDs of relations, names of schemas and extensions; `added` and `lost` are for people.

    `beyond` are the parts and routines that lead to what is not taken, by their catalog and OID.
    """

    relations: frozenset[int]
    schemas: frozenset[str]
    extensions: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    beyond: frozenset[Node] = frozenset()

    def warnings(self) -> list[str]:
        """What differs from what was asked for."""
        found = []
        if self.added:
            found.append(f"backed up besides, since the selection needs it: {some_names(self.added)}")
        if self.lost:
            found.append(f"not backed up, since it needs what is excluded: {some_names(self.lost)}")
        return found

    def pg_dump_arguments(
        self, listed: Sequence[str], relations: Sequence[Relation], selection: Selection, *, extensions: bool
    ) -> list[str]:
        """The same for pg_dump, all names spelt out; `extensions` unless it is too old or takes no definitions.

        A schema of which only some relations are taken keeps its types and routines, which those may need; the
        relations that are not taken are excluded one by one. `--table` would leave the types out.
        """
        if selection.select:
            arguments = [f"--schema={quoted(schema)}" for schema in listed if schema in self.schemas]
            # With --schema pg_dump leaves extensions out, and with them the types that the tables may need.
            arguments += [f"--extension={quoted(name)}" for name in sorted(self.extensions) if extensions]
        else:
            arguments = [f"--exclude-schema={quoted(schema)}" for schema in listed if schema not in self.schemas]
        return arguments + [
            f"--exclude-table={quoted(relation.schema, relation.name)}"
            for relation in relations
            if relation.schema in self.schemas and relation.oid not in self.relations
        ]


def find(
    connection: "Connection[TupleRow]", selection: Selection, relations: Sequence[Relation], *, definitions: bool
) -> BackupScope:
    """Find what a backup takes; `UsageError` where that is nothing, or could not be restored.

    Without `definitions` nothing is made at a restore, and nothing is needed besides.
    """
    listed = schemas(connection)
    selection.check(listed, relations)
    taken = selection.taken(relations)
    whole = {schema for schema in listed if selection.whole(schema)}
    if not definitions:
        wanted = whole | ({one.schema for one in relations if one.oid in taken} if selection.select else set())
        return BackupScope(relations=frozenset(taken), schemas=frozenset(wanted))
    return _Search(connection, selection, relations, taken, whole).extent()


@dataclass(kw_only=True)
class _Graph:
    """What needs what: `aside` and `attached` are needs that an object can be made without."""

    needs: dict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))
    aside: dict[Node, set[tuple[Node, Node]]] = field(default_factory=lambda: defaultdict(set))
    attached: dict[Node, Node] = field(default_factory=dict)
    contents: dict[Node, set[Node]] = field(default_factory=lambda: defaultdict(set))


def _graph(connection: "Connection[TupleRow]", relations: Sequence[Relation], public: int | None) -> _Graph:
    members = {(kind, oid): (_EXTENSION, extension) for kind, oid, extension in connection.execute(_MEMBERS)}
    graph = _Graph()
    for kind, oid, ref_kind, ref, part, part_oid in connection.execute(_NEEDS):
        node, need = members.get((kind, oid), (kind, oid)), members.get((ref_kind, ref), (ref_kind, ref))
        if ref_kind == _SCHEMA:
            need = (ref_kind, ref)
            if node[0] in _CONTENTS:
                graph.contents[need].add(node)
            if node[0] == _EXTENSION and ref == public:
                continue  # which every new database has
        if part == "attached":
            graph.attached[node] = need
        elif part:
            graph.aside[node].add(((part, part_oid), need))
        elif node != need:
            graph.needs[node].add(need)
    for one in relations:
        if one.owner_table is not None:
            graph.needs[_RELATION, one.owner_table].add((_RELATION, one.oid))
    return graph


class _Search:
    """One search through the catalogs for what a selection takes."""

    def __init__(
        self,
        connection: "Connection[TupleRow]",
        selection: Selection,
        relations: Sequence[Relation],
        taken: set[int],
        whole: set[str],
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._relations = {one.oid: one for one in relations}
        self._taken = taken
        self._whole = whole
        self._schemas: dict[int, str] = dict(
            connection.execute("SELECT oid::int8, nspname FROM pg_namespace").fetchall()
        )
        self._public = next((oid for oid, name in self._schemas.items() if name == "public"), None)
        self._graph = _graph(connection, relations, self._public)
        self._excluded = {
            (_RELATION, one.oid)
            for one in relations
            if one.owner_table is None and selection.leaves_out(one.schema, one.name)
        }
        self._missing = self._find_missing()
        self._broken = self._closed_upwards(self._missing)

    def extent(self) -> BackupScope:
        roots = {(_RELATION, oid) for oid in self._taken}
        lost = self._lost(roots)
        roots -= self._broken
        if not roots and not self._whole:
            raise nothing_left()
        asked = {(_SCHEMA, oid) for oid, name in self._schemas.items() if name in self._whole}
        extensions = self._extensions()
        found = self._reached(roots | asked | {(_EXTENSION, oid) for oid in extensions} - self._broken)
        reached = {oid for kind, oid in found if kind == _RELATION} & self._relations.keys()
        names = {self._schemas[oid] for kind, oid in found if kind == _SCHEMA}
        known = self._whole
        if self._selection.select:
            known = known | {self._relations[oid].schema for oid in reached}
        added = [self._named((_RELATION, oid)) for oid in sorted(reached - self._taken)]
        added += [f"schema {name}" for name in sorted(names - known)]
        every: dict[int, str] = dict(self._connection.execute("SELECT oid::int8, extname FROM pg_extension").fetchall())
        return BackupScope(
            relations=frozenset(reached),
            schemas=frozenset(names | known),
            extensions=frozenset(every[oid] for kind, oid in found if kind == _EXTENSION),
            added=tuple(added),
            lost=tuple(lost),
            beyond=frozenset(self._beyond(found)),
        )

    def _extensions(self) -> list[int]:
        """Those to take in any case: of the schemas that are taken whole, and where every database may have some."""
        query = """
            SELECT e.oid::int8 FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE n.nspname = ANY (%s) OR n.nspname IN ('pg_catalog', 'public') OR %s
        """
        rows = self._connection.execute(query, (sorted(self._whole), not self._selection.select))
        return [oid for (oid,) in rows]

    def _find_missing(self) -> set[Node]:
        """What will not be there at a restore: what is excluded, and what pg_dump never takes for a selection."""
        missing = set(self._excluded)
        if self._selection.select:
            taken = {_RELATION, _SCHEMA, _EXTENSION, *_CONTENTS}
            missing |= {need for needs in self._graph.needs.values() for need in needs if need[0] not in taken}
        return missing

    def _closed_upwards(self, missing: set[Node]) -> set[Node]:
        """These with all that cannot be made without them."""
        needed_by = defaultdict(list)
        for node, needs in self._graph.needs.items():
            for need in needs:
                needed_by[need].append(node)
        found, todo = set(missing), list(missing)
        while todo:
            for node in needed_by[todo.pop()]:
                if node not in found:
                    found.add(node)
                    todo.append(node)
        return found

    def _lost(self, roots: set[Node]) -> list[str]:
        """The views to leave out, since they need what is missing; a table has rows and is never left out unasked."""
        lost = []
        for node in sorted(roots & self._broken):
            if self._relations[node[1]].kind not in "vm":
                raise self._unmakable(node)
            lost.append(self._named(node))
        return lost

    def _unmakable(self, node: Node) -> UsageError:
        need = self._first_missing(node)
        if need in self._excluded:
            why, hint = "which is excluded", "exclude what needs it too, or do not exclude it"
        else:
            why = "which a backup of a selection cannot hold"
            hint = "exclude what needs it, or choose by --exclude alone, which keeps what belongs to no schema"
        return UsageError(f"{self._shown(node)} needs {self._shown(need)}, {why}", hint=hint)

    def _first_missing(self, node: Node) -> Node:
        """What keeps an object from being made, at whatever distance."""
        seen, todo = {node}, [node]
        while (one := todo.pop(0)) not in self._missing:
            further = self._graph.needs[one] & self._broken - seen
            seen |= further
            todo += sorted(further)
        return one

    def _reached(self, roots: Iterable[Node]) -> set[Node]:
        """All that pg_dump is to take; routines that only lie in a schema that is taken bring no tables with them."""
        firmly: set[Node] = set()
        loosely: set[Node] = set()
        todo = [(node, False) for node in roots]
        while todo:
            node, loose = todo.pop()
            if node in firmly or (loose and node in loosely):
                continue
            (loosely if loose else firmly).add(node)
            needs = self._graph.needs[node]
            if loose:
                needs = {one for one in needs if one[0] != _RELATION} - self._broken
            todo += [(need, loose and need[0] in _ROUTINES) for need in needs]
            aside = {need for _, need in self._graph.aside[node] if need[0] != _RELATION} - self._broken
            todo += [(need, False) for need in aside]
            parent = self._graph.attached.get(node)
            if parent is not None and parent not in self._broken:
                todo.append((parent, False))
            todo += [(one, one[0] in _ROUTINES) for one in self._graph.contents[node] if self._makable(one)]
        return firmly | loosely

    def _makable(self, node: Node) -> bool:
        """Whether an object in a schema that is taken can be made; only of a routine a restore may do without."""
        if node not in self._broken:
            return True
        if node[0] not in _ROUTINES:
            raise self._unmakable(node)
        return False

    def _beyond(self, found: set[Node]) -> Iterator[Node]:
        for node in found:
            yield from (part for part, need in self._graph.aside[node] if need not in found)
            for one in self._graph.contents[node]:
                if one[0] in _ROUTINES and not self._graph.needs[one] <= found:
                    yield one

    def _identified(self, node: Node) -> tuple[str, str]:
        """Kind and name of an object, as the server says them."""
        query = "SELECT type, identity FROM pg_identify_object(%s::regclass, %s::int8::oid, 0)"
        row = self._connection.execute(query, node).fetchone()
        assert row is not None  # noqa: S101 (a function of one row)
        return row[0], row[1]

    def _named(self, node: Node) -> str:
        return " ".join(self._identified(node))

    def _shown(self, node: Node) -> str:
        kind, name = self._identified(node)
        return f"{kind} {quote_name(name)}"
