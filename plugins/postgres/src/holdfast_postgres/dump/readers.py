"""How the streams of a dump are read: each by a client program that shares the snapshot."""

import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from holdfast.api import Chunk, DumpRequest, HoldfastError, Stream, quote_name
from holdfast_postgres.client.arguments import filter_words
from holdfast_postgres.client.client_process import ClientProcess, ClientProcesses
from holdfast_postgres.client.messages import warnings_in
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.dump.definition_changes import DefinitionChanges
from holdfast_postgres.dump.filters import row_filters, selection_filters
from holdfast_postgres.dump.plan import ARCHIVE, GLOBALS, PROPERTIES, SEQUENCES, DumpPlan
from holdfast_postgres.dump.table_parts import TablePart
from holdfast_postgres.encodings import encode
from holdfast_postgres.errors import some_names
from holdfast_postgres.kinds import PG_DUMP_OPTIONS, without_kinds
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.snapshot import Snapshot

_MB = 1 << 20
_SUFFIX = {"parallel": ".dump", "custom": ".dump", "plain": ".sql", "tar": ".tar", "directory": ".tar"}
_PSQL = ("--no-psqlrc", "--quiet", "--no-password", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
         "--set=VERBOSITY=verbose")  # fmt: skip

Reader = Callable[[], Iterator[Chunk]]


