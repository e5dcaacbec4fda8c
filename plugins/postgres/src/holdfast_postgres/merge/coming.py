"""What a selection of an archive brings, and what its partitions are attached to."""

from collections.abc import Mapping, Sequence

from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.merge.plan import Coming
from holdfast_postgres.merge.relations import Name
from holdfast_postgres.selection.archive_entries import RELATIONS, owned_sequences
from holdfast_postgres.selection.descendants import attached_to
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.restore_scope import RestoreScope


def restored(
    entries: Sequence[Entry],
    kinds: Mapping[Name, str],
    scope: RestoreScope | None,
    selection: Selection,
    needed: Sequence[Name],
) -> Coming:
    """What was restored beside the target, of these kinds; without a `scope` all of it is meant but the `needed`."""
    unnamed = set(needed)
    parents = {
        (entry.schema, entry.tag): parent
        for entry in entries
        if entry.kind == "TABLE ATTACH" and (parent := attached_to(entry)) is not None
    }
    return Coming(
        kinds=kinds,
        parents=parents,
        named=lambda name: name not in unnamed if scope is None else name in scope.named,
        excluded=lambda name: selection.excludes(*name),
    )


def announced(
    entries: Sequence[Entry], scope: RestoreScope | None, selection: Selection, needed: Sequence[Name]
) -> Coming:
    """What would be restored, as only the archive knows; `needed` is what the backup's own selection did not name."""
    relations = {entry.id: entry for entry in entries if entry.kind in RELATIONS}
    taken = relations.keys() if scope is None else scope.ids & relations.keys()
    owned = {number for number, table in owned_sequences(entries, relations).items() if table in taken}
    kinds = {
        (entry.schema, entry.tag): RELATIONS[entry.kind]
        for number, entry in relations.items()
        if number in taken and number not in owned
    }
    return restored(entries, kinds, scope, selection, needed)


def attachments(
    entries: Sequence[Entry], coming: Coming, kept: Sequence[Name], roots: Mapping[Name, str]
) -> tuple[list[str], list[str]]:
    """The statements that attach partitions to tables that are there and stay, of these names and kinds.

    Also the names, for messages, of those that remain tables of their own.
    """
    statements, alone, left = [], [], set(kept)
    for entry in entries:
        name = (entry.schema, entry.tag)
        if entry.kind != "TABLE ATTACH" or name not in coming.kinds or name in left:
            continue
        parent = coming.parents.get(name)
        if parent in coming.kinds and parent not in left:
            continue
        if parent is not None and roots.get(parent) == "p":
            statements.append(entry.definition.strip().rstrip(";"))
        else:
            alone.append(f"table {entry.schema}.{entry.tag}")
    return statements, alone
