"""A database with some tables only, made of a whole one: everything else is dropped, the rest is packed anew.

Dropping keeps what stays exactly as it was, rowids and the inner tables of full-text indexes included, which copying
row by row would not; VACUUM INTO keeps rowids too, plain VACUUM need not (https://www.sqlite.org/lang_vacuum.html).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from fnmatch import fnmatchcase

from holdfast_sqlite.catalog import Entry, entries, identifier, literal
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.header import WAL, write_versions
from holdfast_sqlite.virtual_tables.ownership import belongings

_MOST_NAMES = 20  # in an error


def select_tables(
    connection: sqlite3.Connection, target: str, *, select: Sequence[str], exclude: Sequence[str]
) -> list[str]:
    """Drop from a private database what is not selected and write the rest to `target`; what the user has to know.

    `select` and `exclude` are names of tables or views, or patterns for them, without regard to case; indexes and
    triggers go with their tables, inner tables with their virtual table.
    """
    schema = entries(connection)
    keep = _kept(schema, select, exclude)
    wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.execute("PRAGMA journal_mode=OFF" if not wal else "PRAGMA synchronous=OFF")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA secure_delete=OFF")
    for entry in schema:
        if entry.kind == "view" and entry.name not in keep:
            connection.execute(f"DROP VIEW IF EXISTS {identifier(entry.name)}")
    for entry in sorted(schema, key=lambda entry: not entry.module):  # virtual tables take their inner ones along
        if entry.kind == "table" and not entry.internal and entry.name not in keep:
            _drop(connection, entry)
    connection.execute(f"VACUUM INTO {literal(os.fsdecode(target))}")
    if wal:  # VACUUM INTO does not copy the mark
        with open(target, "r+b") as file:
            write_versions(file.fileno(), WAL)
    return _dangling(connection, schema, keep)


def _drop(connection: sqlite3.Connection, entry: Entry) -> None:
    try:
        connection.execute(f"DROP TABLE IF EXISTS {identifier(entry.name)}")
    except sqlite3.OperationalError as error:
        if not entry.module or getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
            raise
        # Its module or tokenizer is not here: its row in the schema goes, and its inner tables like all others.
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("DELETE FROM sqlite_schema WHERE type = 'table' AND name = ?", (entry.name,))
        connection.execute("PRAGMA writable_schema=RESET")


def _kept(schema: list[Entry], select: Sequence[str], exclude: Sequence[str]) -> set[str]:
    """The names of tables and views to keep; a pattern that matches none is an error."""
    owned = belongings(schema)
    inner = {name: [*belonging.shadows, *belonging.possible] for name, belonging in owned.items()}
    hidden = {name for names in inner.values() for name in names}
    names = [
        entry.name
        for entry in schema
        if entry.kind in ("table", "view") and not entry.internal and entry.name not in hidden
    ]
    for pattern in (*select, *exclude):
        if not any(_matches(name, pattern) for name in names):
            listed = ", ".join(repr(name) for name in names[:_MOST_NAMES]) or "none"
            raise TaskError("usage", f"the database has no table {pattern!r} (it has: {listed})")
    keep: set[str] = set()
    for name in names:
        if _is_selected(name, select, exclude):
            keep |= {name, *inner.get(name, ())}
    return keep


def _is_selected(name: str, select: Sequence[str], exclude: Sequence[str]) -> bool:
    if select and not any(_matches(name, pattern) for pattern in select):
        return False
    return not any(_matches(name, pattern) for pattern in exclude)


def _matches(name: str, pattern: str) -> bool:
    return name.lower() == pattern.lower() or fnmatchcase(name.lower(), pattern.lower())


def _dangling(connection: sqlite3.Connection, schema: list[Entry], keep: set[str]) -> list[str]:
    """Name triggers and views that stay but speak of tables that are gone."""
    gone = [entry.name for entry in schema if entry.kind in ("table", "view") and entry.name not in keep]
    warnings = []
    for entry in entries(connection):
        if entry.kind in ("trigger", "view"):
            names = _mentioned(entry.sql)
            warnings += [
                f"{entry.kind} {entry.name} is restored and refers to {name}, which is not"
                for name in gone
                if name.lower() in names
            ]
    return warnings


# What is no name comes first: comments, literals, and numbers such as 0xb.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\d\w*"""
    r"""|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|\[([^\]]*)\]|([A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)""",
    re.DOTALL,
)


def _mentioned(sql: str) -> set[str]:
    """The names in a definition, in lowercase."""
    names = set()
    for match in _TOKEN.finditer(sql):
        double, back, bracketed, bare = match.groups()
        name = bare or bracketed or (double or "").replace('""', '"') or (back or "").replace("``", "`")
        names.add(name.lower())
    return names
