"""What a restore of a selection leaves to a database that holds objects of others, and what it can do without.

Hosters keep schemas of their own in each database, where the role of the customer can make nothing: what a selection
needs there, a function or a table, the database has already.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.merge.relations import read_relations
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.selection.archive_entries import DEPENDENT, FILLED, RELATIONS
from holdfast_postgres.selection.descendants import Name, names_in
from holdfast_postgres.selection.missing_entries import entries_to_make
from holdfast_postgres.selection.restore_scope import RestoreScope
from holdfast_postgres.target.contents import foreign_schemas

_FOREIGN_KEY = re.compile(r"ALTER TABLE .* FOREIGN KEY .* REFERENCES ([^(]+)\(")
_EXTENSION = re.compile(r'CREATE EXTENSION (?:IF NOT EXISTS )?(?:"((?:[^"]|"")+)"|([^\s";]+))')
_SAYINGS = ("COMMENT", "ACL", "SECURITY LABEL")


class SelectionNeeds:
    """The needs of one restore of a selection, found before anything of it is made; without `scope` all is selected.

    `left` are the ids of what stays as the database has it, and `kept` the relations among that.
    """

    def __init__(self, run: RestoreRun, entries: Sequence[Entry], scope: RestoreScope | None) -> None:
        taken = entries if scope is None else [entry for entry in entries if entry.id in scope.ids]
        relations = {(entry.schema, entry.tag) for entry in taken if entry.kind in RELATIONS}
        self._spare_extensions = set(_spare_extensions(taken, run.hints.configuration))
        needed = set(run.hints.needed) if scope is None else relations - scope.named
        self.left = self._find_left(run, taken, needed)
        self.kept = {(entry.schema, entry.tag) for entry in taken if entry.id in self.left and entry.kind in RELATIONS}
        self._made = relations - self.kept

    def _find_left(self, run: RestoreRun, entries: Sequence[Entry], needed: Collection[Name]) -> frozenset[int]:
        """The entries of what is there already, in schemas where the role can make nothing, with what is on them."""
        with run.connected() as connection, run.translated(f"cannot read {run.target.into.label}"):
            schemas = foreign_schemas(connection)
            if not schemas:
                return frozenset()
            there = {relation.key for relation in read_relations(connection) if relation.schema in schemas}
            made = entries_to_make(connection, entries, there.intersection(needed), schemas=schemas)
        left = [entry for entry in entries if entry not in made]
        if names := [entry.label for entry in left if entry.kind not in DEPENDENT and entry.kind != "SCHEMA"]:
            run.warn([f"left as it is in a schema where the role can make nothing: {some_names(names)}"])
        return frozenset(entry.id for entry in left)

    def dispenses_with(self, command: str) -> bool:
        """Whether the selection is whole without what a statement makes, so that a refusal of it is a warning.

        That is an extension of which nothing selected is known to need something, and a foreign key that leads to what
        was not selected, or stays as it is.
        """
        if match := _EXTENSION.match(command):
            name = match[1].replace('""', '"') if match[1] else match[2]
            return name in self._spare_extensions
        match = _FOREIGN_KEY.match(command)
        return match is not None and self._made.isdisjoint(names_in(match[1]))


def _spare_extensions(entries: Sequence[Entry], configuration: Mapping[str, Collection[Name]]) -> Iterator[str]:
    """The extensions that no other entry is known to need, and that have no rows in the archive."""
    needed = {need for entry in entries if entry.kind not in _SAYINGS for need in entry.needs}
    relations = {(entry.schema, entry.tag) for entry in entries if entry.kind in FILLED}
    for entry in entries:
        is_spare = entry.kind == "EXTENSION" and entry.id not in needed
        if is_spare and relations.isdisjoint(configuration.get(entry.tag, ())):
            yield entry.tag
