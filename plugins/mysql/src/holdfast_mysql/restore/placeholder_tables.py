"""Broken views made all the same: the tables that they miss stand there for a moment.

A server makes no view of what is not there, but keeps one whose tables go. So they come, with the columns that the
server asks for one after another, and go again when the views are made.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import pymysql

from holdfast_mysql.definitions.elsewhere import TableName, functions_elsewhere, tables_elsewhere, with_tables
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.drill_marker import stand_in
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session, quoted

_NO_TABLE, _NO_COLUMN = 1146, 1054
_TABLE = re.compile(r"Table '(.+)' doesn't exist", re.DOTALL)
_COLUMN = re.compile(r"Unknown column '(.+)' in '[^']*'", re.DOTALL)
_MOST = 5000  # columns and tables for one view
_LONGEST = 64  # characters of a name


class PlaceholderTables:
    """Tables of the database, and functions, that are not there and that views need; `clear` takes them away."""

    def __init__(self, session: Session, database: str) -> None:
        self._session = session
        self._database = database
        self._tables: list[str] = []
        self._functions: list[str] = []

    def make(self, create: Callable[[], None]) -> None:
        """Call `create` until the server has everything; what it misses elsewhere is raised."""
        for _ in range(_MOST):
            try:
                create()
            except pymysql.MySQLError as error:
                if not self._add(error):
                    raise
            else:
                return

    def make_on_stand_ins(self, view: Statement, create: Callable[[Statement], None]) -> dict[TableName, str]:
        """Make a view above tables and functions of its own database in the place of those of others.

        Returns what stood in for each; nothing where it names none, or cannot be made so either.
        """
        functions = functions_elsewhere(view, self._database)
        others = {name: stand_in(name) for name in (*tables_elsewhere(view, self._database), *functions)}
        above = {table: (self._database, name) for table, name in others.items()}
        try:
            for name, count in functions.items():
                self._make_function(others[name], count)
            if others:
                self.make(lambda: create(replace(view, body=with_tables(view, above))))
        except pymysql.MySQLError:
            return {}
        return others

    def _make_function(self, name: str, count: int) -> None:
        """A function that takes as many values, of whatever type; what it returns changes nothing of a view's text."""
        if name not in self._functions:
            parameters = ", ".join(f"p{number} TEXT" for number in range(count))
            self._session.execute(
                f"CREATE FUNCTION {self._place(name)}({parameters}) RETURNS INT DETERMINISTIC NO SQL RETURN 1"
            )
            self._functions.append(name)

    def _add(self, error: pymysql.MySQLError) -> bool:
        text = str(error.args[1])
        if error_number(error) == _NO_TABLE and (match := _TABLE.search(text)):
            prefix = f"{self._database}."
            name = match[1].removeprefix(prefix)
            if not match[1].startswith(prefix) or name in self._tables:
                return False
            self._session.execute(f"CREATE TABLE {self._place(name)} (`holdfast placeholder` INT PRIMARY KEY)")
            self._tables.append(name)
            return True
        if error_number(error) == _NO_COLUMN and self._tables and (match := _COLUMN.search(text)):
            # Which table it belongs to is hidden by an alias: every one of them gets it, for views name them in full.
            parts = match[1].split(".")
            # Names may hold dots themselves: whatever the column could be called is added.
            columns = {".".join(parts[start:]) for start in range(min(3, len(parts)))}
            columns = {name for name in columns if len(name) <= _LONGEST}
            before = self._columns()
            for name in self._tables:
                for column in sorted(columns - before[name]):
                    self._session.execute(f"ALTER TABLE {self._place(name)} ADD {quoted(column)} INT")
            return self._columns() != before
        return False

    def _columns(self) -> dict[str, set[str]]:
        return {
            name: {row[0] for row in self._session.texts(f"SHOW COLUMNS FROM {self._place(name)}")}
            for name in self._tables
        }

    def _place(self, name: str) -> str:
        return f"{quoted(self._database)}.{quoted(name)}"

    def clear(self) -> None:
        """Take all of them away again."""
        for name in self._tables:
            self._session.execute(f"DROP TABLE {self._place(name)}")
        for name in self._functions:
            self._session.execute(f"DROP FUNCTION {self._place(name)}")
        self._tables.clear()
        self._functions.clear()
