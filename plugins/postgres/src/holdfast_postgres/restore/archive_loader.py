"""Archives of pg_dump, restored by pg_restore: sections, selections, and rows in the order of foreign keys."""

import os
import threading
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from holdfast.api import Blob, PluginError, Step
from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry, read_entries
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.restore.load_order import Name
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import POST_DATA, PRE_DATA, ROWS, RestoreRun
from holdfast_postgres.selection.archive_entries import list_file, with_needing
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.restore_scope import RestoreScope, find_scope

_SECTIONS = {PRE_DATA: "pre-data", ROWS: "data", POST_DATA: "post-data"}


class ArchiveLoader:
    """Restores the archive of one backup, whole or a selection of it."""

    def __init__(self, run: RestoreRun, levels: Mapping[Name, int]) -> None:
        self._run = run
        self._levels = levels
        self._selection = Selection(select=run.request.select, exclude=run.request.exclude)
        self._scope: RestoreScope | None = None
        self._path: Path | None = None
        self._lock = threading.Lock()
        self._lists = count()

    def takes(self, schema: str, table: str) -> bool:
        """Whether the restore takes the rows of a table; of a selection only the archive, read before, tells."""
        return (schema, table) in self.scope.relations if self._selection else True

    @property
    def scope(self) -> RestoreScope:
        """What a selection takes, once the archive has been read."""
        if self._scope is None:
            raise PluginError("the archive has not been read before the rows")
        return self._scope

    def entries(self) -> list[Entry]:
        """All entries of the archive, once it has been read."""
        if self._path is None:
            raise PluginError("the archive has not been read")
        return read_entries(self._path)

    @property
    def taken(self) -> frozenset[int] | None:
        """The ids of the entries that a selection takes; None for all of them."""
        return self.scope.ids if self._selection else None

    def load(self, step: Step, blob: Blob) -> None:
        """Restore one section, or all, with pg_restore."""
        path = self._path = self._spool(blob)
        for entries, jobs in self._passes(step, path):
            self._restore(step, path, entries, jobs)

    def _passes(self, step: Step, path: Path) -> Iterator[tuple[list[Entry] | None, int]]:
        """The entries to restore and with how many jobs, one pass after the other; None are all.

        Indexes of partitions are attached in one session: two sessions that attach on two levels of one tree at the
        same time do not see each other, and the index at its top stays invalid, without an error.
        """
        jobs = self._run.request.jobs if self._is_parallel(step) else 1
        attaches = jobs > 1 and step.phase == self._last
        if not (self._selection or self._levels or attaches):
            yield None, jobs
            return
        entries = read_entries(path)
        wanted = self._wanted(step, entries)
        attaching = {entry.id for entry in entries if attaches and entry.kind == "INDEX ATTACH"}
        if not attaching:
            yield (None if wanted == entries else wanted), jobs
            return
        later = with_needing(attaching, entries)
        yield [entry for entry in wanted if entry.id not in later], jobs
        yield [entry for entry in wanted if entry.id in attaching], 1
        yield [entry for entry in wanted if entry.id in later - attaching], jobs

    def _wanted(self, step: Step, entries: list[Entry]) -> list[Entry]:
        """What this step is about: what a selection takes, or the tables whose turn it is."""
        if self._selection:
            ids = self._select(entries).ids
            return [entry for entry in entries if entry.id in ids]
        if self._levels:
            level = step.phase - ROWS  # what belongs to no table is first
            return [entry for entry in entries if self._levels.get((entry.schema, entry.tag), 0) == level]
        return entries

    def _select(self, entries: list[Entry]) -> RestoreScope:
        """What a selection takes of the archive, found when it is first asked for."""
        with self._lock:
            if self._scope is None:
                self._scope = find_scope(entries, self._selection)
                # A merge looks for itself whether the target has what is led to.
                self._run.warn(self._scope.warnings(dropped=not self._run.target.merges))
                self._warn_of_large_objects(entries, self._scope)
        return self._scope

    def _warn_of_large_objects(self, entries: list[Entry], scope: RestoreScope) -> None:
        """Say which rows refer to large objects that the selection leaves behind; a merge says it itself."""
        if self._run.target.merges or any(entry.kind == "BLOBS" and entry.id in scope.ids for entry in entries):
            return
        tables = [
            pair for schema, name in self._run.hints.large_object_tables if (pair := (schema, name)) in scope.relations
        ]
        if tables:
            names = some_names([".".join(pair) for pair in tables])
            self._run.warn(
                [f"not restored, since a selection takes no large objects: those that rows refer to, in {names}"]
            )

    def _restore(self, step: Step, path: Path, entries: list[Entry] | None, jobs: int) -> None:
        """Run pg_restore once; its log tells failures from warnings."""
        run = self._run
        classifier = Classifier(
            action=f"cannot restore into {run.target.into.label}",
            selected=run.hints.selected,
            schemas=run.target.schemas,
            judge=run.judge,
        )
        arguments = self._arguments(step)
        if entries is not None:
            listing = run.request.scratch / f"entries-{next(self._lists)}.list"
            descriptor = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(list_file(entries))
            arguments.append(f"--use-list={listing}")
        if jobs > 1:
            arguments.append(f"--jobs={jobs}")
        command = [run.programs.path("pg_restore"), "--no-password", *arguments, str(path)]
        with run.processes.start(command, tied=True, on_line=classifier.line) as child:
            code = child.wait_checked()
            classifier.end()
            if code not in (0, 1) or (code and not (classifier.degraded or classifier.harmless)):
                child.finish(classifier.action)
        run.warn(classifier.degraded)

    def _spool(self, blob: Blob) -> Path:
        if self._run.hints.format != "directory":
            return blob.spool()
        folder = self._run.request.scratch / "directory"
        if not folder.exists():
            unpack(blob.chunks(), folder)
        return folder

    def _arguments(self, step: Step) -> list[str]:
        run = self._run
        adjustments = run.adjustments
        arguments = [
            option
            for option, wanted in (
                ("--no-owner", adjustments.no_owner),
                ("--no-privileges", adjustments.no_privileges),
                ("--no-tablespaces", adjustments.no_tablespaces),
            )
            if wanted
        ]
        if run.hints.format == "parallel":
            arguments.append(f"--section={'data' if run.hints.data_only else _SECTIONS[step.phase]}")
        return arguments

    @property
    def _last(self) -> int:
        """The phase in which indexes are made."""
        return POST_DATA if self._run.hints.format == "parallel" else PRE_DATA

    def _is_parallel(self, step: Step) -> bool:
        """Whether pg_restore can use several sessions, and nothing else loads beside it."""
        hints = self._run.hints
        if self._run.follows_foreign_keys:
            return False
        if hints.format in ("custom", "directory") or step.phase == POST_DATA:
            return True
        return hints.format == "parallel" and step.phase == ROWS and not hints.large_tables
