r"""A script, cut into the lines of its statements and the rows that COPY takes from it.

psql reads rows only where the server has taken the COPY before them; else it would run them as statements.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.api import Chunk, IntegrityError
from holdfast_postgres.formats.script_scanner import Scanner

_END = b"\\."
_ENDS = (b"\\.\n", b"\\.\r\n")  # as psql has it, in every format of COPY
_LONGEST_END = 4
_HELD = (b"copy", b"insert", b"set")
_SET_CONFIG = b"SELECT pg_catalog.set_config("
_STANDARD = re.compile(rb"\s*SET standard_conforming_strings (?:=|TO) '?(?P<off>off|false|0)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Text:
    """One line of a statement, or a whole one that begins with COPY, INSERT or SET; no line holds two.

    `starts` says that no statement is open before it, `single` that it holds one from its start to its end.
    """

    text: bytes
    starts: bool = True
    single: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether it does nothing: an empty line, or a comment."""
        return self.starts and (not self.text.strip() or self.text.startswith(b"--"))

    @property
    def adds_rows(self) -> bool:
        """Whether it is an INSERT."""
        return self.single and self.text.lstrip()[:6].upper() == b"INSERT"

    @property
    def lines(self) -> int:
        """How many lines it takes."""
        return self.text.count(b"\n")


@dataclass(frozen=True, kw_only=True)
class Rows:
    r"""The `statement`, COPY … FROM stdin, and its rows in pieces of any length, without the line `\.` at their end.

    `in_transaction` says that the script has begun one before.
    """

    statement: bytes
    chunks: Iterator[bytes]
    in_transaction: bool = False

    @property
    def lines(self) -> int:
        """Rows count as one line."""
        return 1


Piece = Text | Rows


def read_pieces(chunks: Iterable[Chunk]) -> Iterator[Piece]:
    """The pieces of a script; rows are read up before what follows them.

    `IntegrityError` where the script ends within rows.
    """
    reader, scanner = _Reader(chunks), Scanner()
    held = b""  # the lines before of a statement that is given as a whole
    while line := reader.line():
        while line:
            starts = bool(held) or scanner.between
            at = scanner.scan(line, 0)
            rest = line[at:] if line[at:].strip() else b""
            text = held + (line[:at] + b"\n" if rest else line)
            if scanner.takes_rows:
                yield from _rows(held + line[:at], reader, scanner)
            elif not scanner.ended and _is_held(scanner, text):
                held, line = text, rest
                continue
            else:
                single = starts and scanner.ended
                if single and (standard := _STANDARD.match(text)):
                    scanner.standard_strings = not standard["off"]
                yield Text(text=text, starts=starts, single=single)
            held, line = b"", rest
    if held:
        yield Text(text=held)


def as_script(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The script that pieces are of."""
    for piece in pieces:
        if isinstance(piece, Text):
            yield piece.text
            continue
        yield piece.statement + b"\n"
        yield from piece.chunks
        yield _ENDS[0]


def _is_held(scanner: Scanner, begin: bytes) -> bool:
    """Whether the open statement is to be given as a whole."""
    return not scanner.between and (scanner.first in _HELD or begin.startswith(_SET_CONFIG))


def _rows(statement: bytes, reader: "_Reader", scanner: Scanner) -> Iterator[Rows]:
    chunks = reader.rows()
    yield Rows(statement=statement.strip(), chunks=chunks, in_transaction=scanner.in_transaction)
    for _ in chunks:  # what nobody asked for
        pass


class _Reader:
    """Lines, and the rows of a COPY, out of a script that comes in chunks."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0

    def line(self) -> bytes:
        """The next line with its line feed; empty at the end."""
        end = self._held.find(b"\n", self._at) + 1
        if end:
            return self._take(end)
        parts = [self._take(len(self._held))]
        while not end and self._more():
            end = self._held.find(b"\n") + 1
            parts.append(self._take(end or len(self._held)))
        return b"".join(parts)

    def rows(self) -> Iterator[bytes]:
        r"""All up to the line `\.`, that without; a row may be longer than memory should hold."""
        fresh = True  # at the start of a line
        while (end := self._end_of_rows(fresh)) < 0:
            keep = len(self._held) - _LONGEST_END  # a line may begin there
            if keep > self._at:
                fresh = self._held[keep - 1 : keep] == b"\n"
                yield self._take(keep)
            if not self._more():
                end = len(self._held) - len(_END)  # the last line may have no line feed
                if self._held.endswith(b"\n" + _END, self._at) or (fresh and self._held[self._at :] == _END):
                    break
                raise IntegrityError("the script ends within the rows of a table, without the line that ends them")
        if end > self._at:
            yield self._take(end)
        self.line()

    def _end_of_rows(self, fresh: bool) -> int:
        r"""Where the line `\.` begins in what has come; below 0 if it is not there as a whole."""
        at = self._at if fresh else self._next_line_like_it(self._at)
        while at >= 0 and not self._held.startswith(_ENDS, at):
            at = self._next_line_like_it(at)
        return at

    def _next_line_like_it(self, at: int) -> int:
        place = self._held.find(b"\n" + _END, at)
        return place + 1 if place >= 0 else -1

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._held = self._held[self._at :] + bytes(chunk)
        self._at = 0
        return True

    def _take(self, end: int) -> bytes:
        taken = self._held[self._at : end]
        self._at = end
        return taken
