"""The session of a restore: its steps in their phases, and what each of them loads."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from holdfast.api import (
    Blob,
    Failure,
    HoldfastError,
    PluginError,
    Preview,
    RestoreRequest,
    Step,
    UnreachableError,
    UsageError,
)
from holdfast_postgres.client.programs import Programs, find_programs
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.formats import script
from holdfast_postgres.hints import Hints, LargeTableHint, read_hints
from holdfast_postgres.location import Location
from holdfast_postgres.merge import Merge, preview
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.parallel import Sessions
from holdfast_postgres.proof.meanings import changed_meanings
from holdfast_postgres.restore.archive_loader import ArchiveLoader
from holdfast_postgres.restore.extensions import Extensions
from holdfast_postgres.restore.load_order import Name, levels, references
from holdfast_postgres.restore.row_loader import load_refused_rows, load_rows, load_sequences
from holdfast_postgres.restore.run import (
    GLOBALS,
    LATER_ROWS,
    POST_DATA,
    PRE_DATA,
    ROWS,
    SEQUENCES,
    RestoreRun,
    RowsRefusedError,
)
from holdfast_postgres.restore.script_loader import load_globals, load_plain
from holdfast_postgres.restore.statistics import analyze, read_tables
from holdfast_postgres.session import LOGIN_TRIGGERS_SINCE, Server
from holdfast_postgres.target import RestoreTarget, databases


class PostgresRestore:
    """One restore: the steps of its format, and what they do."""

    def __init__(self, run: RestoreRun) -> None:
        self._run = run
        self._large_tables = {stream: table for table in run.hints.large_tables for stream in table.streams}
        self._levels = self._load_levels()
        self._extensions = Extensions(run)
        self._archive = ArchiveLoader(run, self._levels, self._extensions)
        self._begun = False
        self._refused: list[tuple[LargeTableHint, Blob]] = []
        self._lock = threading.Lock()
        self.error: HoldfastError | None = None
        self.steps = tuple(self._plan())

    def _plan(self) -> Iterator[Step]:
        hints = self._run.hints
        if self._run.options.globals and hints.globals and not self._run.request.drill:
            yield Step(stream=hints.globals, phase=GLOBALS)
        if hints.properties and not self._run.request.selective:
            yield Step(stream=hints.properties, phase=GLOBALS)
        if hints.format != "parallel":
            yield Step(stream=hints.archive, phase=PRE_DATA)
            return
        if not hints.data_only:
            yield Step(stream=hints.archive, phase=PRE_DATA)
        if not hints.schema_only:
            last = max(self._levels.values(), default=0)
            for level in range(last + 1):
                if not hints.ordered:
                    yield Step(stream=hints.archive, phase=ROWS + level, parallel=True)
            # Of a selection only the archive tells which other tables it needs: `load` leaves the others out.
            for stream, table in self._large_tables.items():
                level = self._levels.get((table.schema, table.table), 0)
                yield Step(stream=stream, phase=ROWS + level, parallel=True)
            # What may need the rows of others, in pg_dump's order; and what was refused in another order.
            yield Step(stream=hints.archive, phase=LATER_ROWS + last)
            if hints.sequences:
                # After the archive, which has a later reading of them.
                yield Step(stream=hints.sequences, phase=SEQUENCES + last)
        if not hints.data_only:
            yield Step(stream=hints.archive, phase=POST_DATA)

    def _load_levels(self) -> dict[Name, int]:
        """Which tables have to wait for which, where foreign keys are checked row by row."""
        if not self._run.follows_foreign_keys or not self._large_tables:
            return {}  # pg_dump has put its own tables in order
        with self._run.connected() as connection, translate_errors(f"cannot read {self._run.target.into.label}"):
            return levels(references(connection))

    @property
    def warnings(self) -> Sequence[str]:
        """What was restored otherwise than it was dumped."""
        return self._run.warnings

    @property
    def failures(self) -> Sequence[Failure]:
        """What was not restored, where the restore goes on after errors."""
        return self._run.failures

    @property
    def skipped_streams(self) -> Sequence[str]:
        """The streams of tables that the selection does not need."""
        return [stream for stream, table in self._large_tables.items() if not self._takes(table)]

    def _takes(self, table: LargeTableHint) -> bool:
        return self._archive.contents.takes(table.schema, table.table)

    def load(self, step: Step, blob: Blob) -> None:
        """Load one stream of one phase."""
        try:
            self._load(step, blob)
        except HoldfastError as error:
            with self._lock:
                self.error = self.error or error
            raise

    def _load(self, step: Step, blob: Blob) -> None:
        run = self._run
        self._begin()
        if table := self._large_tables.get(step.stream):
            if self._takes(table):
                self._load_rows(table, blob)
        elif step.stream == run.hints.properties:
            run.target.take_properties(b"".join(bytes(chunk) for chunk in blob.chunks()).decode())
        elif step.phase == GLOBALS:
            load_globals(run, blob)
        elif step.stream == run.hints.sequences:
            names = self._archive.contents.scope.relations if run.request.select or run.request.exclude else None
            load_sequences(run, blob, names=names, without=self._archive.contents.kept)
        elif run.hints.format == "plain":
            load_plain(run, blob)
        elif step.phase == self._later:
            self._load_later(step, blob)
        else:
            self._archive.load(step, blob)
            if run.target.merges and step.phase == PRE_DATA:
                self._merge().check()

    def _begin(self) -> None:
        """Prepare the target, once; later calls return when that is done."""
        with self._lock:
            if not self._begun:
                self._run.prepare()
                self._extensions.begin()
                self._begun = True

    @property
    def _later(self) -> int | None:
        """The phase of rows that come last, None where all is one archive."""
        last = max(self._levels.values(), default=0)
        return LATER_ROWS + last if self._run.hints.format == "parallel" else None

    def _load_rows(self, table: LargeTableHint, blob: Blob) -> None:
        """Load a part; what a constraint refuses is tried again when all others are there."""
        try:
            load_rows(self._run, table, blob)
        except RowsRefusedError:
            with self._lock:
                self._refused.append((table, blob))

    def _load_later(self, step: Step, blob: Blob) -> None:
        """Load alone and in order what was refused as others were loaded; what is refused again is an error."""
        refused, self._refused = self._refused, []
        for table, rows in sorted(refused, key=lambda part: (part[0].schema, part[0].table, part[1].stream.name)):
            self._load_rows(table, rows)
        self._archive.load_later(step, blob)
        for table, rows in self._refused:
            load_refused_rows(self._run, table, rows)

    def _merge(self) -> Merge:
        return Merge(self._run, self._archive.entries(), self._archive.contents.selected)

    def preview(self, blobs: Mapping[str, Blob]) -> Preview:
        """Say what would happen to each relation of the target, where the archive tells."""
        if self._run.hints.format == "plain" or self._run.hints.data_only:
            return Preview()
        return preview(self._run, blobs)

    def commit(self) -> None:
        """Collect statistics, and let the result take its place."""
        run = self._run
        self._begin()
        self._extensions.end()
        self._compare_meanings()
        if run.target.merges:
            self._merge().commit()
        elif run.options.analyze and not run.hints.schema_only:
            self._analyze()
        run.processes.close()
        late = self._extensions.comes_late
        run.target.finish()
        if late:
            try:
                self._archive.load_late()
            except HoldfastError as error:  # the main result is there
                run.warn([f"not restored: {error.message}"])

    def undo(self) -> None:
        """Take from the target what a failed restore has set for its extensions."""
        self._extensions.undo()

    def _compare_meanings(self) -> None:
        """Warn of definitions that mean other operators than in the source; a drill does so with its proof."""
        run = self._run
        if run.hints.meanings and not run.request.drill:
            with run.connected() as connection, translate_errors(f"cannot read {run.target.into.label}"):
                run.warn(changed_meanings(connection, run.hints.meanings))

    def _analyze(self) -> None:
        """Collect the planner's statistics of every table."""
        run = self._run
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(run.connected())
            except UnreachableError as error:
                if run.request.drill or run.server.major < LOGIN_TRIGGERS_SINCE:
                    raise
                with databases.maintenance(run.target.location, avoid=run.target.into.database):
                    pass  # the server is there: what was restored lets nobody in, as an event trigger on login may
                run.warn([f"no statistics, since no session was possible: {error.message}"])
                return
            with translate_errors(f"cannot read {run.target.into.label}"):
                tables = read_tables(connection)
            run.warn(analyze(Sessions(connection, run.connected, run.request.jobs), tables))


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[PostgresRestore]:
    """Check the target at `request.url`; what was begun without `commit` is undone."""
    options: PostgresOptions = request.options
    hints = read_hints(request.facts)
    _check_options(request, hints)
    location = Location.parse(request.url, connect_timeout=options.connect_timeout)
    target = RestoreTarget(request, hints, location)
    server, adjustments = target.check()
    programs = _find_programs(hints, server, target.into.parameters)
    if target.merges and hints.format == "plain":
        raise UsageError(
            "a backup of a selection in format plain is one script, and can only be restored into an empty database",
            hint="restore it into another database, or select at the restore of a backup in another format",
        )
    if hints.format == "plain" or target.merges or (options.globals and hints.globals):
        script.check_psql(programs)
    with ExitStack() as stack:
        run = RestoreRun(request, hints, target, programs, server, adjustments, stack)
        restore = PostgresRestore(run)
        try:
            yield restore
        finally:
            run.abort()
            target.close(restore.error)
            restore.undo()


