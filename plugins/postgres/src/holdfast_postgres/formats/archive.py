"""The table of contents of pg_dump's archives, read exactly.

`pg_restore --list` writes names, types and schemas separated by spaces that they may hold themselves, and replaces
line breaks in names.
"""

import re
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import BinaryIO

from holdfast.api import IntegrityError
from holdfast_postgres.formats.definition_changes import without_path
from holdfast_postgres.formats.toc import MAGIC, Form, TocReader, encoding_of, read_count, read_head, read_rest

_WITHOUT_DEFINITION = frozenset({
    "TABLE", "TABLE DATA", "DEFAULT", "CONSTRAINT", "INDEX", "SEQUENCE SET", "SEQUENCE OWNED BY", "ACL", "COMMENT",
    "BLOB", "BLOB METADATA", "INDEX ATTACH", "STATISTICS DATA",
})  # fmt: skip
# Above rows that pg_dump loads by way of the table that theirs is a partition of.
VIA_ROOT = "-- load via partition root "
EXCLUDES = " EXCLUDE USING "
_INHERITS = re.compile(r"^INHERITS \(.*\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One object of an archive: `oid` as in the source, `needs` the ids of entries that must be there before.

    `definition` is empty for kinds that are many and of which nobody asks for it: a large object or a table takes
    seven entries, and an archive may have a million. Of a table it is the clause INHERITS alone, and of constraints
    only EXCLUDE is kept.
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


def read_entries(path: Path, *, definitions: bool = False) -> list[Entry]:
    """The entries of an archive: a custom file, a tar, or a directory; `IntegrityError` for what is none.

    With `definitions` all of them have theirs.
    """
    if path.is_dir():
        with open(path / "toc.dat", "rb") as file:
            return _entries(file, definitions=definitions)
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
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
    reader = TocReader(file)
    passed_over = frozenset() if definitions else _WITHOUT_DEFINITION
    form = read_head(reader)
    count = read_count(reader)
    return [_entry(reader, form, passed_over) for _ in range(count)]


def _entry(reader: TocReader, form: Form, passed_over: Collection[str]) -> Entry:
    number = reader.integer()
    reader.integer()  # whether it has data
    reader.skip_text()  # the OID of its catalog
    oid = reader.text() or "0"
    tag, kind = reader.text() or "", reader.text() or ""
    reader.integer()  # its section
    definition = without_path(reader.text() or "")
    reader.skip_text()  # how to drop it
    reader.skip_text()  # its COPY
    schema = reader.text() or ""
    owner, needs = read_rest(reader, form)
    if kind == "ENCODING":
        reader.encoding = encoding_of(definition) or reader.encoding
    return Entry(
        id=number,
        oid=int(oid),
        kind=intern(kind),
        schema=intern(schema),
        tag=tag,
        owner=intern(owner),
        definition=_kept(kind, definition) if kind in passed_over else definition,
        needs=needs,
    )


def _kept(kind: str, definition: str) -> str:
    """What is kept of a definition that nobody asks for."""
    if kind == "TABLE DATA" and definition.startswith(VIA_ROOT):
        return definition
    if kind == "CONSTRAINT" and EXCLUDES in definition:
        return definition
    inherits = _INHERITS.search(definition) if kind == "TABLE" else None
    return inherits[0] if inherits else ""
