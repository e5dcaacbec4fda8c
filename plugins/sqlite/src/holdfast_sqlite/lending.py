"""What the application alone has, lent to a connection that only reads: collations, in any order.

Imported by child processes too.
"""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.child.schema import read_schema

TYPE_CHECKING = False  # see `holdfast_sqlite.child.channel`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


# What SQLite says where only the application has a function, collation, module or tokenizer.
APPLICATION = (
    "no such function", "no such collation sequence", "no such module", "no such tokenizer", "unknown tokenizer",
    "unknown function",
)  # fmt: skip
_NO_COLLATION = "no such collation sequence: "


def any_order(left: str, right: str) -> int:
    """Stand in for a collation where nothing is compared."""
    return (left > right) - (left < right)


def lend_collation(connection: sqlite3.Connection, error: sqlite3.Error) -> bool:
    """Let a connection do without the collation that an error says is not here; False if it says something else.

    Only for what compares nothing: any order will do to read all rows of a table that lies in that order.
    """
    if not str(error).startswith(_NO_COLLATION):
        return False
    connection.create_collation(str(error).removeprefix(_NO_COLLATION), any_order)
    # Once it was missing, the index is marked in memory as one not to be used: "no query solution" (bNoQuery).
    connection.execute("PRAGMA writable_schema=RESET")
    read_schema(connection)
    return True


def lending(connection: sqlite3.Connection, read: Callable[[], Result]) -> Result:
    """Do what reads from a connection, with any order in the place of each collation that it turns out to miss.

    Nothing of what is read may depend on an order.
    """
    while True:
        try:
            return read()
        except sqlite3.Error as error:
            if not lend_collation(connection, error):
                raise


def lend_collations(connection: sqlite3.Connection, here: sqlite3.Connection) -> None:
    """Lend a connection the collations of all indexes that the other one, which has seen no schema, has not.

    Once SQLite has missed one it does without its index, and says of a table WITHOUT ROWID nothing but "no query
    solution".
    """
    known = {name.lower() for _, name in here.execute("PRAGMA collation_list")}
    names = connection.execute("SELECT DISTINCT name FROM sqlite_schema WHERE type IN ('table', 'index')").fetchall()
    for (index,) in names:  # a table WITHOUT ROWID is its own index
        for row in connection.execute(f"PRAGMA index_xinfo({identifier(index)})").fetchall():
            if row[4] is not None and row[4].lower() not in known:
                known.add(row[4].lower())
                connection.create_collation(row[4], any_order)
