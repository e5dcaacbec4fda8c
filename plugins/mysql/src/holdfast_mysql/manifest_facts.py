"""What the manifest says of a dump: of the shape that the engine wrote, or refused before anything is touched."""

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.catalog.computing import PLAIN


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _pairs(first: Callable[[object], bool], second: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list | tuple) and len(value) == 2 and first(value[0]) and second(value[1])


def _by_name(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(holds, value.values()))


def _is_settings(value: object) -> bool:
    return _by_name(_is_text)(value) and isinstance(value, Mapping) and set(value) <= set(PLAIN)


_SHAPES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(
        ("format", "server", "database", "collation", "comment", "encryption", "last_moment"), (_is_text, "a text")
    ),
    **dict.fromkeys(("brought", "lacks", "statistics", "placed"), (_are_texts, "a list of texts")),
    "rows": (_by_name(_pairs(_is_text, _is_count)), "a table and a number of rows for each stream"),
    "needs": (_by_name(_pairs(_is_count, _are_texts)), "a number and some names for each need"),
    "names": (_by_name(_are_texts), "a list of names for each kind"),
    "largest": (_by_name(_is_count), "a number of bytes for each stream"),
    "computed_under": (_by_name(_is_settings), "settings for each table"),
    "recomputed": (_by_name(_is_count), "a number of rows for each table"),
    "unlike_keys": (_by_name(_pairs(_is_text, _is_text)), "two tables for each foreign key"),
    "packets": (_by_name(_pairs(_is_count, _is_text)), "a number of bytes, and where they count, for each table"),
}


def check_shapes(facts: Mapping[str, Any]) -> None:
    """Refuse with `IntegrityError` what is there and is something else; older manifests say less."""
    for name, (holds, expected) in _SHAPES.items():
        if name in facts and not holds(facts[name]):
            text = f"the manifest says {quote_name(str(facts[name])[:40])} of '{name}', expected {expected}"
            raise IntegrityError(text, hint="the manifest was not written by Holdfast, or was changed: see SHA256SUMS")
