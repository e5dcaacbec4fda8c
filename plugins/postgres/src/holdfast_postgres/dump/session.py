"""The session of a dump: its streams, its proof, and its facts for the manifest."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Chunk, DumpRequest, Facts, HoldfastError, Proof, Stream
from holdfast_postgres import money
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.client.programs import Programs, look_ahead
from holdfast_postgres.database_properties import read_properties
from holdfast_postgres.dump.definition_changes import definition_changes, unreadable_warning
from holdfast_postgres.dump.extensions import read_extensions
from holdfast_postgres.dump.filters import choose_programs
from holdfast_postgres.dump.named_objects import named_objects
from holdfast_postgres.dump.omissions import tables_of_large_objects
from holdfast_postgres.dump.partition_roots import partition_roots
from holdfast_postgres.dump.plan import ARCHIVE, GLOBALS, PROPERTIES, SEQUENCES, make_plan
from holdfast_postgres.dump.readers import StreamReaders
from holdfast_postgres.dump.requirements import database_hint, needs_of_constraints, read_requirements, source_path
from holdfast_postgres.dump.warnings import dump_warnings
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.hints import ExtensionHint, Hints, LargeTableHint
from holdfast_postgres.implied_operators import read_implied
from holdfast_postgres.kinds import hints_without
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.selection import Selection
from holdfast_postgres.session import connect, settings
from holdfast_postgres.silence import Peer
from holdfast_postgres.snapshot import Snapshot, check_held, open_snapshot
from holdfast_postgres.special_extensions import check_selection

if TYPE_CHECKING:
    from holdfast_postgres.proof.record import ProofScope

_CONNECTION_CHECKS_SINCE = 14


class PostgresDump:
    """One dump: the streams that its snapshot is written as.

    What is needed once they are read is imported then: before, the server has nothing to do meanwhile.
    """

    def __init__(
        self, request: DumpRequest, snapshot: Snapshot, programs: Programs, processes: ClientProcesses
    ) -> None:
        self._request = request
        self._options: PostgresOptions = request.options
        self._snapshot = snapshot
        self._programs = programs
        self._plan = make_plan(request, snapshot, programs)
        with translate_errors(f"cannot read {snapshot.location.label}"):
            if snapshot.scope and not self._options.schema_only:
                from holdfast_postgres.selection.divided import refuse_divided

                refuse_divided(snapshot.connection, snapshot.scope.relations)
            self._database, self._size = database_hint(snapshot.connection, snapshot.server.major)
            self._requirements = read_requirements(snapshot.connection, snapshot.scope)
            self._constraints = needs_of_constraints(snapshot.connection)
            self._search_path = source_path(snapshot.connection)
            self._extensions = self._read_extensions()
            self._properties = self._read_properties()
            self._implied = [] if self._options.data_only else read_implied(snapshot.connection)
            self._changes = definition_changes(snapshot.connection, self._implied, snapshot.server.encoding)
            large = [table for table, _ in self._plan.large_tables]
            self._roots = partition_roots(snapshot.connection, large, snapshot.scope)
            self._pointing = () if self._options.schema_only else tuple(tables_of_large_objects(snapshot))
            naming = [] if self._options.schema_only else named_objects(snapshot)
        self._warnings = list(dump_warnings(snapshot, self._options, programs, passwords=self._plan.passwords))
        self._warnings += unreadable_warning(self._implied) + naming
        if self._is_selection and self._pointing:
            names = some_names([table.label for table in self._pointing])
            self._warnings.append(
                f"not in the backup, since a selection holds no large objects: those that rows refer to, in {names}"
            )
        self._unproven = ""
        self._source = StreamReaders(
            request, snapshot, self._plan, programs, processes, properties=self._properties, changes=self._changes
        )
        self._readers = self._source.by_stream()
        self.streams = tuple(self._readers)
        self.source = snapshot.source

    def _read_extensions(self) -> list[ExtensionHint]:
        """The extensions of the dump; a selection that would divide what one keeps together is refused."""
        snapshot, selects = self._snapshot, bool(self._request.select)
        extensions = read_extensions(snapshot.connection, snapshot.scope, selects=selects)
        taken = [(relation.schema, relation.name) for relation in snapshot.relations if snapshot.takes(relation)]
        check_selection(extensions, taken, selects=selects, excludes=bool(self._request.exclude))
        return extensions

    def _read_properties(self) -> str:
        """What belongs to the database itself, as a script; a selection or rows alone say nothing of it."""
        if self._is_selection or self._options.data_only:
            return ""
        return read_properties(self._snapshot.connection, self._snapshot.server.database, portable=True).script

    def read(self, stream: Stream) -> Iterator[Chunk]:
        """Yield the bytes of a stream."""
        with self._snapshot.monitor.explain_locks():
            yield from self._readers[stream]()

    def proof(self) -> Proof | None:
        """Compute the proof in the dump's snapshot; by default only where that takes little time.

        One that cannot be computed is a warning: the backup is complete without.
        """
        if self._request.proof is False:
            return None
        from holdfast_postgres.proof import record

        snapshot = self._snapshot
        if self._request.proof is None and sum(table.size for table in snapshot.tables) > record.DEFAULT_UP_TO:
            return None
        try:
            with snapshot.monitor.explain_locks():
                return record.record_proof(
                    self._proof_scope(), self._open_session, major=snapshot.server.major, jobs=self._request.jobs
                )
        except HoldfastError as error:
            # The rows are in the backup as COPY gave them. If the snapshot was lost, `facts` finds out.
            self._unproven = error.message
            return None

    def _proof_scope(self) -> "ProofScope":
        from holdfast_postgres.proof.record import ProofScope

        # What an archive holds of kinds that no restore takes cannot be told from what is missing.
        whole = not (self._is_selection or self._request.exclude_kinds or self._options.data_only)
        rows = not self._options.schema_only
        standby = self._snapshot.server.standby
        tables = [
            table
            for table in self._snapshot.tables
            if rows and table.kind == "r" and (table.persistence == "p" or not standby)
        ]
        return ProofScope(
            tables=tuple(table for table in tables if not table.config),
            configuration=frozenset((table.schema, table.name) for table in tables if table.config),
            sequences=self._plan.sequences,
            definitions=whole,
            large_objects=rows and not (self._is_selection or self._options.data_only),
        )

    def _open_session(self) -> "Connection[TupleRow]":
        """Another session that sees the snapshot."""
        connection = connect(self._snapshot.location)
        connection.execute(settings(self._snapshot.server.major, money=money.LOCALE))
        connection.execute(f"SET lock_timeout TO {self._snapshot.monitor.lock_timeout_ms}")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(f"SET TRANSACTION SNAPSHOT '{self._snapshot.id}'")
        return connection

    def facts(self) -> Facts:
        """The facts of the dump, once the session that held its locks has been found alive."""
        from holdfast_postgres import manual_restore

        check_held(self._snapshot)
        hints = self._hints()
        return Facts(
            server_version=self._snapshot.server.version,
            consistency_point=self._snapshot.point,
            warnings=(*self._warnings, *self._source.warnings),
            programs=self._programs.as_versions(*self._used_programs()),
            restore_steps=manual_restore.steps(hints),
            files=manual_restore.files(hints),
            hints=hints.as_data(),
            unproven=self._unproven,
        )

    def _used_programs(self) -> Iterator[str]:
        yield "pg_dump"
        chosen = self._is_selection or self._request.exclude_kinds
        if self._options.pg_format == "plain" and chosen and not self._options.data_only:
            yield "pg_restore"
        if self._plan.parts:
            yield "psql"
        if self._options.globals:
            yield "pg_dumpall"

    @property
    def _is_selection(self) -> bool:
        return bool(self._request.select or self._request.exclude)

    def _needed(self) -> list[tuple[str, str]]:
        """The relations that are in the backup only because the selection needs them."""
        scope = self._snapshot.scope
        oids = scope.needed if scope else frozenset()
        return [(relation.schema, relation.name) for relation in self._snapshot.relations if relation.oid in oids]

    def _hints(self) -> Hints:
        hints = Hints(
            format=self._options.pg_format,
            major=self._snapshot.server.major,
            client=self._programs.major,
            database=self._database,
            size=self._size,
            archive=ARCHIVE,
            sequences=SEQUENCES if self._plan.sequences else "",
            globals=GLOBALS if self._options.globals else "",
            passwords=self._plan.passwords,
            properties=PROPERTIES if self._properties else "",
            schema_only=self._options.schema_only,
            data_only=self._options.data_only,
            selected=self._is_selection,
            needed=self._needed(),
            money=self._snapshot.money,
            search_path=self._search_path,
            ordered=any(table.checked for table in self._snapshot.tables),
            large_tables=[
                LargeTableHint(
                    schema=table.schema,
                    table=table.name,
                    columns=list(table.columns),
                    binary=table.binary,
                    streams=streams,
                    root=self._roots.get(table.oid),
                )
                for table, streams in self._plan.large_tables
            ],
            installed=self._extensions,
            constraint_needs=self._constraints,
            meanings=[each.meaning for each in self._implied],
            large_object_tables=[(table.schema, table.name) for table in self._pointing],
            exclude_kinds=list(self._request.exclude_kinds),
            **self._requirements,
        )
        return hints_without(hints, self._request.exclude_kinds)


def _client_location(snapshot: Snapshot) -> Location:
    """For client programs: amounts are written alike, and a session that waits for a lock ends soon after its client.

    Not behind a pooler, which would refuse options that it does not know.
    """
    if snapshot.pooled:
        return snapshot.location
    options = {"lc_monetary": snapshot.money} if snapshot.money else {}
    if snapshot.server.major >= _CONNECTION_CHECKS_SINCE:
        options["client_connection_check_interval"] = "2s"
    return snapshot.location.with_options(options) if options else snapshot.location


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[PostgresDump]:
    """Lock the tables of the database at `request.url`, take a snapshot, and hold both until this is left."""
    options: PostgresOptions = request.options
    location = Location.parse(request.url, connect_timeout=options.connect_timeout)
    selection = Selection(select=request.select, exclude=request.exclude)
    look_ahead()
    with ExitStack() as stack:
        request.report(f"locking the tables of {location.label}")
        snapshot = stack.enter_context(
            open_snapshot(location, selection, lock_timeout=options.lock_timeout, definitions=not options.data_only)
        )
        request.report(f"reading the definitions of {location.label}")
        programs = choose_programs(request, snapshot)
        processes = stack.enter_context(
            ClientProcesses(_client_location(snapshot), request.scratch, peer=Peer.of(snapshot.connection.fileno()))
        )
        snapshot.monitor.on_error(processes.abort)
        yield PostgresDump(request, snapshot, programs, processes)
