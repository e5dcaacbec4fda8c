"""One running restore: its streams into the tables, and at its end everything that acts on rows."""

import contextlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import pymysql

from holdfast.api import (
    Blob,
    Failure,
    HoldfastError,
    Preview,
    RestoreRequest,
    Step,
    UnreachableError,
    UsageError,
    quote_name,
)
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.unlike_keys import names_among
from holdfast_mysql.definitions.check_head import check_head
from holdfast_mysql.definitions.script import Statement, read_script
from holdfast_mysql.drill_marker import note
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location import Location, locate
from holdfast_mysql.names import ACCOUNTS, BROKEN, OBJECTS, SCHEMA, SCRIPT, SYSTEM
from holdfast_mysql.restore import accounts, swap
from holdfast_mysql.restore.absence import leaves_out
from holdfast_mysql.restore.beside import check_rights_beside
from holdfast_mysql.restore.checks import check_facts, check_requirements, check_selection, check_target, chosen_names
from holdfast_mysql.restore.completion import maker_of
from holdfast_mysql.restore.connections import Connections, prepare_writer
from holdfast_mysql.restore.failures import Failures, continues
from holdfast_mysql.restore.folding import folded, folded_request
from holdfast_mysql.restore.foreign_keys import absent_parents
from holdfast_mysql.restore.histograms import lost_statistics, make_histograms
from holdfast_mysql.restore.journal import Journal, Making
from holdfast_mysql.restore.load_order import load_order
from holdfast_mysql.restore.lock_wait import DEFAULT, LockWait
from holdfast_mysql.restore.needed_sequences import NeededSequences
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.recovery import RECONNECT, recover, recover_all
from holdfast_mysql.restore.rehearsal import rehearse
from holdfast_mysql.restore.row_loader import RowLoader
from holdfast_mysql.restore.tables import TableMaker
from holdfast_mysql.restore.target import make_read_only, undo
from holdfast_mysql.session import Session, connect

log = logging.getLogger("holdfast.mysql")

_BEFORE = ("database", "sequence", "sequence state", "table", "rows")


