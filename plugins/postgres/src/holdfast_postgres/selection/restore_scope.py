"""Which entries of an archive a selective restore takes: the relations asked for, what hangs on them, what they need.

`pg_restore --table` restores neither indexes nor constraints nor what a column's type or default needs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.selection.patterns import Selection, nothing_left

_RELATIONS = {
    "TABLE": "r",
    "FOREIGN TABLE": "f",
    "VIEW": "v",
    "MATERIALIZED VIEW": "m",
    "SEQUENCE": "S",
}
# What has no sense without the relation that it is on, and changes nothing else.
_DEPENDENT = {
    "TABLE DATA", "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT", "INDEX", "CONSTRAINT", "FK CONSTRAINT",
    "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "COMMENT", "ACL", "SECURITY LABEL",
    "STATISTICS", "STATISTICS DATA", "TABLE ATTACH", "INDEX ATTACH", "MATERIALIZED VIEW DATA", "BLOBS",
}  # fmt: skip
# The catalogs of what may lead beyond a selection; no two kinds of one catalog share an OID.
_CATALOGS = {
    "FK CONSTRAINT": "pg_constraint",
    "TRIGGER": "pg_trigger",
    "RULE": "pg_rewrite",
    "POLICY": "pg_policy",
    "FUNCTION": "pg_proc",
    "PROCEDURE": "pg_proc",
    "AGGREGATE": "pg_proc",
    "OPERATOR": "pg_operator",
}
# What attaches one of two entries of these kinds to the other.
_ATTACHED = {"TABLE ATTACH": {"TABLE", "FOREIGN TABLE"}, "INDEX ATTACH": {"INDEX", "CONSTRAINT"}}
_ALWAYS = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}
_SCHEMA_WIDE = {"COMMENT", "ACL", "SECURITY LABEL"}


# Those of a table that may lead to others, named TABLE NAME.
_PARTS = {"TRIGGER", "RULE", "POLICY", "FK CONSTRAINT"}
_FILLED = {"TABLE", "FOREIGN TABLE", "SEQUENCE"}


@dataclass(frozen=True, kw_only=True)
class RestoreScope:
    """Entry ids to restore, the relations among them as (schema, name), and what differs from what was asked.

    That is for people: `dropped` leads to what is not selected, `lost` needs what is excluded, `added` is needed.
    """

    ids: frozenset[int]
    relations: frozenset[tuple[str, str]]
    dropped: tuple[str, ...]
    lost: tuple[str, ...]
    added: tuple[str, ...]


def choose(entries: Sequence[Entry], selection: Selection) -> RestoreScope:
    """Find what to restore; a pattern that matches nothing, or excludes what a table needs, is a `UsageError`."""
    relations = {entry.id: entry for entry in entries if entry.kind in _RELATIONS}
    schemas = {entry.tag for entry in entries if entry.kind == "SCHEMA"} | {entry.schema for entry in entries} - {""}
    _check(selection, schemas, relations.values())
    owned = _owned(entries, relations)
    excluded = {
        number
        for number, entry in relations.items()
        if number not in owned and selection.leaves_out(entry.schema, entry.tag)
    }
    entries = _standing_alone(entries, relations, excluded)
    by_id = {entry.id: entry for entry in entries}
    wanted = {
        number
        for number, entry in relations.items()
        if number not in owned and selection.takes(entry.schema, entry.tag)
    }
    wanted |= {number for number, table in owned.items() if table in wanted}
    for entry in entries:
        if entry.kind not in _RELATIONS and entry.kind not in _DEPENDENT and _whole(entry, selection):
            wanted.add(entry.id)
    lost = [by_id[number] for number in sorted(wanted & _needing(excluded, entries))]
    for entry in lost:
        if entry.kind in _FILLED:
            raise _refusal(entry, excluded, by_id)
    wanted -= {entry.id for entry in lost}
    if all(by_id[number].kind in _ALWAYS for number in wanted):
        raise nothing_left()
    asked = set(wanted)
    chosen = _with_needs(wanted, by_id)
    chosen, dropped = _with_dependents(chosen, entries, by_id, relations)
    added = tuple(relations[number].shown for number in chosen if number in relations and number not in asked)
    return RestoreScope(
        ids=frozenset(chosen),
        relations=frozenset((relations[one].schema, relations[one].tag) for one in chosen if one in relations),
        dropped=dropped,
        lost=tuple(entry.shown for entry in lost),
        added=added,
    )


def _standing_alone(entries: Sequence[Entry], relations: dict[int, Entry], excluded: set[int]) -> list[Entry]:
    """The entries without needs of what is excluded where they can be made without.

    A partition is a table of its own until it is attached, and a sequence is made before its table owns it.
    """
    alone: set[tuple[int, int]] = set()
    for entry in entries:
        tables = [need for need in entry.needs if need in relations]
        if entry.kind == "TABLE ATTACH":
            alone |= {(one, other) for one in tables if _is_of(entry, relations[one]) for other in tables}
        elif entry.kind == "SEQUENCE" and "ADD GENERATED" not in entry.definition:
            alone |= {(entry.id, table) for table in tables}
    return [
        replace(
            entry, needs=tuple(need for need in entry.needs if need not in excluded or (entry.id, need) not in alone)
        )
        for entry in entries
    ]


def _needing(excluded: set[int], entries: Sequence[Entry]) -> set[int]:
    """Those that cannot be made without what is excluded, directly or not, and itself."""
    needed_by = defaultdict(list)
    for entry in entries:
        for need in entry.needs:
            needed_by[need].append(entry.id)
    found, todo = set(excluded), list(excluded)
    while todo:
        more = set(needed_by[todo.pop()]) - found
        found |= more
        todo += more
    return found


def _refusal(entry: Entry, excluded: set[int], by_id: dict[int, Entry]) -> UsageError:
    """A table has rows, and is not left out unasked as a view is."""
    needed = _with_needs({entry.id}, by_id) & excluded
    return UsageError(
        f"{_told(entry)} needs {_told(by_id[min(needed)])}, which is excluded",
        hint="exclude what needs it too, or do not exclude it",
    )


def _told(entry: Entry) -> str:
    return f"{entry.kind.lower()} {quote_name(f'{entry.schema}.{entry.tag}')}"


def _is_of(part: Entry, relation: Entry) -> bool:
    """Whether the name of a part is that of this relation, alone or with one of its own behind it."""
    return part.schema == relation.schema and f"{part.tag} ".startswith(f"{relation.tag} ")


def _check(selection: Selection, schemas: Iterable[str], relations: Iterable[Entry]) -> None:
    listed = [
        Relation(oid=entry.oid, schema=entry.schema, name=entry.tag, kind=_RELATIONS[entry.kind], owner_table=None)
        for entry in relations
    ]
    try:
        selection.check(schemas, listed)
    except UsageError as error:
        raise UsageError(f"{error.message} in the backup", hint=error.hint) from error


def _whole(entry: Entry, selection: Selection) -> bool:
    """Objects that are no relations belong to their schema; those without one belong to the whole database."""
    if entry.kind in _ALWAYS:
        return True
    if entry.kind == "SCHEMA":
        return selection.whole(entry.tag)
    if entry.schema:
        return selection.whole(entry.schema)
    return not selection.select and entry.kind not in ("DATABASE", "DATABASE PROPERTIES")


def _owned(entries: Sequence[Entry], relations: dict[int, Entry]) -> dict[int, int]:
    """The sequences of serial and identity columns, each with its table, which it needs itself."""
    serial = {need for entry in entries if entry.kind == "SEQUENCE OWNED BY" for need in entry.needs}
    found: dict[int, int] = {}
    for number, entry in relations.items():
        if entry.kind == "SEQUENCE" and (number in serial or "ADD GENERATED" in entry.definition):
            tables = [need for need in entry.needs if need in relations]
            found.update((number, table) for table in tables[:1])
    return found


def _with_needs(wanted: set[int], by_id: dict[int, Entry]) -> set[int]:
    """Add what these cannot be made without, and so on."""
    chosen, todo = set(wanted), list(wanted)
    schemas = {entry.tag: entry.id for entry in by_id.values() if entry.kind == "SCHEMA"}
    while todo:
        entry = by_id[todo.pop()]
        needs = [need for need in entry.needs if need in by_id]
        if entry.schema in schemas:
            needs.append(schemas[entry.schema])
        for need in needs:
            if need not in chosen:
                chosen.add(need)
                todo.append(need)
    return chosen


def _with_dependents(
    chosen: set[int], entries: Sequence[Entry], by_id: dict[int, Entry], relations: dict[int, Entry]
) -> tuple[set[int], tuple[str, ...]]:
    """Add what hangs on the chosen; what also needs a relation that is not chosen is dropped and named."""
    chosen = set(chosen)
    dropped: dict[int, str] = {}
    grew = True
    while grew:
        grew = False
        for entry in entries:
            if entry.id in chosen or entry.kind not in _DEPENDENT:
                continue
            needs = [need for need in entry.needs if need in by_id]
            if not any(need in chosen for need in _bearers(entry, needs, relations)):
                continue
            if entry.kind in _SCHEMA_WIDE or not _beyond(needs, chosen, by_id, relations):
                if entry.kind in _SCHEMA_WIDE and not all(need in chosen for need in needs):
                    continue
                chosen = _with_needs(chosen | {entry.id}, by_id)
                dropped.pop(entry.id, None)
                grew = True
            else:
                dropped[entry.id] = entry.shown
    return chosen, tuple(dropped.values())


def _bearers(entry: Entry, needs: Sequence[int], relations: dict[int, Entry]) -> Sequence[int]:
    """What an entry hangs on: not the function of a trigger, nor the other table of a foreign key."""
    if entry.kind not in _PARTS:
        return needs
    return [need for need in needs if need in relations and _is_of(entry, relations[need])]


def _beyond(needs: Iterable[int], chosen: set[int], by_id: dict[int, Entry], relations: dict[int, Entry]) -> bool:
    """Whether these lead to a relation that is not chosen, such as the other table of a foreign key."""
    todo, seen = [need for need in needs if need not in chosen], set()
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        if number in relations:
            return True
        todo += [need for need in by_id[number].needs if need in by_id and need not in chosen]
    return False


def contained(entries: Sequence[Entry], beyond: Collection[tuple[str, int]]) -> tuple[Entry, ...]:
    """The entries of a selected backup that a script can hold, as it stops at its first error.

    Left out are those `beyond` it, by catalog and OID, and what needs them: in an archive they would only fail. The
    schema public comes first.
    """
    by_id = {entry.id: entry for entry in entries}
    left_out = {entry.id for entry in entries if _leads_out(entry, beyond, by_id)}
    while more := {entry.id for entry in entries if not left_out.isdisjoint(entry.needs)} - left_out:
        left_out |= more
    kept = [entry for entry in entries if entry.id not in left_out]
    return tuple(sorted(kept, key=lambda entry: not is_public(entry)))


def _leads_out(entry: Entry, beyond: Collection[tuple[str, int]], by_id: dict[int, Entry]) -> bool:
    if kinds := _ATTACHED.get(entry.kind):
        return len({need for need in entry.needs if need in by_id and by_id[need].kind in kinds}) < 2
    return (_CATALOGS.get(entry.kind, ""), entry.oid) in beyond


def is_public(entry: Entry) -> bool:
    """Whether it makes the schema that every new database has."""
    return entry.kind == "SCHEMA" and entry.tag == "public"


def list_file(entries: Iterable[Entry]) -> str:
    """The text for `pg_restore --use-list`: only the number before the semicolon counts."""
    return "".join(f"{entry.id};\n" for entry in entries)
