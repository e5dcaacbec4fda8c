"""Dump: one snapshot on several connections, rows as wire units by key range, definitions as a script."""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from holdfast.api import (
    Chunk,
    CredentialsError,
    DumpRequest,
    Facts,
    HoldfastError,
    Proof,
    Source,
    Stream,
    UsageError,
    quote_name,
)
from holdfast_mysql import manual_restore
from holdfast_mysql.catalog.accounts import read_accounts
from holdfast_mysql.catalog.privileges import unseen
from holdfast_mysql.catalog.requirements import needs_of
from holdfast_mysql.catalog.tables import BROKEN_VIEW, Definitions, Selection, Table, names_of, read_tables
from holdfast_mysql.definitions.rewrite import with_definer
from holdfast_mysql.definitions.script import ScriptWriter, Statement
from holdfast_mysql.dump import inserts
from holdfast_mysql.location.database_url import Location, locate
from holdfast_mysql.names import ACCOUNTS, BROKEN, OBJECTS, SCHEMA, SCRIPT, SYSTEM
from holdfast_mysql.proof.record import (
    Summed,
    UnitDigest,
    database_proof,
    definition_proofs,
    largest_numbers,
    proof_of,
    settings_of,
    sum_of,
    table_proof,
)
from holdfast_mysql.rows.key_ranges import RowUnit, ranges
from holdfast_mysql.rows.wire import RowCopy
from holdfast_mysql.session.connection import Session, connect, quoted, saying
from holdfast_mysql.snapshot import Snapshot, Taking, prepare

log = logging.getLogger("holdfast.mysql")


