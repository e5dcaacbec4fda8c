"""A database with some tables only, made of a whole one: what else there is leaves its schema, the rest is packed anew.

What stays is exactly as it was, rowids and the inner tables of full-text indexes included, which copying row by row
would not do; VACUUM INTO keeps rowids, plain VACUUM need not (https://www.sqlite.org/lang_vacuum.html).
"""

from __future__ import annotations

import os
import sqlite3

from holdfast_sqlite.catalog import Entry, entries, identifier, literal
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.header import ROLLBACK, WAL, write_versions
from holdfast_sqlite.selection.choice import choose
from holdfast_sqlite.selection.references import dangling
from holdfast_sqlite.tokens import label, surrogates
from holdfast_sqlite.trial import Trials
from holdfast_sqlite.virtual_tables.ownership import belongings, marked_tables

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from collections.abc import Sequence


def select_tables(
    connection: sqlite3.Connection,
    target: str,
    *,
    select: Sequence[str],
    exclude: Sequence[str],
    references: bool = True,
) -> list[str]:
    """Take from a private database what is not selected and write the rest to `target`; what the user has to know.

    `select` and `exclude` are names of tables or views, or patterns for them, without regard to case; indexes and
    triggers go with their tables, inner tables with their virtual table. `references` names what stays and refers to
    what does not, which says nothing where the selection goes into a database that has more. The private database is
    of no use afterwards.
    """
    schema = entries(connection)
    owned = belongings(schema, marked_tables(connection))
    choice = choose(schema, owned, select, exclude)
    warnings = choice.warnings
    if references:
        compiler = _another(connection)
        try:
            warnings += dangling(compiler, schema, owned, choice.keep)
        finally:
            compiler.close()
    wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.execute("PRAGMA synchronous=OFF")
    if not wal:
        connection.execute("PRAGMA journal_mode=OFF")
    gone = [entry for entry in schema if entry.on not in choice.keep and not _is_sqlites_own(entry)]
    # Where nothing is left out there is nothing to pack: VACUUM makes all definitions anew, and takes a time that grows
    # with the square of their number.
    if gone and _can_be_packed(connection, schema, choice.keep):
        _forget(connection, gone)
        connection.execute(f"VACUUM INTO {literal(os.fsdecode(target))}")
    else:
        _drop(connection, gone)
        copy = sqlite3.connect(target)
        try:
            connection.backup(copy)
        finally:
            copy.close()
    with open(target, "r+b") as file:  # neither of the two copies the mark
        write_versions(file.fileno(), WAL if wal else ROLLBACK)
    return warnings


def _another(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Connect to the same database once more."""
    (path,) = [row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"]
    another = sqlite3.connect(path, isolation_level=None)
    another.text_factory = surrogates
    return another


def _is_sqlites_own(entry: Entry) -> bool:
    """Whether an object stays whatever is selected: counters and statistics."""
    return entry.kind == "table" and entry.internal


def _forget(connection: sqlite3.Connection, gone: list[Entry]) -> None:
    """Take objects out of the schema, with what SQLite's own tables say of them; their pages stay where they are.

    VACUUM INTO reads nothing of these. DROP TABLE would take time for each page, and some modules of virtual tables
    drop more than is theirs: FTS3 a `_stat` or `_docsize` of the user's.
    """
    execute = connection.execute
    execute("CREATE TEMP TABLE holdfast_gone(id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO holdfast_gone VALUES (?)", [(entry.rowid,) for entry in gone])
    names = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rowid IN holdfast_gone"
    for entry in entries(connection):
        if _is_sqlites_own(entry) and entry.name.startswith(("sqlite_sequence", "sqlite_stat")):
            column = "name" if entry.name == "sqlite_sequence" else "tbl"
            execute(f"DELETE FROM main.{identifier(entry.name)} WHERE {column} IN ({names})")  # noqa: S608
    execute("PRAGMA writable_schema=ON")
    execute("DELETE FROM main.sqlite_schema WHERE rowid IN holdfast_gone")
    execute("PRAGMA writable_schema=RESET")


def _drop(connection: sqlite3.Connection, gone: list[Entry]) -> None:
    """Drop objects from a database that cannot be packed, and overwrite their pages with zeros."""
    execute = connection.execute
    execute("PRAGMA foreign_keys=OFF")
    execute("PRAGMA secure_delete=ON")
    execute("PRAGMA writable_schema=ON")
    virtual = [(entry.rowid,) for entry in gone if entry.module]
    connection.executemany("DELETE FROM sqlite_schema WHERE rowid = ?", virtual)
    execute("PRAGMA writable_schema=RESET")
    for entry in gone:
        if entry.kind in ("table", "view") and not entry.module:
            try:
                execute(f"DROP {entry.kind} {identifier(entry.name)}")
            except UnicodeEncodeError as error:
                name = label(entry.name)
                raise TaskError("failed", f"{entry.kind} {name} cannot be left out: its name is not UTF-8") from error


def _can_be_packed(connection: sqlite3.Connection, schema: list[Entry], keep: set[str]) -> bool:
    """Whether VACUUM can make the tables anew: it needs the functions and collations of their definitions."""
    made = [entry for entry in schema if entry.on in keep and entry.kind in ("table", "index") and not entry.module]
    made.sort(key=lambda entry: entry.kind != "table")
    trials = Trials(connection, made)
    # Bytes that are not UTF-8 are letters of a name, or of a text.
    return not any(
        trials.of(entry.on).run([entry.sql.encode(errors="surrogateescape").decode("latin-1")])
        for entry in made
        if entry.sql
    )
