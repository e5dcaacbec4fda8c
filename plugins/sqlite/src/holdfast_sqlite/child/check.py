"""SQLite's own check of a database, as lines: what is wrong, and what kept it from being carried out."""

from __future__ import annotations

import sqlite3

_LIMIT = 10
_NO_COLLATION = "no such collation sequence: "
# These say that the file is damaged; other errors, a function or module of the application's own that is not here
# for instance, say nothing about it.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_IOERR_SHORT_READ")


def quick_check(connection: sqlite3.Connection) -> tuple[list[str], str]:
    """Run `PRAGMA quick_check` on what a connection sees: the problems, and why it could not be done, if so.

    About 1.3 s a GB. The pragma reports problems as rows and ends well, so that its rows have to be read; on some
    damaged files its text is not UTF-8. A row that breaks a CHECK is wrong for the application, not for SQLite.
    """
    connection.text_factory = _text
    connection.execute("PRAGMA ignore_check_constraints=1")
    for _ in range(100):  # as many collations as an application may bring
        try:
            rows = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_LIMIT:d})")]
        except sqlite3.DatabaseError as error:
            text = " ".join(str(error).split())
            if getattr(error, "sqlite_errorname", "").startswith(_DAMAGED):
                return [text], ""
            if not text.startswith(_NO_COLLATION):
                return [], text
            # quick_check compares no index with its table, so that any order will do.
            connection.create_collation(text.removeprefix(_NO_COLLATION), _any_order)
            continue
        lines = [" ".join(line.split()) for row in rows for line in row.splitlines()]
        return ([] if lines == ["ok"] else [line for line in lines if line]), ""
    return [], "too many collations of the application's own"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is damaged."""
    return getattr(error, "sqlite_errorname", "").startswith(_DAMAGED)


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")


def _any_order(left: str, right: str) -> int:
    return (left > right) - (left < right)
