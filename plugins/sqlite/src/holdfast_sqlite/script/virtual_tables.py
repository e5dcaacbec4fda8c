"""Virtual tables in a script that holds their content twice: as rows, and in the shadow tables that keep them.

Python's `iterdump` takes shadow tables for tables like any other and writes all that they hold. Virtual tables it
writes

- as `CREATE VIRTUAL TABLE` (3.8 to 3.11.5), which makes the shadow tables, so that their own CREATE TABLE would fail;
- as a row of `sqlite_master` (since 3.11.6), so that the virtual table's own rows have no table to go to.

Taken is what the shadow tables hold: it is the content itself, with its rowids, and needs neither module nor
tokenizer. A script by another hand may fill a virtual table by its rows alone: whether shadow tables come is known
once they come. Until then the rows go into a virtual table that is made for them, and errors are kept.
"""

import re
import sqlite3

from holdfast.api import HoldfastError
from holdfast_sqlite.catalog import SHADOWS, Entry, identifier

_NAME = r"""("(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s("'`\[.;]+)"""
_SCHEMA_ROW = re.compile(r"INSERT\s+INTO\s+[\"'`\[]?sqlite_(?:master|schema)\b", re.IGNORECASE)
_SCHEMA_TABLE = re.compile(r"VALUES\s*\(\s*'table'\s*,\s*('(?:[^']|'')*')", re.IGNORECASE)
_CREATE_VIRTUAL = re.compile(rf"CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+USING\b", re.IGNORECASE)
_CREATE_TABLE = re.compile(rf"CREATE\s+TABLE\s+{_NAME}", re.IGNORECASE)
_INSERT = re.compile(rf"INSERT\s+INTO\s+{_NAME}", re.IGNORECASE)
_NO_TABLE = "no such table: "
# What says that a module cannot take a row, or is not here; all other errors end the load.
_OF_A_MODULE = ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_CORRUPT_VTAB")


class _Table:
    """A virtual table that the script has created; `failure` is the first statement that its module refused."""

    def __init__(self, name: str, sql: str) -> None:
        self.name = name
        self.sql = sql
        self.is_made = True
        self.failure: HoldfastError | None = None
        suffixes = SHADOWS.get(Entry("table", name, name, sql).module, ())
        self.shadows = {f"{name}_{suffix}".lower() for suffix in suffixes}


class VirtualTables:
    """The virtual tables of one script that is being loaded."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._created: dict[str, _Table] = {}
        self._entered: set[str] = set()  # names, in lowercase, that have a row in the schema and no more yet

    def prepare(self, statement: str) -> None:
        """Make ready for a statement, which begins with its first word and is run next."""
        if statement[:6].upper() not in ("INSERT", "CREATE"):
            return
        if _SCHEMA_ROW.match(statement):
            # Python 3.10 and older have not switched that on.
            self._connection.execute("PRAGMA writable_schema=ON")
            if match := _SCHEMA_TABLE.search(statement):
                self._entered.add(_unquoted(match[1]).lower())
        elif match := _CREATE_VIRTUAL.match(statement):
            name = _unquoted(match[1])
            self._created[name.lower()] = _Table(name, statement.rstrip("; \t\r\n"))
        elif self._created and (match := _CREATE_TABLE.match(statement)):
            shadow = _unquoted(match[1]).lower()
            for table in [table for table in self._created.values() if shadow in table.shadows]:
                self._enter(table)

    def _enter(self, table: _Table) -> None:
        """Let the shadow tables that follow be the content of a virtual table: only its row in the schema stays."""
        execute = self._connection.execute
        sql = table.sql
        stored = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?"
        if table.is_made and (row := execute(stored, (table.name,)).fetchone()):
            sql = row[0]
            self._drop(table.name)
        (writable,) = execute("PRAGMA writable_schema").fetchone()
        execute("PRAGMA writable_schema=ON")
        # Without a journal a CREATE that failed may have left its row.
        execute("DELETE FROM sqlite_schema WHERE type = 'table' AND name = ?", (table.name,))
        execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)",
            (table.name, table.name, sql),
        )
        execute(f"PRAGMA writable_schema={writable:d}")
        del self._created[table.name.lower()]
        self._entered.add(table.name.lower())

    def _drop(self, name: str) -> None:
        """Drop a virtual table, but keep what the script has said before of the statistics of its shadow tables."""
        statistics: list[tuple[int, str, str, str]] = []
        if self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
            statistics = self._connection.execute("SELECT rowid, tbl, idx, stat FROM sqlite_stat1").fetchall()
        self._connection.execute(f"DROP TABLE {identifier(name)}")
        insert = "INSERT OR IGNORE INTO sqlite_stat1(rowid, tbl, idx, stat) VALUES (?, ?, ?, ?)"
        for row in statistics:
            self._connection.execute(insert, row)

    def excuses(self, statement: str, error: sqlite3.Error, failure: HoldfastError) -> bool:
        """Whether a statement that failed loses nothing; `failure` is raised at the end if that turns out otherwise."""
        match = _INSERT.match(statement)
        name = _unquoted(match[1]) if match else ""
        if match and str(error) == f"{_NO_TABLE}{name}" and name.lower() in self._entered:
            return True
        match = match or _CREATE_VIRTUAL.match(statement)
        table = self._created.get(_unquoted(match[1]).lower()) if match else None
        if table is None or not getattr(error, "sqlite_errorname", "").startswith(_OF_A_MODULE):
            return False
        if str(error) == f"table {table.name} may not be modified":
            return True  # it shows what other tables hold, such as the words of a full-text index
        if not table.shadows:
            return False
        table.is_made = table.is_made and statement[:6].upper() == "INSERT"
        table.failure = table.failure or failure
        return True

    def check(self) -> None:
        """At the end of the script: raise what a module has refused and no shadow tables have brought."""
        for table in self._created.values():
            if table.failure is not None:
                raise table.failure


def _unquoted(name: str) -> str:
    """A name as it is without its quotes."""
    if name[0] == "[":
        return name[1:-1]
    if name[0] in "\"'`":
        return name[1:-1].replace(name[0] * 2, name[0])
    return name