_TICK = 0.1
_LARGE_ROW = 1 << 20  # bytes from which the manifest tells the longest row of a stream


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a dump holds, read in its snapshot."""

    database: Statement
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]
    tables: tuple[Table, ...]
    broken: tuple[Statement, ...]
    accounts: tuple[Statement, ...]
    units: dict[str, RowUnit]

    @property
    def names(self) -> dict[str, list[str]]:
        """What a selection can choose, by its kind."""
        statements = (*self.before, *self.after, *self.broken)
        return {
            kind: sorted(one.name for one in statements if one.kind == kind) for kind in ("table", "sequence", "view")
        }


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
        self._digests: dict[str, UnitDigest] = {}
        self._largest: dict[str, int] = {}
        self._summed = Summed.of(contents.tables, wanted=request.proof)
        self._server = snapshot.keeper.server
        self._title = f"database {location.database!r} of {self._server.text}"
        self.streams = tuple(self._streams())
        port = snapshot.keeper.value("SELECT @@port") if location.socket else str(location.port)
        host = "localhost" if location.local else location.host.lower()
        self.source = Source(name=location.database, identity=f"{host}:{port}/{location.database}")

    def _streams(self) -> Iterator[Stream]:
        if self._request.options.format == "sql":
            yield Stream(name=SCRIPT, suffix=".sql")
        else:
            yield Stream(name=SCHEMA, suffix=".sql")
            for name in self._contents.units:
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
        if stream.name == SCHEMA:
            yield from self._script((contents.database, *contents.before))
        elif stream.name == OBJECTS:
            yield from self._script(contents.after)
        elif stream.name == BROKEN:
            yield from self._script(contents.broken)
        elif stream.name == ACCOUNTS:
            yield from self._script(contents.accounts)
        elif stream.name == SCRIPT:
            yield from self._portable()
        else:
            unit = contents.units[stream.name]
            with self._reader(f"cannot read table {quote_name(unit.table.name)}") as reader:
                copy = self._copy(reader, unit)
                yield from copy.chunks()
            self._digests[stream.name] = UnitDigest(rows=copy.rows, digest=copy.digest)
            if copy.largest >= _LARGE_ROW:
                self._largest[stream.name] = copy.largest

    def _copy(self, reader: Session, unit: RowUnit) -> RowCopy:
        header = unit.table.unit().header()
        digest = self._summed.digest(unit.table) if self._request.proof is not False else None
        return RowCopy(reader, unit.sql(), header=header, digest=digest)

    @contextmanager
    def _reader(self, doing: str) -> Iterator[Session]:
        """A connection of the snapshot; after an error it is not given back, for its state is not known."""
        while True:
            if self._closed.is_set():
                raise HoldfastError("the backup has been given up")
            with contextlib.suppress(queue.Empty):
                reader = self._readers.get(timeout=_TICK)
                break
        with saying(doing):
            yield reader
        self._readers.put(reader)

    def _script(self, statements: Sequence[Statement]) -> Iterator[bytes]:
        writer = ScriptWriter(title=self._title, avoid=[statement.body for statement in statements])
        yield writer.opening() + b"".join(writer.statement(statement) for statement in statements) + writer.closing()

    def _portable(self) -> Iterator[bytes]:
        contents = self._contents
        definitions = (contents.database, *contents.before, *contents.after)
        writer = ScriptWriter(title=self._title, avoid=[statement.body for statement in definitions])
        yield writer.opening()
        for statement in (contents.database, *contents.before):
            yield writer.statement(statement)
        for name, unit in contents.units.items():
            with self._reader(f"cannot read table {quote_name(unit.table.name)}") as reader:
                copy = self._copy(reader, unit)
                yield from inserts.inserts(copy.chunks(), writer)
            self._digests[name] = UnitDigest(rows=copy.rows, digest=copy.digest)
        for statement in contents.after:
            yield writer.statement(statement)
        yield writer.closing()

    def proof(self) -> Proof | None:
        """Digests of all rows, as they passed or by the server, and of every definition."""
        contents = self._contents
        objects, divided = [], {}
        for table in contents.tables:
            if not table.stored:
                continue
            names = [name for name, unit in contents.units.items() if unit.table is table]
            total = ""
            if table.name in self._summed.by_server:
                with self._reader(f"cannot digest table {quote_name(table.name)}") as reader:
                    counted, total = sum_of(reader, table)
                if counted != (read := sum(self._digests[name].rows for name in names)):
                    raise HoldfastError(
                        f"the server counts {counted} rows in table {quote_name(table.name)}, and sent {read} of them",
                        hint="run the backup again, and report this if it stays",
                    )
            objects.append(table_proof(table, [self._digests[name] for name in names], self._summed, total))
            divided[table.name] = [contents.units[name].part for name in names]
        objects.append(database_proof(contents.database))
        # Others may write to them between the reading of the definition and that of the rows.
        locked = self._request.options.lock_nontransactional
        uncounted = {table.name for table in contents.tables if not (table.transactional or locked)}
        with self._reader("cannot read the largest numbers") as reader:
            numbers = largest_numbers(reader, contents.tables, without=uncounted)
        definers = self._request.options.definer == "keep"
        objects += definition_proofs(
            (*contents.before, *contents.after), self._location.database, numbers, definers=definers
        )
        return proof_of(objects, settings_of(divided, self._summed, uncounted=uncounted, definers=definers))

    def facts(self) -> Facts:
        """Tell about the dump."""
        contents, options = self._contents, self._request.options
        units = {name: [unit.table.name, self._digests[name].rows] for name, unit in contents.units.items()}
        wire = options.format == "wire"
        return Facts(
            server_version=self._server.text,
            consistency_point={"by": self._snapshot.consistency, **self._snapshot.position},
            warnings=(*self._snapshot.warnings, *self._warnings()),
            restore_steps=manual_restore.steps(
                self._server, contents.database, tuple(units), wire=wire, broken=bool(contents.broken)
            ),
            files=manual_restore.files() if wire else {},
            hints={
                "format": options.format,
                "server": self._server.text,
                "database": self._location.database,
                "collation": contents.database.collation,
                "charset": contents.database.extra["charset"],
                "comment": contents.database.extra["comment"],
                "names": contents.names,
                "rows": units,
                "largest": dict(self._largest),
                "needs": needs_of(contents.tables, (*contents.before, *contents.after)),
            },
        )

    def _warnings(self) -> Iterator[str]:
        contents = self._contents
        if self._hidden:
            yield f"the account may not see, and the backup may be without: {', '.join(self._hidden)}"
        loose = [table.name for table in contents.tables if not table.transactional and table.stored]
        if loose and not self._request.options.lock_nontransactional:
            yield (
                f"{_list(loose)} not in the snapshot, because the storage engine has no transactions: "
                "what was written to them during the backup may be in it or not "
                "(-o lock_nontransactional=true blocks such writes)"
            )
        elsewhere = [table.name for table in contents.tables if not table.stored]
        if elsewhere:
            yield f"{_list(elsewhere)} saved without rows, because these belong to other tables or servers"
        current = [table.name for table in contents.tables if table.versioned and not table.history]
        if current:
            yield (
                f"{_list(current)} saved without history, which counts transactions of this server and cannot be put "
                "back: the backup has the current rows"
            )
        if contents.accounts:
            yield "the backup holds the accounts of the server with their password hashes: keep it from others"
        for view in contents.broken:
            yield f"view {quote_name(view.name)} is broken: its definition is kept, but refers to what is not there"


def _list(names: Sequence[str]) -> str:
    """Some names, at most ten of them, and the right verb."""
    listed = ", ".join(quote_name(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"tables {listed}{more} are" if len(names) > 1 else f"table {listed} is"


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[MysqlDump]:
    """Take the snapshot; leaving frees every connection, and with it every lock."""
    location = locate(request.url)
    if location.database.lower() in SYSTEM:
        raise UsageError(
            f"{quote_name(location.database)} is the server's own database",
            hint="-o users=true stores accounts and grants" if location.database == "mysql" else None,
        )
    with ExitStack() as stack:

        def opened() -> Session:
            session = connect(location, database=location.database)
            stack.callback(session.close)
            prepare(session)
            return session

        keeper, locker = opened(), opened()
        hidden = _hidden(keeper, location, request)
        jobs = 1 if request.options.format == "sql" else request.jobs
        readers = [opened() for _ in range(jobs)]
        selection = Selection(select=request.select, exclude=request.exclude)
        with saying(f"cannot take a snapshot of {quote_name(location.database)}"):
            taking = Taking(keeper, locker, readers, wait=request.options.lock_wait)
            holder = _Holder(opened, request, keeper, location.database)
            snapshot = taking.take(lambda: _names(keeper, location.database, selection), holder.hold)
            locker.close()
        with saying(f"cannot read the definitions of {quote_name(location.database)}"):
            contents = _contents(snapshot, location.database, selection, request)
        dump = MysqlDump(location, request, snapshot, contents, hidden)
        stack.callback(dump.close)
        yield dump


def _hidden(session: Session, location: Location, request: DumpRequest) -> list[str]:
    """Refuse, or with `incomplete` tell, what the account cannot see and would be missing without a word."""
    hidden = unseen(session, location.database, everything=not request.select)
    if hidden and not request.options.incomplete:
        raise CredentialsError(
            f"the account may not see all of database {quote_name(location.database)}, and the backup would be without "
            f"{', '.join(hidden)}",
            hint="grant the privileges named, or -o incomplete=true if there is none of that",
        )
    return hidden


class _Holder:
    """Keeps tables without transactions from being written for as long as its connection lives."""

    def __init__(self, opened: Any, request: DumpRequest, keeper: Session, database: str) -> None:
        self._opened = opened
        self._wanted = request.options.lock_nontransactional
        self._wait = request.options.lock_wait
        self._keeper = keeper
        self._database = database

    def hold(self, names: Sequence[str]) -> None:
        if not self._wanted:
            return
        tables = read_tables(self._keeper, self._database, Selection())
        loose = [table.name for table in tables if not table.transactional and table.stored and table.name in names]
        if loose:
            session: Session = self._opened()
            session.execute(f"SET lock_wait_timeout={int(self._wait)}")
            session.execute("LOCK TABLES " + ", ".join(f"{quoted(name)} READ" for name in loose))


def _names(session: Session, database: str, selection: Selection) -> list[str]:
    found = names_of(session, database)
    selection.check([name for name, _ in found])
    return [name for name, kind in found if kind != "VIEW" and name in selection]


def _contents(snapshot: Snapshot, database: str, selection: Selection, request: DumpRequest) -> Contents:
    session = snapshot.keeper
    definitions = Definitions(session, database)
    tables = read_tables(session, database, selection)
    before = [*definitions.sequences(selection), *(definitions.table(table.name) for table in tables)]
    after: list[Statement] = definitions.routines() if selection.everything else []
    after += definitions.views(selection)
    after += definitions.triggers(selection)
    after += definitions.events() if selection.everything else []
    after = [replace(statement, body=with_definer(statement, request.options.definer)) for statement in after]
    units: dict[str, RowUnit] = {}
    for table in sorted(tables, key=lambda table: -table.size):
        if table.stored:
            parts = ranges(snapshot.readers[0], table)
            for count, part in enumerate(parts):
                units[_stream_name(table.name, count, len(parts), units)] = RowUnit(table=table, part=part)
    return Contents(
        database=definitions.database(),
        before=tuple(before),
        after=tuple(statement for statement in after if statement.extra != BROKEN_VIEW),
        tables=tuple(tables),
        broken=tuple(statement for statement in after if statement.extra == BROKEN_VIEW),
        accounts=tuple(read_accounts(session)) if request.options.users else (),
        units=units,
    )


def _stream_name(table: str, number: int, count: int, taken: dict[str, Any]) -> str:
    """A name without what the guide's placeholders or a terminal would stumble over."""
    safe = "".join("_" if char in "{}" or not char.isprintable() else char for char in table)
    name = f"data/{safe}" if count == 1 else f"data/{safe}/{number + 1:04d}"
    while name in taken:
        name += "_"
    return name
