"""Tasks on a restore's target, which others may have open."""

from __future__ import annotations

import os
import sqlite3

from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.header import MAGIC, ROLLBACK, WAL, write_versions
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.snapshot.locks import remove_unused
from holdfast_sqlite.snapshot.spool import ProgressTimeout

_STEP = 10_000


def probe(channel: Channel) -> None:
    """Tell whether the target holds anything; what is no database, or cannot be read, does."""
    path = channel.task["path"]
    channel.send("probed", data=_holds_data(path, channel.task["uri"], channel.task["lock_timeout"]))


def _holds_data(path: str, uri: str, lock_timeout: float) -> bool:
    if not os.path.getsize(path):
        return os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    absent = [suffix for suffix in ("-wal", "-shm") if not os.path.exists(path + suffix)]
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=lock_timeout)
        held = bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        if "-wal" in absent:
            connection.close()
            remove_unused(path, absent)
    except sqlite3.Error:
        return True
    return held


def hold(channel: Channel) -> None:
    """Make the target let go of its log and journal, and hold it until the parent has put another file there.

    Stale side files would be replayed into the new file and bring the old content back. Leaving WAL mode merges the
    log into the old database, which thus stays whole whatever happens next; anybody who has it open prevents that.
    `undo` instead of `release` puts it back into WAL mode.
    """
    task = channel.task
    descriptor = os.open(task["path"], os.O_RDONLY | os.O_CLOEXEC)
    magic = os.pread(descriptor, len(MAGIC), 0)
    if magic != MAGIC:
        channel.send("held", database=False)
        channel.wait()
        return
    connection = sqlite3.connect(task["uri"], uri=True, timeout=task["lock_timeout"], isolation_level=None)
    try:
        wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0] if wal else "delete"
        if mode == "wal":
            raise TaskError("SQLITE_BUSY", "other connections use its write-ahead log")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise
        channel.send("held", database=False)
        channel.wait()
        return
    channel.send("held", database=True)
    if channel.wait() == "undo":
        connection.execute("ROLLBACK")
        if wal:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.close()
        channel.send("undone")


def live(channel: Channel) -> None:
    """Copy an image into the target by SQLite's backup: one transaction, for everybody who has it open."""
    task = channel.task
    target = sqlite3.connect(task["uri"], uri=True, timeout=task["lock_timeout"], isolation_level=None)
    wal = target.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    with open(task["image"], "r+b") as file:  # its users' connections keep the mode that they know
        write_versions(file.fileno(), WAL if wal else ROLLBACK)
    uri = sqlite_uri(task["image"], "ro&immutable=1")
    image = sqlite3.connect(uri, uri=True, isolation_level=None)
    sizes = [connection.execute("PRAGMA page_size").fetchone()[0] for connection in (image, target)]
    if wal and sizes[0] != sizes[1]:
        raise TaskError(
            "unsafe",
            f"the backup has pages of {sizes[0]} bytes, the target of {sizes[1]}: in WAL mode they cannot change",
            hint="stop the programs that use it, and use --replace",
        )
    image.backup(target, pages=_STEP, progress=ProgressTimeout(task["lock_timeout"]))
    target.close()
    channel.send("copied")


TASKS = {"probe": probe, "hold": hold, "live": live}
