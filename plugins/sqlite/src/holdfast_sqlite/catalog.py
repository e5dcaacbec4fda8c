"""The catalog of a database: the rows of `sqlite_schema`, as far as a script or a selection has to know them.

Standard library only: child processes and restores need it alike.
"""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.tokens import folded, surrogates
from holdfast_sqlite.virtual_tables.definition import Definition, parse


class Entry:
    """One row of `sqlite_schema`; `on` is the table or view that it belongs to, its own name for these."""

    __slots__ = ("kind", "name", "on", "rowid", "sql")

    def __init__(self, kind: str, name: str, on: str, sql: str | None, rowid: int = 0) -> None:
        self.rowid = rowid
        self.kind = kind
        self.name = name
        self.on = on
        self.sql = sql or ""

    @property
    def definition(self) -> Definition | None:
        """How a virtual table is declared; None for all else."""
        return parse(self.sql) if self.kind == "table" and "virtual" in self.sql.lower() else None

    @property
    def module(self) -> str:
        """The module of a virtual table in lowercase, "" for all else."""
        definition = self.definition
        return definition.module if definition else ""

    @property
    def internal(self) -> bool:
        """Whether it is one of SQLite's own (sqlite_sequence, sqlite_stat1, indexes of constraints)."""
        return folded(self.name).startswith("sqlite_")


def entries(connection: sqlite3.Connection) -> list[Entry]:
    """The schema in the order in which it was made; bytes of a name that are not UTF-8 as lone surrogates."""
    before, connection.text_factory = connection.text_factory, surrogates
    try:
        rows = connection.execute("SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema ORDER BY rowid")
        schema = [Entry(*row) for row in rows]
    finally:
        connection.text_factory = before
    names = {folded(entry.name): entry.name for entry in schema if entry.kind in ("table", "view")}
    for entry in schema:  # a trigger has its table as it was written there, in whatever case
        entry.on = names.get(folded(entry.on), entry.on)
    return schema


def is_utf8(text: str) -> bool:
    """Whether a text with names in it is one that a statement or a message can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def printable(name: str) -> str:
    """A name as a message can show it: bytes that are not UTF-8 as backslash escapes."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def argument(name: str) -> str | bytes:
    """A name as a parameter for CAST(? AS TEXT), which any bytes go through."""
    return name if is_utf8(name) else name.encode(errors="surrogateescape")


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"
