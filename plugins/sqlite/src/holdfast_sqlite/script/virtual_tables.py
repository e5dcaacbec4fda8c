"""Virtual tables in a script that holds their content twice: as rows, and in the shadow tables that keep them.

Python's `iterdump` takes shadow tables for tables like any other and writes all that they hold. Virtual tables it
writes

- as `CREATE VIRTUAL TABLE` (3.8 to 3.11.5), which makes the shadow tables, so that their own CREATE TABLE would fail;
- as a row of `sqlite_master` (since 3.11.6), so that the virtual table's own rows have no table to go to.

Taken is what the shadow tables hold: it is the content itself, with its rowids, and needs neither module nor
tokenizer. A script by another hand may fill a virtual table by its rows alone: whether shadow tables come is known
once they come. Until then the rows go into a virtual table that is made for them, and errors are kept.
"""

import itertools
import re
import sqlite3

from holdfast.api import HoldfastError
from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.tokens import folded, tokens, unquoted
from holdfast_sqlite.virtual_tables.definition import Definition, parse
from holdfast_sqlite.virtual_tables.modules import suffixes_of

_SCHEMA_ROW = re.compile(r"INSERT\s+INTO\s+[\"'`\[]?sqlite_(?:master|schema)\b", re.IGNORECASE)
_SCHEMA_TABLE = re.compile(r"VALUES\s*\(\s*'table'\s*,\s*('(?:[^']|'')*')", re.IGNORECASE)
_NO_TABLE = "no such table: "
# What says that a module cannot take a row, or is not here; all other errors end the load.
_OF_A_MODULE = ("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_CORRUPT_VTAB")


class _Table:
    """A virtual table that the script has created; `failure` is the first statement that its module refused."""

    def __init__(self, definition: Definition, sql: str) -> None:
        self.name = definition.name
        self.sql = sql
        self.is_made = True
        self.failure: HoldfastError | None = None
        self.shadows = {f"{folded(definition.name)}_{suffix}" for suffix in suffixes_of(definition)}


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
                self._entered.add(folded(unquoted(match[1])))
        elif definition := parse(statement):
            self._created[folded(definition.name)] = _Table(definition, statement.rstrip("; \t\r\n"))
        elif self._created and (shadow := _name_after(statement, "CREATE", "TABLE")):
            for table in [table for table in self._created.values() if folded(shadow) in table.shadows]:
                self._enter(table)

    def _enter(self, table: _Table) -> None:
        """Let the shadow tables that follow be the content of a virtual table: only its row in the schema stays."""
        execute = self._connection.execute
        sql = table.sql
        stored = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?"
        (writable,) = execute("PRAGMA writable_schema").fetchone()
        execute("PRAGMA writable_schema=ON")
        if table.is_made and (row := execute(stored, (table.name,)).fetchone()):
            sql = row[0]
            self._drop(table)
            execute("PRAGMA writable_schema=ON")
        # Without a journal a CREATE that failed may have left its row.
        execute("DELETE FROM sqlite_schema WHERE type = 'table' AND name = ?", (table.name,))
        execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)",
            (table.name, table.name, sql),
        )
        execute(f"PRAGMA writable_schema={writable:d}")
        del self._created[folded(table.name)]
        self._entered.add(folded(table.name))

    def _drop(self, table: _Table) -> None:
        """Drop what making a virtual table has made, and no table that was there before.

        DROP TABLE would also drop what FTS3 may make later, such as a user's own `_stat`. What the script has said
        before of the statistics of its shadow tables stays.
        """
        execute = self._connection.execute
        if self._connection.in_transaction:
            # A table that was written to stays a part of its transaction, with words that its module still holds. Since
            # 3.44 modules write these by a statement of their own, which fails without the row in the schema.
            execute("COMMIT")
            execute("BEGIN")
        statistics: list[tuple[int, str, str, str]] = []
        if execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
            statistics = execute("SELECT rowid, tbl, idx, stat FROM sqlite_stat1").fetchall()
        execute("DELETE FROM sqlite_schema WHERE type = 'table' AND name = ?", (table.name,))
        execute("PRAGMA writable_schema=RESET")
        for shadow in table.shadows:
            execute(f"DROP TABLE IF EXISTS {identifier(shadow)}")
        insert = "INSERT OR IGNORE INTO sqlite_stat1(rowid, tbl, idx, stat) VALUES (?, ?, ?, ?)"
        for row in statistics:
            execute(insert, row)

    def excuses(self, statement: str, error: sqlite3.Error, failure: HoldfastError) -> bool:
        """Whether a statement that failed loses nothing; `failure` is raised at the end if that turns out otherwise."""
        name = _name_after(statement, "INSERT", "INTO")
        if name and str(error) == f"{_NO_TABLE}{name}" and folded(name) in self._entered:
            return True
        definition = parse(statement)
        table = self._created.get(folded(definition.name if definition else name))
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


def _name_after(statement: str, *words: str) -> str:
    """The name of the table that a statement which begins with these words is about; else nothing."""
    rest = tokens(statement)
    if not all((token := next(rest, None)) and token.is_word(word) for word in words):
        return ""
    token = next(rest, None)
    if token and token.is_word("IF"):
        token = next(itertools.islice(rest, 2, None), None)
    return token.name if token else ""
