"""A script in stretches: what psql runs, by whose lines is known what was refused, and rows, which psql never sees."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.api import Blob
from holdfast_postgres.formats import script
from holdfast_postgres.formats.script_pieces import Piece, Rows
from holdfast_postgres.formats.script_sections import Section, read_sections
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.search_path import with_path

Numbered = tuple[int, Section, Iterator[Piece]]

# The number of a section, a line of it, and what is there.
Place = tuple[int, int, Piece | bytes]

_BLOCK = 1 << 16
_ROWS = b"TABLE DATA"
_DATA = {_ROWS, b"SEQUENCE SET", b"BLOB", b"BLOBS", b"BLOB METADATA", b"STATISTICS DATA"}
# What a statement sets for all that follow; a transaction is none of it.
_SETTING = re.compile(
    rb"\s*(?:SELECT pg_catalog\.set_config\('(?P<name>\w+)'|(?:SET|RESET)\s+(?:SESSION\s+)?(?!LOCAL\b|TRANSACTION\b|"
    rb"CONSTRAINTS\b)(?P<set>\w+))",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Fed:
    """The pieces of one section, and the statements that hold for them and what follows."""

    number: int
    pieces: Iterator[Piece]
    before: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SectionRows:
    """Rows in the section of that number; `settings` are the statements that they need, by what each sets.

    `line` is the first one of them in their section, from 0, where all that COPY takes counts as one.
    """

    number: int
    line: int
    rows: Rows
    settings: Mapping[bytes, bytes]


class Script:
    """The script, read anew by each call."""

    def __init__(self, run: RestoreRun, blob: Blob) -> None:
        self._run = run
        self._blob = blob

    def sections(self) -> Iterator[Numbered]:
        """Its sections with their numbers; what is before the first has number 0."""
        chunks, path = self._blob.chunks(), self._run.options.search_path
        text = script.unwrapped(with_path(chunks, path) if path else chunks, self._run.server.major)
        return ((number, *section) for number, section in enumerate(read_sections(text)))

    def parts(self) -> Iterator[Iterator[Fed]]:
        """All to the end of the rows, and then the rest, which needs them: each is a script of its own."""
        sections = self.sections()
        rest: list[Numbered] = []
        yield _with_rows(sections, rest)
        for first in rest:
            yield self._rest(first, sections)

    def _rest(self, first: Numbered, sections: Iterator[Numbered]) -> Iterator[Fed]:
        """These sections behind the head of the script."""
        for number, section, pieces in (next(self.sections()), first):
            yield Fed(number=number, pieces=pieces, before=section.settings)
        for number, _, pieces in sections:
            yield Fed(number=number, pieces=pieces)


def _with_rows(sections: Iterator[Numbered], rest: list[Numbered]) -> Iterator[Fed]:
    """The sections to the end of the rows; the first of the others goes into `rest`."""
    rows = False
    for number, section, pieces in sections:
        if rows and section.kind not in _DATA:
            rest.append((number, section, pieces))
            return
        rows = rows or section.kind == _ROWS
        yield Fed(number=number, pieces=pieces)


class Feed:
    """The stretches of some sections, in their order; each is read up before the next."""

    def __init__(self, sections: Iterable[Fed]) -> None:
        self._pieces = _numbered(sections)
        self._ahead: Place | None = None
        #: What has been set so far, by its name: a new session needs it too.
        self.settings: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator["Stretch | SectionRows"]:
        while (place := self.next()) is not None:
            number, line, piece = place
            if isinstance(piece, Rows):
                yield SectionRows(number=number, line=line, rows=piece, settings=dict(self.settings))
            elif isinstance(piece, bytes):
                self.note(piece)  # for the session that comes first
            elif not piece.is_blank:
                self._ahead = place
                yield Stretch(self)

    def next(self) -> Place | None:
        """The next piece with its place; a statement that stands before a section is bytes."""
        place, self._ahead = self._ahead or next(self._pieces, None), None
        return place

    def put_back(self, place: Place) -> None:
        """Let `next` return it again."""
        self._ahead = place

    def note(self, statement: bytes) -> None:
        """Keep a statement that sets something for those behind it."""
        if match := _SETTING.match(statement):
            self.settings[(match["name"] or match["set"]).lower()] = statement


def _numbered(sections: Iterable[Fed]) -> Iterator[Place]:
    for section in sections:
        for statement in section.before:
            yield section.number, 0, statement
        line = 0
        for piece in section.pieces:
            yield section.number, line, piece
            line += piece.lines


class Stretch:
    """What comes before the next rows, as input of one psql, behind what was set before."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._starts: list[int] = [1]
        self._sections: list[tuple[int, int]] = [(0, 1)]

    def __iter__(self) -> Iterator[bytes]:
        """The text; once it has been taken, `place_of` knows its lines."""
        held = bytearray(b"".join(self._feed.settings.values()))
        at = 1 + held.count(b"\n")
        while (place := self._feed.next()) is not None:
            number, line, piece = place
            if isinstance(piece, Rows):
                self._feed.put_back(place)
                break
            text = piece if isinstance(piece, bytes) else piece.text
            if number != self._sections[-1][0] or isinstance(piece, bytes):
                self._starts.append(at)
                self._sections.append((number, at - line))
            if isinstance(piece, bytes) or piece.single:
                self._feed.note(text)
            at += text.count(b"\n")
            held += text
            if len(held) >= _BLOCK:
                yield bytes(held)
                held.clear()
        yield bytes(held)

    def place_of(self, line: int) -> tuple[int, int]:
        """The section that a line of the text is in, by its number, and which line of it that is, from 0."""
        number, first = self._sections[bisect_right(self._starts, line) - 1]
        return number, line - first
