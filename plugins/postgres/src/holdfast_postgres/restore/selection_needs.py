"""What a restore of a selection leaves to a database that holds objects of others, and what it can do without.

Hosters keep schemas of their own in each database, where the role of the customer can make nothing: what a selection
needs there, a function or a table, the database has already.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.location import Location
from holdfast_postgres.merge.relations import read_relations
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.statement_objects import object_of
from holdfast_postgres.selection.archive_entries import DEPENDENT, FILLED, RELATIONS
from holdfast_postgres.selection.descendants import Name, names_in
from holdfast_postgres.selection.missing_entries import entries_to_make
from holdfast_postgres.selection.restore_scope import RestoreScope
from holdfast_postgres.target.contents import foreign_schemas

_FOREIGN_KEY = re.compile(r"ALTER TABLE .* FOREIGN KEY .* REFERENCES ([^(]+)\(")
_EXTENSION = re.compile(r'CREATE EXTENSION (?:IF NOT EXISTS )?(?:"((?:[^"]|"")+)"|([^\s";]+))')
_SAID = re.compile(r"^(owner|rights|comment|security label) (of|on) ")
_SAYINGS = ("COMMENT", "ACL", "SECURITY LABEL")


class SelectionNeeds:
    """The needs of one restore of a selection, found before anything of it is made; without `scope` all is selected.

    `left` are the ids of what stays as the database has it, and `kept` the relations among that. What a merge leaves as
    the target has it is made beside the target alone.
    """

    def __init__(self, run: RestoreRun, entries: Sequence[Entry], scope: RestoreScope | None) -> None:
        taken = entries if scope is None else [entry for entry in entries if entry.id in scope.ids]
        relations = {(entry.schema, entry.tag) for entry in taken if entry.kind in RELATIONS}
        self._spare_extensions = set(_spare_extensions(taken, run.hints.configuration))
        needed = set(run.hints.needed) if scope is None else relations - scope.named
        self.left, self._staying = frozenset[int](), frozenset[str]()
        if run.target.merges:
            staying = _ids_there(run, run.target.location, taken, needed)
            made = {_label(entry) for entry in taken if entry.id not in staying}
            self._staying = frozenset(_label(entry) for entry in taken if entry.id in staying) - made
        else:
            self.left = self._find_left(run, taken, needed)
        self.kept = {(entry.schema, entry.tag) for entry in taken if entry.id in self.left and entry.kind in RELATIONS}
        self._made = relations - self.kept

    def _find_left(self, run: RestoreRun, entries: Sequence[Entry], needed: Collection[Name]) -> frozenset[int]:
        """The entries of what is there already, in schemas where the role can make nothing, with what is on them."""
        with run.connected() as connection, run.translated(f"cannot read {run.target.into.label}"):
            schemas = foreign_schemas(connection)
        left = _ids_there(run, run.target.into, entries, needed, schemas=schemas) if schemas else frozenset()
        there = (entry for entry in entries if entry.id in left)
        if names := [entry.label for entry in there if entry.kind not in DEPENDENT and entry.kind != "SCHEMA"]:
            run.warn([f"left as it is in a schema where the role can make nothing: {some_names(names)}"])
        return left

    def stays(self, command: str) -> bool:
        """Whether a statement is about what a merge leaves as the target has it."""
        kind, name = object_of(command) or ("", "")
        return _said_of(kind, name) in self._staying

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


def _label(entry: Entry) -> str:
    return _said_of(entry.kind.lower(), f"{entry.schema}.{entry.tag}" if entry.schema else entry.tag)


def _said_of(kind: str, name: str) -> str:
    """Kind and name of what something is said of; types of arguments are not always written with their names."""
    return f"{_SAID.sub('', kind)} {name.replace(chr(34), '').partition('(')[0]}"


def _ids_there(
    run: RestoreRun,
    location: Location,
    entries: Sequence[Entry],
    needed: Collection[Name],
    *,
    schemas: Collection[str] | None = None,
) -> frozenset[int]:
    """The ids of what a database has, of relations only the `needed` ones, with what is on them."""
    with run.connected(location) as connection, run.translated(f"cannot read {location.label}"):
        there = {
            relation.key for relation in read_relations(connection) if schemas is None or relation.schema in schemas
        }
        made = {entry.id for entry in entries_to_make(connection, entries, there.intersection(needed), schemas=schemas)}
    return frozenset(entry.id for entry in entries if entry.id not in made)


def _spare_extensions(entries: Sequence[Entry], configuration: Mapping[str, Collection[Name]]) -> Iterator[str]:
    """The extensions that no other entry is known to need, and that have no rows in the archive."""
    needed = {need for entry in entries if entry.kind not in _SAYINGS for need in entry.needs}
    relations = {(entry.schema, entry.tag) for entry in entries if entry.kind in FILLED}
    for entry in entries:
        is_spare = entry.kind == "EXTENSION" and entry.id not in needed
        if is_spare and relations.isdisjoint(configuration.get(entry.tag, ())):
            yield entry.tag
