"""What of a selection refers to tables and views that it leaves out."""

from __future__ import annotations

import itertools
import sqlite3

from holdfast_sqlite.catalog import Entry, identifier
from holdfast_sqlite.lending import lend_collation
from holdfast_sqlite.tokens import folded, label, tokens
from holdfast_sqlite.virtual_tables.ownership import Belongings

TYPE_CHECKING = False  # see `tokens`
if TYPE_CHECKING:
    from typing import Any

_WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
_TOUCHES = (sqlite3.SQLITE_READ, *_WRITES)
_NO_FUNCTION = "no such function: "
_MOST_LENT = 1000  # functions and collations of one statement
_DATABASES = ("main", "temp")
_VECTOR_INDEX = "LIBSQL_VECTOR_IDX"


def dangling(
    connection: sqlite3.Connection, schema: list[Entry], owned: dict[str, Belongings], keep: set[str]
) -> list[str]:
    """Name what stays and refers to what does not, in the order of the schema; nothing has been left out yet.

    Foreign keys, virtual tables that read other tables, vector indexes of libSQL, views, and triggers. The connection
    must be one that is used for nothing else: functions and collations are lent to it.
    """
    gone = {folded(entry.name): entry.name for entry in schema if _is_relation(entry) and entry.name not in keep}
    if not gone:
        return []
    statements = _Statements(connection)
    parents = _parents(connection)
    warnings = []
    for entry in schema:
        if entry.on not in keep:
            continue
        what, how, names = entry.kind, "refers to", list[str]()
        if entry.kind in ("view", "trigger"):
            mentioned = {folded(token.name) for token in tokens(entry.sql)} & gone.keys()
            names = statements.confirmed(entry, mentioned) if mentioned else []
        elif entry.kind == "table" and entry.name in owned:
            what, how, names = "virtual table", "reads", owned[entry.name].sources
        elif entry.kind == "table":
            how, names = "its foreign key refers to", parents.get(entry.name, [])
        elif entry.kind == "index" and any(token.is_word(_VECTOR_INDEX) for token in tokens(entry.sql)):
            how, names = "keeps its entries in", [f"{entry.name}_shadow", "libsql_vector_meta_shadow"]
        warnings += [
            f"{what} {label(entry.name)} is restored and {how} {label(gone[folded(name)])}, which is not"
            for name in names
            if folded(name) in gone
        ]
    return warnings


def written_by_triggers(
    connection: sqlite3.Connection, schema: list[Entry], names: set[str]
) -> dict[tuple[str, str], list[str]]:
    """The triggers on tables of these names (folded) that write to others, by the table of each and the other.

    Functions and collations are lent to the connection, which must not run statements of the user's afterwards.
    """
    others = {folded(entry.name): entry.name for entry in schema if _is_relation(entry)}
    others = {name: table for name, table in others.items() if name not in names}
    statements = _Statements(connection, _WRITES)
    written: dict[tuple[str, str], list[str]] = {}
    for entry in schema:
        if entry.kind == "trigger" and folded(entry.on) in names:
            mentioned = {folded(token.name) for token in tokens(entry.sql)} & others.keys()
            for name in statements.confirmed(entry, mentioned) if mentioned else ():
                written.setdefault((entry.on, others[name]), []).append(entry.name)
    return written


def _is_relation(entry: Entry) -> bool:
    return entry.kind in ("table", "view") and not entry.internal


def _parents(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The tables that the foreign keys of each table refer to."""
    query = (
        'SELECT DISTINCT s.name, k."table" FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS k '
        "WHERE s.type = 'table' AND s.sql LIKE '%REFERENCES%' ORDER BY 1, 2"
    )
    parents: dict[str, list[str]] = {}
    for child, parent in connection.execute(query):
        parents.setdefault(child, []).append(parent)
    return parents


class _Statements:
    """Statements that SQLite compiles, and does not run, to tell what views and triggers refer to.

    A name in a definition may be that of a column, or stand in a text. What the application brings along is lent to a
    connection of its own for that: functions that do nothing, and collations that compare anyhow.
    """

    def __init__(self, connection: sqlite3.Connection, actions: tuple[int, ...] = _TOUCHES) -> None:
        self._connection = connection
        self._actions = actions
        self._compiled: dict[str, tuple[dict[str, set[str]], bool]] = {}

    def confirmed(self, entry: Entry, mentioned: set[str]) -> list[str]:
        """Those of the names in a definition that it refers to; where SQLite cannot tell, all that look so."""
        statement = self._statement(entry)
        if statement not in self._compiled:
            self._compiled[statement] = self._compile(statement)
        touched, complete = self._compiled[statement]
        names = touched.get(folded(entry.name), set())
        if entry.kind == "view":
            names = names | touched.get("", set())  # SQLite may read the tables of a view in its place
        return sorted(mentioned & (names if complete else names | _looking_like_tables(entry.sql)))

    def _statement(self, entry: Entry) -> str:
        """What reads a view or fires a trigger."""
        table = identifier(entry.on)
        if entry.kind == "view":
            return f"SELECT * FROM {table}"  # noqa: S608
        events = ("INSERT", "UPDATE", "DELETE")
        after_name = itertools.islice(tokens(entry.sql), 3, None)
        event = next(event for token in after_name for event in events if token.is_word(event))
        if event == "UPDATE":
            infos = self._rows(f"PRAGMA table_xinfo({table})") or []
            columns = [identifier(info[1]) for info in infos if not info[6]]
            return f"UPDATE {table} SET {', '.join(f'{column} = {column}' for column in columns)}"  # noqa: S608
        return f"INSERT INTO {table} DEFAULT VALUES" if event == "INSERT" else f"DELETE FROM {table}"  # noqa: S608

    def _compile(self, statement: str) -> tuple[dict[str, set[str]], bool]:
        """What each view or trigger does the actions to in a statement, and whether that is all of it."""
        touched: dict[str, set[str]] = {}

        def note(action: int, table: str | None, _column: str | None, _database: str | None, source: str | None) -> int:
            if action in self._actions and table:
                touched.setdefault(folded(source or ""), set()).add(folded(table))
            return sqlite3.SQLITE_OK

        self._connection.set_authorizer(note)
        try:
            return touched, self._rows(f"EXPLAIN {statement}") is not None
        finally:
            self._connection.set_authorizer(None)

    def _rows(self, statement: str) -> list[tuple[Any, ...]] | None:
        """Run a statement with what it needs of the application; None if that is not enough."""
        for _ in range(_MOST_LENT):
            try:
                return self._connection.execute(statement).fetchall()
            except UnicodeEncodeError:  # of a name that is not UTF-8
                return None
            except sqlite3.OperationalError as error:
                if not _lend(self._connection, error):
                    return None
        return None


def _lend(connection: sqlite3.Connection, error: sqlite3.Error) -> bool:
    """Let a connection do without a function or collation that an error says is not here."""
    if not str(error).startswith(_NO_FUNCTION):
        return lend_collation(connection, error)
    connection.create_function(str(error).removeprefix(_NO_FUNCTION), -1, lambda *_: None)
    return True


def _looking_like_tables(sql: str) -> set[str]:
    """The names in a definition but those behind the full stop of a row or table, which are columns."""
    names = set()
    before = qualifier = ""
    for token in tokens(sql):
        if token.kind in ("word", "quoted") and (before != "." or qualifier in _DATABASES):
            names.add(folded(token.name))
        qualifier, before = before, folded(token.name)
    return names
