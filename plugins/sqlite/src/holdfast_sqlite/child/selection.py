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

from holdfast_sqlite.catalog import Entry, entries, identifier, literal, shadows
from holdfast_sqlite.child.channel import Refusal


def choose(connection: sqlite3.Connection, target: str, *, select: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Drop from a private database what is not chosen and write the rest to `target`; what the user has to know.

    `select` and `exclude` are names of tables or views, or patterns for them, without regard to case; indexes and
    triggers go with their tables, inner tables with their virtual table.
    """
    found = entries(connection)
    keep = _kept(found, select, exclude)
    wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.execute("PRAGMA journal_mode=OFF" if not wal else "PRAGMA synchronous=OFF")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA secure_delete=OFF")
    for entry in found:
        if entry.kind == "view" and entry.name not in keep:
            connection.execute(f"DROP VIEW IF EXISTS {identifier(entry.name)}")
    for entry in sorted(found, key=lambda entry: not entry.module):  # virtual tables take their inner ones along
        if entry.kind == "table" and not entry.internal and entry.name not in keep:
            _drop(connection, entry)
    connection.execute(f"VACUUM INTO {literal(os.fsdecode(target))}")
    if wal:
        _mark_wal(target)
    return _dangling(connection, found, keep)


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


def _kept(found: list[Entry], select: Sequence[str], exclude: Sequence[str]) -> set[str]:
    """The names of tables and views to keep."""
    inner = {shadow.name for entry in found if entry.module for shadow in shadows(entry, found)}
    things = [
        entry for entry in found if entry.kind in ("table", "view") and not entry.internal and entry.name not in inner
    ]
    names = [entry.name for entry in things]
    for pattern in (*select, *exclude):
        if not any(_matches(name, pattern) for name in names):
            listed = ", ".join(repr(name) for name in names[:20]) or "none"
            raise Refusal("usage", f"the database has no table {pattern!r} (it has: {listed})")
    keep: set[str] = set()
    for entry in things:
        wanted = any(_matches(entry.name, pattern) for pattern in select) if select else True
        if wanted and not any(_matches(entry.name, pattern) for pattern in exclude):
            keep |= {entry.name, *(shadow.name for shadow in (shadows(entry, found) if entry.module else ()))}
    return keep


def _matches(name: str, pattern: str) -> bool:
    return name.lower() == pattern.lower() or fnmatchcase(name.lower(), pattern.lower())


def _dangling(connection: sqlite3.Connection, found: list[Entry], keep: set[str]) -> list[str]:
    """Name triggers and views that stay but speak of tables that are gone."""
    gone = [entry.name for entry in found if entry.kind in ("table", "view") and entry.name not in keep]
    return [
        f"{entry.kind} {entry.name} is restored and refers to {name}, which is not"
        for entry in entries(connection)
        if entry.kind in ("trigger", "view")
        for mentioned in [_mentioned(entry.sql)]
        for name in gone
        if name.lower() in mentioned
    ]


# What is no name comes first: comments, literals, and numbers such as 0xb.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\d\w*"""
    r"""|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|\[([^\]]*)\]|([A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)""",
    re.DOTALL,
)


def _mentioned(sql: str) -> set[str]:
    """The names in a definition, in lowercase."""
    found = set()
    for match in _TOKEN.finditer(sql):
        double, back, bracketed, bare = match.groups()
        name = bare or bracketed or (double or "").replace('""', '"') or (back or "").replace("``", "`")
        found.add(name.lower())
    return found


def _mark_wal(path: str) -> None:
    """Put the mark of WAL mode, which VACUUM INTO does not copy, on a finished file."""
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), b"\2\2", 18)
