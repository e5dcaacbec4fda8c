"""What a backup of a selection takes: the relations asked for and, by pg_depend, what they cannot be made without.

pg_dump takes what its patterns say and nothing else: a table whose type, sequence or parent is not there cannot be
restored.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation, schemas
from holdfast_postgres.errors import some_names
from holdfast_postgres.selection.dependency_graph import (
    CONTENTS,
    EXTENSION,
    RELATION,
    ROUTINES,
    SCHEMA,
    Node,
    read_graph,
)
from holdfast_postgres.selection.descendants import Descendants, read_descendants
from holdfast_postgres.selection.patterns import Selection, nothing_left
from holdfast_postgres.selection.pg_dump_filters import Filter, relation_filters, schema_filters
from holdfast_postgres.session import quoted
from holdfast_postgres.special_extensions import MODES

LEADING_OUT = "leads beyond the selection, so that a restore leaves it out where the target has not what it needs"


@dataclass(frozen=True, kw_only=True)
class BackupScope:
    """What a backup takes: OIDs of relations, names of schemas and extensions.

    `added`, `inheriting`, `left_behind` and `without` name, for messages, what is taken besides, for what reason, and
    what is not, although it was asked for or is a partition of what is taken.
    `dangling` are the parts and routines that lead to what is not taken, by their catalog and OID; `omitted` are the
    tables of the extensions that are excluded. `needed` are the relations that nobody asked for; `leading_out` names
    what dangles.
    """

    relations: frozenset[int]
    schemas: frozenset[str]
    extensions: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    inheriting: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    omitted: frozenset[int] = frozenset()
    dangling: frozenset[Node] = frozenset()
    needed: frozenset[int] = frozenset()
    leading_out: tuple[str, ...] = ()

    def warnings(self, *, archive: bool) -> list[str]:
        """What differs from what was asked for; what leads beyond it where that is in an `archive` all the same."""
        return [
            f"{what}: {some_names(names)}"
            for what, names in (
                ("also backed up, since the selection needs it", self.added),
                ("also backed up, since it inherits from a selected table", self.inheriting),
                ("not backed up, since it needs what is excluded", self.left_behind),
                ("not backed up with the table that it is a partition of, since it is excluded", self.without),
                (LEADING_OUT, self.leading_out if archive else ()),
            )
            if names
        ]

    def filters(
        self, listed: Sequence[str], relations: Sequence[Relation], selection: Selection, *, extensions: bool
    ) -> list[Filter]:
        """The same for pg_dump; `extensions` unless it is too old or takes no definitions.

        A schema of which only some relations are taken keeps its types and routines, which those may need; the
        relations that are not taken are excluded one by one. `--table` would leave the types out.
        """
        outside = [schema for schema in listed if schema not in self.schemas]
        if selection.select:
            filters = schema_filters("include", self.schemas & set(listed), outside)
            # With --schema pg_dump leaves extensions out, and with them the types that the tables may need.
            filters += [
                Filter(action="include", kind="extension", pattern=quoted(name))
                for name in sorted(self.extensions)
                if extensions
            ]
        else:
            filters = schema_filters("exclude", outside, self.schemas)
        # Of an extension that is taken pg_dump writes all rows, whatever schema they are in.
        sought = self.schemas | {relation.schema for relation in relations if relation.oid in self.omitted}
        sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
        for relation in relations:
            if relation.schema in sought:
                sides[relation.oid in self.relations].append((relation.schema, relation.name))
        return filters + relation_filters("table", *sides)


def find_scope(
    connection: "Connection[TupleRow]", selection: Selection, relations: Sequence[Relation], *, definitions: bool
) -> BackupScope:
    """Find what a backup takes; `UsageError` where that is nothing, or could not be restored.

    Without `definitions` a restore makes no objects, so that nothing else is needed.
    """
    listed = schemas(connection)
    selection.check(listed, relations)
    descendants = read_descendants(connection)
    taken = selection.taken(relations, descendants)
    whole = {schema for schema in listed if selection.takes_schema(schema)}
    if not definitions:
        wanted = set(whole)
        if selection.select:
            wanted |= {relation.schema for relation in relations if relation.oid in taken}
        return BackupScope(relations=frozenset(taken), schemas=frozenset(wanted))
    return _ScopeSearch(connection, selection, relations, descendants, taken, whole).scope()


class _ScopeSearch:
    """One search through the catalogs for what a selection takes."""

    def __init__(
        self,
        connection: "Connection[TupleRow]",
        selection: Selection,
        relations: Sequence[Relation],
        descendants: Descendants,
        taken: set[int],
        whole: set[str],
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._relations = {relation.oid: relation for relation in relations}
        self._descendants = descendants
        self._taken = taken
        self._whole = whole
        self._schemas: dict[int, str] = dict(
            connection.execute("SELECT oid::int8, nspname FROM pg_namespace").fetchall()
        )
        public = next((oid for oid, name in self._schemas.items() if name == "public"), None)
        self._graph = read_graph(connection, relations, public)
        self._excluded = {
            (RELATION, relation.oid)
            for relation in relations
            if relation.owner_table is None and selection.excludes(relation.schema, relation.name)
        }
        for root, partitions in descendants.partitions.items():
            # Its rows are in them.
            self._graph.needs[RELATION, root] |= {(RELATION, oid) for oid in partitions} - self._excluded
        self._missing = self._find_missing()
        self._broken = self._graph.with_dependents(self._missing)

    def scope(self) -> BackupScope:
        roots = {(RELATION, oid) for oid in self._taken}
        left_behind = self._left_behind(roots)
        roots -= self._broken
        if not roots and not self._whole:
            raise nothing_left()
        asked = {(SCHEMA, oid) for oid, name in self._schemas.items() if name in self._whole}
        extensions = {(EXTENSION, oid) for oid in self._extensions()}
        taken = self._reached(roots | asked | extensions - self._broken)
        reached = {oid for kind, oid in taken if kind == RELATION} & self._relations.keys()
        configuration = self._configuration([oid for kind, oid in taken if kind == EXTENSION])
        omitted = {
            oid
            for name, oid in configuration
            if (RELATION, oid) in self._excluded or (self._selection.select and name in MODES)
        }
        schemas = {self._schemas[oid] for kind, oid in taken if kind == SCHEMA}
        expected = self._whole
        if self._selection.select:
            expected = expected | {self._relations[oid].schema for oid in reached}
        partitions = self._descendants.partitions_of(reached)
        needed = reached - self._taken - partitions
        dangling = self._with_callers(set(self._dangling(taken)), taken)
        added = self._identities((RELATION, oid) for oid in sorted(needed))
        added += [f"schema {name}" for name in sorted(schemas - expected - self._schemas_of_extensions())]
        names: dict[int, str] = dict(self._connection.execute("SELECT oid::int8, extname FROM pg_extension").fetchall())
        return BackupScope(
            relations=frozenset(reached | {oid for _, oid in configuration} - omitted),
            schemas=frozenset(schemas | expected),
            extensions=frozenset(names[oid] for kind, oid in taken if kind == EXTENSION),
            added=tuple(added),
            left_behind=tuple(left_behind),
            inheriting=tuple(self._identities((RELATION, oid) for oid in sorted(self._inheriting()))),
            without=tuple(self._identities((RELATION, oid) for oid in sorted(partitions - reached))),
            omitted=frozenset(omitted),
            dangling=frozenset(dangling),
            leading_out=tuple(self._identities(sorted(dangling))),
            needed=frozenset(needed),
        )

    def _inheriting(self) -> set[int]:
        """What is taken only because it inherits from a selected table."""
        return {
            oid
            for oid in self._descendants.heirs_of(self._taken) & self._taken
            if not self._selection.takes(self._relations[oid].schema, self._relations[oid].name)
        }

    def _configuration(self, extensions: list[int]) -> list[tuple[str, int]]:
        """The tables and sequences of extensions that pg_dump takes with them."""
        query = "SELECT extname, unnest(extconfig)::int8 FROM pg_extension WHERE oid = ANY (%s)"
        return list(self._connection.execute(query, (extensions,)))

    def _schemas_of_extensions(self) -> set[str]:
        """Those that extensions make themselves, which nobody has to be told of."""
        query = """
            SELECT n.nspname FROM pg_namespace n JOIN pg_depend d ON d.classid = 'pg_namespace'::regclass
                AND d.objid = n.oid AND d.deptype = 'e'
        """
        return {name for (name,) in self._connection.execute(query)}

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
            kinds = {RELATION, SCHEMA, EXTENSION, *CONTENTS}
            missing |= {need for needs in self._graph.needs.values() for need in needs if need[0] not in kinds}
        return missing

    def _left_behind(self, roots: set[Node]) -> list[str]:
        """The views to leave out, since they need what is missing; a table has rows and is never left out unasked."""
        views = sorted(roots & self._broken)
        for node in views:
            if self._relations[node[1]].kind not in "vm":
                raise self._missing_need(node)
        return self._identities(views)

    def _missing_need(self, node: Node) -> UsageError:
        need = self._first_missing(node)
        if need in self._excluded:
            why, hint = "which is excluded", "exclude what needs it too, or do not exclude it"
        else:
            why = "which a backup of a selection cannot hold"
            hint = "exclude what needs it, or choose by --exclude alone, which keeps what belongs to no schema"
        return UsageError(f"{self._label(node)} needs {self._label(need)}, {why}", hint=hint)

    def _first_missing(self, start: Node) -> Node:
        """What keeps an object from being made, at whatever distance."""
        seen, todo = {start}, deque([start])
        while (node := todo.popleft()) not in self._missing:
            further = self._graph.needs[node] & self._broken - seen
            seen |= further
            todo += sorted(further)
        return node

    def _reached(self, roots: Iterable[Node]) -> set[Node]:
        """All that pg_dump is to take; routines that only lie in a schema that is taken bring no tables with them."""
        needed: set[Node] = set()
        incidental: set[Node] = set()
        todo = [(node, False) for node in roots]
        while todo:
            node, is_incidental = todo.pop()
            if node in needed or (is_incidental and node in incidental):
                continue
            (incidental if is_incidental else needed).add(node)
            todo += self._next_nodes(node, is_incidental=is_incidental)
        return needed | incidental

    def _next_nodes(self, node: Node, *, is_incidental: bool) -> Iterator[tuple[Node, bool]]:
        """What an object brings with it, and whether only by the way."""
        needs = self._graph.needs[node]
        if is_incidental:
            needs = {need for need in needs if need[0] != RELATION} - self._broken
        for need in needs:
            yield need, is_incidental and need[0] in ROUTINES
        for need in {need for _, need in self._graph.optional[node] if need[0] != RELATION} - self._broken:
            yield need, False
        for content in self._graph.contents[node]:
            if self._can_be_made(content):
                yield content, content[0] in ROUTINES

    def _can_be_made(self, node: Node) -> bool:
        """Whether an object in a schema that is taken can be made; only of a routine a restore may do without."""
        if node not in self._broken:
            return True
        if node[0] not in ROUTINES:
            raise self._missing_need(node)
        return False

    def _dangling(self, taken: set[Node]) -> Iterator[Node]:
        for node in taken:
            yield from (part for part, need in self._graph.optional[node] if need not in taken)
            for content in self._graph.contents[node]:
                if content[0] in ROUTINES and not self._graph.needs[content] <= taken:
                    yield content

    def _with_callers(self, dangling: set[Node], taken: set[Node]) -> set[Node]:
        """What dangles with the routines that need one that does."""
        while more := {node for node in taken if node[0] in ROUTINES and self._graph.needs[node] & dangling} - dangling:
            dangling |= more
        return dangling

    def _read_identities(self, nodes: Sequence[Node]) -> list[tuple[str, str]]:
        """Kind and name of each object, as the server writes them."""
        query = """
            SELECT i.type, i.identity FROM unnest(%s::text[], %s::int8[]) WITH ORDINALITY w(class, oid, place),
                LATERAL pg_identify_object(w.class::regclass, w.oid::oid, 0) i ORDER BY w.place
        """
        classes, oids = [node[0] for node in nodes], [node[1] for node in nodes]
        return [(kind, name) for kind, name in self._connection.execute(query, (classes, oids))]

    def _identities(self, nodes: Iterable[Node]) -> list[str]:
        return [" ".join(identity) for identity in self._read_identities(list(nodes))]

    def _label(self, node: Node) -> str:
        ((kind, name),) = self._read_identities([node])
        return f"{kind} {quote_name(name)}"
