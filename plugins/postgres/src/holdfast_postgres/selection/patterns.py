"""--select and --exclude: schemas and tables by name, with * and ? as wildcards.

`sales` means the schema sales with all that is in it, and every relation of that name in any schema;
`sales.orders` and `sales.2026_*` mean relations of one schema.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.api import UsageError, quote_name
from holdfast_postgres.catalog import Relation


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to take: with `select` nothing else than that, never what `exclude` names."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.select or self.exclude)

    def takes(self, schema: str, name: str) -> bool:
        """Whether a relation belongs to it."""
        if self.select and not any(_matches(pattern, schema, name) for pattern in self.select):
            return False
        return not self.excludes(schema, name)

    def excludes(self, schema: str, name: str) -> bool:
        """Whether a relation is excluded, which it also stays where something needs it."""
        return any(_matches(pattern, schema, name) for pattern in self.exclude)

    def takes_schema(self, schema: str) -> bool:
        """Whether it takes the schema itself: types, routines and whatever else is in it."""
        if self.select and not any(_means_schema(pattern, schema) for pattern in self.select):
            return False
        return not any(_means_schema(pattern, schema) for pattern in self.exclude)

    def check(self, schemas: Iterable[str], relations: Sequence[Relation]) -> None:
        """Refuse a pattern that matches nothing, most likely mistyped, and patterns that together leave nothing."""
        names = list(schemas)
        for pattern in (*self.select, *self.exclude):
            if any(_means_schema(pattern, schema) for schema in names):
                continue
            if not any(_matches(pattern, relation.schema, relation.name) for relation in relations):
                raise UsageError(
                    f"no schema and no table matches {quote_name(pattern)}",
                    hint="write SCHEMA, SCHEMA.TABLE or TABLE, with * and ? as wildcards",
                )
        if self and not self.taken(relations) and not any(self.takes_schema(schema) for schema in names):
            raise nothing_left()

    def taken(self, relations: Sequence[Relation]) -> set[int]:
        """The OIDs of those that belong to it; the sequence of a serial or identity column follows its table."""
        tables = {
            relation.oid
            for relation in relations
            if relation.owner_table is None and self.takes(relation.schema, relation.name)
        }
        return tables | {relation.oid for relation in relations if relation.owner_table in tables}


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


def _matches(pattern: str, schema: str, name: str) -> bool:
    wanted_schema, wanted_name = _split(pattern)
    if wanted_schema:
        return _glob(wanted_schema, schema) and _glob(wanted_name, name)
    return _glob(wanted_name, schema) or _glob(wanted_name, name)


def _means_schema(pattern: str, schema: str) -> bool:
    wanted_schema, wanted_name = _split(pattern)
    if wanted_schema:
        return wanted_name == "*" and _glob(wanted_schema, schema)
    return _glob(wanted_name, schema)


def _glob(pattern: str, name: str) -> bool:
    # Only * and ? are special: [ is a character like any other, and case counts.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
