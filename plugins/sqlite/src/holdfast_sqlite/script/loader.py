"""Loading SQL text into a new database: this engine's own scripts, the shell's `.dump`, Python's `iterdump`."""

import re
import sqlite3
from collections.abc import Iterable

from holdfast.api import Chunk, HoldfastError, IntegrityError
from holdfast_sqlite.script.statements import Splitter, first_word
from holdfast_sqlite.script.text import decode
from holdfast_sqlite.script.virtual_tables import VirtualTables

_NO_SEQUENCE = "no such table: sqlite_sequence"
_NO_INFINITY = "no such column: Inf"
_QUOTED_OR_INFINITY = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\bInf\b")
# What only the application has that made the database: neither script nor store has a fault.
_APPLICATION = (
    "no such function", "no such collation sequence", "no such module", "no such tokenizer", "unknown tokenizer",
)  # fmt: skip

# And what only a newer SQLite knows, in a script that is as it was stored.
_NEWER = re.compile(r'near ".*": syntax error|unrecognized token|unknown table option', re.DOTALL)


class ApplicationNeededError(HoldfastError):
    """A script cannot be loaded without what its application has: functions, collations, modules, a newer SQLite."""


def load_script(connection: sqlite3.Connection, chunks: Iterable[Chunk]) -> None:
    """Run a script in an empty database of our own, whose connection commits by itself.

    The script must be whole: one that ends within a statement or transaction, or that rolls back (as the shell's
    `.dump` of a damaged database does), is an `IntegrityError`. It reaches no other file: ATTACH, and with it
    VACUUM INTO, is refused.
    """
    connection.set_authorizer(_authorize)
    connection.execute("PRAGMA foreign_keys=OFF")
    # A row that breaks a CHECK was in the database; our own scripts say so themselves, those of others do not.
    connection.execute("PRAGMA ignore_check_constraints=ON")
    script = _Script(connection)
    splitter = Splitter()
    for text in decode(chunks):
        for statement in splitter.feed(text):
            script.run(statement)
    if splitter.rest():
        raise IntegrityError(f"the SQL script is cut off within its statement {script.number + 1}")
    if connection.in_transaction:
        raise IntegrityError("the SQL script is cut off: its transaction has no COMMIT")
    script.end()


class _Script:
    """A script that is running, with what has to be known of its earlier statements."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._virtual_tables = VirtualTables(connection)
        self.number = 0

    def run(self, text: str) -> None:
        """Run the next statement."""
        self.number += 1
        statement = text[first_word(text) :]
        if statement[:8].upper() == "ROLLBACK":
            raise IntegrityError("the SQL script rolls back: what made it found its database damaged")
        try:
            self._virtual_tables.prepare(statement)
            self._execute(statement)
        except sqlite3.Error as error:
            failure = _failure(error, statement, self.number)
            if not self._virtual_tables.excuses(statement, error, failure):
                raise failure from error
        except (sqlite3.Warning, ValueError) as error:
            raise _failure(error, statement, self.number) from error

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.OperationalError as error:
            mended = self._mended(statement, str(error))
            if not mended:
                raise
            self._connection.execute(mended)

    def _mended(self, statement: str, error: str) -> str:
        """What the maker of a statement meant, where its fault is a known one of iterdump's; else nothing."""
        if statement[:11].upper() not in ("INSERT INTO", "DELETE FROM"):
            return ""
        if error == _NO_INFINITY:
            # As SQLite before 3.41 quotes an infinity, which none reads.
            return _QUOTED_OR_INFINITY.sub(_finite, statement)
        if error == _NO_SEQUENCE:
            # Filled before the first table with AUTOINCREMENT is there, whose making makes it.
            self._connection.execute("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT)")
            self._connection.execute("DROP TABLE holdfast_counter")
            return statement
        return ""

    def end(self) -> None:
        """Raise what could not be known before the last statement."""
        self._virtual_tables.check()


def _finite(match: re.Match[str]) -> str:
    return "9e999" if match[0] == "Inf" else match[0]


def _failure(error: Exception, statement: str, number: int) -> HoldfastError:
    # Only its first words: the others may be anybody's data.
    words = " ".join(statement[:200].split()[:3])
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_INTERRUPT"):
        return HoldfastError(f"cannot load the SQL script: {error}")
    text = f"cannot load the SQL script: statement {number} ({words} …): {error}"
    if str(error).startswith(_APPLICATION):
        hint = "load the output of `holdfast cat` in the program that has it; -o format=image would not need it"
        return ApplicationNeededError(text, hint=hint)
    if statement[:6].upper() == "CREATE" and _NEWER.match(str(error)):
        return ApplicationNeededError(text, hint=f"use a newer SQLite than {sqlite3.sqlite_version}")
    return IntegrityError(text)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK
