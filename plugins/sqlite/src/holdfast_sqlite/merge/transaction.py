"""The merge itself: everything in one transaction of the target, which its users see whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from holdfast_sqlite.catalog import Entry, identifier
from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.extensions import load_extensions
from holdfast_sqlite.header import has_checksums, read_header
from holdfast_sqlite.lending import APPLICATION
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.merge.access import open_uri, refuse_users
from holdfast_sqlite.merge.consequences import (
    broken,
    indexes_of_triggers,
    lost_references,
    no_longer_fits,
    stale_indexes,
)
from holdfast_sqlite.merge.plan import Plan, Schema
from holdfast_sqlite.merge.rows import IMAGE, Table, compare, copy_attached, copy_converted
from holdfast_sqlite.tokens import folded, label

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from typing import Any

_NEEDS = (
    "use --load-extension with the library that has it, or restore into a new file, which takes definitions as they are"
)
_CHECKSUMS = (
    "the target has room for checksums of its pages, which SQLite writes with the checksum VFS alone: where its "
    "program says 'disk I/O error', run PRAGMA checksum_verification=OFF and VACUUM in that"
)
# DROP TABLE takes 96 KB of memory for each index of the table, and as long as dropping them one by one.
_MOST_INDEXES = 50


def merge(channel: Channel) -> None:
    """Put everything that the image holds into the target, in the place of its likes where `replace` allows it."""
    try:
        warnings = _merge(channel.task)
    except UnicodeEncodeError as error:
        raise TaskError(
            "failed", "a name or definition is not valid UTF-8 and cannot be made anew", hint="restore the whole backup"
        ) from error
    except sqlite3.OperationalError as error:
        if not str(error).startswith(APPLICATION):
            raise
        raise TaskError("unsafe", f"what is restored needs what its application has: {error}", hint=_NEEDS) from error
    channel.send("merged", warnings=warnings)


def _merge(task: dict[str, Any]) -> list[str]:
    tables = _prepare(task["image"])
    refuse_users(task)
    checksums = [_CHECKSUMS] if has_checksums(read_header(task["path"])) else []
    # Closed whatever happens: closing rolls back, and without it the journal stays beside the target.
    with (
        closing(open_uri(sqlite_uri(task["image"], "ro&immutable=1"), 0)) as image,
        closing(open_uri(sqlite_uri(task["path"], "rw"), task["lock_timeout"])) as target,
    ):
        for connection in (image, target):
            load_extensions(connection, task["load_extension"])
        attached = _join(task["image"], image, target)
        # Exclusive also in rollback mode: a page that leaves the cache early needs that lock, and memory stays flat.
        target.execute("BEGIN EXCLUSIVE")
        warnings = _Merge(image, target, tables, attached=attached).run(replace=task["replace"])
        target.execute("COMMIT")
    return [*checksums, *warnings]


def _join(path: str, image: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    """Prepare the target, and attach the image to it where both are in one encoding; whether they are."""
    for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON", "cache_size=-8192"):
        target.execute(f"PRAGMA {pragma}")
    encodings = [connection.execute("PRAGMA encoding").fetchone()[0] for connection in (image, target)]
    if encodings[0] != encodings[1]:
        return False
    # Not read-only, where SQLite leaves out CHECK constraints, so that no table would be like its copy; and without
    # a journal, so that the target alone is part of the transaction.
    target.execute(f"ATTACH ? AS {IMAGE}", (sqlite_uri(path, "rw"),))
    target.execute(f"PRAGMA {IMAGE}.journal_mode=OFF").fetchone()
    return True


def _prepare(path: str) -> list[Table]:
    """Give the heaps of the image, which is ours alone, the index that keeps their rowids; all its tables."""
    with closing(open_uri(sqlite_uri(path, "rw"), 0)) as image:
        image.execute("PRAGMA journal_mode=OFF" if _mode(image) != "wal" else "PRAGMA journal_mode=DELETE")
        image.execute("BEGIN")  # one lock for all that is read, and one commit, not a write to disk for each
        tables = _tables(image)
        for table in tables:
            if table.heap:
                image.execute(table.keeper("main"))
        image.execute("COMMIT")
    return tables


def _mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def _tables(image: sqlite3.Connection) -> list[Table]:
    entries = Schema(image).entries
    return [Table(image, entry) for entry in entries if entry.kind == "table" and not entry.module]


class _Merge:
    """One merge, within the transaction of `target`."""

    def __init__(
        self, image: sqlite3.Connection, target: sqlite3.Connection, tables: list[Table], *, attached: bool
    ) -> None:
        self._image = image
        self._target = target
        self._tables = tables
        self._attached = attached
        self._plan = Plan(image, target)

    def run(self, *, replace: bool) -> list[str]:
        """Do it, and make sure that it is right; what the user has to know."""
        if self._plan.replaced and not replace:
            made = ", ".join(label(entry.name) for entry in self._plan.replaced)
            raise TaskError("unsafe", f"meanwhile somebody has made {made}", hint="use --replace to replace them")
        before = broken(self._target, self._plan.target)
        entries = self._plan.image.entries
        for entry in self._plan.replaced:
            self._drop(entry)
        tables = [entry for entry in entries if entry.kind == "table"]
        self._make([entry for entry in tables if not entry.module])
        self._fill()
        self._make([entry for entry in entries if entry.kind == "index" and entry.sql])
        self._enter([entry for entry in tables if entry.module])
        self._make([entry for entry in entries if entry.kind == "view"])
        self._make([entry for entry in entries if entry.kind == "trigger"])
        names = {folded(entry.name) for entry in self._plan.image.named}
        schema = Schema(self._target)
        gone = [
            f"{entry.kind} {label(entry.name)} is gone: {label(entry.on)} of the backup has none of that name"
            for entry in self._plan.gone
        ]
        return [
            *gone,
            *no_longer_fits(before, broken(self._target, schema)),
            *lost_references(self._target, schema, names),
            *stale_indexes(schema, names),
            *indexes_of_triggers(self._target, schema, names),
        ]

    def _drop(self, entry: Entry) -> None:
        """Drop a table or view; with foreign keys off no row of another table is touched."""
        try:
            self._drop_indexes(entry)
            self._target.execute(f"DROP {entry.kind.upper()} main.{identifier(entry.name)}")
        except sqlite3.OperationalError as error:
            if not entry.module or getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
                raise
            raise TaskError(
                "unsafe",
                f"the virtual table {label(entry.name)} of the target cannot be dropped without its module: {error}",
                hint="let a program that has the module drop it first, or restore into another file",
            ) from error

    def _drop_indexes(self, entry: Entry) -> None:
        """Drop the indexes of a table that has very many, and so would take much memory to drop at once."""
        indexes = self._plan.target.indexes.get(entry.name, [])
        if len(indexes) > _MOST_INDEXES:
            for index in indexes:
                self._target.execute(f"DROP INDEX main.{identifier(index.name)}")

    def _make(self, entries: list[Entry]) -> None:
        for entry in entries:
            try:
                self._target.execute(entry.sql)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":
                    raise
                text = f"{entry.kind} {label(entry.name)} cannot be made in the target: {error}"
                if str(error).startswith(APPLICATION):
                    raise TaskError("unsafe", text, hint=_NEEDS) from error
                hint = "restore into a new file, which takes definitions as they are"
                raise TaskError("failed", text, hint=hint) from error

    def _fill(self) -> None:
        for table in self._tables:
            if self._attached:
                copy_attached(self._target, table)
            else:
                copy_converted(self._image, self._target, table)
            compare(self._image, self._target, table)
        names = {table.name for table in self._tables}
        self._copy_own("sqlite_sequence", names)
        self._copy_own("sqlite_stat1", names)

    def _copy_own(self, own: str, names: set[str]) -> None:
        """Copy what SQLite's own table says of some tables, where both have it.

        In one pass: it is kept by no index, and to look for each table would take the square of their number.
        """
        exists = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        if not all(connection.execute(exists, (own,)).fetchone() for connection in (self._image, self._target)):
            return
        rows = self._target.execute(f"SELECT rowid, * FROM main.{own}")  # noqa: S608
        former = [(rowid,) for rowid, name, *_ in rows if name in names]
        self._target.executemany(f"DELETE FROM main.{own} WHERE rowid = ?", former)  # noqa: S608
        for row in self._image.execute(f"SELECT * FROM {own}"):  # noqa: S608
            if row[0] in names:
                parameters = ", ".join("?" * len(row))
                self._target.execute(f"INSERT INTO main.{own} VALUES ({parameters})", row)  # noqa: S608

    def _enter(self, entries: list[Entry]) -> None:
        """Enter virtual tables, whose inner tables are there, as VACUUM does: by their row of the schema alone.

        Their module would make inner tables of its own, and it need not be here.
        """
        if not entries:
            return
        self._target.execute("PRAGMA writable_schema=ON")
        for entry in entries:
            self._target.execute(
                "INSERT INTO main.sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)",
                (entry.name, entry.name, entry.sql),
            )
        # Others learn of a changed schema by its number alone.
        version = self._target.execute("PRAGMA main.schema_version").fetchone()[0]
        self._target.execute(f"PRAGMA main.schema_version={version + 1}")
        self._target.execute("PRAGMA writable_schema=RESET")