class MysqlRestore:
    """One restore; everything is made in `building`, which is the target itself unless that is to be replaced."""

    def __init__(self, session: Session, location: Location, request: RestoreRequest, *, replacing: bool) -> None:
        self._session = session
        self._location = location
        self._request = request
        self._facts = request.facts
        self._selection = Selection.of(request)
        self._target = location.database
        self._replacing = replacing
        self._journal = Journal(session, self._target, secrets.token_hex(4)) if replacing else None
        self._building = self._journal.building if self._journal else self._target
        self._connections = Connections(location, self._building)
        self._failures = Failures(going_on=continues(request))
        self._tables = TableMaker(session, request, self._building, self._failures, journal=self._journal)
        self._sequences = NeededSequences(session, request, self._tables, target=self._target)
        self._rows = RowLoader(session, request, self._selection, self._tables, self._connections, self._failures)
        self._after: list[Statement] = []
        self._accounts: list[Statement] = []
        self._swapping = self._done = False
        self.warnings: list[str] = []
        self.steps = tuple(load_order(session, request, self._selection))

    @property
    def failures(self) -> Sequence[Failure]:
        """What was not restored, where the restore went on."""
        return self._failures.listed

    def hold(self) -> None:
        """Keep other replacements away from the target."""
        if self._journal and not self._request.dry_run:
            self._journal.hold()

    def preview(self, blobs: Mapping[str, Blob]) -> Preview:
        """Say what would become of each table, view and sequence; the log says which statements would do it."""
        del blobs
        names = chosen_names(self._request)
        selective = self._request.selective or not self._replacing
        with translate_errors(f"cannot read {quote_name(self._target)}"):
            if self._replacing:
                swap.explain(self._session, building=self._building, target=self._target, names=names,
                             selective=selective)  # fmt: skip
            return swap.preview(self._session, target=self._target, names=names, selective=selective)

    def load(self, step: Step, blob: Blob) -> None:
        """Load one stream; rows may be loaded by several threads at once."""
        with translate_errors(f"cannot restore {quote_name(step.stream)} into {quote_name(self._target)}"):
            self._load(step, blob)

    def _load(self, step: Step, blob: Blob) -> None:
        if step.stream == SCHEMA:
            self._define(list(read_script(blob.chunks())))
        elif step.stream == SCRIPT:
            self._run_script(read_script(blob.chunks()))
        elif step.stream in (OBJECTS, BROKEN):
            self._after += map(self._checked, read_script(blob.chunks()))
        elif step.stream == ACCOUNTS:
            self._accounts += read_script(blob.chunks())
        else:
            self._rows.load(step.stream, blob)

    def _checked(self, statement: Statement) -> Statement:
        """A statement made to fit this server and proven to make what it says."""
        if statement.kind == "database":
            return statement
        if self._session.folds:
            statement = folded(statement)
        if statement.kind not in ("rows", "sequence state"):
            statement = self._tables.fit(statement)
        # Tables and rows are never qualified; where other definitions are, they must be so by the dump's own database.
        database = "" if statement.kind in _BEFORE else str(self._facts["database"])
        check_head(statement, statement.body, database=database)
        return statement

    def _define(self, statements: list[Statement]) -> None:
        checked = [self._checked(statement) for statement in statements]
        self._tables.make_database()
        with translate_errors("cannot define the tables"):
            for statement in checked:
                self._make(statement)
        self._tables.inspect()

    def _run_script(self, statements: Iterable[Statement]) -> None:
        """Run a script as it comes: what acts on rows is kept for the end."""
        self._tables.make_database()
        for statement in map(self._checked, statements):
            if statement.kind not in _BEFORE:
                self._after.append(statement)
            elif statement.kind == "rows" and statement.name in self._selection:
                self._rows.execute(statement)
            elif statement.kind != "rows":
                with translate_errors(f"cannot make {statement.kind} {quote_name(statement.name)}"):
                    self._make(statement)
                    self._tables.inspect()
        self._rows.check_counts()
        self._tables.keys.build_all()

    def _make(self, statement: Statement) -> None:
        """Make a table or a sequence, if it is chosen, and before a table what it takes numbers from."""
        if statement.kind == "database" or self._sequences.keep(statement) or statement.name not in self._selection:
            return
        self._sequences.make_for(statement)
        self._tables.make(statement)

    def commit(self) -> None:
        """Add what acts on rows; where a target is replaced, this is when it is."""
        with translate_errors(action := f"cannot finish the restore into {quote_name(self._target)}"):
            self._make_rest()
        # Where the old database is gone nothing makes a failure of the restore any more.
        with _as_warnings(self.warnings, self._target) if self._done else translate_errors(action):
            self._describe()
        self._done = True

    def _describe(self) -> None:
        """Make what only describes the rows, and tell what there is to know of them."""
        chosen = [item for item in self._after if item.kind == "histogram" and self._chooses(item)]
        self.warnings += make_histograms(self._session, self._target, chosen)
        if not self._request.drill:
            self.warnings += absent_parents(self._session, self._target)
            self.warnings += lost_statistics([*filter(self._selection.__contains__, self._facts.get("statistics", ()))])
        if _was_read_only(self._request):
            self.warnings += make_read_only(self._session, self._target)

    def _make_rest(self) -> None:
        self.warnings += [*self._tables.warnings, *self._tables.checks.enforce(self._building)]
        self._tables.keys.add_references()
        with accounts.applied(self._session, self._accounts):
            chosen = [item for item in self._after if self._chooses(item)]
            if self._journal:
                self._sequences.drop_passing(self._journal.building)
                self._swap(self._journal, chosen)
            else:
                objects = [item for item in chosen if item.kind != "histogram"]
                self._maker(self._session.execute).make(objects, made=self._tables.made)

    def _maker(self, run: Callable[[bytes | str], int]) -> ObjectMaker:
        return maker_of(
            self._session,
            _making(self._request, self._tables.missing),
            database=self._target,
            run=run,
            failures=self._failures,
            disable_events=self._request.drill,
            excuse=self._excuse if self._request.drill else None,
        )

    def _excuse(self, kind: str, name: str, why: str) -> None:
        """Tell the drill of what cannot be here as it was."""
        note(self._session, self._target, kind, name, why)

    def _swap(self, journal: Journal, statements: list[Statement]) -> None:
        wait = LockWait(
            self._session,
            seconds=self._request.options.lock_timeout or DEFAULT,
            what=f"the replacement of {quote_name(self._target)}",
        )
        built = self._tables.placed.put_in_place(journal.token) if self._tables.placed else {}
        plan = swap.plan_swap(self._session, journal, statements, selective=self._request.selective,
                              replace=self._request.replace, built=built, settings=self._tables.settings,
                              making=_making(self._request, self._tables.missing))  # fmt: skip
        rehearse(self._session, journal, plan)
        self._swapping = True
        try:
            with translate_errors(f"cannot replace {quote_name(self._target)}"):
                swap.swap(self._session, self._maker(wait.run), wait, journal, plan)
        except UnreachableError as error:
            self._done = True  # whatever comes of it, there is nothing more to take back
            self._session = _finished(self._location, self._session, journal, error)
            self.warnings.append(f"{error.message}: the rest was done over another connection")
            return
        self._done = True
        self.warnings += swap.cleared(self._session, journal, plan)

    def _chooses(self, statement: Statement) -> bool:
        if self._selection.leaves_out(statement.kind):
            return False
        if self._request.drill and statement.kind == "trigger" and statement.table in self._tables.missing:
            self._excuse("trigger", statement.name, "its table is not made here")
            return False
        if statement.kind in ("view", "trigger", "histogram"):
            return (statement.table or statement.name) in self._selection
        return self._selection.everything

    def close(self) -> None:
        """End every connection; without `commit`, remove what was made and put back what was replaced."""
        self._connections.close(None if self._done else _killer(self._location, self._session, self._journal))
        if self._done:
            self._session.close()
            return
        self._session.abort()
        self._session.close()  # its transaction may hold locks on what is about to be dropped
        if not self._journal:
            undo(self._location, self._building, made=self._tables.made, whole=self._tables.made_database)
        elif self._tables.made_database:
            if self._swapping:
                log.warning("the replacement failed, %s is put back", quote_name(self._target))
            recover(self._location, self._target, self._journal.token, patience=RECONNECT if self._swapping else 0)


