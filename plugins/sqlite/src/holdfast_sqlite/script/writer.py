"""A database as SQL text which the `sqlite3` shell loads into an empty file, and `holdfast restore` too.

The first two lines are those of the shell's own `.dump`: newer shells, which refuse to write to `sqlite_schema` and
to the inner tables of virtual tables, let scripts that begin so. Virtual tables are entered into the schema and
their inner tables filled, so that nothing is indexed anew and their modules need not be there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from holdfast_sqlite.catalog import Entry, entries, identifier, literal
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.script.rows import write_rows
from holdfast_sqlite.script.values import add_functions, text_literal

_BREAK = "\r\n"


def write_script(connection: sqlite3.Connection, write: Callable[[bytes], object], *, wal: bool) -> list[str]:
    """Write the whole database that a connection shows, and tell what the user has to know of the script.

    Nobody may change the database meanwhile.

    `wal` tells that it is in WAL mode, which a connection to an immutable image does not see.
    """
    return _Writer(connection, write).run(wal=wal)


class _Writer:
    """One script; `exact` has the shell, too, keep line breaks of DOS in definitions."""

    def __init__(self, connection: sqlite3.Connection, write: Callable[[bytes], object]) -> None:
        add_functions(connection)
        self._connection = connection
        self._write = write
        self._schema = entries(connection)
        self._exact = not self._has_broken_names()

    def run(self, *, wal: bool) -> list[str]:
        self._put("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n")
        for name in ("encoding", "page_size", "auto_vacuum"):
            value = self._pragma(name)
            self._put(f"PRAGMA {name}={literal(value) if isinstance(value, str) else value};\n")
        self._put("PRAGMA ignore_check_constraints=ON;\n")
        for entry in self._schema:
            if entry.kind == "table" and not entry.module and not entry.internal:
                self._put(self._definition(entry))
                write_rows(self._connection, entry.name, self._write)
        self._internal_tables()
        self._virtual_tables()
        for kind in ("index", "view", "trigger"):
            for entry in self._schema:
                if entry.kind == kind and entry.sql:
                    self._put(self._definition(entry))
        for name in ("user_version", "application_id"):
            self._put(f"PRAGMA {name}={self._pragma(name)};\n")
        self._put("PRAGMA ignore_check_constraints=OFF;\nCOMMIT;\n" + ("PRAGMA journal_mode=WAL;\n" if wal else ""))
        return self._warnings()

    def _put(self, text: str) -> None:
        try:
            self._write(text.encode())
        except UnicodeEncodeError as error:
            raise TaskError("failed", "a name is not valid text: it cannot be written as SQL") from error

    def _pragma(self, name: str) -> int | str:
        value: int | str = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _has_broken_names(self) -> bool:
        """Whether a name has a line break of DOS in it, which nothing keeps the shell from changing."""
        columns = [
            str(row[1])
            for entry in self._schema
            if entry.kind == "table" and not entry.module and _BREAK in entry.sql
            for row in self._connection.execute(f"PRAGMA table_xinfo({identifier(entry.name)})")
        ]
        return any(_BREAK in name for name in (*(entry.name for entry in self._schema), *columns))

    def _definition(self, entry: Entry) -> str:
        """What makes a table, index, view or trigger."""
        # The semicolon on a line of its own: a definition may end in a comment.
        text = f"{entry.sql}{chr(10) if '--' in entry.sql else ''};\n"
        if not self._exact or _BREAK not in entry.sql:
            return text
        # Read anew (RESET), it also holds for the rows that follow: a generated column or an index may depend on it.
        used = entry.kind in ("table", "index")
        where = f"type='{entry.kind}' AND name={literal(entry.name)}"
        text += (
            "PRAGMA writable_schema=ON;\n"
            f"UPDATE sqlite_schema SET sql={text_literal(entry.sql)} WHERE {where};\n"
            f"PRAGMA writable_schema={'RESET' if used else 'OFF'};\n"
        )
        return text + (f"REINDEX {identifier(entry.name)};\n" if entry.kind == "index" else "")

    def _internal_tables(self) -> None:
        """Rows of tables that only SQLite itself can make: counters of AUTOINCREMENT and statistics."""
        names = {entry.name for entry in self._schema if entry.internal and entry.kind == "table"}
        if "sqlite_sequence" in names:
            if not any("AUTOINCREMENT" in entry.sql.upper() for entry in self._schema if entry.kind == "table"):
                self._put("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT);\n")
                self._put("DROP TABLE holdfast_counter;\n")
            self._put("DELETE FROM sqlite_sequence;\n")
            write_rows(self._connection, "sqlite_sequence", self._write)
        if "sqlite_stat1" in names:
            self._put("ANALYZE sqlite_schema;\nDELETE FROM sqlite_stat1;\n")
            write_rows(self._connection, "sqlite_stat1", self._write)

    def _virtual_tables(self) -> None:
        """Rows of the schema for virtual tables, whose inner tables are there already."""
        tables = [entry for entry in self._schema if entry.module]
        if not tables:
            return
        self._put("PRAGMA writable_schema=ON;\n")
        for entry in tables:
            name = literal(entry.name)
            self._put(
                "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) "
                f"VALUES('table',{name},{name},0,{text_literal(entry.sql)});\n"
            )
        self._put("PRAGMA writable_schema=OFF;\n")

    def _warnings(self) -> list[str]:
        end = "is changed by the sqlite3 shell, which drops the CR at the end of a line; holdfast restore keeps it"
        changed = [entry for entry in self._schema if not self._exact and _BREAK in entry.sql]
        return [f"the definition of {entry.kind} {entry.name!r} {end}" for entry in changed]
