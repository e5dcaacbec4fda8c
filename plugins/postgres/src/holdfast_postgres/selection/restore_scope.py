"""Which entries of an archive a selective restore takes: the relations asked for, what hangs on them, what they need.

`pg_restore --table` restores neither indexes nor constraints nor what a column's type or default needs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation
from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.selection.archive_entries import (
    DEPENDENT,
    FILLED,
    RELATIONS,
    add_needs,
    is_part_of,
    owned_sequences,
    schema_entries,
    unattachable,
    with_needing,
    with_needs,
)
from holdfast_postgres.selection.descendants import archive_descendants, attached_indexes
from holdfast_postgres.selection.patterns import Selection, nothing_left

_ALWAYS = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}
_SCHEMA_WIDE = {"COMMENT", "ACL", "SECURITY LABEL"}
# Those of a table that may lead to others, named TABLE NAME.
_PARTS = {"TRIGGER", "RULE", "POLICY", "FK CONSTRAINT"}
_FILLED = {"TABLE", "FOREIGN TABLE", "SEQUENCE"}
_ATTACHING = {"TABLE ATTACH", "INDEX ATTACH"}
LEADING_OUT = "not restored, since it leads to a table that was not selected"
# Also of a table that was selected without the one that it is a partition of.
ALONE = "restored as a table of its own, since what it is a partition of was not selected"


@dataclass(frozen=True, kw_only=True)
class RestoreScope:
    """What a selective restore takes: entry ids, and the relations among them as (schema, name).

    Those that are `named` are meant by the selection itself, the others are needed. For messages: `dropped` leads to
    what is not selected, `left_behind` needs what is excluded, `added` is needed, `inheriting` goes with its parent,
    `without` is a partition of what is taken and excluded, `detached` is one of what is not taken.
    """

    ids: frozenset[int]
    relations: frozenset[tuple[str, str]]
    named: frozenset[tuple[str, str]]
    dropped: tuple[str, ...]
    left_behind: tuple[str, ...]
    added: tuple[str, ...]
    inheriting: tuple[str, ...]
    without: tuple[str, ...]
    detached: tuple[str, ...]

    def warnings(self, *, dropped: bool = True) -> list[str]:
        """What differs from what was asked for; without what leads beyond the selection, unless `dropped`."""
        return [
            f"{what}: {some_names(names)}"
            for what, names in (
                ("also restored, since the selection needs it", self.added),
                ("also restored, since it inherits from a selected table", self.inheriting),
                ("not restored, since it needs what is excluded", self.left_behind),
                ("not restored with the table that it is a partition of, since it is excluded", self.without),
                (ALONE, self.detached if dropped else ()),
                (LEADING_OUT, self.dropped if dropped else ()),
            )
            if names
        ]


def find_scope(
    entries: Sequence[Entry], selection: Selection, configuration: Mapping[str, Collection[tuple[str, str]]]
) -> RestoreScope:
    """Find what to restore; a pattern that matches nothing, or excludes what a table needs, is a `UsageError`.

    `configuration` are the relations of each extension whose rows the archive has: they come with the extension.
    """
    return _ScopeSearch(entries, selection).scope(configuration)


class _ScopeSearch:
    """One search through an archive for what a selection takes."""

    def __init__(self, entries: Sequence[Entry], selection: Selection) -> None:
        self._selection = selection
        self._relations = {entry.id: entry for entry in entries if entry.kind in RELATIONS}
        schemas = {entry.tag for entry in entries if entry.kind == "SCHEMA"}
        _check(selection, schemas | {entry.schema for entry in entries} - {""}, self._relations.values())
        self._owners = owned_sequences(entries, self._relations)
        self._descendants = archive_descendants(entries, self._relations)
        self._excluded = {
            number
            for number, entry in self._relations.items()
            if number not in self._owners and selection.excludes(entry.schema, entry.tag)
        }
        self._entries = [self._with_partitions(entry) for entry in self._without_excluded_needs(entries)]
        self._unattachable = {entry.id for entry in unattachable(entries)}
        self._by_id = {entry.id: entry for entry in self._entries}
        self._schemas = schema_entries(self._entries)

    def scope(self, configuration: Mapping[str, Collection[tuple[str, str]]]) -> RestoreScope:
        wanted = self._wanted()
        left_behind = [self._by_id[number] for number in sorted(wanted & with_needing(self._excluded, self._entries))]
        for entry in left_behind:
            if entry.kind in _FILLED:
                raise self._excluded_need(entry)
        wanted -= {entry.id for entry in left_behind}
        if all(self._by_id[number].kind in _ALWAYS for number in wanted):
            raise nothing_left()
        chosen, dropped = self._with_dependents(with_needs(wanted, self._by_id))
        chosen |= self._configuration(chosen, configuration)
        relations = {number: self._relations[number] for number in chosen if number in self._relations}
        names, partitions = _names(relations.values()), self._descendants.partitions_of(relations)
        return RestoreScope(
            ids=frozenset(chosen),
            relations=names,
            named=_names(relations[number] for number in wanted & relations.keys()),
            dropped=tuple(entry.label for entry in dropped if entry.kind not in _ATTACHING),
            left_behind=tuple(entry.label for entry in left_behind),
            added=self._labels(relations.keys() - wanted - partitions),
            inheriting=self._labels(self._inheriting(wanted)),
            without=self._labels(partitions & self._excluded),
            detached=tuple(
                f"table {entry.schema}.{entry.tag}"
                for entry in dropped
                if entry.kind == "TABLE ATTACH" and (entry.schema, entry.tag) in names
            ),
        )

    def _labels(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self._relations[number].label for number in sorted(numbers))

    def _inheriting(self, wanted: set[int]) -> set[int]:
        """What is taken only because it inherits from a selected table."""
        heirs = self._descendants.heirs_of(wanted) & wanted
        return {number for number in heirs if not self._takes(self._relations[number])}

    def _without_excluded_needs(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries without needs that they can be made without.

        A partition is a table of its own until it is attached, an index likewise, and a sequence is made before its
        table owns it.
        """
        parents = {child: parent for parent, children in self._descendants.partitions.items() for child in children}
        parents |= attached_indexes(entries)
        return [self._without_needs(entry, parents.get(entry.id)) for entry in entries]

    def _without_needs(self, entry: Entry, parent: int | None) -> Entry:
        not_needed = {parent} & {*entry.needs}
        if entry.kind == "SEQUENCE" and "ADD GENERATED" not in entry.definition:
            not_needed |= self._relations.keys() & {*entry.needs}
        if not not_needed:
            return entry
        return replace(entry, needs=tuple(need for need in entry.needs if need not in not_needed))

    def _configuration(self, chosen: set[int], configuration: Mapping[str, Collection[tuple[str, str]]]) -> set[int]:
        """The rows of the chosen extensions, which their types may look into, as those of pointcloud do.

        The archive does not tell to which extension a table belongs.
        """
        extensions = [self._by_id[number].tag for number in chosen if self._by_id[number].kind == "EXTENSION"]
        tables = {name for extension in extensions for name in configuration.get(extension, ())}
        return {
            entry.id
            for entry in self._entries
            if entry.kind in FILLED
            and (entry.schema, entry.tag) in tables
            and not self._selection.excludes(entry.schema, entry.tag)
        }

    def _wanted(self) -> set[int]:
        """What is asked for: relations with their sequences, and the other objects of whole schemas."""
        wanted = {
            number for number, entry in self._relations.items() if number not in self._owners and self._takes(entry)
        }
        wanted |= self._descendants.below(wanted, self._excluded)
        wanted |= {number for number, table in self._owners.items() if table in wanted}
        return wanted | {
            entry.id
            for entry in self._entries
            if entry.kind not in RELATIONS and entry.kind not in DEPENDENT and _is_taken(entry, self._selection)
        }

    def _takes(self, entry: Entry) -> bool:
        return self._selection.takes(entry.schema, entry.tag)

    def _with_partitions(self, entry: Entry) -> Entry:
        """A partitioned table with its partitions as what it needs, since its rows are in them."""
        partitions = self._descendants.partitions.get(entry.id, ())
        wanted = [number for number in partitions if number not in self._excluded]
        return replace(entry, needs=(*entry.needs, *wanted)) if wanted else entry

    def _excluded_need(self, entry: Entry) -> UsageError:
        """A table has rows, and is not left out unasked as a view is."""
        needed = with_needs({entry.id}, self._by_id) & self._excluded
        return UsageError(
            f"{_quoted_label(entry)} needs {_quoted_label(self._by_id[min(needed)])}, which is excluded",
            hint="exclude what needs it too, or do not exclude it",
        )

    def _with_dependents(self, chosen: set[int]) -> tuple[set[int], tuple[Entry, ...]]:
        """Add what hangs on the chosen; what also needs a relation that is not chosen is dropped and named."""
        chosen = set(chosen)
        dropped: dict[int, Entry] = {}
        grew = True
        while grew:
            grew = False
            for entry in self._entries:
                if entry.id in chosen or not self._hangs_on(entry, chosen):
                    continue
                if self._can_be_made(entry, chosen):
                    add_needs(chosen, [entry.id], self._by_id, self._schemas)
                    dropped.pop(entry.id, None)
                    grew = True
                elif entry.kind not in _SCHEMA_WIDE:
                    dropped[entry.id] = entry
        return chosen, tuple(dropped.values())

    def _hangs_on(self, entry: Entry, chosen: set[int]) -> bool:
        """Whether it is on one of these: neither the function of a trigger counts, nor the other table of a key."""
        if entry.kind not in DEPENDENT:
            return False
        bearers: Iterable[int] = self._known_needs(entry)
        if entry.kind in _PARTS:
            bearers = (need for need in bearers if need in self._relations and is_part_of(entry, self._relations[need]))
        elif entry.kind not in _SCHEMA_WIDE and any(need in self._relations for need in bearers):
            # Not on the extension of its operators, nor on a function that it calls.
            bearers = [need for need in bearers if need in self._relations]
        return any(need in chosen for need in bearers)

    def _can_be_made(self, entry: Entry, chosen: set[int]) -> bool:
        if entry.kind in _SCHEMA_WIDE:
            return all(need in chosen for need in self._known_needs(entry))
        if entry.id in self._unattachable:
            return False
        if entry.kind == "SEQUENCE OWNED BY":
            return all(self._owners[need] in chosen for need in entry.needs if need in self._owners)
        return not self._leads_beyond(entry, chosen)

    def _leads_beyond(self, entry: Entry, chosen: set[int]) -> bool:
        """Whether it needs a relation that is not chosen, such as the other table of a foreign key."""
        todo, seen = [need for need in self._known_needs(entry) if need not in chosen], set[int]()
        while todo:
            number = todo.pop()
            if number in seen:
                continue
            seen.add(number)
            if number in self._relations:
                return True
            todo += [need for need in self._known_needs(self._by_id[number]) if need not in chosen]
        return False

    def _known_needs(self, entry: Entry) -> list[int]:
        return [need for need in entry.needs if need in self._by_id]


def _names(entries: Iterable[Entry]) -> frozenset[tuple[str, str]]:
    return frozenset((entry.schema, entry.tag) for entry in entries)


def _quoted_label(entry: Entry) -> str:
    return f"{entry.kind.lower()} {quote_name(f'{entry.schema}.{entry.tag}')}"


def _check(selection: Selection, schemas: Iterable[str], relations: Iterable[Entry]) -> None:
    listed = [
        Relation(oid=entry.oid, schema=entry.schema, name=entry.tag, kind=RELATIONS[entry.kind], owner_table=None)
        for entry in relations
    ]
    try:
        selection.check(schemas, listed)
    except UsageError as error:
        raise UsageError(f"{error.message} in the backup", hint=error.hint) from error


def _is_taken(entry: Entry, selection: Selection) -> bool:
    """Objects that are no relations belong to their schema; those without one belong to the whole database."""
    if entry.kind in _ALWAYS:
        return True
    if entry.kind == "SCHEMA":
        return selection.takes_schema(entry.tag)
    if entry.schema:
        return selection.takes_schema(entry.schema)
    return not selection.select and entry.kind not in ("DATABASE", "DATABASE PROPERTIES")
