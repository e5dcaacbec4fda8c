"""Text for terminals and pipes: JSON, tables, sizes, and names that cannot steer a terminal."""

import re
from collections.abc import Mapping, Sequence
from typing import Any


def as_json(value: Any) -> str:
    """One JSON document on one line, in ASCII: it arrives whatever the encoding of a terminal, log or mail is."""
    import msgspec

    try:
        text = msgspec.json.encode(value, enc_hook=str).decode()
        return text if text.isascii() else _NOT_ASCII.sub(_escaped, text)
    except UnicodeEncodeError:
        import json

        # A path whose bytes are no UTF-8: written as \udcXX, which `os.fsencode` turns into those bytes again.
        return json.dumps(msgspec.to_builtins(value, enc_hook=str), separators=(",", ":"))


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def _escaped(match: re.Match[str]) -> str:
    """A character as JSON writes it in ASCII: one or two of UTF-16."""
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def visible(text: str) -> str:
    """Write unprintable characters, line breaks too, as Python's escapes; bytes that are not UTF-8 stay as they are."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or "\udc80" <= character <= "\udcff"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def size(count: int) -> str:
    """Bytes for people: `1.2 MB`, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns of text for people, headed by the keys of the first row."""
    heads = list(rows[0])
    lines = [heads, *([visible(row[head]) for head in heads] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    line = "  ".join(f"{{:<{width}}}" for width in widths).format  # of 10,000 lines cell by cell is a third of a second
    return "\n".join([line(*cells).rstrip() for cells in lines])


def one_line(text: str) -> str:
    """Fold white space, line breaks included."""
    return " ".join(text.split())
