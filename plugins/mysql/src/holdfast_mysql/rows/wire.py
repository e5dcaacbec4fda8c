"""Rows as the server sends them: the packets of a text result set, copied from the socket without looking inside.

A stream of rows is a line of JSON (see `RowHeader`) followed by the packets of the result set, each with its
header of four bytes: three of length, little-endian, and one that was the packet's number and is always zero here
(narrow rows then compress to 33 % instead of 41 %). A row of 16 MiB or more spans packets: one of exactly 0xffffff
bytes is continued by the next. Within a row each value is a length-encoded string, 0xfb is NULL. Source of the
layout: MySQL Internals "Text Resultset" and "Sending more than 16Mb".
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from holdfast.api import Chunk, IntegrityError
from holdfast_mysql.session import Session, driver

VERSION = 1
FULL = 0xFFFFFF
_CHUNK = 1 << 20
_FIRST = 1 << 16  # bytes of the first piece: most tables are small, and a buffer costs what it is long
_PIECE = 1 << 16
_HEADER_LIMIT = 1 << 19  # 4096 columns with the longest names have less
HEADER = 4
_WORD = struct.Struct("<I")
_SIZE = struct.Struct("<HBx")  # the length in two parts
_WIDE = 1 << 16
_END, _ERROR = 0xFE, 0xFF
_END_SIZE = 9


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as it lies in a stream; `kind` says what its bytes are.

    `number` and `index` (of an ENUM or SET) are digits as SQL writes them; `ascii` and `json` are text that may be
    converted; `utf8` is text in UTF-8, `latin` text in a character set of one byte, `label` members of an ENUM or SET
    and `bytes` everything else, each in the column's own character set, from which nothing may be converted.
    """

    name: str
    kind: str
    nullable: bool = True


LABEL_KINDS = ("index", "label")  # of ENUM and SET


@dataclass(frozen=True, kw_only=True)
class RowHeader:
    """What a stream of rows says about itself: a table, its columns in their order, and whether it has history.

    `ends` are the column that says when a row of a history ends, and what it says of rows that are there.
    """

    table: str
    columns: tuple[Column, ...]
    versioned: bool = False
    ends: tuple[str, str] | None = None

    def line(self) -> bytes:
        """The line that stands before the rows."""
        columns = [[column.name, column.kind, column.nullable] for column in self.columns]
        data = {"holdfast": "mysql rows", "version": VERSION, "table": self.table, "columns": columns}
        data["versioned"] = self.versioned
        return json.dumps({**data, "ends": self.ends} if self.ends else data).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "RowHeader":
        """Read a header back; what is none is an `IntegrityError`."""
        try:
            data = json.loads(line)
            if data["version"] != VERSION:
                raise IntegrityError(f"rows are of version {data['version']}, this Holdfast reads {VERSION}")
            columns = tuple(
                Column(name=str(name), kind=str(kind), nullable=bool(nullable))
                for name, kind, nullable in data["columns"]
            )
            ends = (str(data["ends"][0]), str(data["ends"][1])) if data.get("ends") else None
            return cls(table=str(data["table"]), columns=columns, versioned=bool(data["versioned"]), ends=ends)
        except (ValueError, LookupError, TypeError) as error:
            raise IntegrityError("the rows do not begin with a header that can be read") from error


class Digest(Protocol):
    """What takes the packets as they pass, such as an object of hashlib."""

    def update(self, data: Chunk, /) -> None:
        """Take the next ones, cut anywhere."""
        ...

    def hexdigest(self) -> str:
        """The digest of all of them."""
        ...


