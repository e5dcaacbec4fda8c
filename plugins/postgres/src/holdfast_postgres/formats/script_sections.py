"""The sections of pg_dump's scripts: one for each entry of an archive, under a comment that says what it is.

The form is that of `_printTocEntry` in PostgreSQL's pg_backup_archiver.c: kind, name, schema and owner in one line
between two of `--`. What stands before the first is a section too, without a kind.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.api import Chunk
from holdfast_postgres.formats.script_pieces import Piece, Text, read_pieces

_FRAME = b"--\n"
_TITLE = re.compile(rb"-- (?:(?:Data|Statistics) for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*\n")
# They stand before the section that they are for, and hold for those behind it too.
_SETTING = re.compile(rb"SET (default_tablespace|default_table_access_method) = .*;\n")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section: `title` is its line, and `settings` are the statements of others before it that hold for it."""

    kind: bytes = b""
    schema: bytes = b""
    tag: bytes = b""
    title: bytes = b""
    settings: tuple[bytes, ...] = ()

    @property
    def holds_rows(self) -> bool:
        """Whether it is long: rows or large objects."""
        return self.kind in (b"TABLE DATA", b"BLOBS")


def read_sections(chunks: Iterable[Chunk]) -> Iterator[tuple[Section, Iterator[Piece]]]:
    """The sections of a script with their pieces; each is read up before the next."""
    source = read_pieces(chunks)
    settings: dict[bytes, bytes] = {}
    following = [Section()]
    while following:
        section = following.pop()
        pieces = _pieces(source, section, settings, following)
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
    source: Iterator[Piece], section: Section, settings: dict[bytes, bytes], following: list[Section]
) -> Iterator[Piece]:
    """A section to its end; the next one is put into `following`."""
    before = section.title
    if before:
        yield Text(text=before)
    for piece in source:
        line = piece.text if isinstance(piece, Text) and piece.starts else b""
        title = _TITLE.fullmatch(line) if before == _FRAME else None
        if title:
            tag, kind, schema = title.groups()
            following.append(
                Section(
                    kind=kind,
                    schema=b"" if schema == b"-" else schema,
                    tag=tag,
                    title=line,
                    settings=tuple(settings.values()),
                )
            )
            return
        yield piece
        if setting := _SETTING.fullmatch(line):
            settings[setting[1]] = line
        before = line
