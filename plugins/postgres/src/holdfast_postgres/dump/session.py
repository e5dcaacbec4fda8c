"""Dump: pg_dump for definitions and small tables, COPY by ranges for large ones, all in one snapshot."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Chunk, DumpRequest, Facts, HoldfastError, Proof, Source, Stream, quote_name
from holdfast_postgres import catalog, manual_restore
from holdfast_postgres.catalog import SequenceState
from holdfast_postgres.client import programs
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.dump import table_parts
from holdfast_postgres.dump.table_parts import Part
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.formats import archive, script
from holdfast_postgres.formats.directory import directory_chunks
from holdfast_postgres.hints import Hints, LargeTableHint, database_hint, foreign_options, needs
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.proof import record
from holdfast_postgres.proof.record import ProofScope, record_proof
from holdfast_postgres.selection import restore_scope
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.session import connect, settings
from holdfast_postgres.snapshot import Snapshot, open_snapshot, still_held

log = logging.getLogger("holdfast.postgres.dump")

ARCHIVE = "archive"
SEQUENCES = "sequences"
GLOBALS = "globals"
_MB = 1 << 20
_CHECKED_SINCE = 14
_SUFFIX = {"parallel": ".dump", "custom": ".dump", "plain": ".sql", "tar": ".tar", "directory": ".tar"}


class PostgresDump:
    """One dump: the streams that its snapshot is written as."""

    def __init__(self, request: DumpRequest, snapshot: Snapshot, found: Programs, children: ClientProcesses) -> None:
        options: PostgresOptions = request.options
        self._request = request
        self._options = options
        self._snapshot = snapshot
        self._programs = found
        self._children = children
        self._format = options.pg_format
        self._selection = Selection(select=request.select, exclude=request.exclude)
        self._parts = self._plan_parts()
        self._large = tuple(table for table, _ in table_parts.by_table(self._parts))
        self._sequences = self._read_sequences()
        with translate_errors(f"cannot read {snapshot.location.shown}"):
            self._database, self._size = database_hint(snapshot.connection, snapshot.server.major)
            self._needs = needs(snapshot.connection)
        self._warnings = self._warn()
        self._readers = self._plan_readers()
        self.streams = tuple(self._readers)
        self.source = Source(name=snapshot.server.database, identity=snapshot.identity)

    # --- planning ---

    def _plan_parts(self) -> list[Part]:
        if self._format != "parallel" or self._options.schema_only:
            return []
        server = self._snapshot.server
        found = table_parts.large(
            self._snapshot.tables, threshold=self._options.large_table * _MB, standby=server.standby
        )
        size, jobs = self._options.part_size * _MB, self._request.jobs
        return table_parts.parts(found, part_size=size, jobs=jobs, major=server.major)

    def _read_sequences(self) -> list[SequenceState]:
        """Read sequences here, once, in the formats where the reading is ours to write."""
        if self._format != "parallel" or self._options.schema_only:
            return []
        snapshot = self._snapshot
        skip = frozenset(one.oid for one in snapshot.relations if not snapshot.takes(one))
        doing = f"cannot read the sequences of {snapshot.location.shown}"
        with snapshot.watch.explained(), translate_errors(doing):
            return catalog.sequences(snapshot.connection, skip=skip, unlogged=not snapshot.server.standby)

    def _plan_readers(self) -> dict[Stream, Any]:
        """The streams with what reads each, the slowest first."""
        readers: dict[Stream, Any] = {}
        large = sum(table.size for table in self._large)
        every = sum(table.size for table in self._snapshot.tables)
        rest = _MB if self._options.schema_only else every - large + _MB
        first = Stream(name=ARCHIVE, suffix=_SUFFIX[self._format], size=rest)
        readers[first] = {"directory": self._read_directory, "plain": self._read_script}.get(
            self._format, self._read_archive
        )
        for part in self._parts:
            readers[Stream(name=part.stream, suffix=".copy", size=part.size)] = partial(self._read_part, part)
        if self._sequences:
            text = "".join(sequence.statement for sequence in self._sequences).encode()
            stream = Stream(name=SEQUENCES, suffix=".sql", size=len(text))
            readers[stream] = lambda: iter([text])
        if self._options.globals:
            readers[Stream(name=GLOBALS, suffix=".sql", size=_MB)] = self._read_globals
        return readers

    def _warn(self) -> list[str]:
        warnings = self._snapshot.extent.warnings() if self._snapshot.extent else []
        server = self._snapshot.server
        unlogged = [table.shown for table in self._snapshot.tables if table.persistence == "u"]
        if server.standby and unlogged:
            warnings.append(
                f"the rows of {len(unlogged)} unlogged tables are not in the backup, since a standby does not have "
                f"them: {some_names(unlogged)}"
            )
        foreign = [
            f"{one.schema}.{one.name}"
            for one in self._snapshot.relations
            if one.kind == "f" and self._snapshot.takes(one)
        ]
        if foreign:
            warnings.append(
                f"the rows of {len(foreign)} foreign tables are on other servers and not in the backup: "
                f"{some_names(foreign)}"
            )
        if self._programs.major > server.major:
            with translate_errors(f"cannot read {self._snapshot.location.shown}"):
                options = foreign_options(self._snapshot.connection)
            if options:
                warnings.append(
                    f"pg_dump {self._programs.version} may write column options of PostgreSQL {server.version} that "
                    f"other servers refuse ({some_names(options)}): install postgresql-client-{server.major}"
                )
        if self._options.globals:
            warnings.append("the backup holds roles with their password hashes: keep it as secret as those")
        return warnings

    # --- reading ---

    def read(self, stream: Stream) -> Iterator[Chunk]:
        """Yield the bytes of a stream."""
        with self._snapshot.watch.explained():
            chunks: Iterator[Chunk] = self._readers[stream]()
            yield from chunks

    def _read_archive(self) -> Iterator[Chunk]:
        flag = {"plain": "p", "tar": "t"}.get(self._format, "c")
        arguments = [f"--format={flag}"]
        if flag == "c":
            arguments.append("--compress=0")
        arguments += [f"--exclude-table-data={table.quoted}" for table in self._large]
        arguments += [f"--exclude-table-data={sequence.quoted}" for sequence in self._sequences]
        # Tied, although it streams to us: while it waits for a lock it would not notice our sudden death.
        child = self._children.start(self._pg_dump(*arguments), tied=True)
        return child.chunks("pg_dump failed")

    def _read_script(self) -> Iterator[Chunk]:
        """A selection goes through an archive in the scratch folder: of a script pg_dump can leave nothing out."""
        extent = self._snapshot.extent
        if extent is None or self._options.data_only:
            yield from self._read_archive()
            return
        path, listing = self._request.scratch / "selection.dump", self._request.scratch / "selection.list"
        self._check_space(path.parent, "a script of a selection")
        with self._children.start(self._pg_dump("--format=custom", f"--file={path}"), tied=True) as child:
            child.finish("pg_dump failed")
        entries = archive.read_entries(path)
        kept = restore_scope.contained(entries, extent.beyond)
        held = {entry.id for entry in kept}
        left_out = [entry.shown for entry in entries if entry.id not in held]
        if left_out:
            self._warnings.append(f"not in the script, since it leads beyond the selection: {some_names(left_out)}")
        listing.write_text(restore_scope.list_file(kept), encoding="utf-8")
        command = [self._programs.path("pg_restore"), f"--use-list={listing}", "--file=-", str(path)]
        chunks = self._children.start(command, offline=True).chunks("pg_restore failed")
        yield from script.sparing_public(chunks) if restore_scope.is_public(kept[0]) else chunks
        path.unlink()

    def _read_directory(self) -> Iterator[Chunk]:
        """The directory is made in the scratch folder and handed on as a tar of its files."""
        folder = self._request.scratch / "directory"
        self._check_space(folder.parent, "a directory")
        jobs = f"--jobs={self._request.jobs}"
        command = self._pg_dump("--format=directory", "--compress=0", jobs, f"--file={folder}")
        with self._children.start(command, tied=True) as child:
            child.finish("pg_dump failed")
        return directory_chunks(folder)

    def _check_space(self, folder: Path, what: str) -> None:
        needed = sum(table.size for table in self._snapshot.tables)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise HoldfastError(
                f"not enough space in {quote_name(str(folder.parent))} for {what}: about {needed} bytes are needed for "
                f"a moment, {free} are free",
                hint="set TMPDIR to a folder with more space, or use the parallel format, which needs none",
            )

    def _read_part(self, part: Part) -> Iterator[Chunk]:
        timeout = f"SET lock_timeout TO {self._snapshot.watch.milliseconds};\n"
        command = [self._programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", *_PSQL]
        child = self._children.start(command, before=_large_writes(), feed=True)
        child.script(self._snapshot.begin + timeout + part.copy_out + "COMMIT;\n")
        return child.chunks(f"cannot read table {quote_name(part.table.shown)}")

    def _read_globals(self) -> Iterator[Chunk]:
        command = [self._programs.path("pg_dumpall"), "--globals-only", "--no-password"]
        location = self._snapshot.location
        child = self._children.start([*command, f"--database={location.database}"], location=location)
        return child.chunks("cannot read the roles and tablespaces")

    def _pg_dump(self, *arguments: str) -> list[str]:
        command = [self._programs.path("pg_dump"), "--no-password", f"--snapshot={self._snapshot.id}", *arguments]
        # Else the dump would be in the encoding that role or database have for their clients, which may not hold it.
        command.append(f"--encoding={self._snapshot.server.encoding}")
        command.append(f"--lock-wait-timeout={self._snapshot.watch.milliseconds}")
        if self._options.schema_only:
            command.append("--schema-only")
        if self._options.data_only:
            command.append("--data-only")
        return [*command, *self._selected()]

    def _selected(self) -> list[str]:
        snapshot = self._snapshot
        if snapshot.extent is None:
            return []
        extensions = self._programs.major >= 14 and not self._options.data_only
        return snapshot.extent.pg_dump_arguments(
            snapshot.schemas, snapshot.relations, self._selection, extensions=extensions
        )

    # --- telling ---

    def proof(self) -> Proof | None:
        """Compute the proof in the dump's snapshot; by default only where that takes little time."""
        if self._request.proof is False:
            return None
        snapshot = self._snapshot
        if self._request.proof is None and sum(table.size for table in snapshot.tables) > record.DEFAULT_UP_TO:
            return None
        whole = not (self._selection or self._options.data_only)
        rows = not self._options.schema_only
        standby = snapshot.server.standby
        # What an extension keeps in its tables it partly makes itself, and another version of it makes other rows.
        plain = [table for table in snapshot.tables if table.kind == "r" and not table.config]
        scope = ProofScope(
            tables=tuple(table for table in plain if table.persistence == "p" or not standby) if rows else (),
            sequences=tuple(self._sequences),
            definitions=whole,
            large_objects=whole and rows,
        )
        with snapshot.watch.explained():
            return record_proof(scope, self._proof_session, major=snapshot.server.major, jobs=self._request.jobs)

    def _proof_session(self) -> "Connection[TupleRow]":
        """Another session that sees the snapshot."""
        connection = connect(self._snapshot.location)
        connection.execute(settings(self._snapshot.server.major))
        connection.execute(f"SET lc_monetary TO 'C'; SET lock_timeout TO {self._snapshot.watch.milliseconds}")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(f"SET TRANSACTION SNAPSHOT '{self._snapshot.id}'")
        return connection

    def facts(self) -> Facts:
        """Tell about the dump, once the session that held its locks has shown to be alive."""
        still_held(self._snapshot)
        hints = self._hints()
        selected_script = self._format == "plain" and self._selection and not self._options.data_only
        used = [
            "pg_dump",
            *(["pg_restore"] if selected_script else []),
            *(["psql"] if self._parts else []),
            *(["pg_dumpall"] if self._options.globals else []),
        ]
        return Facts(
            server_version=self._snapshot.server.version,
            consistency_point=self._snapshot.point,
            warnings=tuple(self._warnings),
            programs=self._programs.recorded(*used),
            restore_steps=manual_restore.steps(hints),
            files=manual_restore.files(hints),
            hints=hints.as_data(),
        )

    def _hints(self) -> Hints:
        return Hints(
            format=self._format,  # type: ignore[arg-type]
            major=self._snapshot.server.major,
            client=self._programs.major,
            database=self._database,
            size=self._size,
            archive=ARCHIVE,
            sequences=SEQUENCES if self._sequences else "",
            globals=GLOBALS if self._options.globals else "",
            schema_only=self._options.schema_only,
            data_only=self._options.data_only,
            selected=bool(self._selection),
            lanes=[
                LargeTableHint(
                    schema=table.schema,
                    table=table.name,
                    columns=list(table.columns),
                    binary=table.binary,
                    streams=streams,
                )
                for table, streams in table_parts.by_table(self._parts)
            ],
            **self._needs,
        )


