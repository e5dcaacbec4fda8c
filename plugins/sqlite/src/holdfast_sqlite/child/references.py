"""Rows whose foreign key leads to no row: SQLite looks for them only where a program asks it to."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import argument, entries
from holdfast_sqlite.tokens import label

_LOST = "SELECT parent, count(*) FROM pragma_foreign_key_check(CAST(? AS TEXT)) GROUP BY parent"
_HAS_KEYS = "SELECT 1 FROM pragma_foreign_key_list(CAST(? AS TEXT))"


def lost_rows(child: str, parent: str, count: int) -> str:
    """Say that rows of a table refer to nothing."""
    return (
        f"table {label(child)} has {count} row{'' if count == 1 else 's'} whose foreign key leads to no row of table "
        f"{label(parent)}"
    )


def check_references(connection: sqlite3.Connection) -> list[str]:
    """Tables with such rows, and how many of them; those whose keys cannot be followed, and why."""
    lines = []
    for entry in entries(connection):
        if entry.kind != "table" or entry.module:
            continue
        name = argument(entry.name)
        try:
            if connection.execute(_HAS_KEYS, (name,)).fetchone():
                for parent, count in connection.execute(_LOST, (name,)):
                    lines.append(f"{lost_rows(entry.name, parent, count)}, which is kept as it is")
        except sqlite3.Error as error:
            lines.append(f"the foreign keys of table {label(entry.name)} could not be checked: {error}")
    return lines
