"""Which entries of an archive a selective restore takes: the relations asked for, what hangs on them, what they need.

`pg_restore --table` restores neither indexes nor constraints nor what a column's type or default needs.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from holdfast.api import UsageError, shown
from holdfast_postgres.archive import Entry
from holdfast_postgres.catalog import Relation
from holdfast_postgres.selection import Selection

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


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Entry ids to restore, the relations among them as (schema, name), and what was left out, for people."""

    ids: frozenset[int]
    relations: frozenset[tuple[str, str]]
    dropped: tuple[str, ...]
    added: tuple[str, ...]


def choose(entries: Sequence[Entry], selection: Selection) -> Choice:
    """Find what to restore; a pattern that matches nothing is a `UsageError`."""
    by_id = {entry.id: entry for entry in entries}
    relations = {entry.id: entry for entry in entries if entry.kind in _RELATIONS}
    schemas = {entry.tag for entry in entries if entry.kind == "SCHEMA"} | {entry.schema for entry in entries} - {""}
    _check(selection, schemas, relations.values())
    owned = _owned(entries, relations)
    wanted = {
        number
        for number, entry in relations.items()
        if number not in owned and selection.takes(entry.schema, entry.tag)
    }
    wanted |= {number for number, table in owned.items() if table in wanted}
    for entry in entries:
        if entry.kind not in _RELATIONS and entry.kind not in _DEPENDENT and _whole(entry, selection):
            wanted.add(entry.id)
    asked = set(wanted)
    chosen = _with_needs(wanted, by_id)
    chosen, dropped = _with_dependents(chosen, entries, by_id, relations)
    added = tuple(relations[number].shown for number in chosen if number in relations and number not in asked)
    return Choice(
        ids=frozenset(chosen),
        relations=frozenset((relations[one].schema, relations[one].tag) for one in chosen if one in relations),
        dropped=dropped,
        added=added,
    )


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
            if not any(need in chosen for need in needs):
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


def some(names: Sequence[str], limit: int = 5) -> str:
    """A few names and how many more."""
    text = ", ".join(shown(name) for name in names[:limit])
    return f"{text} and {len(names) - limit} more" if len(names) > limit else text
