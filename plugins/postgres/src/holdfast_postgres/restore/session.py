"""Restore: definitions, then rows in parallel, then indexes and constraints; what fails is undone."""

import contextlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Blob, HoldfastError, PluginError, RestoreRequest, Step, UsageError, quote_name
from holdfast_postgres.client import programs
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.formats import archive, script
from holdfast_postgres.formats.directory import unpack
from holdfast_postgres.hints import Hints, LargeTableHint, copy_in, read_hints
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.restore import load_order
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.selection.restore_scope import RestoreScope, choose, list_file
from holdfast_postgres.session import Server, connect, literal, quoted, settings
from holdfast_postgres.target.checks import Findings
from holdfast_postgres.target.restore_target import RestoreTarget

log = logging.getLogger("holdfast.postgres.restore")

_GLOBALS, _BEFORE, _ROWS, _AFTER = range(4)
_WATCHED_SINCE = 14


class PostgresRestore:
    """One restore: the steps of its format, and what they do."""

    def __init__(
        self,
        request: RestoreRequest,
        hints: Hints,
        target: RestoreTarget,
        found: Programs,
        server: Server,
        findings: Findings,
        stack: ExitStack,
    ) -> None:
        self._request = request
        self._options: PostgresOptions = request.options
        self._hints = hints
        self._target = target
        self._programs = found
        self._server = server
        self._findings = findings
        self._stack = stack
        self._lock = threading.Lock()
        self._prepared = False
        self._children: ClientProcesses | None = None
        self._loading: set[Connection[TupleRow]] = set()
        self._selection = Selection(select=request.select, exclude=request.exclude)
        self._choice: RestoreScope | None = None
        self._degraded: list[str] = []
        self.failed: HoldfastError | None = None
        self._lanes = {stream: lane for lane in hints.lanes for stream in lane.streams}
        self._levels = self._order()
        self.steps = tuple(self._plan())

    # --- planning ---

    def _plan(self) -> Iterator[Step]:
        hints = self._hints
        if self._options.globals and hints.globals and not self._request.drill:
            yield Step(stream=hints.globals, phase=_GLOBALS)
        if hints.format != "parallel":
            yield Step(stream=hints.archive, phase=_BEFORE)
            return
        if not hints.data_only:
            yield Step(stream=hints.archive, phase=_BEFORE)
        if not hints.schema_only:
            for level in range(max(self._levels.values(), default=0) + 1):
                yield Step(stream=hints.archive, phase=_ROWS + level, parallel=True)
            # Of a selection only the archive tells which tables it needs besides: `_load` leaves the others out.
            for stream, lane in self._lanes.items():
                level = self._levels.get((lane.schema, lane.table), 0)
                yield Step(stream=stream, phase=_ROWS + level, parallel=True)
            if hints.sequences:
                yield Step(stream=hints.sequences, phase=_ROWS, parallel=True)
        if not hints.data_only:
            yield Step(stream=hints.archive, phase=_AFTER)

    def _order(self) -> dict[load_order.Name, int]:
        """Which tables have to wait for which, where foreign keys are checked row by row."""
        if not self._one_by_one or not self._lanes:
            return {}  # pg_dump has put its own tables in order
        with self._connected() as connection, translate_errors(f"cannot read {self._target.into.shown}"):
            return load_order.levels(load_order.references(connection))

    @property
    def warnings(self) -> Sequence[str]:
        """What was restored otherwise than it was dumped."""
        return [*self._target.warnings, *self._degraded]

    @property
    def skipped_streams(self) -> Sequence[str]:
        """The streams of tables that the selection does not need."""
        return [stream for stream, lane in self._lanes.items() if not self._chosen(lane)]

    def _chosen(self, lane: LargeTableHint) -> bool:
        if not self._selection:
            return True
        if self._choice is None:
            raise PluginError("the archive has not been read before the rows")
        return (lane.schema, lane.table) in self._choice.relations

    @property
    def _without_triggers(self) -> bool:
        """Rows alone come into tables that have triggers and foreign keys, which only a superuser can keep quiet."""
        return self._hints.data_only and self._server.superuser

    @property
    def _one_by_one(self) -> bool:
        """Without that, no table may be loaded before those that it refers to."""
        return self._hints.data_only and not self._server.superuser and self._target.exists

    # --- loading ---

    def load(self, step: Step, blob: Blob) -> None:
        """Load one stream of one phase."""
        try:
            self._load(step, blob)
        except HoldfastError as error:
            with self._lock:
                self.failed = self.failed or error
            raise

    def _load(self, step: Step, blob: Blob) -> None:
        self._prepare()
        if lane := self._lanes.get(step.stream):
            if self._chosen(lane):
                self._load_lane(lane, blob)
        elif step.phase == _GLOBALS:
            self._load_script(blob, self._target.into.at("postgres"), stop=False)
        elif step.stream == self._hints.sequences:
            self._load_sequences(blob)
        elif self._hints.format == "plain":
            self._load_script(blob, None, stop=True)
        else:
            self._load_archive(step, blob)

    def _prepare(self) -> None:
        with self._lock:
            if self._prepared:
                return
            self._prepared = True
            self._target.prepare()
            limits = {
                "synchronous_commit": "off",
                "default_transaction_read_only": "off",
                "statement_timeout": "0",
                # Left by pg_dump as role or database have them: a NULL in an array would become a text.
                "array_nulls": "on",
                "transform_null_equals": "off",
            }
            if self._options.maintenance_work_mem:
                limits["maintenance_work_mem"] = self._options.maintenance_work_mem
            if self._without_triggers:
                # --disable-triggers would enable those, too, that somebody has disabled.
                limits["session_replication_role"] = "replica"
            if self._server.major >= _WATCHED_SINCE:
                limits["client_connection_check_interval"] = "2s"
            location = self._target.into.with_options(limits)
            self._children = self._stack.enter_context(ClientProcesses(location, self._request.scratch))

    def _load_archive(self, step: Step, blob: Blob) -> None:
        path = self._spool(blob)
        arguments = self._archive_arguments(path)
        if arguments is None:
            return
        parallel = self._hints.format in ("custom", "directory") or step.phase == _AFTER
        if self._hints.format == "parallel":
            arguments.append(f"--section={'data' if self._hints.data_only else _SECTIONS[step.phase]}")
            parallel = parallel or (step.phase == _ROWS and not self._lanes)
        if self._levels:
            arguments.append(f"--use-list={self._list_level(path, step.phase - _ROWS)}")
        if parallel and self._request.jobs > 1 and not self._one_by_one:
            arguments.append(f"--jobs={self._request.jobs}")
        judge = Classifier(doing=f"cannot restore into {self._target.into.shown}", selected=self._hints.selected)
        command = [self._programs.path("pg_restore"), "--no-password", *arguments, str(path)]
        with self._started().start(command, tied=True, watch=judge.line) as child:
            code = child.finish_watched()
            judge.end()
            if code not in (0, 1) or (code and not (judge.degraded or judge.harmless)):
                child.finish(judge.doing)
        with self._lock:
            self._degraded += judge.degraded

    def _spool(self, blob: Blob) -> Path:
        if self._hints.format != "directory":
            return blob.spool()
        folder = self._request.scratch / "directory"
        if not folder.exists():
            unpack(blob.chunks(), folder)
        return folder

    def _archive_arguments(self, path: Path) -> list[str] | None:
        """Options for pg_restore; None where a selection leaves nothing to do."""
        arguments = []
        for option, wanted in (
            ("--no-owner", self._findings.no_owner),
            ("--no-privileges", self._findings.no_privileges),
            ("--no-tablespaces", self._findings.no_tablespaces),
        ):
            if wanted:
                arguments.append(option)
        if self._selection:
            listing = self._request.scratch / "selection.list"
            with self._lock:
                if self._choice is None:
                    self._choose(path, listing)
            arguments.append(f"--use-list={listing}")
        return arguments

    def _choose(self, path: Path, listing: Path) -> None:
        entries = archive.read_entries(path)
        self._choice = choose(entries, self._selection)
        descriptor = os.open(listing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(list_file(entry for entry in entries if entry.id in self._choice.ids))
        if self._choice.added:
            self._degraded.append(f"restored besides, since the selection needs it: {some_names(self._choice.added)}")
        if self._choice.lost:
            self._degraded.append(f"not restored, since it needs what is excluded: {some_names(self._choice.lost)}")
        if self._choice.dropped:
            self._degraded.append(
                f"not restored, since it leads to a table that was not selected: {some_names(self._choice.dropped)}"
            )

    def _list_level(self, path: Path, level: int) -> Path:
        """A list for pg_restore of the tables whose turn it is; what belongs to no table is first."""
        listing = self._request.scratch / f"level-{level}.list"
        entries = archive.read_entries(path)
        chosen = {entry.id for entry in entries} if self._choice is None else self._choice.ids
        turn = [entry for entry in entries if self._levels.get((entry.schema, entry.tag), 0) == level]
        listing.write_text("".join(f"{entry.id};\n" for entry in turn if entry.id in chosen))
        return listing

    def _load_lane(self, lane: LargeTableHint, blob: Blob) -> None:
        """Rows in blocks through libpq: one COPY a part, which the server takes whole or not at all."""
        what = f"cannot load rows into {quote_name(f'{lane.schema}.{lane.table}')}"
        statement = copy_in(lane.schema, lane.table, lane.columns, binary=lane.binary)
        with self._connected() as connection, translate_errors(what):
            connection.execute(settings(self._server.major, encoding=self._hints.database.encoding))
            connection.execute("SET synchronous_commit TO off")
            if self._without_triggers:
                connection.execute("SET session_replication_role TO replica")
            with connection.cursor().copy(statement) as copy:
                for chunk in blob.chunks():
                    copy.write(chunk)

    def _load_sequences(self, blob: Blob) -> None:
        text = b"".join(bytes(chunk) for chunk in blob.chunks()).decode()
        if self._selection:
            text = self._chosen_sequences(text)
        with self._connected() as connection, translate_errors("cannot set the sequences"):
            connection.execute(settings(self._server.major))
            for start in range(0, len(lines := text.splitlines(keepends=True)), 500):
                connection.execute("".join(lines[start : start + 500]))

    def _chosen_sequences(self, text: str) -> str:
        """Those of a selection: the archive was looked into in the phase before."""
        if self._choice is None:
            raise PluginError("the archive has not been read before the sequences")
        names = {literal(quoted(schema, name)) for schema, name in self._choice.relations}
        kept = [line for line in text.splitlines(keepends=True) if _sequence_of(line) in names]
        return "".join(kept)

    def _load_script(self, blob: Blob, location: Location | None, *, stop: bool) -> None:
        """A script through psql, into the target by default; without `stop` a role that exists does not end it.

        Where roles are missing psql goes on, and what it says is judged as what pg_restore says.
        """
        script.check_psql(self._programs)
        command = [self._programs.path("psql"), "--no-psqlrc", "--no-password", "--quiet", "--output=/dev/null"]
        judged = stop and (self._findings.no_owner or self._findings.no_privileges or self._hints.data_only)
        command += [f"--set=ON_ERROR_STOP={int(stop and not judged)}", "--set=VERBOSITY=verbose"]
        if judged:
            command += ["--echo-errors", "--file=-"]  # named, so that its messages say that they are psql's
        judge = Classifier(doing=f"cannot restore into {(location or self._target.into).shown}", script=judged)
        end = f"psql: end {secrets.token_hex(8)}"
        with self._started().start(command, feed=True, tied=True, location=location, watch=judge.line) as child:
            try:
                for piece in script.restricted(blob.chunks(), major=self._server.major, end=end):
                    child.feed(piece)
            except BrokenPipeError:
                log.info("psql ended before the script did")  # found out below
            child.end_input()
            child.finish(judge.doing)
            judge.end()
            if end not in child.lines:
                raise HoldfastError(f"{judge.doing}: psql ended before it had read the whole script")
            if not stop:
                self._note_globals(child.lines)
        with self._lock:
            self._degraded += judge.degraded

    def _note_globals(self, lines: Sequence[str]) -> None:
        """Roles that exist are left as they are; all else that failed is told."""
        failed = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
        with self._lock:
            self._degraded += [
                f"a role or tablespace was not restored: {text.partition(': ')[2] or text}"
                for text in failed
                if not text.startswith("42710")
            ]

    def _started(self) -> ClientProcesses:
        if self._children is None:
            raise PluginError("nothing is prepared")
        return self._children

    @contextmanager
    def _connected(self) -> "Iterator[Connection[TupleRow]]":
        """A connection that `close` can cut while this thread waits for the server."""
        connection = connect(self._target.into)
        with self._lock:
            self._loading.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._loading.discard(connection)
            connection.close()

    # --- the end ---

    def commit(self) -> None:
        """Collect statistics, and let the result take its place."""
        self._prepare()
        if self._options.analyze and not self._hints.schema_only and not self._request.drill:
            self._analyze()
        self._started().close()
        self._target.finish()

    def _analyze(self) -> None:
        """By several sessions where vacuumdb is installed, which is a package of its own on some systems."""
        if not self._programs.has("vacuumdb"):
            with self._connected() as connection, translate_errors("cannot collect statistics"):
                connection.execute("ANALYZE")
            return
        command = [self._programs.path("vacuumdb"), "--analyze-only", "--quiet", "--no-password"]
        command.append(f"--jobs={self._request.jobs}")
        with self._started().start(command, tied=True) as child:
            child.finish("cannot collect statistics")

    def cut(self) -> None:
        """End what other threads do: the sockets of their connections are shut, their programs killed.

        Closing a connection that another thread uses would free memory under it.
        """
        with self._lock:
            for connection in self._loading:
                with contextlib.suppress(OSError, psycopg.Error):
                    duplicate = socket.socket(fileno=os.dup(connection.fileno()))
                    try:
                        duplicate.shutdown(socket.SHUT_RDWR)
                    finally:
                        duplicate.close()
        if self._children is not None:
            self._children.close()


def _sequence_of(line: str) -> str:
    """The literal that names the sequence in a line of ours."""
    return line.removeprefix("SELECT pg_catalog.setval(").rpartition(", ")[0].rpartition(", ")[0]


_SECTIONS = {_BEFORE: "pre-data", _ROWS: "data", _AFTER: "post-data"}


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[PostgresRestore]:
    """Check the target at `request.url`; what was begun without `commit` is undone."""
    options: PostgresOptions = request.options
    hints = read_hints(request.facts)
    _check_options(request, hints)
    location = Location.parse(request.url, connect_timeout=options.connect_timeout)
    target = RestoreTarget(request, hints, location)
    server, findings = target.check()
    found = _programs(hints, server)
    if hints.format == "plain" or (options.globals and hints.globals):
        script.check_psql(found)
    with ExitStack() as stack:
        restore = PostgresRestore(request, hints, target, found, server, findings, stack)
        try:
            yield restore
        finally:
            restore.cut()
            target.close(restore.failed)


def _check_options(request: RestoreRequest, hints: Hints) -> None:
    options: PostgresOptions = request.options
    if hints.format == "plain":
        if request.select or request.exclude:
            raise UsageError(
                "a backup in format plain is one script and can only be restored whole",
                hint="the formats parallel, custom, directory and tar allow --select and --exclude",
            )
        if options.no_owner or options.no_privileges:
            raise UsageError("a backup in format plain cannot leave owners and privileges out")
    if hints.data_only and (request.select or request.exclude):
        # Its archive knows no tables, only rows: neither names nor what needs what could be looked up.
        raise UsageError("a backup of data alone can only be restored whole", hint="select at the backup")
    if options.globals and not hints.globals:
        raise UsageError("the backup holds no roles and tablespaces", hint="backup -o globals=true keeps them")


def _programs(hints: Hints, server: Server) -> Programs:
    """pg_restore must not be older than the pg_dump of the backup; as new as the server is better."""
    try:
        return programs.find(max(hints.client, server.major), why="this restore")
    except PluginError:
        return programs.find(hints.client, why=f"a backup made by pg_dump {hints.client}")
