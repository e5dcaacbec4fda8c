"""Loading SQL text into a new database: this engine's own scripts, the shell's `.dump`, Python's `iterdump`."""

import codecs
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
_NO_SEQUENCE = "no such table: sqlite_sequence"
_PIECE = 1 << 20


def load_script(connection: sqlite3.Connection, chunks: Iterable[Chunk]) -> None:
    """Run a script in an empty database of our own, whose connection commits by itself.

    The script must be whole: one that ends within a statement or transaction, or that rolls back (as the shell's
    `.dump` of a damaged database does), is an `IntegrityError`. It reaches no other file: ATTACH, and with it
    VACUUM INTO, is refused.
    """
    connection.set_authorizer(_authorize)
    connection.execute("PRAGMA foreign_keys=OFF")
    number = 0
    splitter = Splitter()
    for text in _decode(chunks):
        for statement in splitter.feed(text):
            number += 1
            _run(connection, statement, number)
    if splitter.rest():
        raise IntegrityError(f"the SQL script is cut off within its statement {number + 1}")
    if connection.in_transaction:
        raise IntegrityError("the SQL script is cut off: its transaction has no COMMIT")


def _run(connection: sqlite3.Connection, statement: str, number: int) -> None:
    start = _LEAD.match(statement)
    body = statement[start.end() :] if start else statement
    if body[:8].upper() == "ROLLBACK":
        raise IntegrityError("the SQL script rolls back: what made it found its database damaged")
    if _SCHEMA_ROW.match(body):
        # Older iterdumps enter virtual tables into the schema without having switched this on.
        connection.execute("PRAGMA writable_schema=ON")
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_NO_SEQUENCE):
            raise _failed(error, body, number) from error
        # Some dumps fill it before the first table with AUTOINCREMENT, whose making makes it.
        connection.execute("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.execute("DROP TABLE holdfast_counter")
        connection.execute(statement)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise _failed(error, body, number) from error


def _failed(error: Exception, body: str, number: int) -> HoldfastError:
    # Only its first words: the others may be anybody's data.
    words = " ".join(body[:200].split()[:3])
    name = getattr(error, "sqlite_errorname", "")
    if name in ("SQLITE_FULL", "SQLITE_INTERRUPT"):
        return HoldfastError(f"cannot load the SQL script: {error}")
    return IntegrityError(f"cannot load the SQL script: statement {number} ({words} …): {error}")


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
    head = b""
    unpacked: zlib._Decompress | None = None
    for number, chunk in enumerate(chunks):
        data = head + bytes(chunk)
        if not number and data[:2] != _GZIP:
            yield data
            continue
        if not number:
            unpacked = zlib.decompressobj(wbits=31)
        if unpacked is None:
            yield data
            continue
        while data:
            yield unpacked.decompress(data, _PIECE)
            data = unpacked.unconsumed_tail
            if unpacked.eof:
                data = unpacked.unused_data
                unpacked = zlib.decompressobj(wbits=31)
    if unpacked is not None and (unpacked.unconsumed_tail or not unpacked.eof) and not _fresh(unpacked):
        raise IntegrityError("the SQL script's gzip data is cut off")


def _fresh(unpacked: "zlib._Decompress") -> bool:
    """Whether a decompressor has seen nothing yet, being there for a member that did not come."""
    try:
        return not unpacked.copy().flush() and not unpacked.eof
    except (zlib.error, ValueError):
        return True


class Splitter:
    """Cuts SQL text, which comes in pieces cut anywhere, into statements; linear, whatever the lengths."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._inside = ""  # what ends the literal, name or comment that we are in
        self._carry = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield the statements that this text completes, each with its semicolon."""
        text = self._carry + text
        # A token of two characters must not be cut in two.
        keep = 1 if text.endswith(("-", "/", "*")) else 0
        self._carry = text[len(text) - keep :]
        text = text[: len(text) - keep]
        start = position = 0
        while position < len(text):
            if self._inside:
                end = text.find(self._inside, position)
                if end < 0:
                    break
                position = end + len(self._inside)
                self._inside = ""
                continue
            match = _SPECIAL.search(text, position)
            if match is None:
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
        self._parts.append(text[start:])

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