class RowCopy:
    """One query whose rows are copied; `rows`, `digest` and `largest` are right once `chunks` has ended.

    `largest` are the bytes of the longest row, 0 if none has 64 KiB.
    """

    def __init__(
        self, session: Session, sql: str | bytes, *, header: bytes = b"", digest: Digest | None = None
    ) -> None:
        self._connection = session.connection
        self._sql = sql
        self._header = header
        self._digest = digest
        self._more = False  # the packet before was full, so that the next one continues it
        self._inner = -1  # where the last packet of a walk begins that continues a row
        self._ended = False
        self._packets = self._continued = 0
        self._span = 0
        self.largest = 0

    @property
    def rows(self) -> int:
        """How many rows have passed."""
        return self._packets - self._continued

    @property
    def digest(self) -> str:
        """The digest of all packets, empty if none was asked for."""
        return self._digest.hexdigest() if self._digest else ""

    def chunks(self) -> Iterator[bytearray]:
        """Run the query and yield the header and its packets in pieces of 1 MiB, cut anywhere."""
        with driver.row_packets(self._connection, self._sql, size=_CHUNK // 2) as (head, receive):
            own = len(self._header)
            for chunk in self._copy(head, receive):
                if self._digest:
                    self._digest.update(memoryview(chunk)[own:])
                own = 0
                yield chunk

    def _copy(self, head: bytes, receive: driver.Receive) -> Iterator[bytearray]:
        tail = self._header + head
        skip = len(self._header)
        size = _CHUNK if len(tail) > _FIRST // 2 else _FIRST
        while True:
            buffer = bytearray(size)
            view = memoryview(buffer)
            view[: len(tail)] = tail
            have, place = len(tail), skip
            while True:
                place = self._walk(buffer, place, have)
                if self._ended or have == size:
                    break
                received = receive(view[have:])
                if not received:
                    raise EOFError
                have += received
            cut = min(place, have)
            tail, skip, size = bytes(view[cut:have]), place - cut, _CHUNK
            view.release()
            del buffer[cut:]
            if buffer:
                yield buffer
            if self._ended:
                return

    def _walk(self, buffer: bytearray, place: int, have: int) -> int:
        """Go from header to header as far as there are whole ones; returns where the next one is, maybe beyond.

        About 150 ns a row, so that only its length is looked at: what ends the rows is the last that a server sends.
        """
        unpack, more, start, packets = _SIZE.unpack_from, self._more, place, self._packets
        self._inner = -1
        with memoryview(buffer)[:have] as view:
            try:
                for packets in count(packets):  # noqa: B007, B020 - counted by the loop, which costs nothing
                    low, high = unpack(view, place)
                    if high or more:
                        low += high << 16
                        more = self._wide(place, low, more=more)
                    buffer[place + 3] = 0
                    start = place
                    place += low + HEADER
            except struct.error:
                pass  # no whole header is left
        self._more = more
        if start < place and self._may_be_end(buffer, start, place, have):
            packets, place = packets - 1, start
        self._packets = packets
        return place

    def _wide(self, place: int, size: int, *, more: bool) -> bool:
        """Note a packet of 64 KiB or more, or one that continues a row; returns whether the next one continues it."""
        if more:
            self._continued += 1
            self._inner = place
        self._span += size
        if size < FULL:
            self.largest, self._span = max(self.largest, self._span), 0
        return size == FULL

    def _may_be_end(self, buffer: bytearray, start: int, after: int, have: int) -> bool:
        """Whether the last packet is what ends the rows, which is noted or raised, or could be when more has come."""
        size = after - start - HEADER
        if size >= _WIDE or start == self._inner:
            return False
        first = buffer[start + HEADER] if start + HEADER < have else _ERROR
        # A row may begin with 0xfe, the mark of a first value of 16 MiB or more, but then it is long.
        if first < _END or (first == _END and size >= _END_SIZE):
            return False
        if after <= have:
            if first == _ERROR:
                driver.raise_packet(bytes(buffer[start + HEADER : after]))
            self._ended = True
        return True


WRONG_ROW = "a row does not consist of the values of its columns"


class RowParser(Protocol):
    """What takes the rows of a stream."""

    def rows(self, data: bytes, place: int) -> int:
        """Take every whole row of one packet from a place on; returns where the first one that is not begins."""
        ...

    def row(self, values: bytes) -> None:
        """Take one row that spanned packets, without their headers."""
        ...


class RowReader:
    """The rows of a stream, for the way back: `header` first, then `feed`.

    With `damaged` the rows may end in the middle of one, or go on with what is none: that is left out, with the rest.
    """

    def __init__(self, chunks: Iterable[Chunk], *, damaged: bool = False) -> None:
        self.damaged = damaged
        self._chunks = _pieces(chunks)
        head = bytearray()
        while (end := head.find(b"\n")) < 0:
            chunk = next(self._chunks, None)
            if chunk is None or len(head) > _HEADER_LIMIT:
                raise IntegrityError("the rows do not begin with a header that can be read")
            head += chunk
        self.header = RowHeader.of(bytes(head[:end]))
        self._rest: bytes = bytes(head[end + 1 :])

    def feed(self, parser: RowParser) -> Iterator[None]:
        """Hand all rows to a parser and yield now and then, about every 64 KiB, for it to be emptied.

        A row that is none is an `IntegrityError`.
        """
        try:
            yield from self._feed(parser)
        except (IndexError, IntegrityError) as error:  # IndexError: a value begins behind the end of all that is there
            if self.damaged:
                yield
            elif isinstance(error, IntegrityError):
                raise
            else:
                raise IntegrityError(WRONG_ROW) from error

    def _feed(self, parser: RowParser) -> Iterator[None]:
        data = self._rest
        while True:
            place = 0
            while True:
                place = parser.rows(data, place)
                values, after = _spanning(data, place)
                if values is None:
                    break
                parser.row(values)
                place = after
                yield
            yield
            data = self._more(data[place:])
            if not data:
                return

    def _more(self, rest: bytes) -> bytes:
        """Read on until at least one row is whole; empty at the end."""
        parts, have, needed = [rest], len(rest), _needed(rest)
        while have < needed:
            chunk = next(self._chunks, None)
            if chunk is None:
                if have and not self.damaged:
                    raise IntegrityError("the rows end in the middle of one")
                return b""
            parts.append(chunk)
            have += len(chunk)
            if have >= needed:
                parts = [b"".join(parts)]
                needed = _needed(parts[0])
        return parts[0]


def _pieces(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """Cut chunks small: the values of narrow rows, each an object, take ten times the memory of their bytes."""
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield bytes(chunk[start : start + _PIECE])


def _needed(data: bytes) -> int:
    """How many bytes the packets of the first row have together, as far as can be told."""
    place = 0
    while place + HEADER <= len(data):
        size: int = _WORD.unpack_from(data, place)[0] & FULL
        place += HEADER + size
        if size < FULL:
            return place
    return place + HEADER


def _spanning(data: bytes, place: int) -> tuple[bytes | None, int]:
    """The values of a row that spans packets, if that comes next and all of it is there, and where it ends."""
    parts: list[bytes] = []
    while place + HEADER <= len(data):
        size: int = _WORD.unpack_from(data, place)[0] & FULL
        if place + HEADER + size > len(data) or (size < FULL and not parts):
            break
        parts.append(data[place + HEADER : place + HEADER + size])
        place += HEADER + size
        if size < FULL:
            return b"".join(parts), place
    return None, place
