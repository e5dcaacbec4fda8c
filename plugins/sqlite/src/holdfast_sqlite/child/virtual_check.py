"""The indexes of virtual tables, asked for one by one: what integrity_check does itself since SQLite 3.44."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import entries, identifier, is_utf8
from holdfast_sqlite.virtual_tables.fts import MODULES

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from holdfast_sqlite.child.verdict import Verdict

_SINCE = (3, 44)
_TREES = ("rtree", "rtree_i32", "geopoly")


def check_virtual_tables(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Compare full-text indexes with their content, and look into R-trees, where SQLite's own check has not.

    Full-text modules take the command for writing, though nothing is written: a connection that only reads leaves
    them out, as every check does before 3.44.
    """
    if sqlite3.sqlite_version_info >= _SINCE:
        return
    for entry in entries(connection):
        if entry.module not in (*MODULES, *_TREES) or not is_utf8(entry.name):
            continue
        try:
            if entry.module in _TREES:
                text = connection.execute("SELECT rtreecheck(?)", (entry.name,)).fetchone()[0]
                verdict.add("ok" if text == "ok" else f"In RTree main.{entry.name}:\n{text}", trees=True)
            else:
                _check_full_text(connection, identifier(entry.name))
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY":
                verdict.add_virtual(entry.name, " ".join(str(error).split()))


def _check_full_text(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("SAVEPOINT holdfast_check")
    try:
        connection.execute(f"INSERT INTO {name}({name}) VALUES ('integrity-check')")  # noqa: S608
    finally:
        connection.execute("ROLLBACK TO holdfast_check")
        connection.execute("RELEASE holdfast_check")