def _making(request: RestoreRequest, missing: Collection[str]) -> Making:
    """How what follows the tables is made, where those tables are not."""
    return Making(
        source=str(request.facts["database"]),
        definer=request.options.definer,
        partial=leaves_out(request, missing),
        source_folds=bool(request.facts.get("folds")),
        going_on=continues(request),
        read_only=_was_read_only(request),
    )


def _finished(location: Location, lost: Session, journal: Journal, error: UnreachableError) -> Session:
    """A connection over which was finished what a lost one had begun; the error where that had to be undone."""
    lost.abort()
    lost.close()
    if not recover(location, journal.target, journal.token, forward=True):
        raise error
    session = connect(location)
    prepare_writer(session)
    return session


def _was_read_only(request: RestoreRequest) -> bool:
    return bool(request.facts.get("read_only")) and not (request.drill or request.selective)


@contextmanager
def _as_warnings(warnings: list[str], target: str) -> Iterator[None]:
    """Tell of what goes wrong after a restore."""
    try:
        with translate_errors("what follows it has failed"):
            yield
    except HoldfastError as error:
        warnings.append(
            f"database {quote_name(target)} is restored; it may lack histograms, or not be read-only as it was, and "
            f"what else there is to know of it is not told: {error.message}"
        )


def _killer(location: Location, session: Session, journal: Journal | None) -> Session | None:
    """A connection that ends the others at the server: a statement of ours may be waiting there for a lock."""
    try:
        killer = connect(location)
        if journal:
            session.abort()
            with contextlib.suppress(pymysql.MySQLError):
                killer.execute(f"KILL {session.connection.thread_id()}")
        return killer
    except HoldfastError as error:
        log.info("cannot end the connections at the server: %s", error.message)
        return None


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[MysqlRestore]:
    """Check the target and everything that the backup needs of it; nothing is touched before the first `load`."""
    location = locate(request.url)
    check_facts(request)
    check_selection(request)
    if lacking := request.facts.get("lacks"):
        log.warning("the backup may be without what could not be read: %s", ", ".join(map(str, lacking[:20])))
    if location.database.lower() in SYSTEM:
        raise UsageError(f"{quote_name(location.database)} is the server's own database")
    with ExitStack() as stack:
        session = connect(location)
        stack.callback(session.close)
        with translate_errors(f"cannot check the target {quote_name(location.database)}"):
            prepare_writer(session)
            if session.folds:
                request = folded_request(request)
            if not request.drill:
                recover_all(location, session, location.database, dry_run=request.dry_run)
            occupants = check_target(session, location.database, request)
            check_requirements(session, request)
            if occupants:
                swap.warn_of_replacement(location.database, occupants)
                if request.dry_run:
                    check_rights_beside(session, location.database)
                swap.check_references(
                    session,
                    location.database,
                    chosen_names(request),
                    selective=request.selective or not request.replace,
                    unlike=names_among(request.facts.get("unlike_keys", {}), chosen_names(request).get("table", ())),
                )
            restore = MysqlRestore(session, location, request, replacing=bool(occupants))
            restore.hold()
        stack.callback(restore.close)
        yield restore
