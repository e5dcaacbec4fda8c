"""Images in the scratch folder: of a file under its lock, by SQLite's backup, from a private copy, or as it is."""

from __future__ import annotations

import os
import sqlite3
import time

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.files import free_bytes
from holdfast_sqlite.header import write_versions
from holdfast_sqlite.snapshot.locks import share
from holdfast_sqlite.snapshot.super_journal import settle
from holdfast_sqlite.snapshot.wal import read_at, write_all

_PIECE = 1 << 20
_KERNEL_PIECE = 64 << 20
_STEP = 10_000  # pages of a backup step, 40 MB at the usual size
_TRIES = 5
_SIDE_FILES = ("-wal", "-journal")


def check_space(folder: str, size: int) -> None:
    """Refuse to begin what cannot end."""
    free = free_bytes(folder)
    if free is not None and free < size:
        raise TaskError(
            "space",
            f"not enough space in {os.path.dirname(folder)}: {size} bytes are needed for a while, {free} are free",
            hint="set TMPDIR to a folder with more space",
        )


def create(path: str) -> int:
    """Make a private file."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


class Urgency:
    """Gives this process the highest priority, where it may have it, while writers wait for what it does.

    On a busy machine they would wait for its scheduler as well.
    """

    def __enter__(self) -> None:
        self._before = os.getpriority(os.PRIO_PROCESS, 0)
        try:  # noqa: SIM105 (contextlib would take a fiftieth of the time in which this process starts)
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        except PermissionError:
            pass

    def __exit__(self, *_: object) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, self._before)


def copy_file(source: int, target: int, size: int) -> None:
    """Copy the first `size` bytes, within the kernel where it can: 0.1 s for 279 MB, during which writers wait."""
    done = _copy_in_kernel(source, target, size)
    view = memoryview(bytearray(_PIECE))
    while done < size:
        piece = view[: min(_PIECE, size - done)]
        if read_at(source, piece, done) < len(piece):
            raise TaskError("SQLITE_CORRUPT", f"the file ends before byte {size}, which its header tells")
        write_all(target, piece)
        done += len(piece)


def reserve(target: int, size: int) -> None:
    """Take the space of a file before it is written, where the file system can; of too little the copy tells."""
    if hasattr(os, "posix_fallocate") and size:
        try:
            os.posix_fallocate(target, 0, size)
        except OSError:
            return


def _copy_in_kernel(source: int, target: int, size: int) -> int:
    done = 0
    while done < size and hasattr(os, "copy_file_range"):
        try:
            copied = os.copy_file_range(source, target, min(_KERNEL_PIECE, size - done), offset_src=done)
        except OSError:
            break  # not between these file systems; what else it may be the copy by reading and writing says
        if not copied:
            break
        done += copied
    return done


def backup(connection: sqlite3.Connection, path: str, lock_timeout: float, versions: bytes) -> None:
    """Copy what a connection sees by SQLite's online backup, pinned by the read transaction that it is in.

    Unpinned it would start again whenever another connection commits, and never end on a busy database. `versions`
    are those of the source's header, the mark of WAL mode, which a copy without a journal does not get.
    """
    target = sqlite3.connect(path, isolation_level=None)
    # The image is thrown away unless it is whole: nothing in it needs a journal or an fsync.
    target.execute("PRAGMA synchronous=OFF")
    target.execute("PRAGMA journal_mode=OFF")
    connection.backup(target, pages=_STEP, progress=ProgressTimeout(lock_timeout))
    target.close()
    with open(path, "r+b") as file:
        if file.read(1):
            write_versions(file.fileno(), versions)


class ProgressTimeout:
    """The callback of a backup, which ends it without progress: CPython's loop would retry a busy database for ever."""

    def __init__(self, lock_timeout: float) -> None:
        self._timeout = lock_timeout
        self._left = -1
        self._since = time.monotonic()

    def __call__(self, status: int, remaining: int, total: int) -> None:
        """Look at how much is left."""
        del status, total
        now = time.monotonic()
        if remaining != self._left:
            self._left, self._since = remaining, now
        elif now - self._since > self._timeout:
            raise TaskError("SQLITE_BUSY", "the database is locked")


def private_copy(path: str, target: str, lock_timeout: float) -> None:
    """Copy a database with its journal or log and let SQLite recover the copy.

    For a hot journal, and for logs on media where the index of the log cannot be made: what a reader would have to
    write to the source is written to the copy.
    """
    copy_together(path, target, lock_timeout)
    settle(path, f"{target}-journal")
    connection = sqlite3.connect(target, isolation_level=None)
    connection.execute("PRAGMA schema_version").fetchone()  # rolls back, or reads the log
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()


def copy_together(path: str, target: str, lock_timeout: float) -> list[str]:
    """Copy a database with its journal and log as they are at one moment; the suffixes of the files there were.

    The SHARED lock keeps a rollback from beginning; a log has no such lock, but nobody can use one without an index,
    and size and times of the files tell whether somebody did.
    """
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if not share(source, lock_timeout):
        raise TaskError("SQLITE_BUSY", "database is locked")
    for _ in range(_TRIES):
        before = _state(path)
        try:
            for suffix in before:
                _copy(path + suffix, target + suffix)
        except FileNotFoundError:
            continue  # a program has merged its log or ended its transaction
        if _state(path) == before:
            for suffix in set(_SIDE_FILES) - set(before):
                remove(target + suffix)
            return list(before)
        time.sleep(0.1)
    raise TaskError("SQLITE_BUSY", "the database changes while it is copied, and its log cannot be read in place")


def remove(path: str) -> None:
    """Remove a file that need not be there."""
    if os.path.exists(path):
        os.unlink(path)


def _copy(path: str, target: str) -> None:
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never closed: that would drop the lock
    remove(target)
    copy = create(target)
    copy_file(source, copy, os.fstat(source).st_size)
    os.close(copy)


def _state(path: str) -> dict[str, tuple[int, int, int]]:
    state = {}
    for suffix in ("", *_SIDE_FILES):
        try:
            file = os.stat(path + suffix)
        except FileNotFoundError:
            continue
        state[suffix] = (file.st_ino, file.st_size, file.st_mtime_ns)
    return state
