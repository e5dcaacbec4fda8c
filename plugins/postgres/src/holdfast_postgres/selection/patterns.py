"""--select and --exclude: schemas and tables by name, with * and ? as wildcards.

`sales` means the schema sales with all that is in it, and every relation of that name in any schema;
`sales.orders` and `sales.2026_*` mean relations of one schema.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation

if TYPE_CHECKING:
    from holdfast_postgres.selection.descendants import Descendants

Glob = Callable[[str], object]  # true for a name that it matches


class _Patterns:
    """Patterns of one kind: names spelt out are looked up, and only what has wildcards is tried one by one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._relations: set[tuple[str, str]] = set()
        self._in_schema: dict[str, list[Glob]] = {}
        self._words_like: list[Glob] = []
        self._like: list[tuple[Glob, Glob]] = []
        self._whole: set[str] = set()
        self._whole_like: list[Glob] = []
        for schema, name in map(_split, texts):
            self._add(schema, name)

    def _add(self, schema: str, name: str) -> None:
        if not schema:
            if _is_glob(name):
                self._words_like.append(_glob(name))
            else:
                self._words.add(name)
        elif _is_glob(schema):
            self._like.append((_glob(schema), _glob(name)))
            if name == "*":
                self._whole_like.append(_glob(schema))
        elif _is_glob(name):
            self._in_schema.setdefault(schema, []).append(_glob(name))
            if name == "*":
                self._whole.add(schema)
        else:
            self._relations.add((schema, name))

    def mean_relation(self, schema: str, name: str) -> bool:
        """Whether one of them means a relation, or the schema that it is in."""
        return (
            schema in self._words
            or name in self._words
            or (schema, name) in self._relations
            or any(glob(name) for glob in self._in_schema.get(schema, ()))
            or any(glob(schema) or glob(name) for glob in self._words_like)
            or any(in_schema(schema) and glob(name) for in_schema, glob in self._like)
        )

    def mean_schema(self, schema: str) -> bool:
        """Whether one of them means a schema with all that is in it."""
        return (
            schema in self._words
            or schema in self._whole
            or any(glob(schema) for glob in (*self._words_like, *self._whole_like))
        )


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to take: with `select` nothing else than that, never what `exclude` names."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.select or self.exclude)

    @cached_property
    def _selected(self) -> _Patterns:
        return _Patterns(self.select)

    @cached_property
    def _excluded(self) -> _Patterns:
        return _Patterns(self.exclude)

    def takes(self, schema: str, name: str) -> bool:
        """Whether a relation belongs to it."""
        if self.select and not self._selected.mean_relation(schema, name):
            return False
        return not self.excludes(schema, name)

    def excludes(self, schema: str, name: str) -> bool:
        """Whether a relation is excluded, which it also stays where something needs it."""
        return self._excluded.mean_relation(schema, name)

    def takes_schema(self, schema: str) -> bool:
        """Whether it takes the schema itself: types, routines and whatever else is in it."""
        if self.select and not self._selected.mean_schema(schema):
            return False
        return not self._excluded.mean_schema(schema)

    def check(self, schemas: Iterable[str], relations: Sequence[Relation]) -> None:
        """Refuse a pattern that matches nothing, most likely mistyped, and patterns that together leave nothing."""
        names = dict.fromkeys(schemas)
        known = {(relation.schema, relation.name) for relation in relations}
        words = {name for _, name in known} | {schema for schema, _ in known} | names.keys()
        for pattern in (*self.select, *self.exclude):
            schema, name = _split(pattern)
            if (schema, name) in known or (not schema and name in words):
                continue
            if not _is_glob(schema + name) or not _matches_any(_Patterns([pattern]), names, known):
                raise UsageError(
                    f"no schema and no table matches {quote_name(pattern)}",
                    hint="write SCHEMA, SCHEMA.TABLE or TABLE, with * and ? as wildcards",
                )
        if self and not self.taken(relations) and not any(self.takes_schema(schema) for schema in names):
            raise nothing_left()

    def taken(self, relations: Sequence[Relation], descendants: "Descendants | None" = None) -> set[int]:
        """The OIDs of those that belong to it, with the descendants of tables.

        The sequence of a serial or identity column follows its table.
        """
        tables = {
            relation.oid
            for relation in relations
            if relation.owner_table is None and self.takes(relation.schema, relation.name)
        }
        if descendants is not None:
            excluded = {relation.oid for relation in relations if self.excludes(relation.schema, relation.name)}
            tables |= descendants.below(tables, excluded)
        return tables | {relation.oid for relation in relations if relation.owner_table in tables}


def _matches_any(patterns: _Patterns, schemas: Iterable[str], relations: Iterable[tuple[str, str]]) -> bool:
    return any(map(patterns.mean_schema, schemas)) or any(patterns.mean_relation(*relation) for relation in relations)


def nothing_left() -> UsageError:
    """The error of a selection that would make an empty backup or restore."""
    return UsageError(
        "all that is selected is excluded, so that nothing is left",
        hint="exclude less: --exclude takes precedence over --select",
    )


def _split(pattern: str) -> tuple[str, str]:
    """Schema and name of a pattern; the schema empty where there is none.

    Quotes keep a dot in a name, and two of them inside of quotes are one of the name.
    """
    parts, quote, before = [""], False, ""
    for character in pattern:
        if character == '"':
            quote = not quote
            if quote and before == '"':
                parts[-1] += character
        elif character == "." and not quote and len(parts) == 1:
            parts.append("")
        else:
            parts[-1] += character
        before = character
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def _is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _glob(pattern: str) -> Glob:
    # Only * and ? are special: [ is a character like any other, and case counts.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
