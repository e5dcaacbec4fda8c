"""SQLite's own check of a database: as a whole, or table by table where something of it cannot be checked.

What cannot be checked is what this library does not have (a collation, function, module or tokenizer of the
application's own, the syntax of a newer SQLite) or what an expression cannot read (JSON that is none). It says nothing
about the file, and does not keep anything else from being checked.
"""

from __future__ import annotations

import re
import sqlite3

from holdfast_sqlite.catalog import argument, identifier, is_utf8
from holdfast_sqlite.child.schema import FORMAT, is_unreadable, read_schema
from holdfast_sqlite.child.verdict import Verdict
from holdfast_sqlite.child.virtual_check import check_virtual_tables
from holdfast_sqlite.header import unsupported
from holdfast_sqlite.lending import lend_collation
from holdfast_sqlite.tokens import surrogates

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from typing import Any

# One fault of the structure is enough; a thousand of them are a few dozen kilobytes in memory.
_LIMIT = 1000
_NO_LIMIT = 2**31 - 1
# The fault of the structure comes first. LIMIT, because Python steps on before it returns a row, and loses that if the
# step fails, as at the index of a table whose tokenizer is not here.
_FIRST = "SELECT * FROM pragma_quick_check LIMIT 1"
_NO_FUNCTION = re.compile(r"(?:unknown|no such) function: (.+?)(?:\(\))?")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_OF_A_MODULE = "SQLITE_CORRUPT_VTAB"
# They say nothing of the file, and nothing can be checked any more.
_ENDED = ("SQLITE_INTERRUPT", "SQLITE_NOMEM", "SQLITE_IOERR", "SQLITE_FULL")
_TABLES = """
    SELECT name, coalesce(rootpage, 0) = 0 FROM sqlite_schema WHERE type = 'table' UNION ALL SELECT 'sqlite_schema', 0
"""


def quick_check(connection: sqlite3.Connection, *, header: bytes) -> Verdict:
    """Run `PRAGMA quick_check` on what a connection sees: about 1.3 s a GB.

    `header` is the first 100 bytes of the file, which tell a newer format from damage.
    """
    return _Check(connection, "quick_check").run(header)


def integrity_check(connection: sqlite3.Connection, *, header: bytes) -> Verdict:
    """Run `PRAGMA integrity_check`, which compares indexes with their tables as well: about 4 s a GB."""
    return _Check(connection, "integrity_check").run(header)


