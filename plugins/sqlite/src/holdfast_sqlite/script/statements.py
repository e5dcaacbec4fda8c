"""The statements of a script, cut out of its text as it comes; long literals in them are put aside."""

import itertools
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from holdfast_sqlite.script.long_values import LongValue
from holdfast_sqlite.tokens import tokens

_LONG = 1 << 20
"""Characters of a literal from which on it is put aside where it does not end in the piece of text that it began in."""

# Up to what ends a statement, or begins what may not end in this piece of text; whole literals and names are passed.
# Not possessive as a whole: Python up to 3.11.2 goes on behind what did not match then. So many at once, for memory.
_PLAIN = re.compile(
    r"""(?: [^'"`\[;/-]++ | '[^']*+(?:''[^']*+)*+'(?!'|\Z) | "[^"]*+" | -(?!-|\Z) | /(?!\*|\Z) ){0,4096}""", re.VERBOSE
)
_SPECIAL = re.compile(r"['\"`\[;]|--|/\*")
_CLOSING = {"'": "'", '"': '"', "`": "`", "[": "]", "--": "\n", "/*": "*/"}
_BLOB = re.compile(r"(?:^|[^\w$\x80-\U0010ffff])[xX]\Z")

_TEMPORARY = (["TEMP", "TRIGGER"], ["TEMPORARY", "TRIGGER"])


class Statement:
    """One statement with its semicolon; `?1`, `?2` … in it stand for `values`, which were long literals."""

    def __init__(self, text: str, values: list[LongValue]) -> None:
        self.text = text
        self.values = values


class Splitter:
    """Cuts SQL text, which comes in pieces cut anywhere, into statements; linear, whatever the lengths.

    Long values lie in a file without a name in `folder`, None for the system's folder for temporary files, until the
    next statement is asked for. It is closed on leaving the context.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._parts: list[str] = []
        self._inside = ""  # what ends the literal, name or comment that we are in
        self._literal = -1  # the number of parts before the literal that we are in, if it began in an earlier piece
        self._value: LongValue | None = None  # what that literal is written to
        self._values: list[LongValue] = []
        self._carry = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def feed(self, text: str) -> Iterator[Statement]:
        """Yield the statements that this text completes."""
        text = self._carry + text
        self._carry = ""
        start = position = opened = 0
        while position < len(text):
            if self._inside:
                end = self._end(text, position)
                if end < 0:
                    break
                if self._value is not None:
                    self._end_value(text[start : end - 1])
                    start = end
                position = end
                self._inside = ""
                continue
            while (end := _PLAIN.match(text, position).end()) > position:  # type: ignore[union-attr]
                position = end
            match = _SPECIAL.match(text, position)
            if match is None:
                self._carry = text[position:]  # the half of what begins a comment, or nothing
                break
            opened, position = match.start(), match.end()
            if match[0] != ";":
                self._inside = _CLOSING[match[0]]
                self._literal = -1
                continue
            self._parts.append(text[start:position])
            start = position
            if statement := self._complete():
                yield statement
        self._keep(text[start : len(text) - len(self._carry)], opened - start)

    def _end(self, text: str, position: int) -> int:
        """Where what we are in ends, or -1 if not in this text; what may be the half of an end is carried over."""
        while (end := text.find(self._inside, position)) >= 0:
            if self._inside != "'":
                return end + len(self._inside)
            if end + 1 == len(text):
                self._carry = "'"
                return -1
            if text[end + 1] != "'":
                return end + 1
            position = end + 2  # a quote within the literal
        if self._inside == "*/" and text.endswith("*"):
            self._carry = "*"
        return -1

    def _keep(self, rest: str, opened: int) -> None:
        """Keep the rest of a piece of text; a literal that was opened in it and has not ended may be a long one."""
        if self._value is not None:
            self._value.write(rest)
            return
        if self._inside == "'" and self._literal < 0:
            self._parts.append(rest[:opened])
            self._literal = len(self._parts)
            rest = rest[opened:]
        self._parts.append(rest)
        if self._inside == "'" and sum(map(len, self._parts[self._literal :])) >= _LONG:
            self._begin_value()

    def _begin_value(self) -> None:
        """Put the literal that we are in aside, as far as it has come, and what follows of it."""
        literal = "".join(self._parts[self._literal :])
        before = "".join(self._parts[: self._literal])
        is_blob = _BLOB.search(before[-2:]) is not None
        self._parts = [before[:-1] if is_blob else before]
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by __exit__)
        offset = self._values[-1].end_offset if self._values else 0
        self._value = LongValue(self._file.fileno(), offset, is_blob=is_blob)
        self._value.write(literal[1:])

    def _end_value(self, rest: str) -> None:
        """Put a parameter in the place of a literal that was put aside."""
        if self._value is not None:
            self._value.write(rest)
            self._value.end()
            self._values.append(self._value)
            self._parts.append(f"?{len(self._values)}")
            self._value = None

    def _complete(self) -> Statement | None:
        """The statement that the last semicolon ends; None if it ends none, or an empty one."""
        text = "".join(self._parts)
        if not _is_complete(text):
            self._parts = [text]
            return None
        values = self._values
        self._parts, self._values = [], []
        return Statement(text, values) if text.strip("; \t\r\n") else None

    def rest(self) -> str:
        """What is left and is no comment: the beginning of a statement."""
        text = "".join(self._parts) + self._carry
        return text[first_word(text) :] or ("'" if self._value is not None else "")


def _is_complete(statement: str) -> bool:
    """Whether a semicolon ends the statement: within a trigger it does not."""
    words = first_words(statement, 3)
    is_trigger = words[0] == "CREATE" and ("TRIGGER" in words[1:2] or words[1:] in _TEMPORARY)
    return not is_trigger or sqlite3.complete_statement(statement)


def first_word(statement: str) -> int:
    """Where a statement begins, behind white space and comments."""
    return next((token.start for token in tokens(statement)), len(statement))


def first_words(statement: str, count: int) -> list[str]:
    """The first tokens of a statement in uppercase."""
    return [token.text.upper() for token in itertools.islice(tokens(statement), count)]
