"""Restore: definitions first, rows in parallel, keys and everything that acts on rows last."""

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pymysql

from holdfast.api import Blob, HoldfastError, IntegrityError, RestoreRequest, Step, UnsafeError, UsageError, quote_name
from holdfast_mysql.catalog import accounts, requirements
from holdfast_mysql.catalog.tables import TRANSACTIONAL, Selection
from holdfast_mysql.definitions.collations import fitted, known_collations, replacements
from holdfast_mysql.definitions.create_table import Parts, split
from holdfast_mysql.definitions.rewrite import check_head
from holdfast_mysql.definitions.script import Statement, read_script
from holdfast_mysql.location.database_url import Location, locate
from holdfast_mysql.names import ACCOUNTS, BROKEN, MARKER, OBJECTS, SCHEMA, SCRIPT, SYSTEM
from holdfast_mysql.restore import swap
from holdfast_mysql.restore.load import UnseenWarningsError, execute_rows, load
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.target import Connections, exists, objects_of, prepare, redo_size, undo
from holdfast_mysql.rows.wire import RowReader
from holdfast_mysql.session.connection import Session, connect, literal, plain_literal, quoted, saying, use
from holdfast_mysql.session.server import Server

log = logging.getLogger("holdfast.mysql")

_DEFER = 8 << 20  # bytes of rows above which keys are built afterwards; below, an ALTER costs more than it saves
_SHARE_OF_REDO = 0.1  # of which MySQL's manual says that no row should be longer
_BEFORE = ("database", "sequence", "sequence state", "table", "rows")


