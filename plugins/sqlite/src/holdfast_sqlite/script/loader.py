"""Loading SQL text into a new database: this engine's own scripts, the shell's `.dump`, Python's `iterdump`."""

import codecs
import itertools
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator

from holdfast.api import Chunk, HoldfastError, IntegrityError

_GZIP = b"\x1f\x8b"
_SPECIAL = re.compile(r"['\"`\[;]|--|/\*")
_CLOSING = {"'": "'", '"': '"', "`": "`", "[": "]", "--": "\n", "/*": "*/"}
_LEAD = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
_TRIGGER = re.compile(r"CREATE\s+(?:TEMP\s+|TEMPORARY\s+)?TRIGGER\b", re.IGNORECASE)
_SCHEMA_ROW = re.compile(r"INSERT\s+INTO\s+[\"'`\[]?sqlite_(?:master|schema)\b", re.IGNORECASE)
_VIRTUAL = re.compile(r"VALUES\s*\(\s*'table'\s*,\s*'((?:[^']|'')*)'", re.IGNORECASE)
_NO_TABLE = "no such table: "
_NO_INFINITY = "no such column: Inf"
_QUOTED_OR_INFINITY = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\bInf\b")
# What only the application has that made the database: neither script nor store has a fault.
_APPLICATION = (
    "no such function", "no such collation sequence", "no such module", "no such tokenizer", "unknown tokenizer",
)  # fmt: skip
_PIECE = 1 << 20


class ApplicationNeededError(HoldfastError):
    """A script cannot be loaded without what the application brings along: functions, collations, modules."""


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
    for text in _decode(chunks):
        for statement in splitter.feed(text):
            script.run(statement)
    if splitter.rest():
        raise IntegrityError(f"the SQL script is cut off within its statement {script.number + 1}")
    if connection.in_transaction:
        raise IntegrityError("the SQL script is cut off: its transaction has no COMMIT")


class _Script:
    """A script that is running, with what has to be known of its earlier statements."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._virtual: set[str] = set()
        self.number = 0

    def run(self, statement: str) -> None:
        """Run the next statement."""
        self.number += 1
        start = _LEAD.match(statement)
        body = statement[start.end() :] if start else statement
        if body[:8].upper() == "ROLLBACK":
            raise IntegrityError("the SQL script rolls back: what made it found its database damaged")
        if _SCHEMA_ROW.match(body):
            self._enter(body)
        try:
            self._connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not self._mend(str(error), statement, body):
                raise _failed(error, body, self.number) from error
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise _failed(error, body, self.number) from error

    def _enter(self, body: str) -> None:
        """Let a virtual table be entered into the schema, also where the script has not switched that on."""
        self._connection.execute("PRAGMA writable_schema=ON")
        if match := _VIRTUAL.search(body):
            self._virtual.add(match[1].replace("''", "'"))

    def _mend(self, error: str, statement: str, body: str) -> bool:
        """Do what the maker of a statement meant, where its fault is a known one of iterdump's."""
        if body[:11].upper() not in ("INSERT INTO", "DELETE FROM"):
            return False
        if error == _NO_INFINITY:
            # As SQLite before 3.41 quotes an infinity, which none reads.
            self._connection.execute(_QUOTED_OR_INFINITY.sub(_finite, statement))
            return True
        if not error.startswith(_NO_TABLE):
            return False
        table = error.removeprefix(_NO_TABLE)
        if table == "sqlite_sequence":
            # Filled before the first table with AUTOINCREMENT is there, whose making makes it.
            self._connection.execute("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT)")
            self._connection.execute("DROP TABLE holdfast_counter")
            self._connection.execute(statement)
            return True
        # Rows of a virtual table, which come once more with its inner tables: those are taken.
        return table in self._virtual


def _finite(match: re.Match[str]) -> str:
    return "9e999" if match[0] == "Inf" else match[0]


def _failed(error: Exception, body: str, number: int) -> HoldfastError:
    # Only its first words: the others may be anybody's data.
    words = " ".join(body[:200].split()[:3])
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_INTERRUPT"):
        return HoldfastError(f"cannot load the SQL script: {error}")
    text = f"cannot load the SQL script: statement {number} ({words} …): {error}"
    if str(error).startswith(_APPLICATION):
        hint = "have the program that brings it along load what `holdfast cat` writes; -o format=image needs nothing"
        return ApplicationNeededError(text, hint=hint)
    return IntegrityError(text)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK


def _decode(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Text from bytes, decompressed if they are gzip's."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in _plain(chunks):
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise IntegrityError("the SQL script is not UTF-8 text") from error
    except zlib.error as error:
        raise IntegrityError(f"the SQL script is not valid gzip: {error}") from error


def _plain(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """Undo the gzip of files that were stored so by others, any number of members, in bounded pieces."""
    pieces = (bytes(chunk) for chunk in chunks if chunk)
    first = next(pieces, b"")
    if first[:2] != _GZIP:
        yield first
        yield from pieces
        return
    member: zlib._Decompress | None = None
    for data in itertools.chain((first,), pieces):
        left = data
        while left:
            member = member or zlib.decompressobj(wbits=31)
            yield member.decompress(left, _PIECE)
            left = member.unused_data if member.eof else member.unconsumed_tail
            member = None if member.eof else member
    if member is not None:
        raise IntegrityError("the SQL script's gzip data is cut off")


class Splitter:
    """Cuts SQL text, which comes in pieces cut anywhere, into statements; linear, whatever the lengths."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._inside = ""  # what ends the literal, name or comment that we are in
        self._carry = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield the statements that this text completes, each with its semicolon."""
        text = self._carry + text
        self._carry = ""
        start = position = 0
        while position < len(text):
            if self._inside:
                end = text.find(self._inside, position)
                if end < 0:
                    # A token of two characters may be cut in two.
                    self._carry = "*" if self._inside == "*/" and text.endswith("*") else ""
                    break
                position = end + len(self._inside)
                self._inside = ""
                continue
            match = _SPECIAL.search(text, position)
            if match is None:
                self._carry = text[-1] if text[-1] in "-/" else ""
                break
            position = match.end()
            if match[0] != ";":
                self._inside = _CLOSING[match[0]]
                continue
            self._parts.append(text[start:position])
            start = position
            statement = "".join(self._parts)
            if _whole(statement):
                self._parts.clear()
                if statement.strip("; \t\r\n"):
                    yield statement
            else:
                self._parts = [statement]
        self._parts.append(text[start : len(text) - len(self._carry)])

    def rest(self) -> str:
        """What is left and is no comment: the beginning of a statement."""
        text = "".join(self._parts) + self._carry + ("\n" if self._inside == "\n" else "")
        return _LEAD.sub("", text, count=1).strip()


def _whole(statement: str) -> bool:
    """Whether a semicolon ends the statement: within a trigger it does not."""
    start = _LEAD.match(statement)
    if _TRIGGER.match(statement, start.end() if start else 0):
        return sqlite3.complete_statement(statement)
    return True
