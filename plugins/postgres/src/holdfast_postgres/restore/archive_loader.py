"""Archives of pg_dump, restored by pg_restore: sections, selections, and rows in the order of foreign keys."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from holdfast.api import Blob, PluginError, Step
from holdfast_postgres.formats.archive import read_entries
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.restore.load_order import Name
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import POST_DATA, PRE_DATA, ROWS, RestoreRun
from holdfast_postgres.selection.archive_entries import list_file
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
        self._lock = threading.Lock()

    def takes(self, schema: str, table: str) -> bool:
        """Whether the restore takes the rows of a table; of a selection only the archive, read before, tells."""
        return (schema, table) in self.scope.relations if self._selection else True

    @property
    def scope(self) -> RestoreScope:
        """What a selection takes, once the archive has been read."""
        if self._scope is None:
            raise PluginError("the archive has not been read before the rows")
        return self._scope

    def load(self, step: Step, blob: Blob) -> None:
        """Restore one section, or all, with pg_restore; its log tells failures from warnings."""
        run = self._run
        path = self._spool(blob)
        classifier = Classifier(action=f"cannot restore into {run.target.into.label}", selected=run.hints.selected)
        arguments = self._arguments(step, path)
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

    def _arguments(self, step: Step, path: Path) -> list[str]:
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
        if self._selection:
            arguments.append(f"--use-list={self._selection_list(path)}")
        if run.hints.format == "parallel":
            arguments.append(f"--section={'data' if run.hints.data_only else _SECTIONS[step.phase]}")
        if self._levels:
            arguments.append(f"--use-list={self._level_list(path, step.phase - ROWS)}")
        if self._is_parallel(step) and run.request.jobs > 1 and not run.follows_foreign_keys:
            arguments.append(f"--jobs={run.request.jobs}")
        return arguments

    def _is_parallel(self, step: Step) -> bool:
        """Whether pg_restore can use several sessions, and nothing else loads beside it."""
        hints = self._run.hints
        if hints.format in ("custom", "directory") or step.phase == POST_DATA:
            return True
        return hints.format == "parallel" and step.phase == ROWS and not hints.large_tables

    def _selection_list(self, path: Path) -> Path:
        """The list for pg_restore of what a selection takes, made when it is first asked for."""
        listing = self._run.request.scratch / "selection.list"
        with self._lock:
            if self._scope is None:
                entries = read_entries(path)
                self._scope = find_scope(entries, self._selection)
                descriptor = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(list_file(entry for entry in entries if entry.id in self.scope.ids))
                self._run.warn(self._scope.warnings())
        return listing

    def _level_list(self, path: Path, level: int) -> Path:
        """A list for pg_restore of the tables whose turn it is; what belongs to no table is first."""
        listing = self._run.request.scratch / f"level-{level}.list"
        turn = [entry for entry in read_entries(path) if self._levels.get((entry.schema, entry.tag), 0) == level]
        listing.write_text(list_file(turn), encoding="utf-8")
        return listing
