"""Archives of pg_dump, restored by pg_restore: sections, selections, and rows in the order of foreign keys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.api import Blob, PluginError, Step
from holdfast_postgres.catalog import computed_tables
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.formats.archive import VIA_ROOT, Entry, read_entries
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.restore.archive_scope import ArchiveScope
from holdfast_postgres.restore.entry_list import write_list
from holdfast_postgres.restore.extensions import Extensions
from holdfast_postgres.restore.failed_statement import FailedStatement
from holdfast_postgres.restore.load_order import Name, rows_call_functions
from holdfast_postgres.restore.moved_rows import loaded_alone
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import LATER_ROWS, POST_DATA, PRE_DATA, ROWS, RestoreRun, ender, keeper
from holdfast_postgres.restore.second_attempt import ArchiveEntries, SecondAttempt, is_filled
from holdfast_postgres.selection.archive_entries import configuration, with_needing

_BEFORE, _DATA, _AFTER = "pre-data", "data", "post-data"
_LARGE = 256 << 10  # bytes of an archive; of what is smaller one session has done all before others have begun
_ALL = (_BEFORE, _DATA, _AFTER)
_SECTIONS = {PRE_DATA: _BEFORE, ROWS: _DATA, LATER_ROWS: _DATA, POST_DATA: _AFTER}


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One run of pg_restore: `entries` None are all of the archive.

    With `postpones` rows that are refused are kept for later; `unchecked` fires no triggers, those of foreign keys
    included.
    """

    entries: list[Entry] | None = None
    jobs: int = 1
    sections: tuple[str, ...] = _ALL
    postpones: bool = False
    unchecked: bool = False


