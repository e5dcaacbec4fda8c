"""Which tables of a database belong to which virtual table."""

from __future__ import annotations

from holdfast_sqlite.tokens import folded, surrogates, tokens
from holdfast_sqlite.virtual_tables.modules import made_by

TYPE_CHECKING = False  # see `tokens`
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from holdfast_sqlite.catalog import Entry
    from holdfast_sqlite.virtual_tables.definition import Definition

_STATISTICS = ["(", "id", "integer", "primary", "key", ",", "value", "blob", ")"]  # the columns of FTS3's _stat


class Belongings:
    """What belongs to one virtual table; all names are as the schema has them.

    `shadows` are the tables in which it keeps its content, and `sources` the tables or views of others that it reads.
    `possible` are tables of which nobody can tell: the module is not known, and their names begin with the virtual
    table's own and a "_". For a known module there are none.
    """

    def __init__(self, module: str, shadows: list[str], sources: list[str], possible: list[str]) -> None:
        self.module = module
        self.shadows = shadows
        self.sources = sources
        self.possible = possible


class _Names:
    """The tables and views of a schema, looked up as SQLite does it: without regard to the case of ASCII letters."""

    def __init__(self, schema: Iterable[Entry]) -> None:
        self.relations = {folded(entry.name): entry for entry in schema if entry.kind in ("table", "view")}
        self.tables = {name: entry for name, entry in self.relations.items() if entry.kind == "table"}

    def has(self, name: str, suffix: str) -> bool:
        """Whether there is a table of a name, a "_", and a suffix."""
        return f"{folded(name)}_{suffix}" in self.tables

    def suffixes(self, name: str) -> set[str]:
        """What follows a name and a "_" in the names of tables."""
        prefix = f"{folded(name)}_"
        return {table[len(prefix) :] for table in self.tables if table.startswith(prefix)}

    def following(self, name: str, suffixes: set[str]) -> list[str]:
        """The tables of a name and these suffixes that are there."""
        wanted = (f"{folded(name)}_{suffix}" for suffix in sorted(suffixes))
        return [self.tables[table].name for table in wanted if table in self.tables]


def belongings(schema: list[Entry], marked: set[str] | None = None) -> dict[str, Belongings]:
    """What belongs to each virtual table of a schema.

    `marked` are the names of tables that SQLite takes for shadow tables (see `marked_tables`): those of a module that
    is not known here but loaded are its own.
    """
    names = _Names(schema)
    known: dict[str, Belongings] = {}
    unknown: list[Definition] = []
    for entry in schema:
        definition = entry.definition
        if definition is None:
            continue
        definition.name = entry.name
        made = made_by(definition, names.has)
        if made is None:
            unknown.append(definition)
            continue
        suffixes, sources = made
        known[entry.name] = Belongings(
            definition.module,
            [*names.following(entry.name, suffixes), *_statistics(definition, names)],
            [names.relations[folded(source)].name for source in sources if folded(source) in names.relations],
            [],
        )
    taken = {name for belonging in known.values() for name in belonging.shadows}
    return known | {definition.name: _guess(definition, names, taken, marked or set()) for definition in unknown}


def _guess(definition: Definition, names: _Names, taken: set[str], marked: set[str]) -> Belongings:
    """What may belong to a table of a module that is not known."""
    following = [
        name
        for name in names.following(definition.name, names.suffixes(definition.name))
        if name not in taken and not names.tables[folded(name)].internal
    ]
    # Modules do not mark all that they make: sqlite-vec 0.1.9 leaves out its vectors.
    shadows = [name for name in following if name in marked]
    return Belongings(definition.module, shadows, [], [name for name in following if name not in marked])


def _statistics(definition: Definition, names: _Names) -> list[str]:
    """The table that FTS3 makes once it merges by and by; another of its name is the user's own."""
    entry = names.tables.get(f"{folded(definition.name)}_stat")
    if definition.module != "fts3" or entry is None:
        return []
    words = [folded(token.name) for token in tokens(entry.sql)]
    return [entry.name] if words[-len(_STATISTICS) :] == _STATISTICS else []


def marked_tables(connection: sqlite3.Connection) -> set[str]:
    """The tables that SQLite itself takes for shadow tables; none before SQLite 3.37."""
    before, connection.text_factory = connection.text_factory, surrogates
    try:
        return {name for _, name, kind, *_ in connection.execute("PRAGMA main.table_list") if kind == "shadow"}
    finally:
        connection.text_factory = before
