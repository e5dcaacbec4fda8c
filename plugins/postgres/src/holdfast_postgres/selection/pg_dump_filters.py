"""What pg_dump is told to take and to leave out: patterns that mean a set of names and none of the others.

They are fewer than there are names: pg_dump takes them by its arguments, which the system limits, or from a file, and
asks the server once for each.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

import msgspec

from holdfast_postgres.session import quoted

_OPTIONS = {
    ("include", "schema"): "--schema",
    ("exclude", "schema"): "--exclude-schema",
    ("include", "extension"): "--extension",
    ("exclude", "table"): "--exclude-table",
    ("exclude", "table_data"): "--exclude-table-data",
}


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What pg_dump is told to take or to leave out; `pattern` is one of pg_dump's."""

    action: Literal["include", "exclude"]
    kind: Literal["schema", "extension", "table", "table_data"]
    pattern: str

    @property
    def word(self) -> str:
        """It as an argument."""
        return f"{_OPTIONS[self.action, self.kind]}={self.pattern}"


def schema_filters(
    action: Literal["include", "exclude"], wanted: Collection[str], others: Collection[str]
) -> list[Filter]:
    """Those that mean these schemas, of all the schemas of users; a beginning must not mean the system's."""
    system = ("pg_catalog", "information_schema")
    return [
        Filter(action=action, kind="schema", pattern=quoted(part) + ("*" if is_glob else ""))
        for part, is_glob in _cover(wanted, [*others, *system])
    ]


def relation_filters(
    kind: Literal["table", "table_data"], excluded: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]
) -> list[Filter]:
    """Those that leave out these relations, by schema and name, and none of the others."""
    names: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for side, relations in enumerate((excluded, others)):
        for schema, name in relations:
            names[schema][side].add(name)
    return [
        Filter(action="exclude", kind=kind, pattern=f"{quoted(schema)}.{pattern}")
        for schema, (wanted, rest) in names.items()
        if wanted
        for pattern in _patterns(wanted, rest)
    ]


def _patterns(wanted: Collection[str], others: Collection[str]) -> list[str]:
    """Beginnings or ends of names, whichever are fewer."""
    by_beginning = [quoted(part) + ("*" if is_glob else "") for part, is_glob in _cover(wanted, others)]
    turned = _cover([name[::-1] for name in wanted], [name[::-1] for name in others])
    by_end = [("*" if is_glob else "") + quoted(part[::-1]) for part, is_glob in turned]
    return by_end if len(by_end) < len(by_beginning) else by_beginning


def _cover(wanted: Collection[str], others: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Names and beginnings, and which of the two each is.

    A beginning matches none of the others if it is longer than what the name has in common with those next to it in
    the order of names.
    """
    chosen = set(wanted)
    order = sorted(chosen | set(others))
    before = _common(order, chosen)
    after = reversed(list(_common(reversed(order), chosen)))
    groups: dict[str, list[str]] = {}
    for name, left, right in zip(order, before, after, strict=True):
        if name in chosen:
            groups.setdefault(name[: max(left, right) + 1], []).append(name)
    return ((start, True) if len(names) > 1 else (names[0], False) for start, names in groups.items())


def _common(names: Iterable[str], chosen: Collection[str]) -> Iterator[int]:
    """How many characters each name has in common with the last one before it that is not chosen."""
    last = ""
    for name in names:
        if name not in chosen:
            last = name
        yield _common_length(name, last)


def _common_length(name: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), min(len(name), len(other)))
