"""Text that the server prints from a parse tree: found in a definition, kept with the proof, and put in its place.

Such a text is no identity: `status IN ('a', 'b')` on a varchar prints one way after a CREATE TABLE and another once
what was printed has been parsed again, as every restore does. So the proof keeps these texts, and a drill asks the
server what it prints of them (`reparse`).
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from sys import intern

from holdfast.api import IntegrityError

# Of the texts of a backup, in bytes: 100,000 definitions have about 50 MB.
_LONGEST = 1 << 30
# Marks around a text and what it is. Control characters alone could stand in a text.
_MARK = re.compile("\x01holdfast (.*?)\x03holdfast (.*?)\x02holdfast ", re.DOTALL)
_OPTIONS = "options"

Key = tuple[str, str, str]
Texts = Mapping[Key, list[str]]


def marked(what: str, text: str) -> str:
    """SQL for a text of a parse tree; `what` is SQL for a word and the numbers by which `reparse` finds the place."""
    return f"(chr(1) || 'holdfast ' || {what} || chr(3) || 'holdfast ' || {text} || chr(2) || 'holdfast ')"


def options(array: str, text: str = "{}") -> str:
    """SQL for options by name, as pg_dump writes some and not others; `text` makes another text of theirs."""
    ordered = f"""(SELECT array_agg(o ORDER BY o COLLATE "C")::text FROM unnest({array}) o)"""
    return marked(f"'{_OPTIONS} ' || cardinality({array})", text.format(ordered))


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """One text, `what` it is, and the numbers by which it is found."""

    what: str
    numbers: tuple[int, ...]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """One object; `schema` is empty for what is in none.

    `full` has its plain parts and the texts that were printed from parse trees.
    """

    kind: str
    schema: str
    name: str
    portable: str
    full: tuple[str | Printed, ...]

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.kind, self.schema, self.name

    @property
    def full_text(self) -> str:
        """All parts of the full text."""
        return "".join(part if isinstance(part, str) else part.text for part in self.full)

    @property
    def printed(self) -> list[Printed]:
        """The texts from parse trees."""
        return [part for part in self.full if isinstance(part, Printed) and part.what != _OPTIONS]

    @property
    def several_options(self) -> bool:
        """Whether it has options in an order of their own."""
        parts = [part for part in self.full if isinstance(part, Printed) and part.what == _OPTIONS]
        return any(part.numbers[0] > 1 for part in parts)

    def with_texts(self, texts: Iterable[str]) -> "Definition":
        """The same with other texts in the place of those from parse trees."""
        left = iter(texts)
        parts = (
            replace(part, text=next(left)) if isinstance(part, Printed) and part.what != _OPTIONS else part
            for part in self.full
        )
        return replace(self, full=tuple(parts))


def parse_marks(text: str) -> tuple[str | Printed, ...]:
    """The parts of a full text as a query returned it."""
    pieces = _MARK.split(text)
    parts: list[str | Printed] = [pieces[0]]
    for about, printed, plain in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        what, *numbers = about.split(" ")
        parts += [Printed(what=intern(what), numbers=tuple(map(int, numbers)), text=printed), plain]
    return tuple(parts)


def pack_texts(definitions: Iterable[Definition]) -> str:
    """The texts from parse trees, for the manifest."""
    packer, packed, separator = zlib.compressobj(), bytearray(), "["
    for entry in definitions:
        if texts := [part.text for part in entry.printed]:
            row = json.dumps((*entry.key, texts), ensure_ascii=False)
            packed += packer.compress(f"{separator}{row}".encode())
            separator = ", "
    packed += packer.compress(b"[]" if separator == "[" else b"]") + packer.flush()
    return base64.b85encode(packed).decode()


def unpack_texts(packed: str) -> Texts:
    """The texts of a manifest, or `IntegrityError` where it does not hold such."""
    try:
        data = zlib.decompressobj().decompress(base64.b85decode(packed), _LONGEST)
        return {(kind, schema, name): texts for kind, schema, name, texts in json.loads(data)}
    except (ValueError, TypeError, zlib.error) as error:
        raise IntegrityError(f"the proof's texts of definitions cannot be read: {error}") from error
