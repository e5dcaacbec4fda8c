"""Rows that a key of the target takes for the same: named by table, key and value.

The source told them apart: its collation compares otherwise (spaces at the end, accents, characters that are newer), or
its rows were written with `unique_checks=0`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from holdfast.api import HoldfastError, IntegrityError, quote_name
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session, literal

DUPLICATE = frozenset({1022, 1062, 1169, 1586, 1859})
# What MariaDB says of duplicates among rows that it has taken in bulk: "Got error 1 during COMMIT", and where a newer
# one writes them at the statement's end 'Got error 1 "Operation not permitted" from storage engine InnoDB' (1030).
_ERROR_1 = re.compile(r"Got error 1\b")
_BULK = frozenset({1180, 1030})
_KEY = re.compile(r"for key '(.+)'$", re.DOTALL)


class DuplicateRowsError(HoldfastError):
    """LOAD DATA left rows out which a unique key takes for the same as others; the message is the server's."""


def is_unnamed(error: pymysql.MySQLError) -> bool:
    """Whether rows were refused in bulk, so that the server has named neither key nor value."""
    return error_number(error) in _BULK and _ERROR_1.match(str(error.args[-1])) is not None


@contextmanager
def row_by_row(session: Session) -> Iterator[None]:
    """Without writing in bulk, so that the server names what it refuses."""
    session.execute("ROLLBACK")
    session.execute("SET unique_checks=1")
    yield
    session.execute("SET unique_checks=0")


def duplicate_error(session: Session, table: str, text: str, *, alike: bool) -> HoldfastError:
    """What to raise for what the server says of a duplicate.

    `alike` says that it is a server like the source's with the same collations: there the rows contradict their own
    table.
    """
    kind = IntegrityError if alike else HoldfastError
    names = _collations(session, table, text)
    compared = f"the key compares by {', '.join(names)}: " if names else ""
    return kind(
        f"table {quote_name(table)} has rows that a unique key takes for the same here: {' '.join(text.split())}",
        hint=f"the source told them apart; {compared}make them differ there, or restore into a server like it",
    )


def _collations(session: Session, table: str, text: str) -> list[str]:
    """The collations of the key that the server names; of the whole table, where that key is still to be built."""
    match = _KEY.search(text)
    key = match[1].removeprefix(f"{table}.") if match else ""  # MySQL says the table too
    columns = session.texts(
        "SELECT c.collation_name, s.index_name FROM information_schema.columns c LEFT JOIN"
        " information_schema.statistics s ON s.table_schema=DATABASE() AND s.table_name=c.table_name"
        f" AND s.column_name=c.column_name AND s.index_name={literal(key)}"
        f" WHERE c.table_schema=DATABASE() AND {session.is_named('c.table_name', table)}"
        " AND c.collation_name IS NOT NULL"
    )
    return sorted({name for name, index in columns if index} or {name for name, _ in columns})
