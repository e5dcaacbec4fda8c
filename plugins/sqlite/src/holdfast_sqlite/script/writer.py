"""A database as SQL text which the `sqlite3` shell loads into an empty file, and `holdfast restore` too.

The first two lines are those of the shell's own `.dump`: newer shells, which refuse to write to `sqlite_schema` and
to the inner tables of virtual tables, let scripts that begin so. Virtual tables are entered into the schema and
their inner tables filled, so that nothing is indexed anew and their modules need not be there.

Every definition is tried in an empty database before it is written (`trial`), and so are the rows against it
(`survey`): what an INSERT or CREATE would refuse or change is written by way of `sqlite_schema` (`definitions`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from holdfast_sqlite.catalog import entries, literal
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.lending import lending
from holdfast_sqlite.script.plan import IMAGE, Plan, TablePlan
from holdfast_sqlite.script.rows import write_rows
from holdfast_sqlite.script.values import add_functions
from holdfast_sqlite.tokens import tokens

_BREAK = "\r\n"


class Told:
    """What is told of a script; `needs` are the objects that are made only with the help of their application."""

    def __init__(self, warnings: list[str], needs: list[dict[str, str]]) -> None:
        self.warnings = warnings
        self.needs = needs


def write_script(
    connection: sqlite3.Connection, write: Callable[[bytes], object], *, wal: bool, extensions: Sequence[str] = ()
) -> Told:
    """Write the whole database that a connection shows, and tell what the user has to know of the script.

    Nobody may change the database meanwhile. `wal` tells that it is in WAL mode, which a connection to an immutable
    image does not see; it has the `extensions` loaded. What cannot be written so that it is loaded as it was is a
    `TaskError`, before the first byte.
    """
    add_functions(connection)
    _refuse_broken_text(connection)
    changed = _changed_by_the_shell(connection)
    plan = Plan(connection, extensions, keep_returns=not changed)
    _Writer(connection, write).run(plan, wal=wal)
    return Told([*plan.warnings, *changed], plan.needs)


class _Writer:
    """One script."""

    def __init__(self, connection: sqlite3.Connection, write: Callable[[bytes], object]) -> None:
        self._connection = connection
        self._write = write

    def run(self, plan: Plan, *, wal: bool) -> None:
        """Write everything: tables with their rows, then all that would take notice of rows."""
        self._put(["PRAGMA foreign_keys=OFF", "BEGIN TRANSACTION"])
        encoding, page_size, auto_vacuum = map(self._pragma, ("encoding", "page_size", "auto_vacuum"))
        self._put([f"PRAGMA encoding={literal(str(encoding))}", f"PRAGMA page_size={page_size}"])
        self._put([f"PRAGMA auto_vacuum={auto_vacuum}", "PRAGMA ignore_check_constraints=ON"])
        for table in (*plan.tables, *plan.internal):
            self._table(table)
        for statements in plan.objects:
            self._put(statements)
        self._put([f"PRAGMA {name}={self._pragma(name)}" for name in ("user_version", "application_id")])
        self._put(["PRAGMA ignore_check_constraints=OFF", "COMMIT"])
        self._put(["PRAGMA journal_mode=WAL"] if wal else [])
        for statements in plan.last:
            self._put(statements)

    def _table(self, plan: TablePlan) -> None:
        self._put(plan.before)
        lending(self._connection, lambda: self._rows(plan))
        self._put(plan.after)

    def _rows(self, plan: TablePlan) -> None:
        write_rows(self._connection, plan.table, self._write, computed=plan.computed, has_long=plan.has_long)

    def _put(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self._write(f"{statement};\n".encode())

    def _pragma(self, name: str) -> int | str:
        value: int | str = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def _refuse_broken_text(connection: sqlite3.Connection) -> None:
    """Refuse definitions that are not text in the database's encoding: a script could not name what they name."""
    for entry in entries(connection):
        try:
            f"{entry.name}{entry.on}{entry.sql}".encode()
        except UnicodeEncodeError as error:
            name = entry.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise TaskError(
                "script", f"the definition of {entry.kind} {name!r} is not valid text", hint=IMAGE
            ) from error


def _changed_by_the_shell(connection: sqlite3.Connection) -> list[str]:
    """Tell of definitions that the shell changes: a name with a line break of DOS in it nothing keeps it from."""
    broken = [entry for entry in entries(connection) if _BREAK in entry.sql]
    if not any(_BREAK in token.name for entry in broken for token in tokens(entry.sql) if token.kind == "quoted"):
        return []
    end = "is changed by the sqlite3 shell, which drops the CR at the end of a line; holdfast restore keeps it"
    return [f"the definition of {entry.kind} {entry.name!r} {end}" for entry in broken]
