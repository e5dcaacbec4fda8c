"""The schema of a database, read as far as this library can: a definition in newer syntax is one that it cannot read.

SQLite itself opens no database of which it cannot parse one definition. With `writable_schema` it goes on with the
others, which says nothing about writing (sqlite3InitOne, SQLITE_NoSchemaError).
"""

from __future__ import annotations

import re
import sqlite3

_MALFORMED = re.compile(r"malformed database schema \((?P<name>.*?)\)(?: - (?P<why>.*))?", re.DOTALL)
# What no version of SQLite could read: the others may be words that a newer one knows.
_BROKEN = ("invalid rootpage", "orphan index", "no such table")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
FORMAT = "unsupported file format"
_NOT_LOADED = """
    SELECT type, name FROM sqlite_schema AS entry WHERE rootpage > 0 AND (
        type = 'table' AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(entry.name))
        OR type = 'index' AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(entry.name)))
"""
_ORPHANS = """
    SELECT name, tbl_name FROM sqlite_schema AS entry WHERE type = 'index' AND NOT EXISTS (
        SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = entry.tbl_name COLLATE nocase)
"""


class Schema:
    """How far a schema could be read; `trees` is whether it names all trees of the file."""

    def __init__(self) -> None:
        self.damage: list[str] = []
        self.unreadable: list[str] = []
        self.trees = True


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Have a connection read its schema, without what this library cannot read; other errors are SQLite's own."""
    schema = Schema()
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        malformed = _MALFORMED.fullmatch(str(error))
        if malformed is None:
            raise
        _read_others(connection)
        _judge(connection, schema, malformed["name"], malformed["why"] or "")
        schema.damage += [
            f"index {name} belongs to table {table}, which is not there" for name, table in connection.execute(_ORPHANS)
        ]
        missing = connection.execute(_NOT_LOADED).fetchall()
        schema.unreadable += [f"{kind} {name} cannot be read without its definition" for kind, name in missing]
        schema.trees = not missing
    return schema


def _read_others(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA writable_schema=ON")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:  # the first statement after it may still meet the error, and no other one
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()


def _judge(connection: sqlite3.Connection, schema: Schema, name: str, why: str) -> None:
    """Tell a definition that is none from one in words that are not known here."""
    rows = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchall()
    broken = not rows or not why or why.startswith(_BROKEN) or any(_CONTROL.search(sql or "") for (sql,) in rows)
    if broken:
        schema.damage.append(f"malformed database schema ({name}){f' - {why}' if why else ''}")
    else:
        schema.unreadable.append(f"SQLite {sqlite3.sqlite_version} cannot read the definition of {name}: {why}")


def is_unreadable(error: sqlite3.Error) -> bool:
    """Whether an error says that this library cannot read a file, which a newer one may well do."""
    text = str(error)
    malformed = _MALFORMED.fullmatch(text)
    why = malformed["why"] if malformed else None
    return text == FORMAT or bool(why and not why.startswith(_BROKEN))
