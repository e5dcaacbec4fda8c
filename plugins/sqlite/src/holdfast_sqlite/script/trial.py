"""The trial of a script: its definitions are made in an empty database, with the library here and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


class Trial:
    """An empty database in memory; `missing` are the objects that were not made there."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        (encoding,) = source.execute("PRAGMA encoding").fetchone()
        self.connection.execute(f"PRAGMA encoding='{encoding}'")
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


class Change:
    """An object that a trial has otherwise, or not, or besides; `on` is the table that it belongs to."""

    def __init__(self, kind: bytes, name: bytes, on: bytes) -> None:
        self.kind, self.name, self.on = (text.decode(errors="backslashreplace") for text in (kind, name, on))


def differences(source: sqlite3.Connection, trial: Trial) -> list[Change]:
    """Compare the definitions of a database with those of a trial.

    Statistics are none: SQLite makes the tables for them as its version has them.
    """
    ours, theirs = _schema(source), _schema(trial.connection)
    changed = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    return [Change(kind, name, (ours | theirs)[kind, name][0]) for kind, name in changed]


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
