r"""What psql takes the lines of a script for: where each statement ends, and which of them is followed by rows.

The rules are those of PostgreSQL's psqlscan.l: a `;` ends a statement outside of quotes, comments and parentheses, and
of the body of a function in standard SQL (BEGIN ATOMIC).
"""

import re

from holdfast.api import IntegrityError

_FIRST = rb"[A-Za-z_\x80-\xff]"
_DOLLAR = rb"\$(?:" + _FIRST + rb"[\w\x80-\xff]*)?\$"
_MARKS = rb"['\"();\\]|--|/\*"
# With the words that matter at the start of a statement, and without: most lines of a script have no mark at all.
_WORDS = re.compile(rb"[eE]'|(?P<word>" + _FIRST + rb"[\w$\x80-\xff]*)|[0-9][\w.]*|" + _DOLLAR + rb"|" + _MARKS)
_NO_WORDS = re.compile(rb"(?<![\w$\x80-\xff])(?:[eE]'|" + _DOLLAR + rb")|" + _MARKS)
_ESCAPED_END = re.compile(rb"(?:[^'\\]|\\.|'')*+'", re.DOTALL)
_COMMENT_MARK = re.compile(rb"/\*|\*/")
_ESCAPED = b"e'"
_COMMENT = b"/*"
_ROUTINES = (b"function", b"procedure")
_ENDS_TRANSACTION = (b"commit", b"end", b"rollback", b"abort")


class Scanner:
    """Reads a script line by line."""

    def __init__(self) -> None:
        #: Whether a backslash in a literal without `E` is one.
        self.standard_strings = True
        #: Whether `scan` has come to the end of a statement.
        self.ended = False
        #: Whether the statement that has ended is a COPY of the rows that follow.
        self.takes_rows = False
        #: Whether a transaction has been begun and not ended.
        self.in_transaction = False
        self._literal = b""  # what is open: how it began, or how it ends
        self._comments = 0
        self._escaped_before = False
        self._begin_statement()

    def _begin_statement(self) -> None:
        self._words: list[bytes] = []
        self._last = b""
        self._parentheses = 0
        self._begins = 0
        self._from_stdin = False
        self._empty = True
        self._pattern = _WORDS

    @property
    def between(self) -> bool:
        """Whether no statement is open, nor a comment."""
        return self._empty and not self._literal

    @property
    def first(self) -> bytes:
        """The first word of the open statement in small letters; empty where there is none yet."""
        return self._words[0] if self._words else b""

    def scan(self, line: bytes, at: int) -> int:
        """Read on at a place of a line, to just behind the end of a statement, or to the end of the line."""
        self.ended = self.takes_rows = False
        while at < len(line):
            if self._literal:
                at = self._close(line, at)
                continue
            match = self._pattern.search(line, at)
            if match is None:
                self._escaped_before = self._escaped_before and not line[at:].strip()
                break
            continued = self._escaped_before and match[0] == b"'" and not line[at : match.start()].strip()
            self._escaped_before = False
            at = match.end()
            mark = match[0]
            if mark == b"--":
                break
            if mark == b"\\":
                if line.startswith(b";", at):
                    raise IntegrityError(r"the script joins statements by '\;', which no dump does")
                break  # psql refuses its own commands, and goes on with the next line
            if mark == b";" and not self._parentheses and not self._begins:
                self._end_statement()
                return at
            self._take(mark, continued=continued, word=match.lastgroup == "word")
        return len(line)

    def _take(self, mark: bytes, *, continued: bool, word: bool) -> None:
        """Take what is no end: a word, a parenthesis, or the start of a literal."""
        if mark == _COMMENT:
            self._literal, self._comments = _COMMENT, 1
            return
        self._empty = False
        if word:
            self._take_word(mark.lower())
        elif mark == b"(":
            self._parentheses += 1
        elif mark == b")":
            self._parentheses = max(0, self._parentheses - 1)
        elif mark in (b"E'", b"e'"):
            self._literal = _ESCAPED
        elif mark == b"'":
            self._literal = mark if self.standard_strings and not continued else _ESCAPED
        elif mark == b'"' or mark.startswith(b"$"):
            self._literal = mark

    def _take_word(self, word: bytes) -> None:
        words = self._words
        if len(words) < 4:
            words.append(word)
        if words[0] == b"copy":
            if not self._parentheses and self._last == b"from" and word in (b"stdin", b"stdout"):
                self._from_stdin = True  # PostgreSQL takes either for the client
            self._last = word
            return
        makes_routine = words[0] == b"create" and (
            words[1:2] in ([b"function"], [b"procedure"])
            or (words[1:3] == [b"or", b"replace"] and len(words) == 4 and words[3] in _ROUTINES)
        )
        if makes_routine and not self._parentheses:
            if word == b"begin" or (word == b"case" and self._begins):
                self._begins += 1
            elif word == b"end" and self._begins:
                self._begins -= 1
        if not makes_routine and (words[0] != b"create" or len(words) == 4):
            self._pattern = _NO_WORDS

    def _end_statement(self) -> None:
        self.ended, self.takes_rows = True, self._from_stdin
        first = self.first
        if first in (b"begin", b"start"):
            self.in_transaction = True
        elif first in _ENDS_TRANSACTION:
            self.in_transaction = False
        self._begin_statement()

    def _close(self, line: bytes, at: int) -> int:
        """Where what is open ends; the end of the line if it goes on."""
        if self._literal == _COMMENT:
            match = _COMMENT_MARK.search(line, at)
            if match is None:
                return len(line)
            self._comments += 1 if match[0] == _COMMENT else -1
            self._literal = _COMMENT if self._comments else b""
            return match.end()
        if self._literal == _ESCAPED:
            match = _ESCAPED_END.match(line, at)
            end = match.end() if match else 0
            self._escaped_before = bool(match)
        else:
            end = line.find(self._literal, at) + len(self._literal)
            end = 0 if end < len(self._literal) else end
        if not end:
            return len(line)
        self._literal = b""
        return end
