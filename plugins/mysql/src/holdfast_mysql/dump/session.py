"""One running dump: its streams, its proof and what it tells of itself."""

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pymysql

from holdfast.api import (
    Chunk,
    CredentialsError,
    DumpRequest,
    Facts,
    HoldfastError,
    ObjectProof,
    Proof,
    Stream,
    UsageError,
    quote_name,
)
from holdfast_mysql import manual_restore
from holdfast_mysql.catalog.databases import is_read_only
from holdfast_mysql.catalog.privileges import hidden_objects, unreadable_tables
from holdfast_mysql.catalog.replacements import unsettled
from holdfast_mysql.catalog.requirements import requirements_of
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.surroundings import persistent_statistics
from holdfast_mysql.catalog.tables import Table, list_names, read_tables
from holdfast_mysql.definitions.directories import has_directories, without_directories
from holdfast_mysql.definitions.script import ScriptWriter, Statement
from holdfast_mysql.dump.contents import Contents, read_contents, warnings_of
from holdfast_mysql.dump.inserts import inserts
from holdfast_mysql.dump.packets import Packets
from holdfast_mysql.dump.scripts import in_order_for_clients, portable, text_keys_again, without_text_keys
from holdfast_mysql.dump.server_history import source_of
from holdfast_mysql.dump.short_tables import check_whole
from holdfast_mysql.errors import table_error, translate_errors
from holdfast_mysql.location import Location, locate
from holdfast_mysql.names import ACCOUNTS, BROKEN, OBJECTS, SCHEMA, SCRIPT, SYSTEM
from holdfast_mysql.proof.definitions import database_proof, definition_proofs
from holdfast_mysql.proof.record import proof_of, settings_of
from holdfast_mysql.proof.rows import DigestPlan, StreamDigest, largest_numbers, sum_rows, table_proof
from holdfast_mysql.rows.wire import RowCopy
from holdfast_mysql.session import Session, connect, quoted
from holdfast_mysql.session.dump_connections import DumpConnections
from holdfast_mysql.snapshot import Snapshot, SnapshotTaker, prepare_reader

_TICK = 0.1
_ROW_MORE = 4  # bytes of a value besides its own, in a statement
_LARGE_ROW = 1 << 20  # bytes from which the manifest tells the longest row of a stream

_LOCK_TIMEOUT = 5.0  # seconds, of a lock that stops all writers of the server


