"""What a restore takes of an archive: all of it, a selection, the tables whose turn it is."""

import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from holdfast.api import PluginError, Step
from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry, read_entries
from holdfast_postgres.kinds import without_kinds
from holdfast_postgres.restore.extensions import Extensions
from holdfast_postgres.restore.load_order import Name
from holdfast_postgres.restore.run import ROWS, RestoreRun
from holdfast_postgres.restore.selection_needs import SelectionNeeds
from holdfast_postgres.selection.archive_entries import (
    configuration,
    unattachable,
    with_needing,
)
from holdfast_postgres.selection.constraint_needs import with_needs_of_constraints
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.restore_scope import ALONE, LEADING_OUT, RestoreScope, find_scope
from holdfast_postgres.special_extensions import MODES, check_selection
from holdfast_postgres.target.extensions import check_available


class ArchiveScope:
    """Which entries of an archive one restore takes; its methods may be called by any thread."""

    def __init__(self, run: RestoreRun, levels: Mapping[Name, int], extensions: Extensions) -> None:
        self.kinds = run.request.exclude_kinds
        self._run = run
        self._extensions = extensions
        self._levels = levels
        self._selection = Selection(select=run.request.select, exclude=run.request.exclude)
        self._scope: RestoreScope | None = None
        self._needs: SelectionNeeds | None = None
        self._lock = threading.Lock()
        self._told = False  # what needs what is left out
        self._leaves_out = bool(self.kinds)

    def takes(self, schema: str, table: str) -> bool:
        """Whether the restore takes the rows of a table; of a selection only the archive, read before, tells."""
        if (schema, table) in self.kept:
            return False
        return (schema, table) in self.scope.relations if self._selection else True

    @property
    def kept(self) -> Collection[Name]:
        """The relations that the database has, and which stay as they are there."""
        return self._needs.kept if self._needs else ()

    def stays(self, command: str) -> bool:
        """Whether a statement is about what a merge leaves as the target has it."""
        return self._needs is not None and self._needs.stays(command)

    def dispenses_with(self, command: str) -> bool:
        """Whether a selection is whole without what a statement makes."""
        return self._needs is not None and self._needs.dispenses_with(command)

    @property
    def scope(self) -> RestoreScope:
        """What a selection takes, once the archive has been read."""
        if self._scope is None:
            raise PluginError("the archive has not been read before the rows")
        return self._scope

    @property
    def selected(self) -> RestoreScope | None:
        """What a selection takes; None without one."""
        return self.scope if self._selection else None

    def read(self, path: Path) -> list[Entry]:
        """The entries of the archive but those of kinds that are left out, and those that cannot be attached."""
        entries, needing = without_kinds(read_entries(path), self.kinds)
        if self._run.hints.selected and not self._selection and (alone := unattachable(entries)):
            without = {entry.id for entry in alone}
            entries = [entry for entry in entries if entry.id not in without]
            self._leaves_out = True
            self._tell_of_detached(alone)
        with self._lock:
            if needing and not self._told:
                self._told = True
                self._run.warn([f"not restored, since it needs what is left out: {some_names(needing)}"])
        return entries

    def _tell_of_detached(self, attaching: list[Entry]) -> None:
        """Name partitions that are tables of their own now; a merge looks for itself what they can be attached to."""
        if self._run.target.merges:
            return
        names = [f"table {entry.schema}.{entry.tag}" for entry in attaching if entry.kind == "TABLE ATTACH"]
        owned = [entry.label for entry in attaching if entry.kind == "SEQUENCE OWNED BY"]
        for what, labels in ((ALONE, names), (LEADING_OUT, owned)):
            if labels:
                self._run.warn([f"{what}: {some_names(labels)}"])

    def rows(self, step: Step, entries: list[Entry]) -> list[Entry]:
        """What a pass over the rows takes: extensions' configuration was loaded before."""
        config = configuration(entries)
        return [entry for entry in self.wanted(step, entries) if entry.id not in config]

    def wanted(self, step: Step, entries: list[Entry]) -> list[Entry]:
        """What this step is about: what a selection takes, or the tables whose turn it is."""
        if self._selection:
            ids = self._select(entries).ids
            entries = [entry for entry in entries if entry.id in ids]
        if self._run.request.selective and not self._run.hints.data_only:
            entries = self._without_left(entries)
        if self._extensions.omitted:
            omitted = self.omitted(entries)
            entries = [entry for entry in entries if entry.id not in omitted]
        if self._levels and step.phase >= ROWS:
            level = step.phase - ROWS  # what belongs to no table is first
            return [entry for entry in entries if self._levels.get((entry.schema, entry.tag), 0) == level]
        return entries

    def _without_left(self, entries: list[Entry]) -> list[Entry]:
        """Without what the database has, and which the selection needs and does not mean."""
        with self._lock:
            self._needs = self._needs or SelectionNeeds(self._run, entries, self._scope)
        return [entry for entry in entries if entry.id not in self._needs.left]

    def omitted(self, entries: list[Entry]) -> set[int]:
        """The extensions that the database cannot have, with their rows and what needs them."""
        names = self._extensions.omitted
        tables = {name for extension in names for name in self._run.hints.configuration.get(extension, ())}
        made = with_needing(
            {entry.id for entry in entries if entry.kind == "EXTENSION" and entry.tag in names}, entries
        )
        return made | {entry.id for entry in entries if (entry.schema, entry.tag) in tables}

    def or_all(self, wanted: list[Entry], entries: list[Entry]) -> list[Entry] | None:
        """None for all of an archive, which needs no list; what is left out in any case is not in `entries`."""
        return None if len(wanted) == len(entries) and not self._leaves_out else wanted

    def _select(self, entries: list[Entry]) -> RestoreScope:
        """What a selection takes of the archive, found when it is first asked for."""
        with self._lock:
            if self._scope is None:
                hints = self._run.hints
                entries = with_needs_of_constraints(entries, hints.installed, hints.constraint_needs)
                self._scope = find_scope(entries, self._selection, self._configuration())
                self._check_extensions(entries, self._scope)
                # A merge looks for itself whether the target has what is led to.
                self._run.warn(self._scope.warnings(dropped=not self._run.target.merges))
                _warn_of_large_objects(self._run, entries, self._scope)
        return self._scope

    def _configuration(self) -> dict[str, list[Name]]:
        """The tables of extensions that a selection takes along."""
        whole_only = MODES if self._selection.select else {}
        configuration = self._run.hints.configuration
        return {name: tables for name, tables in configuration.items() if name not in whole_only}

    def _check_extensions(self, entries: list[Entry], scope: RestoreScope) -> None:
        """Before anything of the selection is made."""
        selects, excludes = bool(self._selection.select), bool(self._selection.exclude)
        check_selection(self._run.hints.installed, scope.relations, selects=selects, excludes=excludes)
        names = [entry.tag for entry in entries if entry.kind == "EXTENSION" and entry.id in scope.ids]
        with self._run.connected() as connection:
            check_available(connection, names)


def _warn_of_large_objects(run: RestoreRun, entries: list[Entry], scope: RestoreScope) -> None:
    """Say which rows refer to large objects that the selection leaves behind; a merge says it itself."""
    if run.target.merges or any(entry.kind == "BLOBS" and entry.id in scope.ids for entry in entries):
        return
    tables = [pair for schema, name in run.hints.large_object_tables if (pair := (schema, name)) in scope.relations]
    if tables:
        names = some_names([".".join(pair) for pair in tables])
        run.warn([f"not restored, since a selection takes no large objects: those that rows refer to, in {names}"])
