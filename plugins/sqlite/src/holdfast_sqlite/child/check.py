"""SQLite's own check of a database, as lines: what is wrong, and what kept it from being carried out."""

from __future__ import annotations

import sqlite3

_LIMIT = 10
_NO_COLLATION = "no such collation sequence: "
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_IOERR")
# Headers and schemas of nonsense are a mere SQLITE_ERROR, and so is what says nothing about the file: a function or
# module of the application's own that is not here, or JSON that an expression cannot read.
_DAMAGED_TEXTS = ("unsupported file format", "malformed database schema")


def quick_check(connection: sqlite3.Connection) -> tuple[list[str], str]:
    """Run `PRAGMA quick_check` on what a connection sees: the problems, and why it could not be done, if so.

    About 1.3 s a GB.
    """
    # It compares no index with its table, so that any order will do for collations that are not here.
    return _run(connection, f"quick_check({_LIMIT:d})", any_order=True)


def integrity_check(connection: sqlite3.Connection) -> tuple[list[str], str]:
    """Run `PRAGMA integrity_check`, which compares indexes with their tables as well: about 4 s a GB."""
    return _run(connection, "integrity_check(100)", any_order=False)


def _run(connection: sqlite3.Connection, pragma: str, *, any_order: bool) -> tuple[list[str], str]:
    """Run one of the two.

    The pragma reports problems as rows and ends well, so that its rows have to be read; on some
    damaged files its text is not UTF-8. A row that breaks a CHECK is wrong for the application, not for SQLite.
    """
    connection.text_factory = _text
    for _ in range(100):  # as many collations as an application may bring
        try:
            connection.execute("PRAGMA ignore_check_constraints=1")
            rows = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}")]
        except sqlite3.DatabaseError as error:
            text = " ".join(str(error).split())
            if is_damage(error):
                return [text], ""
            if not any_order or not lend_collation(connection, error):
                return [], text
            continue
        lines = [" ".join(line.split()) for row in rows for line in row.splitlines()]
        return ([] if lines == ["ok"] else [line for line in lines if line]), ""
    return [], "too many collations of the application's own"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is damaged."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(_DAMAGED) or (name == "SQLITE_ERROR" and str(error).startswith(_DAMAGED_TEXTS))


def lend_collation(connection: sqlite3.Connection, error: sqlite3.Error) -> bool:
    """Let a connection do without the collation that an error says is not here; False if it says something else.

    Only for what compares nothing: any order will do to read all rows of a table that lies in that order.
    """
    if not str(error).startswith(_NO_COLLATION):
        return False
    connection.create_collation(str(error).removeprefix(_NO_COLLATION), _any_order)
    # Once it was missing, the index is marked in memory as one not to be used: "no query solution" (bNoQuery).
    connection.execute("PRAGMA writable_schema=RESET")
    return True


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")


def _any_order(left: str, right: str) -> int:
    return (left > right) - (left < right)