class MysqlDump:
    """One running dump."""

    def __init__(
        self, location: Location, request: DumpRequest, snapshot: Snapshot, contents: Contents, hidden: list[str]
    ) -> None:
        self._location = location
        self._request = request
        self._snapshot = snapshot
        self._contents = contents
        self._hidden = hidden
        self._closed = threading.Event()
        self._readers: queue.Queue[Session] = queue.Queue()
        for reader in snapshot.readers:
            self._readers.put(reader)
        self._digests: dict[str, StreamDigest] = {}
        self._largest: dict[str, int] = {}
        self._packets = Packets()
        self._digest_plan = DigestPlan.of(
            contents.tables, wanted=request.proof, always={name.rpartition(".")[0] for name in contents.reprinted}
        )
        self._server = snapshot.keeper.server
        self._title = f"database {location.database!r} of {self._server.text}"
        self.streams = tuple(self._streams())
        self.source = source_of(location, snapshot.keeper)

    def _streams(self) -> Iterator[Stream]:
        if self._request.options.format == "sql":
            yield Stream(name=SCRIPT, suffix=".sql")
        else:
            yield Stream(name=SCHEMA, suffix=".sql")
            for name in self._contents.rows:
                yield Stream(name=name, suffix=".rows")
            yield Stream(name=OBJECTS, suffix=".sql")
        if self._contents.broken:
            yield Stream(name=BROKEN, suffix=".sql")
        if self._contents.accounts:
            yield Stream(name=ACCOUNTS, suffix=".sql")

    def close(self) -> None:
        """Cut every reader off, so that a read in another thread ends."""
        self._closed.set()
        for reader in self._snapshot.readers:
            reader.abort()

    def read(self, stream: Stream) -> Iterator[Chunk]:
        """Yield a stream; several may be read at once."""
        contents = self._contents
        scripts = {
            SCHEMA: (contents.database, *without_text_keys(contents.before)),
            OBJECTS: (*text_keys_again(contents.before), *contents.after, *contents.histograms),
            BROKEN: contents.broken,
            ACCOUNTS: contents.accounts,
        }
        if stream.name in scripts:
            yield from self._script(self._portable(scripts[stream.name]))
        elif stream.name == SCRIPT:
            yield from self._whole_script()
        else:
            with self._copy(stream.name) as copy:
                yield from copy.chunks()
            table = self._contents.rows[stream.name].table
            self._packets.note(table, copy.largest + _ROW_MORE * len(table.columns))
            if copy.largest >= _LARGE_ROW:
                self._largest[stream.name] = copy.largest

    @contextmanager
    def _copy(self, name: str) -> Iterator[RowCopy]:
        """The rows of a stream; their number and digest are kept when all of them were read."""
        rows = self._contents.rows[name]
        digest = self._digest_plan.digest(rows.table) if self._request.proof is not False else None
        with self._reader(f"cannot read table {quote_name(rows.table.name)}") as reader:
            copy = RowCopy(reader, rows.sql(), header=rows.table.row_header().line(), digest=digest)
            try:
                yield copy
                check_whole(reader, rows.table, copy.rows)
            except pymysql.MySQLError as error:
                raise table_error(error, rows.table.name) from error
        self._digests[name] = StreamDigest(rows=copy.rows, digest=copy.digest)

    @contextmanager
    def _reader(self, action: str) -> Iterator[Session]:
        """A connection of the snapshot; after an error it is not given back, for its state is not known."""
        while True:
            if self._closed.is_set():
                raise HoldfastError("the backup was aborted")
            with contextlib.suppress(queue.Empty):
                reader = self._readers.get(timeout=_TICK)
                break
        with translate_errors(action):
            yield reader
        self._readers.put(reader)

    def _portable(self, statements: Sequence[Statement]) -> list[Statement]:
        contents = self._contents
        names = [statement.name for statement in (*contents.before, *contents.after, *contents.broken)]
        return list(in_order_for_clients(portable(statements, self._location.database, names)))

    def _script(self, statements: Sequence[Statement]) -> Iterator[bytes]:
        writer = ScriptWriter(title=self._title, avoid=[statement.body for statement in statements])
        yield writer.opening() + b"".join(writer.statement(statement) for statement in statements) + writer.closing()

    def _whole_script(self) -> Iterator[bytes]:
        contents = self._contents
        before = tuple(without_text_keys(contents.before))
        after = (*text_keys_again(contents.before), *self._portable(contents.after), *contents.histograms)
        definitions = (contents.database, *before, *after)
        writer = ScriptWriter(title=self._title, avoid=[statement.body for statement in definitions])
        yield writer.opening()
        for statement in (contents.database, *before):
            yield writer.statement(statement)
        for name in contents.rows:
            with self._copy(name) as copy:
                for piece in inserts(copy.chunks(), writer):
                    self._packets.note(contents.rows[name].table, len(piece))
                    yield piece
        for statement in after:
            yield writer.statement(statement)
        yield writer.closing()

    def proof(self) -> Proof | None:
        """Digests of all rows, as they passed or by the server, and of every definition."""
        contents, options = self._contents, self._request.options
        tables = [table for table in contents.tables if table.stored]
        objects = [self._table_proof(table) for table in tables]
        objects.append(database_proof(contents.database))
        # Others may write to them between the reading of the definition and that of the rows.
        uncounted = {table.name for table in contents.tables
                     if not (table.transactional or options.lock_nontransactional)}  # fmt: skip
        with self._reader("cannot read the largest numbers") as reader:
            numbers = largest_numbers(reader, contents.tables, without=uncounted)
        definers = options.definer == "keep"
        before = [replace(statement, body=without_directories(statement.body)) for statement in contents.before]
        objects += definition_proofs((*before, *contents.after), self._location.database, numbers, definers=definers)
        ranges = {
            table.name: [rows.key_range for rows in self._contents.streams_of(table).values()] for table in tables
        }
        return proof_of(objects, settings_of(ranges, self._digest_plan, uncounted=uncounted, definers=definers))

    def _table_proof(self, table: Table) -> ObjectProof:
        digests = [self._digests[name] for name in self._contents.streams_of(table)]
        total = ""
        if table.name in self._digest_plan.by_server:
            with self._reader(f"cannot digest table {quote_name(table.name)}") as reader:
                counted, total = sum_rows(reader, table)
            if counted != (read := sum(digest.rows for digest in digests)):
                raise HoldfastError(
                    f"the server counts {counted} rows in table {quote_name(table.name)}, and sent {read} of them",
                    hint="run the backup again, and report this if it stays",
                )
        return table_proof(table, digests, self._digest_plan, total)

    def facts(self) -> Facts:
        """Tell about the dump."""
        contents, options = self._contents, self._request.options
        rows = {name: [stream.table.name, self._digests[name].rows] for name, stream in contents.rows.items()}
        wire = options.format == "wire"
        hidden = [f"the account may not see, and the backup may be without: {', '.join(self._hidden)}"]
        return Facts(
            server_version=self._server.text,
            consistency_point={"by": self._snapshot.consistency, **self._snapshot.position},
            warnings=(*self._snapshot.warnings, *(hidden if self._hidden else ()), *warnings_of(contents, options)),
            restore_steps=manual_restore.steps(
                self._server,
                contents.database,
                tuple(rows),
                wire=wire,
                broken=bool(contents.broken),
                signed=any(manual_restore.subtracts(statement.body) for statement in contents.before),
                computed=contents.computed_under,
            ),
            files=manual_restore.files() if wire else {},
            hints={
                "format": options.format,
                "server": self._server.text,
                "database": self._location.database,
                "collation": contents.database.collation,
                "charset": contents.database.extra["charset"],
                "comment": contents.database.extra["comment"],
                "encryption": contents.database.extra["encryption"],
                "read_only": is_read_only(self._snapshot.keeper, self._location.database),
                # A drill makes these tables without their folders, and their digests are of such ones.
                "placed": [table.name for table in contents.before if has_directories(table.body)],
                "statistics": [
                    name
                    for name in persistent_statistics(self._snapshot.keeper, self._location.database)
                    if name in contents.names["table"]
                ],
                "lacks": [*self._hidden, *contents.lacking],
                "folds": self._snapshot.keeper.folds,
                "last_moment": next((table.last for table in contents.tables if table.last), ""),
                "rows": rows,
                "largest": dict(self._largest),
                **contents.hints,
                "packets": self._packets.needed(contents.tables, (*contents.before, *contents.after)),
                "needs": requirements_of(contents.tables, (*contents.before, *contents.after), contents.needs),
            },
        )


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[MysqlDump]:
    """Take the snapshot; leaving frees every connection, and with it every lock."""
    location = locate(request.url)
    if location.database.lower() in SYSTEM:
        raise UsageError(
            f"{quote_name(location.database)} is the server's own database",
            hint="use -o users=true to store accounts and grants" if location.database == "mysql" else None,
        )
    with ExitStack() as stack:

        def open_reader() -> Session:
            session = connect(location, database=location.database)
            stack.callback(session.close)
            prepare_reader(session)
            return session

        jobs = 1 if request.options.format == "sql" else request.jobs
        connections = DumpConnections.open(open_reader, jobs=jobs)
        keeper = connections.keeper
        hidden = _check_privileges(keeper, location, request)
        selection = Selection.of(request)
        unreadable: tuple[tuple[str, str], ...] = ()
        if hidden and request.options.incomplete:
            unreadable = unreadable_tables(keeper, location.database, selection)
            selection = selection.leaving([name for _, name in unreadable])
        timeout = request.options.lock_timeout or _LOCK_TIMEOUT

        def hold(names: Sequence[str]) -> None:
            if request.options.lock_nontransactional:
                loose = _nontransactional(keeper, location.database, names)
                if loose:
                    _lock_tables(open_reader(), loose, timeout=timeout)

        request.report(f"waiting for a snapshot of {quote_name(location.database)}")
        with translate_errors(f"cannot take a snapshot of {quote_name(location.database)}"):
            taker = SnapshotTaker(connections, timeout=timeout)
            snapshot = taker.take(lambda: _names(keeper, location.database, selection), hold)
            if connections.locker:
                connections.locker.close()
        request.report(f"reading the definitions of {quote_name(location.database)}")
        with translate_errors(f"cannot read the definitions of {quote_name(location.database)}"):
            contents = read_contents(
                snapshot.keeper, snapshot.readers[0], location.database, selection, request.options
            )
            contents = replace(contents, denied=(*unreadable, *contents.denied))
            if why := unsettled(snapshot.keeper, location.database):
                snapshot = replace(snapshot, warnings=(*snapshot.warnings, why))
        dump = MysqlDump(location, request, snapshot, contents, hidden)
        stack.callback(dump.close)
        yield dump


