"""The table of contents of pg_dump's archives, read exactly.

`pg_restore --list` writes names, types and schemas separated by spaces that they may hold themselves, and replaces
line breaks in names. The form is that of `ReadHead` and `ReadToc` in PostgreSQL's pg_backup_archiver.c, unchanged
but for additions since version 1.12 (PostgreSQL 9.0).
"""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import BinaryIO

from holdfast.api import IntegrityError
from holdfast_postgres.encodings import decode

_MAGIC = b"PGDMP"
_CUSTOM, _TAR, _DIRECTORY = 1, 3, 5
_OLDEST, _NEWEST = (1, 12), (1, 16)
_ENCODING = re.compile(r"SET client_encoding = '(\w+)'")
_WITHOUT_DEFINITION = frozenset({
    "TABLE", "TABLE DATA", "DEFAULT", "CONSTRAINT", "INDEX", "SEQUENCE SET", "SEQUENCE OWNED BY", "ACL", "COMMENT",
    "BLOB", "BLOB METADATA", "INDEX ATTACH", "STATISTICS DATA",
})  # fmt: skip
_INHERITS = re.compile(r"^INHERITS \(.*\)", re.MULTILINE)
_LONGEST = 1 << 30  # of a definition; PostgreSQL itself allows no more


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One object of an archive: `oid` as in the source, `needs` the ids of entries that must be there before.

    `definition` is empty for kinds that are many and of which nobody asks for it: a large object or a table takes
    seven entries, and an archive may have a million. Of a table it is the clause INHERITS alone.
    """

    id: int
    oid: int
    kind: str
    schema: str
    tag: str
    owner: str
    definition: str
    needs: tuple[int, ...]

    @property
    def label(self) -> str:
        """Kind and name for messages."""
        return f"{self.kind.lower()} {self.schema}.{self.tag}" if self.schema else f"{self.kind.lower()} {self.tag}"


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.int_size = 4
        self.offset_size = 8
        self.encoding = "UTF8"  # until the first entry says which
        self.passed_over = _WITHOUT_DEFINITION

    def take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise IntegrityError("the archive is truncated in its table of contents")
        return data

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        data = self.take(1 + self.int_size)
        value = int.from_bytes(data[1:], "little")
        return -value if data[0] else value

    def text(self) -> str | None:
        size = self.integer()
        if size < 0:
            return None
        if size > _LONGEST:
            raise IntegrityError(f"the archive's table of contents holds a text of {size} bytes")
        return decode(self.take(size), self.encoding)

    def skip_text(self) -> None:
        """Pass over a text."""
        size = self.integer()
        if size > _LONGEST:
            raise IntegrityError(f"the archive's table of contents holds a text of {size} bytes")
        self.take(max(size, 0))


def read_entries(path: Path, *, definitions: bool = False) -> list[Entry]:
    """The entries of an archive: a custom file, a tar, or a directory; `IntegrityError` for what is none.

    With `definitions` all of them have theirs.
    """
    if path.is_dir():
        with open(path / "toc.dat", "rb") as file:
            return _entries(file, definitions=definitions)
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            file.seek(0)
            return _entries(file, definitions=definitions)
    try:
        with tarfile.open(path, "r:") as tar:
            member = tar.extractfile("toc.dat")
            if member is None:
                raise IntegrityError("the archive's toc.dat is not a file")
            return _entries(member, definitions=definitions)  # type: ignore[arg-type]
    except (tarfile.TarError, KeyError) as error:
        raise IntegrityError("the stream is not an archive of pg_dump") from error


def _entries(file: BinaryIO, *, definitions: bool) -> list[Entry]:
    reader = _Reader(file)
    reader.passed_over = frozenset() if definitions else _WITHOUT_DEFINITION
    version, form = _head(reader)
    count = reader.integer()
    if not 0 <= count < 1 << 31:
        raise IntegrityError(f"the archive has an impossible number of objects: {count}")
    return [_entry(reader, version, form) for _ in range(count)]


def _head(reader: _Reader) -> tuple[tuple[int, int], int]:
    if reader.take(len(_MAGIC)) != _MAGIC:
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
    return version, form


def _entry(reader: _Reader, version: tuple[int, int], form: int) -> Entry:
    number = reader.integer()
    reader.integer()  # whether it has data
    reader.skip_text()  # the OID of its catalog
    oid = reader.text() or "0"
    tag, kind = reader.text() or "", reader.text() or ""
    reader.integer()  # its section
    definition = reader.text() or ""
    reader.skip_text()  # how to drop it
    reader.skip_text()  # its COPY
    schema = reader.text() or ""
    reader.skip_text()  # its tablespace
    if version >= (1, 14):
        reader.skip_text()  # its access method
    if version >= (1, 16):
        reader.integer()  # its relkind
    owner = reader.text() or ""
    reader.skip_text()  # whether it has OIDs
    if kind == "ENCODING":
        reader.encoding = encoding_of(definition) or reader.encoding
    needs = []
    while (need := reader.text()) is not None:
        needs.append(int(need))
    if form == _CUSTOM:
        reader.take(1 + reader.offset_size)
    else:
        reader.skip_text()
    return Entry(
        id=number,
        oid=int(oid),
        kind=intern(kind),
        schema=intern(schema),
        tag=tag,
        owner=intern(owner),
        definition=_kept(kind, definition) if kind in reader.passed_over else definition,
        needs=tuple(needs),
    )


def encoding_of(text: str) -> str:
    """The encoding of an archive or a script, by the statement that sets it; empty where there is none."""
    said = _ENCODING.search(text)
    return said[1] if said else ""


def _kept(kind: str, definition: str) -> str:
    """What is kept of a definition that nobody asks for."""
    inherits = _INHERITS.search(definition) if kind == "TABLE" else None
    return inherits[0] if inherits else ""