class ArchiveLoader:
    """Restores the archive of one backup, whole or a selection of it."""

    def __init__(self, run: RestoreRun, levels: Mapping[Name, int], extensions: Extensions) -> None:
        self._run = run
        self.contents = ArchiveScope(run, levels, extensions)
        self._path: Path | None = None
        self._refused: set[str] = set()

    def entries(self) -> list[Entry]:
        """All entries of the archive, once it has been read."""
        if self._path is None:
            raise PluginError("the archive has not been read")
        return read_entries(self._path)

    def load(self, step: Step, blob: Blob) -> None:
        """Restore one section, or all, with pg_restore."""
        path = self._path = _spool(self._run, blob)
        for restored in self._passes(step, path):
            self._restore(path, restored)

    def load_later(self, step: Step, blob: Blob) -> None:
        """Load rows alone and in pg_dump's order: all where that matters, else those that were refused before."""
        path = self._path = _spool(self._run, blob)
        if self._run.hints.ordered:
            rows = self.contents.rows(step, self.contents.read(path))
            self._restore(path, _Pass(entries=rows, sections=self._of_rows))
        else:
            self._restore(path, self._again(self.contents.read(path)))

    def _again(self, entries: list[Entry]) -> _Pass:
        """Load what was refused as long as other rows were not there."""
        if not self._refused:
            return _Pass(entries=[])
        refused = [entry for entry in entries if entry.kind == "TABLE DATA" and entry.tag in self._refused]
        with self._run.connected() as connection:
            again = [entry for entry in refused if not is_filled(connection, entry)]
        return _Pass(entries=again, sections=(_DATA,))

    def _passes(self, step: Step, path: Path) -> Iterator[_Pass]:
        """The runs of pg_restore, one after the other; each is asked for when those before it have ended."""
        jobs = self._run.request.jobs if self._is_parallel(step) and _is_large(self._run, path) else 1
        entries = self.contents.read(path)
        config = configuration(entries)
        wanted = self.contents.wanted(step, entries)
        filling = [entry for entry in wanted if entry.id in config]
        rows = self.contents.rows(step, entries) if config else wanted
        if self._run.hints.format != "parallel":
            yield from self._whole(step, wanted, entries, jobs, filling, rows)
            return
        section = _DATA if self._run.hints.data_only else _SECTIONS[step.phase]
        if section == _DATA:
            yield _Pass(entries=self.contents.or_all(rows, entries), jobs=jobs, sections=self._of_rows, postpones=True)
            return
        yield from self._finishing(step, wanted, entries, jobs, (section,))
        if section == _BEFORE and not self._run.hints.schema_only:
            yield from self._filling(filling)

    def _whole(
        self, step: Step, wanted: list[Entry], entries: list[Entry], jobs: int, filling: list[Entry], rows: list[Entry]
    ) -> Iterator[_Pass]:
        """All of an archive: in two runs, so that indexes are built while rows are loaded.

        In more where rows may need those of other tables.
        """
        hints = self._run.hints
        if not hints.data_only:
            yield _Pass(entries=self.contents.or_all(wanted, entries), sections=(_BEFORE,))
        if hints.schema_only:
            yield from self._finishing(step, wanted, entries, jobs, (_AFTER,))
            return
        yield from self._filling(filling)
        if not (_may_be_refused(self._run) or _checks_domains(entries)):
            yield from self._finishing(step, rows, entries, jobs, (*self._of_rows, _AFTER))
            return
        # Several sessions load rows in the order of their size.
        loading = 1 if hints.ordered else jobs
        yield _Pass(entries=self.contents.or_all(rows, entries), jobs=loading, sections=self._of_rows, postpones=True)
        yield self._again(entries)
        yield from self._finishing(step, wanted, entries, jobs, (_AFTER,))

    def _filling(self, entries: list[Entry]) -> Iterator[_Pass]:
        """The rows of extensions, alone and in pg_dump's order, since their foreign keys are there already.

        Where these lead in a circle no order will do: a superuser loads such tables without a check.
        """
        superuser = self._run.server.superuser
        yield _Pass(entries=entries, sections=(_DATA,), postpones=superuser)
        refused = [entry for entry in entries if entry.kind == "TABLE DATA" and entry.tag in self._refused]
        self._refused.difference_update(entry.tag for entry in refused)
        yield _Pass(entries=refused, sections=(_DATA,), unchecked=True)

    def _finishing(
        self, step: Step, wanted: list[Entry], entries: list[Entry], jobs: int, sections: tuple[str, ...]
    ) -> Iterator[_Pass]:
        """Event triggers come last and alone: pg_dump's order has materialized views filled after them.

        They would forbid that, or write what the source has not into their tables.
        """
        acting = {entry.id for entry in entries if entry.kind == "EVENT TRIGGER" and _AFTER in sections}
        last = with_needing(acting, entries) if acting else acting
        rest = [entry for entry in wanted if entry.id not in last]
        yield from self._attaching(step, rest, entries, jobs, sections)
        yield _Pass(entries=[entry for entry in wanted if entry.id in last], sections=(_AFTER,))

    def _attaching(
        self, step: Step, wanted: list[Entry], entries: list[Entry], jobs: int, sections: tuple[str, ...]
    ) -> Iterator[_Pass]:
        """Indexes of partitions are attached in one session.

        Two sessions that attach on two levels of one tree at the same time do not see each other, and the index at its
        top stays invalid, without an error.
        """
        attaches = jobs > 1 and step.phase == self._last
        attaching = {entry.id for entry in entries if attaches and entry.kind == "INDEX ATTACH"}
        if not attaching:
            yield _Pass(entries=self.contents.or_all(wanted, entries), jobs=jobs, sections=sections)
            return
        later = with_needing(attaching, entries)
        yield _Pass(entries=[entry for entry in wanted if entry.id not in later], jobs=jobs, sections=sections)
        yield _Pass(entries=[entry for entry in wanted if entry.id in attaching], sections=sections)
        yield _Pass(entries=[entry for entry in wanted if entry.id in later - attaching], jobs=jobs, sections=sections)

    def load_late(self) -> None:
        """Restore what was left out into the database that has taken the place of another."""
        if self._path is None:
            return
        entries, run = read_entries(self._path), self._run
        late = self.contents.omitted(entries)
        listing = write_list(run.request.scratch, [entry for entry in entries if entry.id in late])
        arguments = [*run.adjustments.arguments, f"--use-list={listing}"]
        command = [run.programs.path("pg_restore"), "--no-password", *arguments, str(self._path)]
        classifier = Classifier(action=f"cannot restore into {run.target.location.label}", ends=ender(run))
        with (
            ClientProcesses(run.target.location, run.request.scratch) as processes,
            processes.start(command, tied=True, on_line=classifier.line) as child,
        ):
            child.wait_checked()
            classifier.end()
        run.warn(classifier.degraded)

    def _restore(self, path: Path, restored: _Pass) -> None:
        """Run pg_restore once; its log tells failures from warnings."""
        run = self._run
        restored = _without_computed(run, path, restored)
        entries, alone = restored.entries, _loaded_alone(run, restored)
        if entries is not None and not (entries := [entry for entry in entries if entry not in alone]):
            _load_alone(run, path, alone)
            return
        refused: list[FailedStatement] = []
        classifier = Classifier(
            action=f"cannot restore into {run.target.into.label}",
            selected=run.hints.selected,
            dispenses_with=self.contents.dispenses_with,
            stays=self.contents.stays,
            schemas=run.target.schemas,
            judge=run.judge,
            takes=keeper(run, refused),
            postpones=restored.postpones,
            ends=ender(run),
        )
        arguments = run.adjustments.arguments
        if restored.sections != _ALL:
            arguments += [f"--section={section}" for section in restored.sections]
        if entries is not None:
            arguments.append(f"--use-list={write_list(run.request.scratch, entries)}")
        if restored.jobs > 1:
            arguments.append(f"--jobs={restored.jobs}")
        command = [run.programs.path("pg_restore"), "--no-password", *arguments, str(path)]
        location = run.unchecked_location if restored.unchecked else None
        with run.processes.start(command, tied=True, location=location, on_line=classifier.line) as child:
            code = child.wait_checked()
            classifier.end()
            expected = classifier.degraded or classifier.harmless or classifier.refused or refused
            if code not in (0, 1) or (code and not expected):
                child.finish(classifier.action)
        self._refused |= classifier.refused
        run.warn(classifier.degraded)
        if refused:
            SecondAttempt(run, ArchiveEntries(run, path, classifier.action), classifier.action).run(refused)
        _load_alone(run, path, alone)

    @property
    def _of_rows(self) -> tuple[str, ...]:
        """The sections of rows: pg_dump 16 and older makes the large objects, of rows alone too, in that before."""
        return (_BEFORE, _DATA) if self._run.hints.data_only else (_DATA,)

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