def _check_privileges(session: Session, location: Location, request: DumpRequest) -> list[str]:
    """Refuse, or with `incomplete` tell, what the account cannot see and would be missing unnoticed."""
    hidden = hidden_objects(session, location.database, Selection.of(request))
    if hidden and not request.options.incomplete:
        raise CredentialsError(
            f"the account may not see all of database {quote_name(location.database)}, and the backup would be without "
            f"{', '.join(hidden)}",
            hint="grant the privileges named; if there are no such objects, or to do without them, use "
            "-o incomplete=true, or --exclude-kind",
        )
    return hidden


def _nontransactional(session: Session, database: str, names: Sequence[str]) -> list[str]:
    tables = read_tables(session, database, Selection(), unopened={})
    return [table.name for table in tables if not table.transactional and table.stored and table.name in names]


def _lock_tables(session: Session, names: Sequence[str], *, timeout: float) -> None:
    """Keep tables from being written for as long as the connection lives."""
    session.execute(f"SET lock_wait_timeout={int(timeout)}")
    session.execute("LOCK TABLES " + ", ".join(f"{quoted(name)} READ" for name in names))


def _names(session: Session, database: str, selection: Selection) -> list[str]:
    names = list_names(session, database)
    selection.check([name for name, _ in names])
    return [name for name, kind in names if kind != "VIEW" and name in selection]