class _Check:
    """One check of what a connection sees; `pragma` is the name of SQLite's own."""

    def __init__(self, connection: sqlite3.Connection, pragma: str) -> None:
        self._connection = connection
        self._pragma = pragma
        self._trees = True
        self._verdict = Verdict(connection)
        connection.text_factory = surrogates

    def run(self, header: bytes) -> Verdict:
        """Check, and return what was found."""
        try:
            self._read_schema()
            error = self._whole()
        except sqlite3.DatabaseError as failure:
            raise_if_ended(failure)
            self._refuse(failure, header)
            return self._verdict
        if error is not None:
            self._by_table(error)
        if self._pragma == "integrity_check":
            check_virtual_tables(self._connection, self._verdict)
        return self._verdict

    def _refuse(self, error: sqlite3.DatabaseError, header: bytes) -> None:
        """Judge an error that keeps SQLite from reading anything."""
        if is_damage(error, header):
            self._verdict.add_damage(_text_of(error))
        else:
            newer = unsupported(header) if _name(error) in ("SQLITE_NOTADB", "SQLITE_ERROR") else ""
            self._verdict.add_unchecked("the database", newer or _text_of(error))
            self._verdict.void = True

    def _read_schema(self) -> None:
        schema = read_schema(self._connection)
        self._verdict.add_damage(*schema.damage)
        self._verdict.add_unreadable(*schema.unreadable)
        self._trees = schema.trees

    def _whole(self) -> sqlite3.DatabaseError | None:
        """Check all at once: what kept that from being done, if anything."""
        error = self._take(f"{self._pragma}({_LIMIT:d})", lend=self._pragma == "quick_check")
        if error is None and self._verdict.rows >= _LIMIT:
            # So many faults hide others. They come one by one, and only those of the structure all at once.
            self._verdict.forget_faults()
            error = self._take(f"{self._pragma}({_NO_LIMIT:d})", lend=False)
        return error

    def _take(self, pragma: str, *arguments: str | bytes, lend: bool) -> sqlite3.DatabaseError | None:
        """Take the rows of one pragma: problems are rows, and come before the error that ends them, if one does."""
        query = f"SELECT * FROM pragma_{pragma}" if arguments else f"PRAGMA {pragma}"  # noqa: S608
        while True:
            try:
                for row in self._connection.execute(query, arguments):
                    self._verdict.add(str(row[0]), trees=self._trees)
            except sqlite3.DatabaseError as error:
                raise_if_ended(error)
                # No index is compared with its table: any order will do for a collation that is not here.
                if lend and lend_collation(self._connection, error):
                    continue
                return error
            return None

    def _by_table(self, first: sqlite3.DatabaseError) -> None:
        """Check the structure of the file, and then the rows and indexes of each table by itself."""
        self._verdict.forget_faults()
        before = len(self._verdict.unchecked)
        tables = self._connection.execute(_TABLES).fetchall()
        halves = [name for name, virtual in tables if not self._table(name, virtual=bool(virtual))]
        # Only now: what is lent stays, and with another order than the application's every index would be wrong.
        for name in halves:
            self._take_table("quick_check", name, lend=True)  # what keeps it from being done has been said
        self._structure()
        explained = self._verdict.damage or self._verdict.faults or len(self._verdict.unchecked) > before
        if not explained and is_damage(first):
            self._verdict.add_damage(_text_of(first))
        elif not explained:
            self._verdict.add_unchecked("the database as a whole", _text_of(first))

    def _structure(self) -> None:
        """Check pages and trees, which come first, with functions lent: those are for the rows, which come after.

        What is lent stays: Python has no way to take a function back.
        """
        lent: list[str] = []
        row = None
        while row is None:
            try:
                row = self._connection.execute(_FIRST).fetchone()
            except sqlite3.DatabaseError as error:
                raise_if_ended(error)
                match = _NO_FUNCTION.fullmatch(str(error))
                if match and match[1] not in lent:
                    lent.append(match[1])
                    self._connection.create_function(match[1], -1, _nothing, deterministic=True)
                elif not lend_collation(self._connection, error):
                    row = ("ok",)  # rows that cannot be read: their tables are checked one by one
                    self._warn_of_pages()
        if str(row[0]).startswith("***"):
            self._verdict.add(str(row[0]), trees=self._trees)

    def _warn_of_pages(self) -> None:
        """Say what the check of each tree by itself leaves out, unless SQLite got as far as that.

        Since 3.44 it opens virtual tables before it begins, which it cannot where a tokenizer is not here. All other
        errors are of rows, which come after the pages.
        """
        try:
            self._connection.execute("EXPLAIN PRAGMA quick_check").fetchone()
        except sqlite3.DatabaseError as error:
            self._verdict.add_unchecked("whether each page is used once", _text_of(error))

    def _table(self, name: str, *, virtual: bool) -> bool:
        """Check one table; False if its rows have yet to be looked at, without its indexes."""
        if name.lstrip("+-").isdigit():
            self._verdict.add_unchecked(f"table {name}", "SQLite takes its name for a number")
            return True
        quick = self._pragma == "quick_check"
        error = self._take_table(self._pragma, name, lend=quick)
        if error is None:
            return True
        text = _text_of(error)
        if virtual:
            self._verdict.add_virtual(name, text)
        elif is_damage(error):
            self._verdict.add_damage(f"table {name}: {text}")
        else:
            self._verdict.add_unchecked(f"table {name}" if quick else f"table {name} with its indexes", text)
            return quick
        return True

    def _take_table(self, pragma: str, name: str, *, lend: bool) -> sqlite3.DatabaseError | None:
        if is_utf8(name):
            return self._take(f"{pragma}({identifier(name)})", lend=lend)
        return self._take(f"{pragma}(CAST(? AS TEXT))", argument(name), lend=lend)


def is_damage(error: sqlite3.Error, header: bytes = b"") -> bool:
    """Whether an error says that the file itself is damaged; its header tells that from a format which is newer.

    Whether it can be read at all `read_through` tells: SQLite has the same word for both.
    """
    name = _name(error)
    if header and (name == "SQLITE_NOTADB" or str(error) == FORMAT):
        return not unsupported(header)
    return name.startswith(_DAMAGED) and name != _OF_A_MODULE and not is_unreadable(error)


def raise_if_ended(error: sqlite3.Error) -> None:
    """Raise what ends everything: an interrupt, a disk that does not work, no more space or memory."""
    if _name(error).startswith(_ENDED):
        raise error


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "")


def _text_of(error: sqlite3.Error) -> str:
    return " ".join(str(error).split())


def _nothing(*_arguments: Any) -> None:
    return None
