"""A table as SQLite describes it by its pragmas: nothing is taken from the text of its definition."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import identifier

_VIRTUAL, _STORED = 2, 3
_EXPRESSION = -2
_ROWIDS = ("rowid", "_rowid_", "oid")
# https://www.sqlite.org/datatype3.html, section 3.1: the first of these that stands in the type of a column.
_AFFINITIES = (
    ("INT", "INTEGER"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"), ("BLOB", "BLOB"),
    ("REAL", "REAL"), ("FLOA", "REAL"), ("DOUB", "REAL"),
)  # fmt: skip


class Column:
    """One column that has a value in each row, as all have but virtual ones."""

    __slots__ = ("is_generated", "is_not_null", "name", "type")

    def __init__(self, name: str, kind: str, *, is_not_null: bool, is_generated: bool) -> None:
        self.name = name
        self.type = kind.upper()
        self.is_not_null = is_not_null
        self.is_generated = is_generated

    @property
    def affinity(self) -> str:
        """What SQLite makes of values that it stores in the column, unless the table is STRICT."""
        if not self.type:
            return "BLOB"
        return next((affinity for word, affinity in _AFFINITIES if word in self.type), "NUMERIC")


class Index:
    """An index; `terms` are its columns in SQL, None where one of them is an expression."""

    __slots__ = ("columns", "is_unique", "name", "origin", "terms")

    def __init__(self, connection: sqlite3.Connection, listed: tuple[int, str, int, str, int]) -> None:
        _, self.name, unique, origin, partial = listed
        self.is_unique = bool(unique)
        self.origin = origin  # "c" of a CREATE INDEX, "u" and "pk" of a constraint
        keys = [row for row in connection.execute(f"PRAGMA index_xinfo({identifier(self.name)})") if row[5]]
        self.columns = [str(row[2]) for row in keys]
        is_plain = not partial and all(row[1] != _EXPRESSION and row[2] is not None for row in keys)
        self.terms = [_term(*row[2:5]) for row in keys] if is_plain else None


class Table:
    """A table; `rowid` is what its rowid is called in SQL where no column stands for it, `alias` the column that does.

    `key` are the terms of the primary key of a table WITHOUT ROWID, empty for all others. `is_computed` tells that it
    has generated columns, of which only those that are stored are among its `columns`.
    """

    __slots__ = ("alias", "columns", "indexes", "is_computed", "key", "name", "rowid")

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        quoted = identifier(name)
        infos = connection.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
        self.columns = [
            Column(info[1], info[2], is_not_null=bool(info[3]), is_generated=info[6] == _STORED)
            for info in infos
            if info[6] != _VIRTUAL
        ]
        self.is_computed = any(info[6] in (_VIRTUAL, _STORED) for info in infos)
        self.indexes = [Index(connection, row) for row in connection.execute(f"PRAGMA index_list({quoted})").fetchall()]
        # Of a table, the pragma tells something only if it has no rowid (since SQLite 3.30).
        self.key = [_term(*row[2:5]) for row in connection.execute(f"PRAGMA index_xinfo({quoted})") if row[5]]
        keys = [info for info in infos if info[5]]
        # Where the primary key has an index of its own no column is another name of the rowid.
        has_key_index = bool(self.key) or any(index.origin == "pk" for index in self.indexes)
        is_alias = len(keys) == 1 and str(keys[0][2]).upper() == "INTEGER" and not has_key_index
        self.alias = str(keys[0][1]) if is_alias else ""
        taken = {str(info[1]).lower() for info in infos}
        has_own = not self.alias and not self.key
        self.rowid = next((word for word in _ROWIDS if word not in taken), "") if has_own else ""


def strict_tables(connection: sqlite3.Connection) -> frozenset[str]:
    """The names of all STRICT tables, in one pass: SQLite looks through its whole schema also for a single one."""
    listed = connection.execute("PRAGMA table_list").fetchall()  # none before SQLite 3.37
    return frozenset(row[1] for row in listed if row[0] == "main" and row[5])


def _term(name: str | None, is_descending: int, collation: str) -> str:
    """A column of an index in SQL."""
    order = " DESC" if is_descending else ""
    return f"{identifier(name)} COLLATE {identifier(collation)}{order}" if name is not None else ""
