"""The entries of pg_dump's archives: which of them are relations, which hang on one, and what needs what."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from holdfast_postgres.formats.archive import Entry

RELATIONS = {
    "TABLE": "r",
    "FOREIGN TABLE": "f",
    "VIEW": "v",
    "MATERIALIZED VIEW": "m",
    "SEQUENCE": "S",
}
# What has no sense without the relation that it is on, and changes nothing else.
DEPENDENT = {
    "TABLE DATA", "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT", "INDEX", "CONSTRAINT", "FK CONSTRAINT",
    "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "COMMENT", "ACL", "SECURITY LABEL",
    "STATISTICS", "STATISTICS DATA", "TABLE ATTACH", "INDEX ATTACH", "MATERIALIZED VIEW DATA", "BLOBS",
}  # fmt: skip
# What fills a relation with its content.
FILLED = {"TABLE DATA", "SEQUENCE SET"}
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
_ATTACHED = {
    "TABLE ATTACH": {"TABLE", "FOREIGN TABLE"},
    "INDEX ATTACH": {"INDEX", "CONSTRAINT"},
}


def with_needs(wanted: Iterable[int], by_id: Mapping[int, Entry]) -> set[int]:
    """These with what they cannot be made without, directly or not."""
    chosen = set[int]()
    add_needs(chosen, wanted, by_id, schema_entries(by_id.values()))
    return chosen


def add_needs(chosen: set[int], wanted: Iterable[int], by_id: Mapping[int, Entry], schemas: Mapping[str, int]) -> None:
    """Add these to what is chosen, with what they need and is not; `schemas` are the entries that make those."""
    todo = list(wanted)
    while todo:
        number = todo.pop()
        if number in chosen:
            continue
        chosen.add(number)
        entry = by_id[number]
        todo += [need for need in entry.needs if need in by_id and need not in chosen]
        if entry.schema in schemas:
            todo.append(schemas[entry.schema])


def schema_entries(entries: Iterable[Entry]) -> dict[str, int]:
    """The ids of the entries that make schemas, by name."""
    return {entry.tag: entry.id for entry in entries if entry.kind == "SCHEMA"}


def with_needing(excluded: set[int], entries: Sequence[Entry]) -> set[int]:
    """Add what cannot be made without these, directly or not."""
    needed_by = defaultdict(list)
    for entry in entries:
        for need in entry.needs:
            needed_by[need].append(entry.id)
    needing, todo = set(excluded), list(excluded)
    while todo:
        more = set(needed_by[todo.pop()]) - needing
        needing |= more
        todo += more
    return needing


def owned_sequences(entries: Sequence[Entry], relations: Mapping[int, Entry]) -> dict[int, int]:
    """The sequences of serial and identity columns, each with its table, which it needs itself."""
    serial = {need for entry in entries if entry.kind == "SEQUENCE OWNED BY" for need in entry.needs}
    owners: dict[int, int] = {}
    for number, entry in relations.items():
        if entry.kind == "SEQUENCE" and (number in serial or "ADD GENERATED" in entry.definition):
            tables = [need for need in entry.needs if need in relations]
            owners.update((number, table) for table in tables[:1])
    return owners


def configuration(entries: Sequence[Entry]) -> frozenset[int]:
    """The rows and sequences that belong to extensions: those of relations that the archive does not make.

    An archive of data alone makes none and tells nothing.
    """
    made = {(entry.schema, entry.tag) for entry in entries if entry.kind in RELATIONS}
    filled = FILLED if made else set[str]()
    return frozenset(entry.id for entry in entries if entry.kind in filled and (entry.schema, entry.tag) not in made)


def bearer_names(part: Entry) -> Iterator[tuple[str, str]]:
    """Schema and name of each relation that it may be a part of, since a name may hold spaces."""
    words = part.tag.split(" ")
    return ((part.schema, " ".join(words[:count])) for count in range(1, len(words) + 1))


def is_part_of(part: Entry, relation: Entry) -> bool:
    """Whether the name of a part is that of this relation, alone or with one of its own behind it."""
    return part.schema == relation.schema and f"{part.tag} ".startswith(f"{relation.tag} ")


def script_entries(entries: Sequence[Entry], dangling: Collection[tuple[str, int]]) -> tuple[Entry, ...]:
    """The entries of a selected backup that a script can hold, as it stops at its first error.

    Left out are the `dangling` ones, which lead beyond it, by catalog and OID, and what needs them: in an archive they
    would only fail. The schema public comes first.
    """
    by_id = {entry.id: entry for entry in entries}
    omitted = {entry.id for entry in entries if _dangles(entry, dangling, by_id)}
    omitted = with_needing(omitted, entries)
    kept = [entry for entry in entries if entry.id not in omitted]
    return tuple(sorted(kept, key=lambda entry: not is_public(entry)))


def unattachable(entries: Sequence[Entry]) -> list[Entry]:
    """What attaches a table, index or sequence of a selected backup to a table or index that it does not hold."""
    by_id = {entry.id: entry for entry in entries}
    return [
        entry
        for entry in entries
        if (entry.kind in _ATTACHED or entry.kind == "SEQUENCE OWNED BY") and _dangles(entry, (), by_id)
    ]


def _dangles(entry: Entry, dangling: Collection[tuple[str, int]], by_id: dict[int, Entry]) -> bool:
    if entry.kind == "SEQUENCE OWNED BY":  # which names the sequence alone as what it needs
        owners = (need for sequence in entry.needs if sequence in by_id for need in by_id[sequence].needs)
        return not any(owner in by_id and by_id[owner].kind in _ATTACHED["TABLE ATTACH"] for owner in owners)
    if kinds := _ATTACHED.get(entry.kind):
        return len({need for need in entry.needs if need in by_id and by_id[need].kind in kinds}) < 2
    return (_CATALOGS.get(entry.kind, ""), entry.oid) in dangling


def is_public(entry: Entry) -> bool:
    """Whether it makes the schema that every new database has."""
    return entry.kind == "SCHEMA" and entry.tag == "public"


def list_file(entries: Iterable[Entry]) -> str:
    """The text for `pg_restore --use-list`: only the number before the semicolon counts."""
    return "".join(f"{entry.id};\n" for entry in entries)
