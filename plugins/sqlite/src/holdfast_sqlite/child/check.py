"""SQLite's own check of a database, as lines: what is wrong, and what kept it from being carried out."""

from __future__ import annotations

import sqlite3

_LIMIT = 10
_NO_COLLATION = "no such collation sequence: "
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_IOERR")
# A function, module or tokenizer of the application's own is not here, which says nothing about the file.
_FOREIGN = ("no such", "unknown")


def quick_check(connection: sqlite3.Connection) -> tuple[list[str], str]:
    """Run `PRAGMA quick_check` on what a connection sees: the problems, and why it could not be done, if so.

    About 1.3 s a GB. The pragma reports problems as rows and ends well, so that its rows have to be read; on some
    damaged files its text is not UTF-8. A row that breaks a CHECK is wrong for the application, not for SQLite.
    """
    connection.text_factory = _text
    for _ in range(100):  # as many collations as an application may bring
        try:
            connection.execute("PRAGMA ignore_check_constraints=1")
            rows = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_LIMIT:d})")]
        except sqlite3.DatabaseError as error:
            text = " ".join(str(error).split())
            if is_damage(error):
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
    name = getattr(error, "sqlite_errorname", "")
    # "unsupported file format", for a header of nonsense, is a mere SQLITE_ERROR.
    return name.startswith(_DAMAGED) or (name == "SQLITE_ERROR" and not str(error).startswith(_FOREIGN))


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")


def _any_order(left: str, right: str) -> int:
    return (left > right) - (left < right)
