"""Whether the rows of a table are such as an INSERT would make them, and whether there are very long ones.

SQLite lets rows lie that no INSERT could have put there: its page on ALTER TABLE shows how a definition is changed
under them (https://www.sqlite.org/lang_altertable.html, section 7), and older versions checked less. An INSERT would
refuse them, or change them: of 5 it makes '5' in a column of text. What it would do is asked of SQLite, not guessed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.script.columns import Column, Index, Table

LONG = 1 << 20
"""Bytes, or of texts characters, from which on a value is written in pieces."""

# Since SQLite 3.43 nothing is read to tell how long a text is.
LENGTH = "octet_length" if sqlite3.sqlite_version_info >= (3, 43) else "length"
_GROUP = 50  # SQLite's expressions are 1000 deep at most
_STRICT_TYPES = {"INT": "integer", "INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}


class Survey:
    """What one pass over a table, which may be STRICT, tells of its rows.

    `computed` are its generated columns with their expressions.
    """

    def __init__(
        self, connection: sqlite3.Connection, table: Table, computed: Mapping[str, str], *, strict: bool
    ) -> None:
        stored = {column.name for column in table.columns if column.is_generated}
        conditions = [_unfit(column, strict=strict) for column in table.columns if column.name != table.alias]
        conditions += [f"{identifier(name)} IS NOT {computed[name]}" for name in stored & computed.keys()]
        unfit, long = _any(conditions), is_long(table)
        query = f"SELECT max({unfit}), max({long}) FROM {identifier(table.name)} NOT INDEXED"  # noqa: S608
        self.has_long = False
        try:
            self.is_unfit, self.has_long = map(bool, connection.execute(query).fetchone())
        except sqlite3.OperationalError as error:
            # A function of the application's: what it would compute anew nobody knows.
            if "function" not in str(error):
                raise
            self.is_unfit = True
        try:
            self.is_unfit = self.is_unfit or any(
                has_duplicates(connection, table, index) for index in table.indexes if index.origin != "c"
            )
        except sqlite3.OperationalError as error:
            # Some versions compute the columns of such an index anew. The trial of the definition says what is missing.
            if "function" not in str(error):
                raise


def is_long(table: Table) -> str:
    """SQL that tells whether a row has a long value; nothing is read for it but texts."""
    return _any(
        [
            f"CASE WHEN typeof({name}) IN ('text','blob') THEN {LENGTH}({name}) > {LONG} ELSE 0 END"
            for name in (identifier(column.name) for column in table.columns)
        ]
    )


def _any(conditions: list[str]) -> str:
    """SQL that is true where one of the conditions is."""
    groups = [conditions[at : at + _GROUP] for at in range(0, len(conditions), _GROUP)]
    return " OR ".join(f"({' OR '.join(group)})" for group in groups) or "0"


def _unfit(column: Column, *, strict: bool) -> str:
    """SQL that tells whether an INSERT would refuse or change a value of the column."""
    name = identifier(column.name)
    kinds = ["'null'"] if column.is_not_null else []
    if strict:
        expected = _STRICT_TYPES.get(column.type)
        null = "" if column.is_not_null else ",'null'"
        return f"typeof({name}) NOT IN ('{expected}'{null})" if expected else _is_one_of(name, kinds)
    if column.affinity == "BLOB":
        return _is_one_of(name, kinds)
    if column.affinity == "TEXT":
        return _is_one_of(name, [*kinds, "'integer'", "'real'"])
    # A comparison with a number makes one of a text that reads as one, and all numbers are below all other texts.
    text = f"WHEN 'text' THEN (+{name}) <= CAST(9e999 AS NUMERIC)"
    # Read from a column of REAL, every number is one. Others store 5.0 as 5, but for the least of all integers.
    whole = f"{name} = CAST({name} AS INTEGER) AND {name} > -9223372036854775808.0"
    real = "" if column.affinity == "REAL" else f" WHEN 'real' THEN {whole}"
    return f"CASE typeof({name}) {text}{real} WHEN 'null' THEN {int(column.is_not_null)} ELSE 0 END"


def _is_one_of(name: str, kinds: list[str]) -> str:
    return f"typeof({name}) IN ({','.join(kinds)})" if kinds else "0"


def has_duplicates(connection: sqlite3.Connection, table: Table, index: Index) -> bool:
    """Whether a unique index could not be made anew from the rows of its table.

    An index that holds as many entries as its table has rows, no two of them alike, is taken for what it says; where
    that cannot be asked, SQLite's own check of the table answers.
    """
    if not index.is_unique or (index.origin == "pk" and table.key):
        return False
    name = identifier(table.name)
    if index.terms is None:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        return connection.execute(f"PRAGMA integrity_check({name})").fetchall() != [("ok",)]
    by_index = f"{name} INDEXED BY {identifier(index.name)}"
    (rows,) = connection.execute(f"SELECT count(*) FROM {name} NOT INDEXED").fetchone()  # noqa: S608
    # sum() because count(*) would take any index.
    (entries,) = connection.execute(f"SELECT sum(1) FROM {by_index}").fetchone()  # noqa: S608
    terms = [term.removesuffix(" DESC") for term in index.terms]
    given = " AND ".join(f"{identifier(column)} IS NOT NULL" for column in index.columns)
    alike = f"SELECT 1 FROM {by_index} WHERE {given} GROUP BY {','.join(terms)} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
    if rows == (entries or 0):
        return connection.execute(alike).fetchone() is not None
    return connection.execute(alike.replace(by_index, f"{name} NOT INDEXED")).fetchone() is not None