def _is_large(run: RestoreRun, path: Path) -> bool:
    """Whether further sessions of pg_restore, of which each run takes two more than it has jobs, are worth it."""
    return bool(run.hints.large_tables) or not path.is_file() or path.stat().st_size >= _LARGE


def _spool(run: RestoreRun, blob: Blob) -> Path:
    """The archive as pg_restore reads it."""
    if run.hints.format != "directory":
        return blob.spool()
    folder = run.request.scratch / "directory"
    if not folder.exists():
        unpack(blob.chunks(), folder)
    return folder


def _checks_domains(entries: list[Entry]) -> bool:
    """Whether a CHECK of a domain is NOT VALID: made before the rows that break it are there, it would refuse them.

    pg_restore with several jobs does not know that these tables have to come first.
    """
    domains = {entry.id for entry in entries if entry.kind == "DOMAIN"}
    return any(entry.kind == "CHECK CONSTRAINT" and not domains.isdisjoint(entry.needs) for entry in entries)


def _may_be_refused(run: RestoreRun) -> bool:
    """Whether rows may be refused as long as those of other tables are not there, once the tables are."""
    if run.hints.ordered:
        return True
    with run.connected() as connection, translate_errors(f"cannot read {run.target.into.label}"):
        return rows_call_functions(connection)


def _loaded_alone(run: RestoreRun, restored: _Pass) -> list[Entry]:
    """What of a selection pg_restore would load into a table that was not selected."""
    entries = restored.entries or []
    selective = run.request.selective and _DATA in restored.sections
    if not selective or not any(entry.definition.startswith(VIA_ROOT) for entry in entries):
        return []
    with run.connected() as connection, translate_errors(f"cannot read {run.target.into.label}"):
        return loaded_alone(connection, entries)


def _without_computed(run: RestoreRun, path: Path, restored: _Pass) -> _Pass:
    """Load rows first whose columns functions compute by the search_path that was asked for: pg_restore has none.

    What is refused so is left to it.
    """
    if not run.options.search_path or _DATA not in restored.sections or run.hints.ordered:
        return restored
    with run.connected() as connection, translate_errors(f"cannot read {run.target.into.label}"):
        tables = computed_tables(connection)
    entries = read_entries(path) if restored.entries is None else restored.entries
    computed = [entry for entry in entries if entry.kind == "TABLE DATA" and (entry.schema, entry.tag) in tables]
    if not computed:
        return restored
    loaded = ArchiveEntries(run, path, f"cannot restore into {run.target.into.label}").load_by_path(computed)
    run.found_by_path([entry.label for entry in loaded])
    ids = {entry.id for entry in loaded}
    return replace(restored, entries=[entry for entry in entries if entry.id not in ids])


def _load_alone(run: RestoreRun, path: Path, entries: list[Entry]) -> None:
    if entries:
        ArchiveEntries(run, path, f"cannot restore into {run.target.into.label}").load_alone(entries)
