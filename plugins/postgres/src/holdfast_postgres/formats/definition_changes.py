"""Definitions that are not restored as pg_dump writes them, changed in its archives and scripts.

Some are made under a search_path of their own: pg_dump's is empty, which does not find operators that a definition
means without naming them (`implied_operators`). Statements before and after the definition set another one: pg_restore
and psql take it for a part of the definition, by hand too.
"""

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from holdfast.api import Chunk, IntegrityError
from holdfast_postgres.formats.script_pieces import as_script
from holdfast_postgres.formats.script_sections import read_sections
from holdfast_postgres.formats.toc import Form, TocReader, read_count, read_head, read_rest

_SET = "SELECT pg_catalog.set_config('search_path', {}, false);\n"
_WRAPPED = re.compile(
    r"SELECT pg_catalog\.set_config\('search_path', E?'(?:[^'\\]|''|\\.)*', false\);\n"
    r"(.*)\nSELECT pg_catalog\.set_config\('search_path', '', false\);\n?",
    re.DOTALL,
)
_OWN = "SELECT pg_catalog.set_config('search_path', "  # begins no definition of pg_dump
_FRAME = b"--\n"
_PIECE = 1 << 20
_TOC = "toc.dat"

Change = Callable[[bytes], bytes]
"""What makes another definition of one."""


def without_path(definition: str) -> str:
    """A definition without the search_path that it is made under."""
    if not definition.startswith(_OWN):
        return definition
    match = _WRAPPED.fullmatch(definition)
    return match[1] if match else definition


def begins_with_path(lines: Sequence[str]) -> bool:
    """Whether the lines of a definition begin with the search_path that it is made under."""
    return len(lines) > 1 and lines[0].startswith(_OWN)


def with_path(definition: bytes, path: bytes) -> bytes:
    """A definition with the search_path, a literal, that it is made under."""
    before, after = _SET.format("{}").encode().split(b"{}")
    return before + path + after + definition.rstrip(b"\n") + b"\n" + _SET.format("''").encode()


def changed_archive(chunks: Iterable[Chunk], changes: Mapping[tuple[int, int], Change]) -> Iterator[Chunk]:
    """An archive in the custom format, as pg_dump writes it to a pipe: it does not tell where its data are.

    Entries are known by the OIDs of catalog and object; (0, 0) are those of what has none.
    """
    source = _Passed(chunks)
    yield from _changed_toc(source, changes)
    yield from source.rest()


def changed_tar(chunks: Iterable[Chunk], changes: Mapping[tuple[int, int], Change]) -> Iterator[Chunk]:
    """An archive in the format tar, of which the table of contents is the first file."""
    source = _Passed(chunks)
    entry = tarfile.TarInfo.frombuf(source.read(tarfile.BLOCKSIZE), "utf-8", "strict")
    if entry.name != _TOC:
        raise IntegrityError(f"pg_dump's tar begins with {entry.name}, expected {_TOC}")
    toc = source.read(entry.size)
    source.read(-entry.size % tarfile.BLOCKSIZE)
    source.taken()
    changed = b"".join(bytes(chunk) for chunk in changed_archive([toc], changes))
    entry.size = len(changed)
    yield entry.tobuf(tarfile.USTAR_FORMAT) + changed + b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    yield from source.rest()


def change_directory(folder: Path, changes: Mapping[tuple[int, int], Change]) -> None:
    """Change the table of contents of an archive in the directory format."""
    path, changed = folder / _TOC, folder / f"{_TOC}.new"
    with open(path, "rb") as source, open(changed, "wb") as target:
        target.writelines(changed_archive(iter(lambda: source.read(_PIECE), b""), changes))
    changed.replace(path)


def _changed_toc(source: "_Passed", changes: Mapping[tuple[int, int], Change]) -> Iterator[bytes]:
    reader = TocReader(source)
    form = read_head(reader)
    for _ in range(read_count(reader)):
        yield from _changed_entry(source, reader, form, changes)
    yield source.taken()


def _changed_entry(
    source: "_Passed", reader: TocReader, form: Form, changes: Mapping[tuple[int, int], Change]
) -> Iterator[bytes]:
    reader.integer()  # its number
    reader.integer()  # whether it has data
    change = changes.get((int(reader.raw_text() or 0), int(reader.raw_text() or 0)))
    for skip in (reader.skip_text, reader.skip_text, reader.integer):  # name, kind, section
        skip()
    if change is None:
        reader.skip_text()
    else:
        yield source.taken()
        definition = reader.raw_text()
        before = source.taken()
        yield reader.write_text(change(definition)) if definition else before
    for _ in range(3):  # how to drop it, its COPY, its schema
        reader.skip_text()
    read_rest(reader, form)
    if source.passed > _PIECE:
        yield source.taken()


class _Passed:
    """A file over chunks that keeps what was read of it."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")
        self._kept = bytearray()

    def read(self, size: int, /) -> bytes:
        data = bytearray()
        while len(data) < size:
            if not self._left:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._left = memoryview(chunk)
            wanted = size - len(data)
            data += self._left[:wanted]
            self._left = self._left[wanted:]
        self._kept += data
        return bytes(data)

    @property
    def passed(self) -> int:
        """How much is kept."""
        return len(self._kept)

    def taken(self) -> bytes:
        """What is kept, and from now on no longer."""
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def rest(self) -> Iterator[Chunk]:
        """What was not read."""
        if self._left:
            yield self._left
        yield from self._chunks


def changed_script(chunks: Iterable[Chunk], changes: Mapping[tuple[bytes, bytes], Change]) -> Iterator[Chunk]:
    """A script of pg_dump, whose sections are found by schema and name."""
    for section, pieces in read_sections(chunks):
        change = None if section.holds_rows else changes.get((section.schema, section.tag))
        if change is None or not section.kind:
            yield from as_script(pieces)
            continue
        text = b"".join(as_script(pieces))
        head, frame, definition = text.partition(_FRAME)
        end = _FRAME if definition.endswith(b"\n" + _FRAME) else b""
        definition = definition.removesuffix(end)
        yield head + frame + b"\n" + change(definition.strip(b"\n")) + b"\n\n" + end
