"""The script of a backup in format plain, fed to psql in sections, so that what is refused is known by its line."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain

from holdfast.api import Blob
from holdfast_postgres.formats import script
from holdfast_postgres.formats.script_sections import Section, read_sections
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.search_path import with_path

Numbered = tuple[int, Section, Iterator[bytes]]
# The number of a section, what comes before it, and its pieces.
Fed = tuple[int, bytes, Iterator[bytes]]

_BLOCK = 1 << 16
_ROWS = b"TABLE DATA"
_DATA = {_ROWS, b"SEQUENCE SET", b"BLOB", b"BLOBS", b"BLOB METADATA", b"STATISTICS DATA"}


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
            yield number, section.settings, pieces
        for number, _, pieces in sections:
            yield number, b"", pieces


def _with_rows(sections: Iterator[Numbered], rest: list[Numbered]) -> Iterator[Fed]:
    """The sections to the end of the rows; the first of the others goes into `rest`."""
    rows = False
    for number, section, pieces in sections:
        if rows and section.kind not in _DATA:
            rest.append((number, section, pieces))
            return
        rows = rows or section.kind == _ROWS
        yield number, b"", pieces


class Feed:
    """Sections as input of one psql."""

    def __init__(self, sections: Iterable[Fed]) -> None:
        self._sections = sections
        self._numbers: list[int] = []
        self._starts: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        """The pieces of the script; once they have been taken, `section_at` knows their lines."""
        line, held = 1, bytearray()
        for number, before, pieces in self._sections:
            self._numbers.append(number)
            self._starts.append(line)
            for piece in chain([before], pieces):
                line += piece.count(b"\n")
                held += piece
                if len(held) >= _BLOCK:
                    yield bytes(held)
                    held.clear()
        yield bytes(held)

    def section_at(self, line: int) -> int:
        """The number of the section that a line of the script is in."""
        return self._numbers[bisect_right(self._starts, line) - 1]
