"""How pg_dump's archives write their head and their table of contents.

The form is that of `ReadHead` and `ReadToc` in PostgreSQL's pg_backup_archiver.c, unchanged but for additions since
version 1.12 (PostgreSQL 9.0).
"""

import re
from typing import NamedTuple, Protocol

from holdfast.api import IntegrityError
from holdfast_postgres.encodings import decode

MAGIC = b"PGDMP"
_CUSTOM, _TAR, _DIRECTORY = 1, 3, 5
_OLDEST, _NEWEST = (1, 12), (1, 16)
_ENCODING = re.compile(r"SET client_encoding = '(\w+)'")
_LONGEST = 1 << 30  # of a definition; PostgreSQL itself allows no more


class Source(Protocol):
    """What has the bytes, as a file has."""

    def read(self, size: int, /) -> bytes:
        """So many of them, or fewer at the end."""
        ...


class Form(NamedTuple):
    """Version and kind of an archive, which tell what stands in an entry."""

    version: tuple[int, int]
    kind: int


class TocReader:
    """Numbers and texts of a table of contents; `IntegrityError` where it ends too early."""

    def __init__(self, file: Source) -> None:
        self._file = file
        self.int_size = 4
        self.offset_size = 8
        self.encoding = "UTF8"  # until the first entry says which

    def take(self, size: int) -> bytes:
        """So many bytes."""
        data = self._file.read(size)
        if len(data) != size:
            raise IntegrityError("the archive is truncated in its table of contents")
        return data

    def byte(self) -> int:
        """The next one."""
        return self.take(1)[0]

    def integer(self) -> int:
        """A number with its sign."""
        data = self.take(1 + self.int_size)
        value = int.from_bytes(data[1:], "little")
        return -value if data[0] else value

    def raw_text(self) -> bytes | None:
        """A text in the encoding of the archive; None is not the empty one."""
        size = self.integer()
        if size > _LONGEST:
            raise IntegrityError(f"the archive's table of contents holds a text of {size} bytes")
        return None if size < 0 else self.take(size)

    def text(self) -> str | None:
        """A text."""
        data = self.raw_text()
        return None if data is None else decode(data, self.encoding)

    def skip_text(self) -> None:
        """Pass over a text."""
        self.raw_text()

    def write_text(self, data: bytes) -> bytes:
        """A text as it stands in an archive."""
        return b"\0" + len(data).to_bytes(self.int_size, "little") + data


def read_head(reader: TocReader) -> Form:
    """Pass over the head of an archive."""
    if reader.take(len(MAGIC)) != MAGIC:
        raise IntegrityError("the stream is not an archive of pg_dump")
    version = (reader.byte(), reader.byte())
    reader.byte()
    if not _OLDEST <= version <= _NEWEST:
        raise IntegrityError(f"the archive has format {version[0]}.{version[1]}, expected 1.12 to 1.16")
    reader.int_size, reader.offset_size, form = reader.byte(), reader.byte(), reader.byte()
    if not 4 <= reader.int_size <= 8 or form not in (_CUSTOM, _TAR, _DIRECTORY):
        raise IntegrityError("the head of the archive is damaged")
    if version >= (1, 15):
        reader.byte()  # how its data are compressed
    else:
        reader.integer()
    for _ in range(7):  # when it was made
        reader.integer()
    for _ in range(3):  # the database, the versions of server and pg_dump
        reader.text()
    return Form(version, form)


def read_count(reader: TocReader) -> int:
    """How many entries there are."""
    count = reader.integer()
    if not 0 <= count < 1 << 31:
        raise IntegrityError(f"the archive has an impossible number of objects: {count}")
    return count


def read_rest(reader: TocReader, form: Form) -> tuple[str, tuple[int, ...]]:
    """Pass over an entry from behind its schema: its owner, and the ids of the entries that it needs."""
    reader.skip_text()  # its tablespace
    if form.version >= (1, 14):
        reader.skip_text()  # its access method
    if form.version >= (1, 16):
        reader.integer()  # its relkind
    owner = reader.text() or ""
    reader.skip_text()  # whether it has OIDs
    needs = []
    while (need := reader.text()) is not None:
        needs.append(int(need))
    if form.kind == _CUSTOM:
        reader.take(1 + reader.offset_size)
    else:
        reader.skip_text()
    return owner, tuple(needs)


def encoding_of(text: str) -> str:
    """The encoding of an archive or a script, by the statement that sets it; empty where there is none."""
    said = _ENCODING.search(text)
    return said[1] if said else ""
