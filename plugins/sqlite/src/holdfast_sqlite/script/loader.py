"""Loading SQL text into a new database: this engine's own scripts, the shell's `.dump`, Python's `iterdump`."""

import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from holdfast.api import Chunk, HoldfastError, IntegrityError
from holdfast_sqlite.lending import APPLICATION
from holdfast_sqlite.script.insertion import execute_with_values
from holdfast_sqlite.script.makers import refuse_other_makers
from holdfast_sqlite.script.mending import mended, with_raw_texts
from holdfast_sqlite.script.statements import Splitter, Statement, first_word
from holdfast_sqlite.script.text import decode
from holdfast_sqlite.script.unistr import add_unistr
from holdfast_sqlite.script.virtual_tables import VirtualTables

# What only the application has that made the database: neither script nor store has a fault.
_NEEDS = (
    "use --load-extension with the library that has it, or load the output of `holdfast cat` in the application; "
    "-o format=image would not need it"
)
# The shell's `.dump` writes so where it could not read on.
_SHELL_ERROR = re.compile(r"/\*{4,6} (?:CORRUPTION )?ERROR[^*]*\*{4,7}/")
# And what only a newer SQLite knows, in a script that is as it was stored.
_NEWER = re.compile(
    r'near ".*": syntax error|unrecognized token|unknown table option|RIGHT and FULL OUTER JOINs are not', re.DOTALL
)


class ApplicationNeededError(HoldfastError):
    """A script cannot be loaded without what its application has: functions, collations, modules, a newer SQLite."""


def load_script(connection: sqlite3.Connection, chunks: Iterable[Chunk], *, folder: Path | None = None) -> None:
    """Run a script in an empty database of our own, whose connection commits by itself.

    The script must be whole: one that ends within a statement or transaction, or that rolls back (as the shell's
    `.dump` of a damaged database does), is an `IntegrityError`. It reaches no other file: ATTACH, and with it
    VACUUM INTO, is refused. Values of more than a MiB take space in `folder` on their way.
    """
    connection.set_authorizer(_authorize)
    add_unistr(connection)
    connection.execute("PRAGMA foreign_keys=OFF")
    # A row that breaks a CHECK was in the database; our own scripts say so themselves, those of others do not.
    connection.execute("PRAGMA ignore_check_constraints=ON")
    script = _Script(connection)
    with Splitter(folder) as splitter:
        for text in refuse_other_makers(decode(chunks)):
            for statement in splitter.feed(text):
                script.run(statement)
        if rest := splitter.rest():
            script.refuse(rest)
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

    def run(self, whole: Statement) -> None:
        """Run the next statement."""
        self.number += 1
        start = first_word(whole.text)
        statement = whole.text[start:]
        self.refuse(statement, whole.text[:start])
        try:
            self._virtual_tables.prepare(statement)
            self._execute(Statement(statement, whole.values))
        except sqlite3.Error as error:
            failure = _failure(error, statement, self.number)
            if not self._virtual_tables.excuses(statement, error, failure):
                raise failure from error
        except UnicodeEncodeError as error:
            words = _first_words(statement)
            text = f"the SQL script is not UTF-8 text in its statement {self.number} ({words} …)"
            raise IntegrityError(text) from error
        except (sqlite3.Warning, ValueError) as error:
            raise _failure(error, statement, self.number) from error

    def refuse(self, statement: str, comments: str = "") -> None:
        """Refuse what says itself that it is not whole, in a statement or in comments before it, and what is no SQL."""
        if error := _SHELL_ERROR.search(comments):
            what = error[0].strip("/* ")
            raise IntegrityError(f"what made the SQL script could not read its database: {what}")
        if statement[:8].upper() == "ROLLBACK":
            raise IntegrityError("the SQL script rolls back: what made it found its database damaged")
        if statement.startswith("."):
            command = _first_words(statement).split()[0]
            raise IntegrityError(
                f"the SQL script has a command of the sqlite3 shell ({command}), which is no SQL",
                hint="load the output of `holdfast cat` in the sqlite3 shell, if you trust it",
            )

    def _execute(self, statement: Statement) -> None:
        text = statement.text
        if not text.isascii() and not _is_utf8(text):
            text = with_raw_texts(self._connection, text)
        if statement.values:
            execute_with_values(self._connection, Statement(text, statement.values))
            return
        try:
            self._connection.execute(text)
        except sqlite3.OperationalError as error:
            meant = mended(self._connection, text, str(error))
            if not meant:
                raise
            self._connection.execute(meant)

    def end(self) -> None:
        """Raise what could not be known before the last statement."""
        self._virtual_tables.check()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_words(statement: str) -> str:
    # Only these: the others may be anybody's data.
    return " ".join(statement[:200].encode(errors="backslashreplace").decode().split()[:3])


def _failure(error: Exception, statement: str, number: int) -> HoldfastError:
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_INTERRUPT"):
        return HoldfastError(f"cannot load the SQL script: {error}")
    text = f"cannot load the SQL script: statement {number} ({_first_words(statement)} …): {error}"
    if str(error).startswith(APPLICATION):
        return ApplicationNeededError(text, hint=_NEEDS)
    if statement[:6].upper() == "CREATE" and _NEWER.match(str(error)):
        return ApplicationNeededError(text, hint=f"use a newer SQLite than {sqlite3.sqlite_version}")
    return IntegrityError(text)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK
