"""Rows of a backup into the tables that were made for them, counted against what was recorded."""

import contextlib
import logging
import threading
from collections import Counter

import pymysql

from holdfast.api import Blob, HoldfastError, IntegrityError, RestoreRequest, quote_name
from holdfast_mysql.catalog.last_moment import Ends
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.connections import Connections
from holdfast_mysql.restore.duplicates import is_unnamed, row_by_row
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.label_columns import LabelColumns
from holdfast_mysql.restore.left_checks import CheckViolatedError, breaks_check
from holdfast_mysql.restore.load_rows import load_rows
from holdfast_mysql.restore.load_warnings import ChangedRowsError, UnseenWarningsError, execute_rows
from holdfast_mysql.restore.prepared_insert import insert
from holdfast_mysql.restore.tables import TableMaker
from holdfast_mysql.rows.wire import RowReader
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")


class RowLoader:
    """Loads streams of rows, several at once, or the rows of one script."""

    def __init__(
        self, session: Session, request: RestoreRequest, selection: Selection, tables: TableMaker, pool: Connections,
        failures: Failures,
    ) -> None:  # fmt: skip
        self._session = session
        self._failures = failures
        self._damaged = request.allow_damaged
        self._refused: set[str] = set()
        self._tables = tables
        self._pool = pool
        self._recorded = {name: (table, rows) for name, (table, rows) in request.facts["rows"].items()
                          if table in selection}  # fmt: skip
        self._left = Counter(table for table, _ in self._recorded.values())
        self._counted: Counter[str] = Counter()  # of a script
        self._lock = threading.Lock()
        self._labels = LabelColumns()
        self._ends = Ends.of(session, request.facts)
        self._infile = request.options.local_infile and session.value("SELECT @@local_infile") == "1"

    def load(self, stream: str, blob: Blob) -> None:
        """Load one stream; the last one of a table builds its keys."""
        table = self._recorded[stream][0]
        if table in self._tables.missing:
            return
        if table not in self._refused:
            self._try(stream, blob)
        with self._lock:
            self._left[table] -= 1
            last = not self._left[table]
        if table in self._refused:
            with self._pool.acquire() as session, translate_errors(f"cannot empty table {quote_name(table)}"):
                session.execute(f"TRUNCATE TABLE {quoted(table)}")
        if last:
            with self._pool.acquire() as session:
                self._tables.keys.build(session, table)

    def _try(self, stream: str, blob: Blob) -> None:
        table = self._recorded[stream][0]
        try:
            self._load_stream(stream, blob)
        except HoldfastError as error:
            with self._lock:
                if table not in self._refused and not self._failures.take("rows of table", table, error):
                    raise
                if not self._keeps(table):
                    self._refused.add(table)
                    return
            self._load_until_refused(stream, blob)

    def _keeps(self, table: str) -> bool:
        """Whether of a table whose rows are refused those stay that are taken: what is refused can be taken back."""
        return self._damaged and table not in self._tables.nontransactional

    def _load_until_refused(self, stream: str, blob: Blob) -> None:
        """Load what a damaged stream has before the row that the server refused, and list how much that is."""
        table, recorded = self._recorded[stream]
        rows = 0
        with contextlib.suppress(IntegrityError, ChangedRowsError), self._pool.acquire() as session:
            reader = self._reader_of(stream, blob)
            with translate_errors(f"cannot load table {quote_name(table)}"), self._tables.transaction(session, table):
                rows = insert(session, reader, ends=self._ends, until_refused=True) if reader.header.columns else 0
        self._failures.take("rows of table", table, _partly(stream, rows, recorded))

    def _load_stream(self, stream: str, blob: Blob) -> None:
        table, recorded = self._recorded[stream]
        reader = self._reader_of(stream, blob)
        with self._pool.acquire() as session, translate_errors(f"cannot load table {quote_name(table)}"):
            self._labels.check(session, reader.header)
            rows = self._load(session, table, reader, blob)
        if rows != recorded:
            error = _partly(stream, rows, recorded)
            # Of a damaged backup those that could be read stay.
            if not (self._damaged and self._failures.take("rows of table", table, error)):
                raise error

    def _reader_of(self, stream: str, blob: Blob) -> RowReader:
        """The rows of a stream, which have to be of its table."""
        reader, table = self._reader(blob), self._recorded[stream][0]
        held = reader.header.table
        if (held.lower() if self._session.folds else held) != table:
            raise IntegrityError(
                f"stream {quote_name(stream)} holds rows of {quote_name(held)}, not of {quote_name(table)}"
            )
        return reader

    def _reader(self, blob: Blob) -> RowReader:
        return RowReader(blob.chunks(), damaged=self._damaged)

    def _load(self, session: Session, table: str, reader: RowReader, blob: Blob) -> int:
        with self._tables.naming_duplicates(session, table):
            try:
                return self._load_signed(session, table, reader, blob)
            except (pymysql.MySQLError, CheckViolatedError) as error:
                if breaks_check(error) and self._leave_checks(session, table):
                    return self._load_at_once(session, table, self._reader(blob), blob)
                if isinstance(error, CheckViolatedError) or not is_unnamed(error):
                    raise
                log.info("table %s is loaded again row by row, for what is refused to be named", quote_name(table))
                with row_by_row(session):
                    return self._load_at_once(session, table, self._reader(blob), blob)

    def _load_signed(self, session: Session, table: str, reader: RowReader, blob: Blob) -> int:
        """Load rows; again under the mode that expressions over them may need."""
        readers = [reader]

        def load() -> int:
            return self._load_at_once(session, table, readers.pop() if readers else self._reader(blob), blob)

        return self._tables.computed.run(session, table, load, undo=lambda: self._tables.empty(session, table))

    def _leave_checks(self, session: Session, table: str) -> bool:
        """Take back rows of which some break a CHECK, which is enforced later; False if there is none."""
        self._tables.empty(session, table)
        return self._tables.checks.leave(session, table)

    def _load_at_once(self, session: Session, table: str, reader: RowReader, blob: Blob) -> int:
        with self._tables.transaction(session, table):
            counting = self._tables.counts_ids(table) and session.server.mariadb
            try:
                return load_rows(session, reader, infile=self._infile, auto_increment=counting, ends=self._ends)
            except UnseenWarningsError:
                log.info("table %s is loaded again by INSERT, for each warning to be seen", quote_name(table))
                self._tables.empty(session, table)
                return load_rows(session, self._reader(blob), infile=False, auto_increment=counting, ends=self._ends)

    def execute(self, statement: Statement) -> None:
        """Run the rows of a script."""
        table, session = statement.name, self._session
        if table in self._tables.missing or table in self._refused:
            return
        try:
            self._execute_checked(statement)
        except HoldfastError as error:
            session.execute("ROLLBACK")
            if not self._failures.take("rows of table", table, error):
                raise
            self._refused.add(table)
            if self._keeps(table):
                return  # the rows of the statements before
            session.execute(f"TRUNCATE TABLE {quoted(table)}")

    def _execute_checked(self, statement: Statement) -> None:
        table, session = statement.name, self._session
        with translate_errors(f"cannot load table {quote_name(table)}"), self._tables.naming_duplicates(session, table):
            try:
                self._tables.computed.run(
                    session, table, lambda: self._execute(statement), undo=lambda: session.execute("ROLLBACK")
                )
            except pymysql.MySQLError as error:
                if breaks_check(error) and self._tables.checks.leave(session, table):
                    self._execute(statement)
                    return
                if not is_unnamed(error):
                    raise
                with row_by_row(session):
                    self._execute(statement)

    def _execute(self, statement: Statement) -> None:
        table = statement.name
        with self._tables.transaction(self._session, table):
            body = self._ends.script(statement.body) if self._ends else statement.body
            rows = execute_rows(self._session, table, body, statement.extra.get("labels", ()))
        self._counted[table] += rows

    def check_counts(self) -> None:
        """Compare the rows of a script with the recorded ones, when all of it has run."""
        expected: Counter[str] = Counter()
        for table, rows in self._recorded.values():
            expected[table] += rows
        for table, rows in expected.items():
            if self._counted[table] != rows and table not in self._refused | self._tables.missing:
                raise IntegrityError(
                    f"the script holds {self._counted[table]} rows of table {quote_name(table)}, {rows} were recorded"
                )


def _partly(stream: str, rows: int, recorded: int) -> IntegrityError:
    """What is missing of a stream."""
    return IntegrityError(f"stream {quote_name(stream)} holds {rows} rows, {recorded} were recorded")