@cache
def _large_writes() -> tuple[str, ...]:
    """Coreutils' stdbuf, where there is one: psql writes 4 KiB at a time to a pipe, which is 40 % of its CPU time."""
    stdbuf = shutil.which("stdbuf")
    return (stdbuf, "--output=1M") if stdbuf else ()


_PSQL = ("--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose")


def _checked(snapshot: Snapshot) -> Location:
    """For client programs: a session that waits for a lock ends soon after its client has been killed.

    Not behind a pooler, which would refuse options that it does not know.
    """
    if snapshot.server.major < _CHECKED_SINCE or snapshot.pooled:
        return snapshot.location
    return snapshot.location.with_options({"client_connection_check_interval": "2s"})


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[PostgresDump]:
    """Lock the tables of the database at `request.url`, take a snapshot, and hold both until this is left."""
    options: PostgresOptions = request.options
    location = Location.parse(request.url, connect_timeout=options.connect_timeout)
    selection = Selection(select=request.select, exclude=request.exclude)
    with ExitStack() as stack:
        snapshot = stack.enter_context(
            open_snapshot(location, selection, lock_timeout=options.lock_timeout, definitions=not options.data_only)
        )
        server = snapshot.server
        found = programs.find(server.major, why=f"a server of version {server.version}")
        children = stack.enter_context(ClientProcesses(_checked(snapshot), request.scratch))
        snapshot.watch.ends(children.end)
        yield PostgresDump(request, snapshot, found, children)