class StreamReaders:
    """Reads the streams of one dump; `warnings` grow while they are read."""

    def __init__(
        self,
        request: DumpRequest,
        snapshot: Snapshot,
        plan: DumpPlan,
        programs: Programs,
        processes: ClientProcesses,
        *,
        properties: str,
        changes: DefinitionChanges,
    ) -> None:
        self._request = request
        self._options: PostgresOptions = request.options
        self._snapshot = snapshot
        self._plan = plan
        self._programs = programs
        self._processes = processes
        self._properties = properties
        self._changes = changes
        self._format = self._options.pg_format
        self.warnings: list[str] = []

    def by_stream(self) -> dict[Stream, Reader]:
        """The streams with what reads each, the slowest first."""
        large = sum(table.size for table, _ in self._plan.large_tables)
        total = sum(table.size for table in self._snapshot.tables)
        size = _MB if self._options.schema_only else total - large + _MB
        read = {"directory": self._read_directory, "plain": self._read_script}.get(self._format, self._read_archive)
        readers: dict[Stream, Reader] = {
            Stream(name=ARCHIVE, suffix=_SUFFIX[self._format], size=size): read,
        }
        for part in self._plan.parts:
            readers[Stream(name=part.stream, suffix=".copy", size=part.size)] = partial(self._read_part, part)
        if self._plan.sequences:
            encoding = self._snapshot.server.encoding
            lines = [sequence.statement for sequence in self._plan.sequences]
            text = encode("".join([f"SET client_encoding TO '{encoding}';\n", *lines]), encoding)
            readers[Stream(name=SEQUENCES, suffix=".sql", size=len(text))] = lambda: iter([text])
        if self._properties:
            script_of_database = self._properties.encode()
            size = len(script_of_database)
            readers[Stream(name=PROPERTIES, suffix=".sql", size=size)] = lambda: iter([script_of_database])
        if self._options.globals:
            readers[Stream(name=GLOBALS, suffix=".sql", size=_MB)] = self._read_globals
        return readers

    def _read_archive(self) -> Iterator[Chunk]:
        flag = {"plain": "p", "tar": "t"}.get(self._format, "c")
        arguments = [f"--format={flag}"]
        if flag == "c":
            arguments.append("--compress=0")
        # Tied, although it streams to us: while it waits for a lock it would not notice our sudden death.
        child = self._processes.start(self._pg_dump(*arguments), tied=True)
        return self._changes.in_stream(self._noted(child, "pg_dump failed"), self._format)

    def _read_script(self) -> Iterator[Chunk]:
        """A selection goes through an archive in the scratch folder: of a script pg_dump can leave nothing out."""
        scope, kinds = self._snapshot.scope, self._request.exclude_kinds
        if (scope is None and not kinds) or self._options.data_only:
            yield from self._read_archive()
            return
        from holdfast_postgres.formats import script as sql_script
        from holdfast_postgres.formats.archive import read_entries
        from holdfast_postgres.selection.archive_entries import is_public, list_file, script_entries

        path, listing = self._request.scratch / "selection.dump", self._request.scratch / "selection.list"
        self._check_space(path.parent, "a script of a selection")
        with self._processes.start(self._pg_dump("--format=custom", f"--file={path}"), tied=True) as child:
            child.finish("pg_dump failed")
            self._note(child)
        entries = read_entries(path)
        wanted, needing = without_kinds(entries, kinds)
        if needing:
            self.warnings.append(f"not in the script, since it needs what is left out: {some_names(needing)}")
        kept = script_entries(wanted, scope.dangling) if scope else wanted
        ids = {entry.id for entry in kept}
        omitted = [entry.label for entry in wanted if entry.id not in ids]
        if omitted:
            self.warnings.append(f"not in the script, since it leads beyond the selection: {some_names(omitted)}")
        listing.write_text(list_file(kept), encoding="utf-8")
        command = [self._programs.path("pg_restore"), f"--use-list={listing}", "--file=-", str(path)]
        chunks = self._noted(self._processes.start(command, offline=True), "pg_restore failed")
        chunks = sql_script.keep_public_schema(chunks) if scope and is_public(kept[0]) else chunks
        yield from self._changes.in_stream(chunks, self._format)
        path.unlink()

    def _read_directory(self) -> Iterator[Chunk]:
        """The directory is made in the scratch folder and handed on as a tar of its files."""
        from holdfast_postgres.formats.directory import directory_chunks

        folder = self._request.scratch / "directory"
        self._check_space(folder.parent, "a directory")
        jobs = f"--jobs={self._request.jobs}"
        command = self._pg_dump("--format=directory", "--compress=0", jobs, f"--file={folder}")
        with self._processes.start(command, tied=True) as child:
            child.finish("pg_dump failed")
            self._note(child)
        self._changes.in_directory(folder)
        return directory_chunks(folder)

    def _check_space(self, folder: Path, what: str) -> None:
        needed = sum(table.size for table in self._snapshot.tables)
        total, _, free = shutil.disk_usage(folder)
        if free < needed and total:  # a mount of a cloud's storage has no size, and nothing free
            raise HoldfastError(
                f"not enough space in {quote_name(str(folder.parent))} for {what}: about {needed} bytes are needed for "
                f"a moment, {free} are free",
                hint="set TMPDIR to a folder with more space, or use the parallel format, which needs none",
            )

    def _read_part(self, part: TablePart) -> Iterator[Chunk]:
        timeout = f"SET lock_timeout TO {self._snapshot.monitor.lock_timeout_ms};\n"
        child = self._processes.start([self._programs.path("psql"), *_PSQL], before=_large_writes(), feed=True)
        script = self._snapshot.begin + timeout + part.copy_out + "COMMIT;\n"
        child.write_script(encode(script, self._snapshot.server.encoding))
        return self._noted(child, f"cannot read table {quote_name(part.table.label)}")

    def _read_globals(self) -> Iterator[Chunk]:
        from holdfast_postgres.formats.globals_script import leaving_alone

        location = self._snapshot.location
        command = [self._programs.path("pg_dumpall"), "--globals-only", "--no-password"]
        if not self._plan.passwords:
            command.append("--no-role-passwords")
        child = self._processes.start([*command, f"--database={location.database}"], location=location)
        return leaving_alone(self._noted(child, "cannot read the roles and tablespaces"))

    def _noted(self, child: ClientProcess, action: str) -> Iterator[Chunk]:
        """The output of a program, and its warnings once it has ended well."""
        yield from child.chunks(action)
        self._note(child)

    def _note(self, child: ClientProcess) -> None:
        for warning in warnings_in(child.lines):
            if warning not in self.warnings and not self._is_known(warning):
                self.warnings.append(warning)

    def _is_known(self, warning: str) -> bool:
        """What our own look into the catalogs names already, and what our restore of an archive can do."""
        if "subscriptions not dumped because" in warning:
            return True
        # Of definitions and rows together only tables of extensions have foreign keys before they have rows.
        circular = "there are circular foreign-key constraints " in warning
        return circular and not self._options.data_only and self._format != "plain"

    def _pg_dump(self, *arguments: str) -> list[str | bytes]:
        """The words that run it; the server takes names in them for text in its own encoding, as all of the dump is."""
        command = [self._programs.path("pg_dump"), "--no-password", f"--snapshot={self._snapshot.id}", *arguments]
        # Else the dump would be in the encoding that role or database have for their clients, which may not hold it.
        command.append(f"--encoding={self._snapshot.server.encoding}")
        command.append(f"--lock-wait-timeout={self._snapshot.monitor.lock_timeout_ms}")
        if self._options.schema_only:
            command.append("--schema-only")
        if self._options.data_only:
            command.append("--data-only")
        command += [option for kind, option in PG_DUMP_OPTIONS.items() if kind in self._request.exclude_kinds]
        encoding = self._snapshot.server.encoding
        filters = row_filters(self._snapshot, [table for table, _ in self._plan.large_tables])
        filters += selection_filters(self._request, self._snapshot, self._programs)
        said = filter_words(filters, self._programs, self._request.scratch, encoding)
        return [*(encode(word, encoding) for word in command), *said]


@cache
def _large_writes() -> tuple[str, ...]:
    """Coreutils' stdbuf, where there is one: psql writes 4 KiB at a time to a pipe, which is 40 % of its CPU time."""
    stdbuf = shutil.which("stdbuf")
    return (stdbuf, "--output=1M") if stdbuf else ()
