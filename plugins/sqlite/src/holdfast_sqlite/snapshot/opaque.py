"""A file that SQLite cannot read, encrypted or damaged, as one image with what its log or journal holds.

Encryption (SQLCipher, SEE, SQLite3MultipleCiphers) covers pages. The headers of logs and journals are as they always
are, so that pages of a log can be put into the file without the key, as a checkpoint would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import time

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.files import size_of
from holdfast_sqlite.snapshot.lock_table import ATTACHED, INDEX_LOCKS, blocker
from holdfast_sqlite.snapshot.locks import share
from holdfast_sqlite.snapshot.spool import copy_together, create, remove
from holdfast_sqlite.snapshot.wal import RawCopyUnsafe, WalSnapshot, write_all

_PIECE = 1 << 20
_TRIES = 1000
_MARKS = struct.Struct("=5I")
_MARKS_AT = 100  # in the index: for each lock of readers, up to which frame the log must be kept
_FRAMES_AT = 16  # how many frames the log has
_FIRST_READER = INDEX_LOCKS + 3


class OpaqueImage:
    """The image of a file that SQLite cannot read; `frames` is how many frames of a log are in it, None without log."""

    def __init__(self, path: str, target: str, lock_timeout: float) -> None:
        self.frames: int | None = None
        self.omission = ""
        self._path = path
        self._target = target
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never closed: that would drop the lock
        if not share(source, lock_timeout):
            raise TaskError("SQLITE_BUSY", "database is locked")
        if self._log_in_use():
            self._read_pinned()
        else:
            self._read_at_rest(lock_timeout)

    def _log_in_use(self) -> bool:
        try:
            self._index = os.open(f"{self._path}-shm", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        return blocker(self._index, ATTACHED, 1) is not None

    def _read_pinned(self) -> None:
        """Read while others write: with a reader's lock of our own, since SQLite takes none for what it cannot read."""
        lock = _ReaderLock(self._index)
        snapshot = WalSnapshot(self._path, begin=lock.take, end=lock.release, opaque=True)
        try:
            snapshot.pin()
        except RawCopyUnsafe as error:
            raise TaskError("SQLITE_BUSY", f"its log is in use and cannot be read: {error}") from error
        self._write(snapshot)
        snapshot.check_log()

    def _read_at_rest(self, lock_timeout: float) -> None:
        """Copy file, log and journal, and let SQLite recover the copy, which it does before it looks at any page."""
        copy = f"{self._target}-opaque"
        names = copy_together(self._path, copy, lock_timeout)
        connection = sqlite3.connect(copy, isolation_level=None)
        _recover(connection)
        if os.path.exists(f"{copy}-shm"):
            snapshot = WalSnapshot(copy, begin=lambda: _recover(connection), end=lambda: None, opaque=True)
            snapshot.pin()
            self._write(snapshot)
        else:
            os.rename(copy, self._target)
        if "-wal" in names and size_of(f"{self._path}-wal") and not self.frames:
            self.omission = f"the log beside it, {self._path}-wal, holds no whole transaction and is left out"
        connection.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            remove(copy + suffix)

    def _write(self, snapshot: WalSnapshot) -> None:
        target = create(self._target)
        for piece in snapshot.pieces(_PIECE):
            write_all(target, piece)
        os.close(target)
        self.frames = snapshot.frames


def _recover(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.DatabaseError):  # by now the journal is rolled back, or the log has its index
        connection.execute("PRAGMA schema_version").fetchone()


class _ReaderLock:
    """A lock that keeps a log and what is not merged of it, as a connection that only may read takes it.

    Such a one changes no mark (wal.c: walTryBeginRead): it shares the newest that is not beyond the last frame.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._at = 0

    def take(self) -> None:
        """Share the lock; `RawCopyUnsafe` where there is none to share."""
        fcntl.lockf(self._index, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, ATTACHED)  # else the next would make it anew
        for _ in range(_TRIES):
            if self._try():
                return
            time.sleep(0.001)
        raise RawCopyUnsafe(f"no mark of a reader to share in {_TRIES} tries")

    def _try(self) -> bool:
        data = os.pread(self._index, _MARKS_AT + _MARKS.size, 0)
        if len(data) < _MARKS_AT + _MARKS.size:
            return False
        frames = struct.unpack_from("=I", data, _FRAMES_AT)[0]
        marks = enumerate(_MARKS.unpack_from(data, _MARKS_AT))
        mark, number = max(((mark, number) for number, mark in marks if number and mark <= frames), default=(0, 0))
        if not number:
            return False
        self._at = _FIRST_READER + number
        try:
            fcntl.lockf(self._index, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, self._at)
        except OSError:
            return False  # somebody moves this mark on
        if _MARKS.unpack(os.pread(self._index, _MARKS.size, _MARKS_AT))[number] == mark:
            return True
        self.release()
        return False

    def release(self) -> None:
        """Give it back."""
        fcntl.lockf(self._index, fcntl.LOCK_UN, 1, self._at)
