"""What plugins hand over in the dataclasses of `holdfast.api`: nothing checks the types of their fields but this.

A manifest with a number where it needs text would be published, and no restore could read it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import product
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from holdfast.api import (
    Facts,
    Failure,
    Guarantee,
    ObjectProof,
    Preview,
    Proof,
    Requirement,
    Retention,
    Source,
    Stat,
    Step,
    Stream,
    Version,
)
from holdfast.decodable import decodable

CHECKED = (
    Facts, Failure, Guarantee, ObjectProof, Preview, Proof, Requirement, Retention, Source, Stat, Step, Stream, Version,
)  # fmt: skip
# Fields that go into a manifest, or come back out of it, as the JSON that they were written as.
_PLAIN: Mapping[type, tuple[str, ...]] = {Facts: ("consistency_point", "hints"), Proof: ("settings",)}
_SCALARS = (str, int, float, bool, type(None))


def problem_of(value: Any) -> str:
    """What is wrong with the fields of a value of a plugin, empty if nothing is."""
    given: type = type(value)
    kind = _kind_of(given)
    if kind is None or _is_flat_and_right(value, kind):
        return ""
    try:
        msgspec.convert(_tree(value), decodable(kind))
    except msgspec.ValidationError as error:
        text, _, place = str(error).replace("`", "").partition(" - at ")
        where = place.replace("key in $", "$").removeprefix("$.")
        return f"{where or kind.__name__}: {text[0].lower()}{text[1:]}"
    for name in _PLAIN.get(kind, ()):
        if strange := _strange(getattr(value, name), name):
            return strange
    if isinstance(value, Facts):
        contents: Mapping[str, Any] = value.files
        if strange := next((name for name, content in contents.items() if not isinstance(content, bytes)), ""):
            return f"files[{strange!r}]: expected bytes, got {type(contents[strange]).__name__}"
    for name in ("until", "at"):
        if isinstance(value, Retention | Version) and (time := getattr(value, name, None)) and time.tzinfo is None:
            return f"{name}: it has no time zone"
    if isinstance(value, Source) and not value.identity:
        return "identity: it is empty, and tells no database from another"
    return ""


@cache
def _kind_of(kind: type) -> type | None:
    return next((checked for checked in CHECKED if issubclass(kind, checked)), None)


def is_plain(value: Any) -> bool:
    """Whether a value is for certain right: most are, and a listing asks this of each of thousands."""
    flat = _FLAT.get(type(value))
    return flat is not None and tuple(map(type, flat[0](value))) in flat[1]


def _is_flat_and_right(value: Any, kind: type) -> bool:
    """Whether each field has one of the plain types that it may have: quick, where dumps have thousands of values."""
    flat = _flat(kind)
    return flat is not None and tuple(map(type, flat[0](value))) in flat[1]


@cache
def _flat(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], frozenset[tuple[type, ...]]] | None:
    """What gets all fields, and which types they may have together; None where one has parts, or a rule of its own."""
    expected = {}
    for name, hint in get_type_hints(kind).items():
        expected[name] = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    simple = kind is not Source and all(part in _SCALARS for types in expected.values() for part in types)
    return (attrgetter(*expected), frozenset(product(*expected.values()))) if simple and len(expected) > 1 else None


_FLAT = {kind: flat for kind in CHECKED if (flat := _flat(kind)) is not None}


def _tree(value: Any) -> Any:
    """A value with dictionaries in the place of dataclasses, which would not be looked into."""
    if is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, ObjectProof) and _is_flat_and_right(value, ObjectProof):
            return value
        return {field.name: _tree(getattr(value, field.name)) for field in fields(value)}
    return [_tree(item) for item in value] if isinstance(value, tuple | list) else value


def _strange(value: Any, where: str) -> str:
    """What JSON cannot hold, or gives back as something else."""
    if isinstance(value, Mapping):
        if wrong := next((key for key in value if not isinstance(key, str)), None):
            return f"{where}: expected keys of type str, got {type(wrong).__name__}"
        return _first(_strange(item, f"{where}[{key!r}]") for key, item in value.items())
    if isinstance(value, tuple | list):
        return _first(_strange(item, f"{where}[{number}]") for number, item in enumerate(value))
    return "" if isinstance(value, _SCALARS) else f"{where}: JSON holds no {type(value).__name__}"


def _first(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")
