"""What the server says of rows that it took: another count, or a warning that means changed data, is an error."""

import re
from collections.abc import Collection
from dataclasses import dataclass

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.errors import CHECK_VIOLATED, OUT_OF_RANGE, server_error
from holdfast_mysql.restore.computed import OutOfRangeError
from holdfast_mysql.restore.duplicates import DUPLICATE, DuplicateRowsError
from holdfast_mysql.restore.left_checks import CheckViolatedError
from holdfast_mysql.restore.server_warnings import HARMLESS
from holdfast_mysql.rows.wire import LABEL_KINDS, RowHeader
from holdfast_mysql.session import Session
from holdfast_mysql.session.driver import Outcome

KEPT = 65535  # warnings that a server keeps of one statement, at most
_TRUNCATED = 1265
_TRUNCATED_VALUE, _NOT_UTF8 = 1292, 1300
# What servers say of a value in an expression, and of a key over one, without the name of a column: truncated, not of
# the character set, divided by zero, of a wrong type, out of range, no JSON.
_OF_EXPRESSIONS = frozenset({_TRUNCATED_VALUE, _NOT_UTF8, 1301, 1365, 1411, 1441, 1916, 1918, *range(4036, 4043)})
_OF_KEYS = frozenset({3751, 3752, 3907})
# Expressions of our own: a value of that kind that caused such a warning would not be what was sent.
_OURS = (("index", _TRUNCATED_VALUE), ("index", 1916), ("json", _NOT_UTF8))
_AT_ROW = re.compile(r" at row \d+$")


class UnseenWarningsError(HoldfastError):
    """A statement had more warnings than the server keeps: one of those that are lost may mean changed data."""


class ChangedRowsError(HoldfastError):
    """Rows that the server does not keep as they were sent: it cannot hold them, and the backup is sound.

    What is damaged has other digests, which are compared before and while it is read.
    """


def kept_warnings(session: Session) -> int:
    """How many warnings of a statement the server keeps for the session: it may not be allowed to raise that."""
    return int(session.value("SELECT @@max_error_count"))


def check_outcome(session: Session, header: RowHeader, outcome: Outcome, *, rows: int) -> None:
    """Make sure that every row is in the table as it was sent, right after the statement that wrote them."""
    if outcome.warnings:
        labels = {column.name for column in header.columns if column.kind in LABEL_KINDS}
        own = {code for column in header.columns for kind, code in _OURS if column.kind == kind}
        _check_warnings(session, header.table, labels, own=own)
    if outcome.affected != rows:
        raise ChangedRowsError(f"table {quote_name(header.table)} took {outcome.affected} of {rows} rows")


def execute_rows(session: Session, table: str, statement: bytes, labels: Collection[str]) -> int:
    """Run one INSERT of a script and look at its warnings; `labels` names the columns of ENUM and SET."""
    answer = session.query(statement)
    if answer.warnings:
        _check_warnings(session, table, labels)
    return answer.affected


def _check_warnings(session: Session, table: str, labels: Collection[str], *, own: Collection[int] = ()) -> None:
    """Raise what means changed data; `own` are numbers that expressions of our statement could cause."""
    warnings = session.texts("SHOW WARNINGS")
    kept = kept_warnings(session)
    if len(warnings) >= kept:
        raise UnseenWarningsError(
            f"a statement that loads table {quote_name(table)} has {kept} warnings or more: the server keeps "
            "no more of them to look at, and one that it lost may mean changed data",
            hint="restore by hand with the commands in RESTORE.md",
        )
    serious = [(int(code), text) for _, code, text in warnings if int(code) not in HARMLESS]
    if not serious:
        return
    columns = _Columns.read(session, table, labels)
    for code, text in serious:
        if code in DUPLICATE:
            raise DuplicateRowsError(text)
        if code == CHECK_VIOLATED:  # MySQL took the rows once: what the CHECK means depends on the session
            told = server_error(pymysql.OperationalError(code, text), f"cannot load table {quote_name(table)}")
            raise CheckViolatedError(told.message, hint=told.hint)
        if code == OUT_OF_RANGE:  # which says nothing of the backup: what an expression gives depends on the session
            if any(other == CHECK_VIOLATED for other, _ in serious):
                continue  # it is that of a CHECK
            told = server_error(pymysql.OperationalError(code, text), f"cannot load table {quote_name(table)}")
            raise OutOfRangeError(told.message, hint=told.hint)
        if not columns.expect(code, text, own):
            raise ChangedRowsError(f"table {quote_name(table)} does not take its rows as they were: {text} ({code})")


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns of a table by what writes them: rows, or the server that computes them; `labels` are ENUM and SET."""

    labels: Collection[str]
    written: Collection[str]
    computed: Collection[str]

    @classmethod
    def read(cls, session: Session, table: str, labels: Collection[str]) -> "_Columns":
        columns = session.texts(
            "SELECT column_name, generation_expression FROM information_schema.columns"
            f" WHERE table_schema=DATABASE() AND {session.is_named('table_name', table)}"
        )
        return cls(
            labels=labels,
            written=[name for name, expression in columns if not expression],
            computed=[name for name, expression in columns if expression],
        )

    def expect(self, code: int, text: str, own: Collection[int]) -> bool:
        """Whether a warning comes of rows that are what they were."""
        # The index 0 of an ENUM, which stands for a value that never was one of its members, is stored with this.
        if code == _TRUNCATED and any(f"'{name}'" in text for name in self.labels):
            return True
        # What the server computes it computes from the same values as before, and LOAD DATA and INSERT say so.
        if code in _OF_KEYS or (code in _OF_EXPRESSIONS and code not in own and not _AT_ROW.search(text)):
            return True
        return _is_about(text, self.computed) and not _is_about(text, self.written)


def _is_about(text: str, columns: Collection[str]) -> bool:
    """Whether a warning ends with one of the columns: its beginning may quote a value that says anything.

    The forms are `… for column 'name' at row 1` and, in MariaDB, also ``… for column `db`.`table`.`name` at row 1``.
    """
    text, rows = _AT_ROW.subn("", text)
    return rows > 0 and text.endswith(tuple(end for name in columns for end in (f" '{name}'", f".`{name}`")))
