"""What a merge means for the rest of the target: foreign keys, views and triggers that no longer fit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from holdfast_sqlite.catalog import argument, identifier
from holdfast_sqlite.child.references import lost_rows
from holdfast_sqlite.lending import APPLICATION
from holdfast_sqlite.merge.plan import Schema
from holdfast_sqlite.selection.references import written_by_triggers
from holdfast_sqlite.tokens import folded, label
from holdfast_sqlite.virtual_tables.fts import MODULES, rebuild

# What says nothing about the tables that are there: only the application has it.
_APPLICATION = (*APPLICATION, "unsafe use")
_PARENTS = 'SELECT "table" FROM pragma_foreign_key_list(CAST(? AS TEXT))'
_LOST = 'SELECT "table", parent FROM pragma_foreign_key_check(CAST(? AS TEXT))'


def broken(connection: sqlite3.Connection, schema: Schema) -> dict[tuple[str, str], str]:
    """Views, and tables with triggers, of which SQLite can make no statement, with what it says."""
    failures = {}
    for entry in schema.entries:
        if entry.kind == "view" and (failure := _failure(connection, f"SELECT * FROM {identifier(entry.name)}")):  # noqa: S608
            failures["view", entry.name] = failure
    tables = {table: _trigger_failure(connection, table) for table in {entry.on for entry in schema.triggers.values()}}
    for trigger in schema.triggers.values():
        if failure := tables[trigger.on]:
            failures["trigger", trigger.name] = failure
    return failures


def _trigger_failure(connection: sqlite3.Connection, table: str) -> str:
    """What keeps the triggers of a table from being compiled; its own statements may be wrong for other reasons."""
    quoted = identifier(table)
    try:
        columns = [identifier(str(row[1])) for row in connection.execute(f"PRAGMA table_info({quoted})")]
    except (sqlite3.Error, UnicodeEncodeError):
        return ""  # a view that cannot be read: that is told of the view; or a name that no statement can hold
    if not columns:
        return ""
    # A column that no statement may set is rare; what it says is told of nothing, since it says so before as well.
    sets = ", ".join(f"{column} = {column}" for column in columns)
    statements = (
        f"INSERT INTO {quoted} DEFAULT VALUES",
        f"DELETE FROM {quoted}",  # noqa: S608
        f"UPDATE {quoted} SET {sets}",  # noqa: S608
    )
    return next((failure for statement in statements if (failure := _failure(connection, statement))), "")


def _failure(connection: sqlite3.Connection, statement: str) -> str:
    try:
        connection.execute(f"EXPLAIN {statement}").fetchone()
    except (sqlite3.Error, UnicodeEncodeError) as error:
        text = str(error)
        speaks = isinstance(error, sqlite3.OperationalError) and not text.startswith(_APPLICATION)
        return text if speaks and "cannot modify" not in text else ""
    return ""


def no_longer_fits(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> list[str]:
    """Name what cannot be used any more, or from the beginning if it was put in."""
    return [
        f"{kind} {label(name)} cannot be used in the target: {failure}"
        for (kind, name), failure in after.items()
        if before.get((kind, name)) != failure
    ]


def lost_references(connection: sqlite3.Connection, schema: Schema, names: set[str]) -> list[str]:
    """Count rows whose foreign keys, out of tables of these names (folded) or into them, lead to no row."""
    lost: dict[tuple[str, str], int] = {}
    failures = []
    for table in _referring(connection, schema, names):
        try:
            for child, parent in connection.execute(_LOST, (argument(table),)):
                if folded(child) in names or folded(parent) in names:
                    lost[child, parent] = lost.get((child, parent), 0) + 1
        except sqlite3.Error as error:
            failures.append(f"the foreign keys of table {label(table)} could not be checked: {error}")
    return failures + [lost_rows(child, parent, count) for (child, parent), count in lost.items()]


def _referring(connection: sqlite3.Connection, schema: Schema, names: set[str]) -> Iterator[str]:
    """Tables with foreign keys that are of these, or whose keys lead to one of these."""
    for entry in schema.entries:
        if entry.kind == "table" and not entry.module:
            parents = [parent for (parent,) in connection.execute(_PARENTS, (argument(entry.name),))]
            if parents and (folded(entry.name) in names or any(folded(parent) in names for parent in parents)):
                yield entry.name


def stale_indexes(schema: Schema, names: set[str]) -> list[str]:
    """Name virtual tables that stay and keep an index of tables of these names (folded), which they do not hold."""
    return [
        f"the virtual table {label(name)} ({owned.module}) keeps an index of {label(source)}, which was restored: "
        f"rebuild it{_command(name, owned.module)}, unless that holds the same as before"
        for name, owned in schema.belongings.items()
        for source in owned.sources
        if folded(source) in names and owned.shadows and folded(name) not in names
    ]


def indexes_of_triggers(connection: sqlite3.Connection, schema: Schema, names: set[str]) -> list[str]:
    """Name virtual tables that stay and that triggers of tables of these names (folded) keep up, as in a GeoPackage.

    That an ordinary table stays as it is, such as a log, is what is expected of a restore.
    """
    if not schema.belongings:
        return []
    written = written_by_triggers(connection, schema.entries, names)
    return [
        f"the virtual table {label(other)} ({owned.module}) is as before, though triggers of {label(table)} write to "
        f"it ({', '.join(map(label, triggers))}): a restore runs no triggers, so restore it too, or rebuild it"
        for (table, other), triggers in written.items()
        if (owned := schema.belongings.get(other)) and folded(table) not in {folded(name) for name in owned.sources}
    ]


def _command(name: str, module: str) -> str:
    return f" ({rebuild(label(name))})" if module in MODULES else ""
