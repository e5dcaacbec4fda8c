"""The trial of definitions: they are made in empty databases, with the library here and nothing else.

At each definition SQLite looks through all that are there before, so that one database of very many takes a time that
grows with their square. What it asks of a definition concerns the table that this belongs to and no other: the trial
has a database for each few tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from holdfast_sqlite.catalog import Entry
from holdfast_sqlite.tokens import folded

_TABLES = 200
"""How many tables and views a database has, with their indexes and triggers."""


class Trial:
    """An empty database in memory."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        (encoding,) = source.execute("PRAGMA encoding").fetchone()
        self.connection.execute(f"PRAGMA encoding='{encoding}'")
        self.connection.execute("PRAGMA page_size=512")  # each table and index has a page, of which nothing is used
        self.connection.execute("PRAGMA foreign_keys=OFF")

    def run(self, statements: Iterable[str]) -> str:
        """Run statements; what SQLite says of the first that fails, after which none is run."""
        try:
            for statement in statements:
                self.connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return str(error)
        return ""

    def has(self, name: str) -> bool:
        """Whether there is a table, index, view or trigger of a name."""
        query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        return self.connection.execute(query, (name,)).fetchone() is not None


class Trials:
    """The trials of a schema, each of some tables and views with all that belongs to them."""

    def __init__(self, source: sqlite3.Connection, schema: Sequence[Entry]) -> None:
        self._source = source
        self._all = [Trial(source)]
        self._by_name: dict[str, Trial] = {}
        names = [folded(entry.name) for entry in schema if entry.kind != "trigger"]
        # A name that stands twice, as only a forged schema has it, is refused where both are in one database.
        self._most = _TABLES if len(set(names)) == len(names) else len(schema)

    def of(self, name: str) -> Trial:
        """The trial of what belongs to a table or view of this name."""
        if name not in self._by_name:
            if self._by_name and len(self._by_name) % self._most == 0:
                self._all.append(Trial(self._source))
            self._by_name[name] = self._all[-1]
        return self._by_name[name]

    def having(self, name: str) -> Trial | None:
        """A trial in which there is a table, index, view or trigger of a name."""
        return next((trial for trial in self._all if trial.has(name)), None)

    def differences(self) -> list[Change]:
        """Compare the definitions of the source with those that were made.

        Statistics are none: SQLite makes the tables for them as its version has them.
        """
        ours = _schema(self._source)
        missing, changed = set(ours), set()
        for trial in self._all:
            theirs = _schema(trial.connection)
            missing -= theirs.keys()
            changed |= {(*key, row[0]) for key, row in theirs.items() if ours.get(key) != row}
        changed |= {(*key, ours[key][0]) for key in missing}
        return [Change(*change) for change in sorted(changed)]


class Change:
    """An object that a trial has otherwise, or not, or besides; `on` is the table that it belongs to."""

    def __init__(self, kind: bytes, name: bytes, on: bytes) -> None:
        self.kind, self.name, self.on = (text.decode(errors="backslashreplace") for text in (kind, name, on))


def _schema(connection: sqlite3.Connection) -> dict[tuple[bytes, bytes], tuple[bytes, bytes | None, int]]:
    factory, connection.text_factory = connection.text_factory, bytes
    try:
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql, rootpage > 0 FROM sqlite_schema "
            "WHERE lower(name) NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'"
        )
        return {(kind, name): (on, sql, has_pages) for kind, name, on, sql, has_pages in rows}
    finally:
        connection.text_factory = factory
