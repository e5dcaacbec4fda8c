"""The sections of pg_dump's scripts: one for each entry of an archive, under a comment that says what it is.

The form is that of `_printTocEntry` in PostgreSQL's pg_backup_archiver.c: kind, name, schema and owner in one line
between two of `--`. What stands before the first is a section too, without a kind.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.api import Chunk

_FRAME = b"--\n"
_TITLE = re.compile(rb"-- (?:(?:Data|Statistics) for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*\n")
_END = b"\\.\n"
# They stand before the section that they are for, and hold for those behind it too.
_SETTING = re.compile(rb"SET (default_tablespace|default_table_access_method) = .*;\n")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section: `first` is the number of its first line in the script, from 1.

    `settings` are the statements of others before it that hold for it.
    """

    kind: bytes = b""
    schema: bytes = b""
    tag: bytes = b""
    first: int = 1
    title: bytes = b""
    settings: bytes = b""

    @property
    def holds_rows(self) -> bool:
        """Whether it is long: rows or large objects."""
        return self.kind in (b"TABLE DATA", b"BLOBS")


def read_sections(chunks: Iterable[Chunk]) -> Iterator[tuple[Section, Iterator[bytes]]]:
    """The sections of a script with their lines, rows in pieces of any length; each is read up before the next."""
    reader = _Reader(chunks)
    settings: dict[bytes, bytes] = {}
    following = [Section()]
    while following:
        section = following.pop()
        pieces = _pieces(reader, section, settings, following)
        yield section, pieces
        for _ in pieces:  # what nobody asked for
            pass


def statements(text: bytes) -> bytes:
    """What a section does, without the comments around it and what it sets for those behind it."""
    lines = text.split(b"\n")
    while lines and _is_around(lines[-1]):
        lines.pop()
    while lines and _is_around(lines[0]):
        lines.pop(0)
    return b"\n".join(lines)


def _is_around(line: bytes) -> bool:
    return not line.strip() or line.startswith(b"--") or bool(_SETTING.fullmatch(line + b"\n"))


def _pieces(
    reader: "_Reader", section: Section, settings: dict[bytes, bytes], following: list[Section]
) -> Iterator[bytes]:
    """A section to its end; the next one is put into `following`."""
    before = section.title
    if before:
        yield before
    while line := reader.line():
        title = _TITLE.fullmatch(line) if before == _FRAME else None
        if title:
            tag, kind, schema = title.groups()
            following.append(
                Section(
                    kind=kind,
                    schema=b"" if schema == b"-" else schema,
                    tag=tag,
                    first=reader.lines,
                    title=line,
                    settings=b"".join(settings.values()),
                )
            )
            return
        yield line
        if setting := _SETTING.fullmatch(line):
            settings[setting[1]] = line
        if section.kind == b"TABLE DATA" and line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            yield from reader.rows()
        before = line


class _Reader:
    """Lines, and the rows of a COPY, out of a script that comes in chunks."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0
        #: How many have been read.
        self.lines = 0

    def line(self) -> bytes:
        """The next line with its line feed; empty at the end."""
        while (end := self._held.find(b"\n", self._at)) < 0:
            if not self._more():
                return self._take(len(self._held))
        return self._take(end + 1)

    def rows(self) -> Iterator[bytes]:
        r"""All up to the line `\.`, that included; a row may be longer than memory should hold."""
        while len(self._held) - self._at < len(_END) and self._more():
            pass
        if self._held.startswith(_END, self._at):
            yield self._take(self._at + len(_END))
            return
        while (end := self._held.find(b"\n" + _END, self._at)) < 0:
            yield self._take(max(self._at, len(self._held) - len(_END)))
            if not self._more():
                yield self._take(len(self._held))
                return
        yield self._take(end + 1 + len(_END))

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
        self.lines += taken.count(b"\n")
        return taken
