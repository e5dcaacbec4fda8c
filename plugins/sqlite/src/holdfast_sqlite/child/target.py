"""Tasks on a restore's target, which others may have open."""

from __future__ import annotations

import os
import sqlite3

from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.child.users import refuse_left_elsewhere, refuse_open, refuse_other_name
from holdfast_sqlite.files import size_of
from holdfast_sqlite.header import MAGIC, ROLLBACK, SIZE, WAL, versions, write_versions
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.snapshot.side_files import SideFiles
from holdfast_sqlite.snapshot.spool import ProgressTimeout

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from typing import Any

_STEP = 10_000


def probe(channel: Channel) -> None:
    """Tell whether the target holds anything; what is no database, or cannot be read, does."""
    path = channel.task["path"]
    channel.send("probed", data=_holds_data(path, channel.task["uri"], channel.task["lock_timeout"]))


def _holds_data(path: str, uri: str, lock_timeout: float) -> bool:
    if not os.path.getsize(path):
        return size_of(f"{path}-wal") > 0
    side_files = SideFiles(path)
    side_files.watch()
    connection = sqlite3.connect(uri, uri=True, timeout=lock_timeout)
    try:
        return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    except sqlite3.Error:
        return True
    finally:
        connection.close()
        side_files.remove()


def hold(channel: Channel) -> None:
    """Make the target let go of its log and journal, and hold it until the parent has put another file there.

    Stale side files would be replayed into the new file and bring the old content back. Leaving WAL mode merges the
    log into the old database, which thus stays whole whatever happens next; anybody who has it open prevents that.
    `undo` instead of `release` puts it back into WAL mode, and so does the end of the parent before it has done that.
    """
    task = channel.task
    refuse_open(task["path"], task["lock_timeout"])
    descriptor = os.open(task["path"], os.O_RDONLY | os.O_CLOEXEC)
    magic = os.pread(descriptor, len(MAGIC), 0)
    if magic != MAGIC:
        channel.send("held", database=False)
        channel.wait()
        return
    connection = sqlite3.connect(task["uri"], uri=True, timeout=task["lock_timeout"], isolation_level=None)
    channel.outlive()
    wal = False
    try:
        wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0] if wal else "delete"
        if mode == "wal":
            raise TaskError("SQLITE_BUSY", "other connections use its write-ahead log")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            _undo(connection, wal=wal)
            raise
        channel.send("held", database=False)
        channel.wait()
        return
    channel.send("held", database=True)
    if channel.wait() != "release" and _is_at(task["path"], descriptor):
        _undo(connection, wal=wal)
        channel.send("undone")


def _undo(connection: sqlite3.Connection, *, wal: bool) -> None:
    """Let go of a target; somebody who has opened it meanwhile keeps it from going back into WAL mode."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    if wal:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise
    connection.close()


def _is_at(path: str, descriptor: int) -> bool:
    """Whether a file is still the one at its path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def copy(channel: Channel) -> None:
    """Copy an image into the target by SQLite's backup: one transaction, for everybody who has it open.

    `exclusive` is for a target that nobody may have open: it may then change in any way, and gets the image's mode.
    """
    task = channel.task
    with open(task["image"], "rb") as file:
        mode = versions(file.read(SIZE))
    if task["exclusive"]:
        refuse_open(task["path"], task["lock_timeout"])
        target = _open_target(task)
        try:
            _lock_alone(target)
            _backup(target, task, ROLLBACK)
            if mode == WAL:
                target.execute("PRAGMA journal_mode=WAL").fetchone()
        finally:  # or files beside it would be left
            target.close()
    else:
        refuse_other_name(task["path"], task["lock_timeout"])
        refuse_left_elsewhere(task["path"], task["lock_timeout"])
        wal = _check_shape(task)
        target = _open_target(task)
        try:
            _backup(target, task, WAL if wal else ROLLBACK)
        finally:
            target.close()
    channel.send("copied")


def _open_target(task: dict[str, Any]) -> sqlite3.Connection:
    uri = sqlite_uri(task["path"], "rw")
    return sqlite3.connect(uri, uri=True, timeout=task["lock_timeout"], isolation_level=None)


def _lock_alone(target: sqlite3.Connection) -> None:
    """Lock the target so that everybody is kept out until it is closed, and without a log."""
    target.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
    if target.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
        raise TaskError("SQLITE_BUSY", "other connections use its write-ahead log")
    target.execute("BEGIN EXCLUSIVE")
    target.execute("COMMIT")  # the lock stays


def _check_shape(task: dict[str, Any]) -> bool:
    """Refuse, with nothing touched, what connections that are open cannot follow; whether the target is in WAL mode."""
    try:
        encoding, page_size, wal, pages = _read_shape(task["path"], "ro", task["lock_timeout"])
    except sqlite3.OperationalError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise
        # A journal or log that only a writer recovers: that changes what it has to.
        encoding, page_size, wal, pages = _read_shape(task["path"], "rw", task["lock_timeout"])
    wanted, size = _read_shape(task["image"], "ro&immutable=1", 0)[:2]
    hint = "stop the programs that use it, and use --replace"
    if pages and wanted != encoding:
        text = f"the backup is in {wanted}, the target in {encoding}, which open connections cannot change"
        raise TaskError("unsafe", text, hint=hint)
    if wal and size != page_size:
        text = f"the backup has pages of {size} bytes, the target of {page_size}: in WAL mode they cannot change"
        raise TaskError("unsafe", text, hint=hint)
    return wal


def _read_shape(path: str, mode: str, lock_timeout: float) -> tuple[str, int, bool, int]:
    """Encoding, page size, whether it is in WAL mode, and the number of pages; leaves no file behind."""
    side_files = SideFiles(path)
    if "immutable" not in mode:
        side_files.watch()
    connection = sqlite3.connect(sqlite_uri(path, mode), uri=True, timeout=lock_timeout, isolation_level=None)
    try:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        encoding = connection.execute("PRAGMA encoding").fetchone()[0]
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    finally:
        connection.close()
        if "immutable" not in mode:
            side_files.remove()
    return encoding, page_size, wal, pages


def _backup(target: sqlite3.Connection, task: dict[str, Any], mode: bytes) -> None:
    with open(task["image"], "r+b") as file:  # the target's connections keep the mode that they know
        write_versions(file.fileno(), mode)
    image = sqlite3.connect(sqlite_uri(task["image"], "ro&immutable=1"), uri=True, isolation_level=None)
    try:
        image.backup(target, pages=_STEP, progress=ProgressTimeout(task["lock_timeout"]))
    finally:
        image.close()


TASKS = {"probe": probe, "hold": hold, "copy": copy}