class MysqlRestore:
    """One restore; everything is made in `building`, which is the target itself unless that is to be replaced."""

    def __init__(self, session: Session, location: Location, request: RestoreRequest, *, replacing: bool) -> None:
        self._session = session
        self._location = location
        self._request = request
        self._facts = request.facts
        self._selection = Selection(select=request.select, exclude=request.exclude)
        self._target = location.database
        self._replacing = replacing
        self._building = swap.beside(self._target, secrets.token_hex(4)) if replacing else self._target
        self._made_database = False
        self._made: list[tuple[str, str]] = []
        self._parts: dict[str, Parts] = {}
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()
        self._after: list[Statement] = []
        self._accounts: list[Statement] = []
        self._done = False
        self._connections = Connections(location, self._building)
        self._collations = replacements(known_collations(session))
        self._infile = request.options.local_infile and session.value("SELECT @@local_infile") == "1"
        self._counters: frozenset[str] = frozenset()
        self._loose: frozenset[str] = frozenset()
        self.steps = tuple(self._steps())

    def _steps(self) -> Iterator[Step]:
        streams = {stream.name: stream for stream in self._request.streams}
        if SCRIPT in streams:
            yield Step(stream=SCRIPT)
        else:
            yield Step(stream=SCHEMA)
            # The first part of each table before the second of any: MariaDB locks an empty table for the transaction
            # that fills it in bulk, and whoever has the next part would wait.
            parts = []
            for name, (table, _) in self._facts["rows"].items():
                if table in self._selection:
                    parts.append((self._left.get(table, 0), name))
                    self._left[table] = self._left.get(table, 0) + 1
            alone = self._alone()
            for _, name in sorted(parts, key=lambda part: part[0]):
                yield Step(stream=name, phase=2 if name in alone else 1, parallel=name not in alone)
            yield Step(stream=OBJECTS, phase=3)
        if BROKEN in streams:
            yield Step(stream=BROKEN, phase=3)
        if ACCOUNTS in streams and self._request.options.users and not self._request.drill:
            yield Step(stream=ACCOUNTS, phase=4)

    def _alone(self) -> set[str]:
        """Streams with rows that are long for the server's redo log: nothing else may be written meanwhile.

        InnoDB frees no redo log while it writes a row. MariaDB 10.11 with 64 MiB of it, rows of 40 MiB and another
        session that built an index stood still for ever, and had to be killed; one after the other they take a second.
        """
        largest: dict[str, int] = self._facts.get("largest", {})
        redo = redo_size(self._session) if largest else 0
        return {name for name, size in largest.items() if size > redo * _SHARE_OF_REDO}

    def explain(self) -> None:
        """Say what would be dropped from the target and moved out of it and into it, and touch nothing."""
        recorded = self._facts.get("names", {"table": sorted({table for table, _ in self._facts["rows"].values()})})
        names = {kind: [name for name in listed if name in self._selection] for kind, listed in recorded.items()}
        swap.explain(self._session, building=self._building, target=self._target, views=names.get("view", []),
                     new=[*names.get("table", []), *names.get("sequence", [])],
                     only=None if self._selection.everything else self._selection)  # fmt: skip

    def load(self, step: Step, blob: Blob) -> None:
        """Load one stream; rows may be loaded by several threads at once."""
        with saying(f"cannot restore {quote_name(step.stream)} into {quote_name(self._target)}"):
            self._load(step, blob)

    def _load(self, step: Step, blob: Blob) -> None:
        if step.stream == SCHEMA:
            self._define(list(read_script(blob.chunks())))
        elif step.stream == SCRIPT:
            self._run_script(read_script(blob.chunks()))
        elif step.stream in (OBJECTS, BROKEN):
            self._after += [self._checked(statement) for statement in read_script(blob.chunks())]
        elif step.stream == ACCOUNTS:
            self._accounts += read_script(blob.chunks())
        else:
            self._load_rows(step.stream, blob)

    # --- definitions ---

    def _checked(self, statement: Statement) -> Statement:
        """A statement made to fit this server and proven to make what it says."""
        if statement.kind == "database":
            return statement
        if statement.kind not in ("rows", "sequence state"):
            statement = fitted(statement, server=self._session.server, collations=self._collations)
        # Tables and rows are never qualified; where other definitions are, they must be so by the dump's own database.
        check_head(
            statement, statement.body, database="" if statement.kind in _BEFORE else str(self._facts["database"])
        )
        return statement

    def _define(self, statements: list[Statement]) -> None:
        checked = [self._checked(statement) for statement in statements]
        self._make_database()
        with saying("cannot define the tables"):
            for statement in checked:
                if statement.kind != "database" and statement.name in self._selection:
                    self._make(statement)
        self._look_at_tables()

    def _run_script(self, statements: Iterator[Statement]) -> None:
        """Run a script as it comes: what acts on rows is kept for the end."""
        self._make_database()
        counted: Counter[str] = Counter()
        for statement in map(self._checked, statements):
            if statement.kind not in _BEFORE:
                self._after.append(statement)
            elif statement.kind == "rows" and statement.name in self._selection:
                with saying(f"cannot load table {quote_name(statement.name)}"):
                    counted[statement.name] += self._run_rows(statement)
            elif statement.kind not in ("database", "rows") and statement.name in self._selection:
                with saying(f"cannot make {statement.kind} {quote_name(statement.name)}"):
                    self._make(statement)
                    self._look_at_tables()
        expected: Counter[str] = Counter()
        for table, rows in self._facts["rows"].values():
            expected[table] += rows if table in self._selection else 0
        for table in expected:
            if counted[table] != expected[table]:
                raise IntegrityError(
                    f"the script holds {counted[table]} rows of table {quote_name(table)}, "
                    f"{expected[table]} were recorded"
                )

    def _run_rows(self, statement: Statement) -> int:
        with self._transaction(self._session, statement.name):
            labels = statement.extra.get("labels", ())
            return execute_rows(self._session, statement.name, statement.body, labels)

    def _make(self, statement: Statement) -> None:
        """Make a table or sequence in the database being built."""
        body = statement.body
        if statement.kind == "table":
            with self._lock:
                self._made.append(("table", statement.name))
            if self._size(statement.name) >= _DEFER:
                parts = split(body)
                if parts.keys:
                    self._parts[statement.name] = parts
                    body = parts.create
        elif statement.kind == "sequence":
            self._made.append(("sequence", statement.name))
        try:
            self._session.execute(body)
        except pymysql.MySQLError as error:
            raise self._not_made(statement, error) from error

    def _not_made(self, statement: Statement, error: pymysql.MySQLError) -> HoldfastError:
        text = error.args[1] if len(error.args) > 1 else str(error)
        return HoldfastError(
            f"{self._session.server.name} does not make {statement.kind} {quote_name(statement.name)}: {text}",
            hint=f"--exclude {statement.name} leaves it out",
        )

    def _size(self, table: str) -> int:
        sizes = {stream.name: stream.size or 0 for stream in self._request.streams}
        return sum(sizes[name] for name, (owner, _) in self._facts["rows"].items() if owner == table and name in sizes)

    def _make_database(self) -> None:
        """Make the database that is built in, if it is not there."""
        name = self._building
        if not exists(self._session, name):
            collation = str(self._facts["collation"])
            collation = self._collations.get(collation, collation)
            charset = collation.partition("_")[0] if collation != "binary" else "binary"
            comment = str(self._facts.get("comment", ""))
            said = f" COMMENT {plain_literal(comment)}" if comment and self._session.server.mariadb_since(10, 5) else ""
            with saying(f"cannot create database {quote_name(name)}"):
                self._session.execute(
                    f"CREATE DATABASE {quoted(name)} CHARACTER SET {charset} COLLATE {collation}{said}"
                )
            self._made_database = True
        use(self._session, name)

    def _look_at_tables(self) -> None:
        """Learn which tables count ids and which have no transactions: their rows are loaded in other ways."""
        rows = self._session.texts(
            "SELECT table_name FROM information_schema.columns"
            f" WHERE table_schema={literal(self._building)} AND extra LIKE '%auto_increment%'"
        )
        self._counters = frozenset(name for (name,) in rows)
        rows = self._session.texts(
            f"SELECT table_name, engine FROM information_schema.tables WHERE table_schema={literal(self._building)}"
        )
        self._loose = frozenset(name for name, engine in rows if engine.lower() not in TRANSACTIONAL)

    @contextmanager
    def _transaction(self, session: Session, table: str) -> Iterator[None]:
        """A transaction for some rows; MySQL with GTIDs takes tables that know none only in statements of their own."""
        loose = table in self._loose
        if loose:
            session.execute("SET autocommit=1")
        yield
        session.execute("SET autocommit=0" if loose else "COMMIT")

    # --- rows ---

    def _load_rows(self, stream: str, blob: Blob) -> None:
        table, recorded = self._facts["rows"][stream]
        reader = RowReader(blob.chunks())
        if reader.unit.table != table:
            raise IntegrityError(
                f"stream {quote_name(stream)} holds rows of {quote_name(reader.unit.table)}, not of {quote_name(table)}"
            )
        with self._connections.one() as session, saying(f"cannot load table {quote_name(table)}"):
            with self._transaction(session, table):
                counting = table in self._counters and session.server.mariadb
                try:
                    rows = load(session, reader, infile=self._infile, auto_increment=counting)
                except UnseenWarningsError:
                    log.info("table %s is loaded again by INSERT, for each warning to be seen", quote_name(table))
                    # A table without transactions is one stream.
                    session.execute(f"TRUNCATE TABLE {quoted(table)}" if table in self._loose else "ROLLBACK")
                    rows = load(session, RowReader(blob.chunks()), infile=False, auto_increment=counting)
            if rows != recorded:
                raise IntegrityError(f"stream {quote_name(stream)} holds {rows} rows, {recorded} were recorded")
            with self._lock:
                self._left[table] -= 1
                last = not self._left[table]
            if last and table in self._parts:
                self._add_keys(session, table)

    def _add_keys(self, session: Session, table: str) -> None:
        """Build the keys that were left out, all in one pass over the rows."""
        clauses = b", ".join(b"ADD " + key for key in self._parts[table].keys)
        with saying(f"cannot build the keys of table {quote_name(table)}"):
            session.execute(b"ALTER TABLE " + quoted(table).encode() + b" " + clauses)

    def _add_references(self) -> None:
        for table, parts in self._parts.items():
            if parts.references:
                clauses = b", ".join(b"ADD " + reference for reference in parts.references)
                with saying(f"cannot add the foreign keys of table {quote_name(table)}"):
                    self._session.execute(b"ALTER TABLE " + quoted(table).encode() + b" " + clauses)

    # --- the end ---

    def commit(self) -> None:
        """Add what acts on rows; where a target is replaced, this is when it is."""
        with saying(f"cannot finish the restore into {quote_name(self._target)}"):
            self._finish()
        self._done = True

    def _finish(self) -> None:
        self._add_references()
        if self._accounts:
            accounts.apply(self._session, self._accounts)
        maker = ObjectMaker(
            self._session,
            database=self._target,
            source=str(self._facts["database"]),
            collation=str(self._facts["collation"]),
            definer=self._request.options.definer,
            disable_events=self._request.drill,
        )
        chosen = [statement for statement in self._after if self._chosen(statement)]
        if self._replacing:
            swap.swap(self._session, maker, chosen, building=self._building, target=self._target,
                      only=None if self._selection.everything else self._selection)  # fmt: skip
        else:
            maker.make(chosen, made=self._made)

    def _chosen(self, statement: Statement) -> bool:
        if statement.kind in ("view", "trigger"):
            return (statement.table or statement.name) in self._selection
        return self._selection.everything

    def close(self) -> None:
        """End every connection; without `commit`, remove what was made."""
        self._connections.close(None if self._done else self._killer())
        if not self._done:
            self._session.close()  # its transaction may hold locks on what is about to be dropped
            undo(self._location, self._building, made=self._made, whole=self._made_database)

    def _killer(self) -> Session | None:
        try:
            return connect(self._location)
        except HoldfastError as error:
            log.info("cannot end the connections at the server: %s", error.message)
            return None


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[MysqlRestore]:
    """Check the target and everything that the backup needs of it; nothing is touched before the first `load`."""
    location = locate(request.url)
    _check_facts(request)
    _check_selection(request)
    if location.database.lower() in SYSTEM:
        raise UsageError(f"{quote_name(location.database)} is the server's own database")
    with ExitStack() as stack:
        session = connect(location)
        stack.callback(session.close)
        with saying(f"cannot check the target {quote_name(location.database)}"):
            prepare(session)
            found = _occupied(session, location, drill=request.drill)
            if found and not request.replace:
                kind, name = found[0]
                raise UnsafeError(
                    f"database {quote_name(location.database)} is not empty: it has {kind} {quote_name(name)}"
                    + (f" and {len(found) - 1} more objects" if len(found) > 1 else ""),
                    hint="--replace puts the backup in its place, or restore under another name",
                )
            _check_needs(session, request)
            if found:
                swap.announce(session, location.database, found)
            restore = MysqlRestore(session, location, request, replacing=bool(found))
            if found and request.dry_run:
                restore.explain()
        stack.callback(restore.close)
        yield restore


