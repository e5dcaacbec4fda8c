"""Archives of pg_dump, restored by pg_restore: sections, selections, and rows in the order of foreign keys."""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from holdfast.api import Blob, PluginError, Step
from holdfast_postgres.errors import some_names
from holdfast_postgres.formats.archive import Entry, read_entries
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.restore.load_order import Name
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import LATER_ROWS, POST_DATA, PRE_DATA, ROWS, RestoreRun
from holdfast_postgres.selection.archive_entries import configuration, list_file, with_needing
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.restore_scope import RestoreScope, find_scope
from holdfast_postgres.session import quoted
from holdfast_postgres.target.checks import Adjustments
from holdfast_postgres.target.contents import holds_rows

_BEFORE, _DATA, _AFTER = "pre-data", "data", "post-data"
_SECTIONS = {PRE_DATA: _BEFORE, ROWS: _DATA, LATER_ROWS: _DATA, POST_DATA: _AFTER}


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One run of pg_restore: `entries` None are all of the archive, an empty `section` all sections.

    With `postpones` rows that are refused are kept for later.
    """

    entries: list[Entry] | None = None
    jobs: int = 1
    section: str = ""
    postpones: bool = False


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
        self._refused: set[str] = set()

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
        for restored in self._passes(step, path):
            self._restore(path, restored)

    def load_later(self, step: Step, blob: Blob) -> None:
        """Load rows alone and in pg_dump's order: all where that matters, else those that were refused before."""
        path = self._path = self._spool(blob)
        if self._run.hints.ordered:
            self._restore(path, _Pass(entries=self._rows(step, read_entries(path)), section=_DATA))
        elif self._refused:
            entries = [entry for entry in read_entries(path) if entry.kind == "TABLE DATA"]
            with self._run.connected() as connection:
                again = [
                    entry
                    for entry in entries
                    if entry.tag in self._refused and not holds_rows(connection, quoted(entry.schema, entry.tag))
                ]
            self._restore(path, _Pass(entries=again, section=_DATA))

    def _rows(self, step: Step, entries: list[Entry]) -> list[Entry]:
        """What a pass over the rows takes: extensions' configuration was loaded before."""
        config = configuration(entries)
        return [entry for entry in self._wanted(step, entries) if entry.id not in config]

    def _passes(self, step: Step, path: Path) -> Iterator[_Pass]:
        """The runs of pg_restore, one after the other."""
        jobs = self._run.request.jobs if self._is_parallel(step) else 1
        entries = read_entries(path)
        config = configuration(entries)
        wanted = self._wanted(step, entries)
        filling = _Pass(entries=[entry for entry in wanted if entry.id in config], section=_DATA)
        if self._run.hints.format == "parallel":
            section = _DATA if self._run.hints.data_only else _SECTIONS[step.phase]
            if section == _DATA:
                rows = self._rows(step, entries) if config else wanted
                yield _Pass(entries=_unless_all(rows, entries), jobs=jobs, section=section, postpones=True)
                return
            yield from self._attaching(step, wanted, entries, jobs, section)
            if section == _BEFORE and filling.entries and not self._run.hints.schema_only:
                yield filling
        elif jobs > 1 and (config or self._run.hints.ordered):
            # Several sessions load rows in the order of their size.
            yield _Pass(entries=_unless_all(wanted, entries), section=_BEFORE)
            yield filling
            yield _Pass(entries=self._rows(step, entries), jobs=1 if self._run.hints.ordered else jobs, section=_DATA)
            yield from self._attaching(step, wanted, entries, jobs, _AFTER)
        else:
            yield from self._attaching(step, wanted, entries, jobs, "")

    def _attaching(
        self, step: Step, wanted: list[Entry], entries: list[Entry], jobs: int, section: str
    ) -> Iterator[_Pass]:
        """Indexes of partitions are attached in one session.

        Two sessions that attach on two levels of one tree at the same time do not see each other, and the index at its
        top stays invalid, without an error.
        """
        attaches = jobs > 1 and step.phase == self._last
        attaching = {entry.id for entry in entries if attaches and entry.kind == "INDEX ATTACH"}
        if not attaching:
            yield _Pass(entries=_unless_all(wanted, entries), jobs=jobs, section=section)
            return
        later = with_needing(attaching, entries)
        yield _Pass(entries=[entry for entry in wanted if entry.id not in later], jobs=jobs, section=section)
        yield _Pass(entries=[entry for entry in wanted if entry.id in attaching], section=section)
        yield _Pass(entries=[entry for entry in wanted if entry.id in later - attaching], jobs=jobs, section=section)

    def _wanted(self, step: Step, entries: list[Entry]) -> list[Entry]:
        """What this step is about: what a selection takes, or the tables whose turn it is."""
        if self._selection:
            ids = self._select(entries).ids
            return [entry for entry in entries if entry.id in ids]
        if self._levels and step.phase >= ROWS:
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

    def _restore(self, path: Path, restored: _Pass) -> None:
        """Run pg_restore once; its log tells failures from warnings."""
        run, entries = self._run, restored.entries
        if entries is not None and not entries:
            return
        classifier = Classifier(
            action=f"cannot restore into {run.target.into.label}",
            selected=run.hints.selected,
            schemas=run.target.schemas,
            judge=run.judge,
            postpones=restored.postpones,
        )
        arguments = _arguments(run.adjustments)
        if restored.section:
            arguments.append(f"--section={restored.section}")
        if entries is not None:
            arguments.append(f"--use-list={self._write_list(entries)}")
        if restored.jobs > 1:
            arguments.append(f"--jobs={restored.jobs}")
        command = [run.programs.path("pg_restore"), "--no-password", *arguments, str(path)]
        with run.processes.start(command, tied=True, on_line=classifier.line) as child:
            code = child.wait_checked()
            classifier.end()
            expected = classifier.degraded or classifier.harmless or classifier.refused
            if code not in (0, 1) or (code and not expected):
                child.finish(classifier.action)
        self._refused |= classifier.refused
        run.warn(classifier.degraded)

    def _write_list(self, entries: list[Entry]) -> Path:
        listing = self._run.request.scratch / f"entries-{next(self._lists)}.list"
        descriptor = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(list_file(entries))
        return listing

    def _spool(self, blob: Blob) -> Path:
        if self._run.hints.format != "directory":
            return blob.spool()
        folder = self._run.request.scratch / "directory"
        if not folder.exists():
            unpack(blob.chunks(), folder)
        return folder

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


def _unless_all(wanted: list[Entry], entries: list[Entry]) -> list[Entry] | None:
    """None for all of an archive, which pg_restore needs no list of."""
    return None if len(wanted) == len(entries) else wanted


def _arguments(adjustments: Adjustments) -> list[str]:
    options = (
        ("--no-owner", adjustments.no_owner),
        ("--no-privileges", adjustments.no_privileges),
        ("--no-tablespaces", adjustments.no_tablespaces),
    )
    return [option for option, wanted in options if wanted]
