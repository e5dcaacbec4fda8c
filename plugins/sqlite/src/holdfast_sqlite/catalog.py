"""The catalog of a database: the rows of `sqlite_schema`, as far as a script or a selection has to know them.

Standard library only: child processes and restores need it alike.
"""

from __future__ import annotations

import sqlite3

# Tables that the virtual tables of SQLite's own modules keep their content in (their xShadowName methods).
SHADOWS = {
    "fts3": ("content", "segdir", "segments", "stat", "docsize"),
    "fts4": ("content", "segdir", "segments", "stat", "docsize"),
    "fts5": ("config", "content", "data", "docsize", "idx"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
    "geopoly": ("node", "parent", "rowid"),
}


class Entry:
    """One row of `sqlite_schema`; `on` is the table that an index or trigger belongs to."""

    def __init__(self, kind: str, name: str, on: str, sql: str | None) -> None:
        self.kind = kind
        self.name = name
        self.on = on
        self.sql = sql or ""

    @property
    def module(self) -> str:
        """The module of a virtual table in lowercase, "" for all else."""
        if self.kind != "table" or not self.sql[:20].upper().startswith("CREATE VIRTUAL TABLE"):
            return ""
        words = self.sql.replace("(", " ( ").split()
        using = next((at for at, word in enumerate(words) if word.upper() == "USING"), len(words))
        return words[using + 1].strip("\"'`[]").lower() if using + 1 < len(words) else "unknown"

    @property
    def internal(self) -> bool:
        """Whether it is one of SQLite's own (sqlite_sequence, sqlite_stat1, indexes of constraints)."""
        return self.name.lower().startswith("sqlite_")


def entries(connection: sqlite3.Connection) -> list[Entry]:
    """The schema in the order in which it was made."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
    return [Entry(*row) for row in rows]


def shadows(table: Entry, all_entries: list[Entry]) -> list[Entry]:
    """The tables in which a virtual table keeps its content."""
    names = SHADOWS.get(table.module)
    prefix = f"{table.name}_".lower()
    tables = [entry for entry in all_entries if entry.kind == "table" and entry.name.lower().startswith(prefix)]
    if names is None:  # a module that we do not know: what is named after its table is taken for its own
        return tables
    return [entry for entry in tables if entry.name.lower()[len(prefix) :] in names]


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"
