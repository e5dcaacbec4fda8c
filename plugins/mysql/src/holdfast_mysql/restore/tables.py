"""The database that a restore makes, its tables and sequences; keys of large tables are built after their rows."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pymysql

from holdfast.api import HoldfastError, LockedError, ObjectKind, RestoreRequest, UnreachableError, quote_name
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.tables import TRANSACTIONAL
from holdfast_mysql.definitions.collations import StandIns, fit_to_server
from holdfast_mysql.definitions.create_table import numbers_texts, without_references
from holdfast_mysql.definitions.directories import has_directories
from holdfast_mysql.definitions.rewrite import without_comments
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.storage_clauses import storage_clauses, without_storage
from holdfast_mysql.definitions.uses import without_sequences_elsewhere
from holdfast_mysql.drill_marker import note
from holdfast_mysql.errors import error_number, server_error, translate_errors
from holdfast_mysql.restore.bad_options import BAD_OPTIONS, make_with_bad_options
from holdfast_mysql.restore.beside import made_beside
from holdfast_mysql.restore.check_names import CheckNames
from holdfast_mysql.restore.computed import ComputedValues
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.journal import Journal
from holdfast_mysql.restore.left_checks import LeftChecks
from holdfast_mysql.restore.left_keys import LeftKeys, relaxed
from holdfast_mysql.restore.placed_tables import PlacedTables
from holdfast_mysql.restore.refusals import Refusals
from holdfast_mysql.restore.server_warnings import ServerWarning, check_statement, definition_in, judge, read_warnings
from holdfast_mysql.restore.target import exists, settings_clauses
from holdfast_mysql.session import Server, Session, quoted, use

_DEFER = 8 << 20  # bytes of rows above which keys are built afterwards; below, an ALTER costs more than it saves


# Row too large, a storage engine's wrong or unsupported option: errors in InnoDB's strict mode, warnings without it.
_STRICT = frozenset({1005, 1031, 1118, 1478, 3500})
# A key is longer than InnoDB takes in its older row formats, which a table without ROW_FORMAT has from the server.
_SHORT_KEYS = frozenset({1071, 1709})
_FORMAT_HINT = ", or run on the server: SET GLOBAL innodb_default_row_format=DYNAMIC"
# No such database, table or sequence.
_ABSENT = frozenset({1049, 1146, 4091})

log = logging.getLogger("holdfast.mysql")


class TableMaker:
    """Makes tables in a database; `made` and `made_database` say what a restore that fails has to remove.

    `missing` are those that the server refused, where the restore goes on.
    """

    def __init__(
        self, session: Session, request: RestoreRequest, database: str, failures: Failures, *,
        journal: Journal | None = None,
    ) -> None:  # fmt: skip
        self._session = session
        self._failures = failures
        self.missing: set[str] = set()
        self._journal = journal
        self._facts = request.facts
        self._drill = request.drill
        self._strip = request.options.stripped
        self._database = database
        self._sizes = _sizes(request)
        self.stored = frozenset(table for table, _ in request.facts["rows"].values())
        self.relaxed: set[str] = set()  #: tables that are made without InnoDB's strict mode
        self._check_names = CheckNames(session, database, request.facts)
        self._unlinked = ObjectKind.FOREIGN_KEY in request.exclude_kinds
        #: Numbers of warnings with which each table is what it was.
        self.accepted: dict[str, set[int]] = {}
        self.computed = ComputedValues(request.facts)
        self.keys = LeftKeys(session, failures, self)
        self.checks = LeftChecks(session, drill=request.drill)
        # Beside the target, or in a drill, a table's own folder holds another one's files already. The digests of older
        # backups are of definitions with the folders.
        stripping = journal or (request.drill and request.facts.get("placed"))
        self.placed = PlacedTables(session, database, replacing=bool(journal)) if stripping else None
        self._counting: frozenset[str] = frozenset()
        self.nontransactional: frozenset[str] = frozenset()
        self.stand_ins = StandIns(session.collations)
        self._refusals = Refusals(session, request.facts, self.stand_ins)
        #: What to know of tables that are made.
        self.warnings: list[str] = []
        self.made_database = False
        self.made: list[tuple[str, str]] = []

    def make_database(self) -> None:
        """Make the database, if it is not there, and use it."""
        if not exists(self._session, self._database):
            action = f"cannot create database {quote_name(self._database)}"
            with made_beside(self._journal), translate_errors(action):
                count = self._session.execute(f"CREATE DATABASE {quoted(self._database)} {self.settings}")
            self.made_database = True
            check_statement(self._session, action, count)
            if self._journal:
                self._journal.create()
        use(self._session, self._database)

    def fit(self, statement: Statement) -> Statement:
        """A definition as this server takes it."""
        source = Server.of(str(self._facts["server"]))
        return fit_to_server(statement, source=source, server=self._session.server, stand_ins=self.stand_ins)

    @property
    def replacing(self) -> bool:
        """Whether the tables are made beside the target."""
        return self._journal is not None

    @property
    def settings(self) -> str:
        """The clauses of the settings that the database had, as far as this server knows them."""
        collation = str(self._facts["collation"])
        collation = self.stand_ins.of(collation) or collation
        return settings_clauses(
            self._session,
            charset=collation.partition("_")[0],
            collation=collation,
            comment=str(self._facts["comment"]) if "comment" in self._facts else None,
            encryption="" if "encryption" in self._strip else str(self._facts.get("encryption", "")),
        )

    def make(self, statement: Statement) -> None:
        """Make a table or a sequence, or set the state of one."""
        if statement.name in self.missing:
            return
        kind = "value of sequence" if statement.kind == "sequence state" else statement.kind
        try:
            self._make(statement)
        except HoldfastError as error:
            if self._drill and statement.kind == "table" and statement.name not in self.stored:
                # That of another server is asked for when it is made; its rows are in no backup.
                why = f"it cannot be made here ({error.message})"
                note(self._session, self._database, "table", statement.name, why)
            elif not self._failures.take(kind, statement.name, error):
                raise
            if statement.kind != "sequence state":
                self.missing.add(statement.name)

    def _make(self, statement: Statement) -> None:
        body = self._stripped(statement)
        if statement.kind in ("table", "sequence"):
            self.made.append((statement.kind, statement.name))
        if statement.kind == "table" and self.placed:
            body = self.placed.strip(statement.name, body)
        try:
            self.computed.run(self._session, statement.name, lambda: self._make_empty(statement, body))
        except pymysql.MySQLError as error:
            _raise_for_all(statement, error)
            text = error.args[-1]
            raise HoldfastError(
                f"{self._session.server.name} does not make {statement.kind} {quote_name(statement.name)}: {text}",
                hint=f"use --exclude {statement.name} to leave it out"
                + _strip_hint(body, error)
                + (", or free its DATA DIRECTORY of the table that is there" if has_directories(body) else ""),
            ) from error

    def _make_empty(self, statement: Statement, body: bytes) -> None:
        self._execute(statement, body)
        # What rows break is a key then, and not the whole table.
        if statement.kind == "table" and (
            self._sizes[statement.name] >= _DEFER or self._failures.going_on or numbers_texts(body)
        ):
            self.keys.leave(statement.name, body)

    def _stripped(self, statement: Statement) -> bytes:
        """A definition without what the restore is to do without; a drill does not compare a table without clauses."""
        if statement.kind != "table":
            return statement.body
        body = self._check_names.fit(statement.name, statement.body)
        body = without_references(body) if self._unlinked else body
        stripped = without_storage(body, self._strip) if self._strip else body
        if stripped != body and self._drill:
            why = f"it is made without {', '.join(sorted(self._strip))}"
            note(self._session, self._database, "table", statement.name, why)
        return stripped

    def _execute(self, statement: Statement, body: bytes) -> None:
        """Make it; a table that InnoDB refuses only in its strict mode as it was once made, without that mode."""
        try:
            count = self._session.execute(body)
        except pymysql.MySQLError as error:
            if self._drill and error_number(error) in _ABSENT and (plain := without_sequences_elsewhere(body)) != body:
                why = "its defaults take numbers from sequences of other databases, which are not here"
                note(self._session, self._database, "table", statement.name, why)
                return self._execute(statement, plain)
            if statement.kind == "table" and (like := self.keys.leave_unlike(statement.name, body, error)):
                return self._execute(statement, like)
            if statement.kind == "table" and error_number(error) in BAD_OPTIONS:
                self._judge(statement, body, make_with_bad_options(self._session, body))
                return None
            if statement.kind != "table" or error_number(error) not in _STRICT:
                raise
            with relaxed(self._session, because=error):
                count = self._session.execute(body)
                self._judge(statement, body, read_warnings(self._session) if count else [])
            self.relaxed.add(statement.name)
            log.warning(
                "table %s is made with innodb_strict_mode=OFF, as it once was: %s", quote_name(statement.name),
                " ".join(str(error.args[-1]).split()),
            )  # fmt: skip
        else:
            self._judge(statement, body, read_warnings(self._session) if count else [])

    def _judge(self, statement: Statement, body: bytes, warnings: Sequence[ServerWarning]) -> None:
        """Look at the warnings of a statement that made something."""
        self.accepted[statement.name] = {warning.code for warning in warnings}
        judge(
            self._session, statement.kind, statement.name, warnings,
            unchanged=lambda: _read_back(self._session, self._database, statement) == without_comments(body),
        )  # fmt: skip

    def inspect(self) -> None:
        """Learn which tables count ids and which have no transactions: their rows are loaded in other ways."""
        rows = self._session.texts(
            "SELECT table_name FROM information_schema.columns"
            f" WHERE {self._session.is_named('table_schema', self._database)} AND extra LIKE '%auto_increment%'"
        )
        self._counting = frozenset(name for (name,) in rows)
        rows = self._session.texts(
            "SELECT table_name, engine FROM information_schema.tables"
            f" WHERE {self._session.is_named('table_schema', self._database)}"
        )
        self.nontransactional = frozenset(name for name, engine in rows if engine.lower() not in TRANSACTIONAL)

    def counts_ids(self, table: str) -> bool:
        """Whether a table has an AUTO_INCREMENT column."""
        return table in self._counting

    @contextmanager
    def transaction(self, session: Session, table: str) -> Iterator[None]:
        """A transaction for some rows; MySQL with GTIDs takes tables that know none only in statements of their own."""
        autocommit = table in self.nontransactional
        if autocommit:
            session.execute("SET autocommit=1")
        yield
        count = session.execute("SET autocommit=0" if autocommit else "COMMIT")
        check_statement(session, f"cannot commit the rows of table {quote_name(table)}", count)

    def naming_duplicates(self, session: Session, table: str) -> AbstractContextManager[None]:
        """Raise what the server says of rows that it does not take for what it means: see `Refusals`."""
        return self._refusals.explained(session, table)

    def empty(self, session: Session, table: str) -> None:
        """Take back the rows of a transaction that is not over; a table without transactions is one stream."""
        session.execute(f"TRUNCATE TABLE {quoted(table)}" if table in self.nontransactional else "ROLLBACK")


def _raise_for_all(statement: Statement, error: pymysql.MySQLError) -> None:
    """Raise an error that no other table would escape."""
    raised = server_error(error, f"cannot make {statement.kind} {quote_name(statement.name)}")
    if isinstance(raised, UnreachableError | LockedError):
        raise raised from error


def _strip_hint(body: bytes, error: pymysql.MySQLError) -> str:
    """The option that makes a table without the clauses that a server may refuse, or the setting that it lacks."""
    if error_number(error) in _SHORT_KEYS:
        return _FORMAT_HINT
    kinds = sorted({clause.kind for clause in storage_clauses(body) if clause.value.lower() != "innodb"})
    return f", or -o strip={','.join(kinds)}" if kinds else ""


def _read_back(session: Session, database: str, statement: Statement) -> bytes:
    """The definition of a table or sequence as a backup would read it, without remarks; empty for what sets a state."""
    if statement.kind == "sequence state":
        return b""
    if statement.kind == "table":
        return without_comments(DefinitionReader(session, database).table(statement.name).body)
    return definition_in(session, statement.kind, statement.name)


def _sizes(request: RestoreRequest) -> Counter[str]:
    """The bytes of rows of each table, as far as they are known."""
    sizes = {stream.name: stream.size or 0 for stream in request.streams}
    total: Counter[str] = Counter()
    for name, (table, _) in request.facts["rows"].items():
        total[table] += sizes.get(name, 0)
    return total
