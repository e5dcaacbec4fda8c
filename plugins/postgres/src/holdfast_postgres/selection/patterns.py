"""--select and --exclude: schemas and tables by name, with * and ? as wildcards.

`sales` means the schema sales with all that is in it, and every relation of that name in any schema;
`sales.orders` and `sales.2026_*` mean relations of one schema. What stands in quotes is taken as it is, wildcards and
dots too, as in patterns of psql and pg_dump; unlike there, case counts without quotes as well.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation
from holdfast_postgres.errors import some_names

if TYPE_CHECKING:
    from holdfast_postgres.selection.descendants import Descendants

Glob = Callable[[str], object]  # true for a name that it matches


_ANY = ".*"
_WILDCARDS = {"*": _ANY, "?": "."}


@dataclass(kw_only=True)
class _Part:
    """Schema or name of a pattern: `text` without quotes, and the regular `expression` of the names that it means."""

    text: str = ""
    expression: str = ""
    is_glob: bool = False

    def add(self, character: str, *, quoted: bool) -> None:
        """Take one character; in quotes it means itself."""
        wildcard = None if quoted else _WILDCARDS.get(character)
        self.text += character
        self.expression += wildcard or re.escape(character)
        self.is_glob |= wildcard is not None

    @property
    def glob(self) -> Glob:
        """True for a name that it means."""
        return re.compile(self.expression, re.DOTALL).fullmatch


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

    def _add(self, schema: _Part, name: _Part) -> None:
        if not schema.text:
            if name.is_glob:
                self._words_like.append(name.glob)
            else:
                self._words.add(name.text)
        elif schema.is_glob:
            self._like.append((schema.glob, name.glob))
            if name.expression == _ANY:
                self._whole_like.append(schema.glob)
        elif name.is_glob:
            self._in_schema.setdefault(schema.text, []).append(name.glob)
            if name.expression == _ANY:
                self._whole.add(schema.text)
        else:
            self._relations.add((schema.text, name.text))

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
            if (schema.text, name.text) in known or (not schema.text and name.text in words):
                continue
            is_glob = schema.is_glob or name.is_glob
            if not is_glob or not _matches_any(_Patterns([pattern]), names, known):
                raise UsageError(f"no schema and no table matches {quote_name(pattern)}", hint=_hint(pattern, words))
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


def _split(pattern: str) -> tuple[_Part, _Part]:
    """Schema and name of a pattern; the schema empty where there is none.

    Quotes keep a dot or a wildcard in a name, and two of them inside of quotes are one of the name.
    """
    parts, quote, before = [_Part()], False, ""
    for character in pattern:
        if character == '"':
            quote = not quote
            if quote and before == '"':
                parts[-1].add(character, quoted=True)
        elif character == "." and not quote and len(parts) == 1:
            parts.append(_Part())
        else:
            parts[-1].add(character, quoted=quote)
        before = character
    if quote:
        raise UsageError(
            f"the pattern {quote_name(pattern)} has a quote that is not closed",
            hint='write a quote in a name twice, in quotes: "a""b"',
        )
    return (parts[0], parts[1]) if len(parts) == 2 else (_Part(), parts[0])


def _hint(pattern: str, words: Iterable[str]) -> str:
    """How a pattern that matches nothing may be meant."""
    _, name = _split(pattern)
    expression = re.compile(name.expression, re.DOTALL | re.IGNORECASE)
    if alike := sorted(word for word in words if expression.fullmatch(word)):
        return f"case counts, as there is {some_names(alike)}"
    quoted = "; in quotes they are none" if '"' in pattern else ""
    return f"write SCHEMA, SCHEMA.TABLE or TABLE, with * and ? as wildcards{quoted}"
