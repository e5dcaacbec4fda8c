"""Foreign keys of what comes that lead to tables which stay, and which the role may not refer to."""

from collections.abc import Collection, Sequence

from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.merge.relations import Name, Relation
from holdfast_postgres.selection.archive_entries import RELATIONS


def without_closed(
    entries: Sequence[Entry], kept: Collection[Name], there: Sequence[Relation]
) -> tuple[list[Entry], list[Entry]]:
    """The entries of an archive, and apart the keys that lead to one of the `kept`, without the right REFERENCES."""
    closed = {relation.key for relation in there if not relation.referable}.intersection(kept)
    numbers = {entry.id for entry in entries if entry.kind in RELATIONS and (entry.schema, entry.tag) in closed}
    keys = [entry for entry in entries if entry.kind == "FK CONSTRAINT" and not numbers.isdisjoint(entry.needs)]
    ids = {entry.id for entry in keys}
    return [entry for entry in entries if entry.id not in ids], keys