def _check_options(request: RestoreRequest, hints: Hints) -> None:
    options: PostgresOptions = request.options
    if hints.format == "plain":
        if request.select or request.exclude:
            raise UsageError(
                "a backup in format plain is one script and can only be restored whole",
                hint="use the format parallel, custom, directory or tar for --select and --exclude",
            )
        if further := set(request.exclude_kinds) - set(hints.exclude_kinds):
            raise UsageError(
                f"a backup in format plain is one script: it cannot be restored without {', '.join(sorted(further))}",
                hint="use the format parallel, custom, directory or tar for --exclude-kind, or use it at the backup",
            )
        if options.no_owner or options.no_privileges:
            raise UsageError("a backup in format plain cannot leave owners and privileges out")
    if hints.data_only and (request.select or request.exclude):
        # Its archive knows no tables, only rows: neither names nor what needs what could be looked up.
        raise UsageError("a backup of data alone can only be restored whole", hint="select at the backup")
    if options.globals and not hints.globals:
        raise UsageError(
            "the backup holds no roles and tablespaces", hint="use -o globals=true at the backup to keep them"
        )


def _find_programs(hints: Hints, server: Server, parameters: Mapping[str, str]) -> Programs:
    """pg_restore must not be older than the pg_dump of the backup; as new as the server is better."""
    try:
        return find_programs(max(hints.client, server.major), why="this restore", parameters=parameters)
    except PluginError:
        why = f"a backup made by pg_dump {hints.client}"
        return find_programs(hints.client, why=why, parameters=parameters)