def _occupied(session: Session, location: Location, *, drill: bool) -> list[tuple[str, str]]:
    found = objects_of(session, location.database)
    if drill:
        found = [one for one in found if one != ("table", MARKER)]
    return found


def _check_facts(request: RestoreRequest) -> None:
    missing = {"format", "server", "database", "collation", "rows", "needs"} - set(request.facts)
    if missing:
        raise HoldfastError(f"the manifest does not say what a MySQL restore needs: {', '.join(sorted(missing))}")
    names: Collection[str] = [stream.name for stream in request.streams]
    unknown = [name for name in request.facts["rows"] if name not in names and SCRIPT not in names]
    if unknown:
        raise HoldfastError(f"the manifest lists rows in {quote_name(unknown[0])}, which is no stream of it")


def _check_selection(request: RestoreRequest) -> None:
    """Refuse patterns that choose nothing, as a backup does."""
    if "names" in request.facts:
        names = [str(name) for listed in request.facts["names"].values() for name in listed]
        selection = Selection(select=request.select, exclude=request.exclude)
        selection.check(names)
        if request.select and not any(name in selection for name in names):
            raise UsageError("the selection leaves nothing to restore")


def _check_needs(session: Session, request: RestoreRequest) -> None:
    """Name everything that this server cannot hold, before anything is touched."""
    wanted: dict[str, Any] = dict(request.facts["needs"])
    source = Server.of(str(request.facts["server"]))
    lacking = requirements.missing(session, wanted, source=source)
    if lacking:
        raise UnsafeError(
            f"{session.server.name} cannot hold what the backup of {source.name} has: {'; '.join(lacking)}",
            hint="--exclude leaves tables out; or restore into a server of the same kind",
        )
    for name, other in replacements(known_collations(session)).items():
        if f"collation {name}" in wanted:
            log.warning("collation %s is not known to %s: %s stands in for it", name, session.server.name, other)
    for line in requirements.lost_clauses(wanted, source=source, target=session.server):
        log.warning("%s passes over the clause %s", session.server.name, line)
