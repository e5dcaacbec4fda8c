"""What the constraints of an archive need for their indexes, which pg_dump does not say as it does of an index alone.

Those are operator classes with their operators, functions in expressions, and the extensions that any of them is of.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from holdfast_postgres.formats.archive import EXCLUDES, Entry
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.session import quoted
from holdfast_postgres.special_extensions import MODES, PLACES

_CATALOGS = {
    "FUNCTION": "pg_proc",
    "OPERATOR": "pg_operator",
    "OPERATOR CLASS": "pg_opclass",
    "OPERATOR FAMILY": "pg_opfamily",
    "COLLATION": "pg_collation",
    "TYPE": "pg_type",
    "DOMAIN": "pg_type",
}


def with_needs_of_constraints(
    entries: Sequence[Entry], extensions: Iterable[ExtensionHint], needs: Sequence[tuple[int, str, int]] | None
) -> list[Entry]:
    """The entries, each constraint also with what its index needs.

    `needs` are OIDs of constraints, each with the catalog and OID of an object. Where an older backup does not tell,
    what an EXCLUDE names is needed, and any used extension may have its operators.
    """
    numbers = {entry.tag: entry.id for entry in entries if entry.kind == "EXTENSION"}
    told = defaultdict[tuple[str, str], list[int]](list)
    guessed: list[int] = []
    for extension in extensions:
        if extension.name not in numbers:
            continue
        if extension.constraints is None and extension.used and extension.name not in (*MODES, *PLACES):
            guessed.append(numbers[extension.name])
        for name in extension.constraints or ():
            told[name].append(numbers[extension.name])
    objects = {(_CATALOGS[entry.kind], entry.oid): entry for entry in entries if entry.kind in _CATALOGS}
    own = defaultdict[int, list[int]](list)
    for constraint, catalog, oid in needs or ():
        if needed := objects.get((catalog, oid)):
            own[constraint].append(needed.id)
    named = _Named(objects) if needs is None else None
    return [_with_needs(entry, told, own, guessed, named) if entry.kind == "CONSTRAINT" else entry for entry in entries]


class _Named:
    """The objects that the text of a constraint names, with their schemas, as the server writes them."""

    def __init__(self, objects: Mapping[tuple[str, int], Entry]) -> None:
        self._objects = [
            (re.compile(rf"(?<![\w.\"])(?:{'|'.join(map(re.escape, _writings(entry)))})(?![\w\"])"), entry.id)
            for entry in objects.values()
        ]

    def ids(self, definition: str) -> Iterator[int]:
        """Their ids."""
        return (number for expression, number in self._objects if expression.search(definition))


def _writings(entry: Entry) -> list[str]:
    name = entry.tag.partition("(")[0]
    schemas, names = (entry.schema, quoted(entry.schema)), (name, quoted(name))
    return [f"{schema}.{each}" for schema in schemas for each in names]


def _with_needs(
    entry: Entry,
    told: Mapping[tuple[str, str], list[int]],
    own: Mapping[int, list[int]],
    guessed: list[int],
    named: _Named | None,
) -> Entry:
    excludes = EXCLUDES in entry.definition
    needs = told.get((entry.schema, entry.tag), []) + own.get(entry.oid, []) + guessed * excludes
    if named and excludes:
        needs += named.ids(entry.definition)
    return replace(entry, needs=(*entry.needs, *needs)) if needs else entry
