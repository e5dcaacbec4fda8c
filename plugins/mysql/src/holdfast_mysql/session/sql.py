"""Names and texts as SQL writes them, and statements about many tables."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

_BATCH = 50  # tables of one statement: a round trip costs more than what a server does for an empty table


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """As many of them at a time as one statement is about."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a string of SQL, in any sql_mode: hexadecimal knows no escapes."""
    raw = text.encode(errors="surrogateescape")
    return f"_utf8mb4 X'{raw.hex()}'" if raw else "''"


def plain_literal(text: str) -> str:
    """A text as a string of SQL where the grammar takes no other, under an sql_mode with backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"
