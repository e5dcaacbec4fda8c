"""A database among several that are held at one moment."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.header import ROLLBACK, page_count, page_size, versions
from holdfast_sqlite.snapshot import spool
from holdfast_sqlite.snapshot.lock_table import INDEX_LOCKS, blocker
from holdfast_sqlite.snapshot.locks import share
from holdfast_sqlite.snapshot.source import Source
from holdfast_sqlite.snapshot.wal import RawCopyUnsafe, WalSnapshot, write_all

_PATIENCE = 0.2  # seconds for the lock of one file while those of others are held
_PIECE = 1 << 20
_RESERVED = 0x40000001  # the byte of a database file that whoever writes to it in rollback mode has locked
_INDEX = 48  # bytes at the begin of the index that change with each commit


class Member:
    """One file: opened, held in the state of the moment, copied once, and let go.

    In rollback mode it is held by the SHARED lock, which writers wait for; in WAL mode by a read transaction, which
    nobody notices. `refusal` says why it is not held, if it is not.
    """

    def __init__(self, path: str, uri: str) -> None:
        self.path = path
        self.refusal = ""
        self.image = ""  # where it was copied to, once it was
        self.size = 0
        self.method = "raw"
        self.frames: int | None = None  # that were taken from its log
        self.warnings: list[str] = []
        self._vetted = False
        self._index = b""
        self._shm = -1
        self._source: Source | None = None
        self._uri = uri

    @property
    def source(self) -> Source:
        """What was opened."""
        if self._source is None:
            raise RuntimeError(self.refusal)
        return self._source

    @property
    def in_wal(self) -> bool:
        """Whether it is held by a read transaction alone."""
        return self._source is not None and self.source.access == "wal"

    @property
    def writers_wait(self) -> bool:
        """Whether it is held by a lock that writers wait for."""
        return self._source is not None and self.source.access in ("file", "private")

    @property
    def snapshot(self) -> WalSnapshot:
        """The snapshot of a database in WAL mode."""
        if self.source.snapshot is None:
            raise RuntimeError(self.source.access)
        return self.source.snapshot

    def vet(self) -> None:
        """Look for who uses it under another name, which takes long once this process holds the locks of many files."""
        if not self.open() or self.refusal or not self.in_wal:
            return
        source, self._source = self.source, None
        source.database.close()
        source.clean_up()
        self._vetted = True

    @property
    def opened(self) -> bool:
        """Whether there is nothing left to be opened."""
        return self._source is not None or bool(self.refusal)

    def open(self) -> bool:
        """Open it; False if it is locked, so that it is worth to try again. All else leaves it out."""
        self.refusal = ""
        try:
            source = Source(self.path, self._uri, _PATIENCE, allow_damaged=False, private=self._vetted)
        except (sqlite3.Error, TaskError, OSError) as error:
            busy = _is_busy(error)
            self.refusal = "" if busy else reason_of(error)
            return not busy
        self._source = source
        self.size = source.size
        self.warnings += [warning for warning in source.warnings if warning not in self.warnings]
        journal = os.path.exists(f"{self.path}-journal")
        if (source.access == "private" and (versions(source.header) != ROLLBACK or not journal)) or (
            source.access != "private" and source.unsafe
        ):
            self.refusal = source.unsafe
        if source.access == "file" and source.connection is not None:
            source.connection.close()  # it would take 0.1 MB, and the lock is all that is needed
        return True

    def lock(self) -> bool:
        """Hold what writers wait for; False if a writer was not done in time."""
        source = self.source
        if not share(source.descriptor, _PATIENCE):
            return False
        if source.access == "file" and (versions(source.header) != ROLLBACK or self._has_hot_journal()):
            self.refusal = "its journal mode was changed, or a program that wrote to it was killed, just now"
            self.release()
        return True

    def _has_hot_journal(self) -> bool:
        """Whether a transaction was cut short, asked in SQLite's order: who ends one well does it the other way."""
        if not os.path.exists(f"{self.path}-journal") or blocker(self.source.descriptor, _RESERVED, 1) is not None:
            return False
        try:
            with open(f"{self.path}-journal", "rb") as journal:
                return journal.read(1) not in (b"", b"\0")
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let go of what writers wait for."""
        fcntl.lockf(self.source.descriptor, fcntl.LOCK_UN)

    def pin(self) -> None:
        """Hold the newest state of a database in WAL mode."""
        if self.source.database.in_transaction:
            self.source.database.execute("ROLLBACK")
        try:
            self._index = self.snapshot.begin()
            self.source.restamp()
            if self._shm < 0:  # and never closed: see `Source`
                self._shm = os.open(f"{self.path}-shm", os.O_RDONLY | os.O_CLOEXEC)
        except (RawCopyUnsafe, sqlite3.Error, OSError) as error:
            self.refusal = reason_of(error)

    @property
    def changed(self) -> bool:
        """Whether somebody has committed since `pin`; of an empty file, whether it is one no longer."""
        if self.source.access == "empty":
            return os.fstat(self.source.descriptor).st_size > 0
        return self.in_wal and os.pread(self._shm, _INDEX, 0) != self._index[:_INDEX]

    @property
    def writer(self) -> int | None:
        """The process that writes to it in WAL mode, or None; 0 or less is one that the kernel hides.

        Whoever writes has the first lock of the index, from his first page to his last.
        """
        if not self.in_wal:
            return None
        return blocker(self._shm, INDEX_LOCKS, 1) if sys.platform == "linux" else 0

    def copy(self, target: str) -> None:
        """Copy the state of the moment to a new file."""
        source = self.source
        if source.access == "private":
            self.method = "private copy"
            spool.private_copy(self.path, target, _PATIENCE)
        else:
            image = spool.create(target)
            self._copy_to(image)
            os.close(image)
        source.confirm(pinned=self.in_wal)
        self.size = os.path.getsize(target)
        self.image = target

    def _copy_to(self, image: int) -> None:
        if self.in_wal:
            self.snapshot.map(self._index)
            for piece in self.snapshot.pieces(_PIECE):
                write_all(image, piece)
            self.frames = self.snapshot.frames
        elif self.source.access == "file":
            header, file_size = self.source.header, os.fstat(self.source.descriptor).st_size
            spool.copy_file(self.source.descriptor, image, page_size(header) * page_count(header, file_size))

    def let_go(self) -> None:
        """Let others do what they like, and remove what opening has left beside the file."""
        source, self._source = self._source, None
        if source is None:
            return
        if source.access in ("file", "private"):
            fcntl.lockf(source.descriptor, fcntl.LOCK_UN)
        elif source.connection is not None:
            if source.connection.in_transaction:
                source.connection.execute("ROLLBACK")
            source.clean_up()


def reason_of(error: Exception) -> str:
    """Why something failed, in a few words."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
