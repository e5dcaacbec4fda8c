"""What of a database is its content: what a proof has to hold, whichever library reads it.

The tables in which a module keeps a virtual table are not: what is in them, and how they are declared, is up to the
module's version. Their content is what the virtual table shows. One that shows none (a contentless full-text table, a
module that is not here) has nothing but these tables, which are compared as they are.
"""

from __future__ import annotations

from holdfast_sqlite.catalog import Entry, entries
from holdfast_sqlite.virtual_tables.fts import MODULES
from holdfast_sqlite.virtual_tables.ownership import belongings

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_STATISTICS = "sqlite_stat"
# Of SQLite's own, as are the full-text modules: with content of their own, which reads the same with every version.
_TREES = ("rtree", "rtree_i32", "geopoly")


class Table:
    """A table with content: of SQLite's own kind, or shown by a module."""

    def __init__(self, name: str, *, virtual: bool) -> None:
        self.name = name
        self.virtual = virtual


class Scope:
    """The definitions and the tables of a database that are its content.

    With `whole` it is what the first method took: all that is in the schema, but no virtual table.
    """

    def __init__(self, connection: sqlite3.Connection, *, whole: bool) -> None:
        schema = entries(connection)
        self._shown: set[str] = set()
        hidden = {entry.name for entry in schema if entry.name.lower().startswith(_STATISTICS)}
        for name, owned in ({} if whole else belongings(schema)).items():
            has_content = owned.module in _TREES or f"{name}_content" in owned.shadows
            if has_content and owned.module in (*MODULES, *_TREES):
                self._shown.add(name)
            if has_content or owned.sources:
                hidden.update(owned.shadows if owned.module in (*MODULES, *_TREES) else ())
        self.definitions = [entry for entry in schema if whole or entry.on not in hidden]

    @property
    def tables(self) -> Iterator[Table]:
        """Tables with rows of their own, `sqlite_sequence` among them, and virtual tables that show some."""
        for entry in self.definitions:
            if entry.kind == "table" and (not _is_virtual(entry) or entry.name in self._shown):
                yield Table(entry.name, virtual=entry.name in self._shown)


def _is_virtual(entry: Entry) -> bool:
    return entry.sql.lstrip()[:14].upper().startswith("CREATE VIRTUAL")
