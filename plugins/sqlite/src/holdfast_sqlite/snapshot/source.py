"""Opening a source: how its content can be read, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.child.check import is_damage
from holdfast_sqlite.files import read_through, size_of
from holdfast_sqlite.header import (
    MAGIC,
    ROLLBACK,
    SIZE,
    WAL,
    change_counter,
    is_disguised,
    page_count,
    page_size,
    unsupported,
    versions,
)
from holdfast_sqlite.mounts import mount_of, mounts, shared_file_system
from holdfast_sqlite.snapshot.hidden_locks import refuse_layer, wait_for_folder
from holdfast_sqlite.snapshot.names import Names
from holdfast_sqlite.snapshot.side_files import SideFiles
from holdfast_sqlite.snapshot.wal import RawCopyUnsafe, WalSnapshot

# The media are read-only, or, with the last of them, so full that the index of the log cannot be made.
_NOT_IN_PLACE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_SHM")
_TRIES = 10
_NEWER = "use a newer SQLite, or --allow-damaged to copy the file as it is while nobody writes to it"
_SHARED = (
    "it is on a file system of type {system}, and no program of this machine has it open: what another machine does "
    "with it meanwhile may not be seen from here, and the backup may be wrong then"
)


class Source:
    """A database file, opened to be read and never to be written.

    `access` is how to read its content: `empty` (no bytes at all), `wal` (pinned, in `snapshot`), `file` (raw, under
    the SHARED lock), `private` (a copy has to be recovered first) or `as-is` (SQLite cannot read it). `unsafe` says
    why pages may not be copied as they lie. Descriptors stay open until the process ends: closing one drops all locks.
    """

    def __init__(self, path: str, uri: str, lock_timeout: float, *, allow_damaged: bool, private: bool = False) -> None:
        self.path = path
        self._private = private  # a copy of ours, which nobody else knows of
        self.lock_timeout = lock_timeout
        self.allow_damaged = allow_damaged
        self.access = "file"
        self.unsafe = ""
        self.damage: list[str] = []
        self.connection: sqlite3.Connection | None = None
        self.snapshot: WalSnapshot | None = None
        self._uri = uri
        self._side_files = SideFiles(path)
        self._shared = shared_file_system_of(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # for copying it while the SHARED lock is held
        self.size = os.fstat(self.descriptor).st_size
        self._names = Names(path, self.descriptor, lock_timeout)
        self.warnings = self._names.warnings
        self._stamp: tuple[int, int] | None = None
        self._open()

    @property
    def header(self) -> bytes:
        """The first 100 bytes of the file as they are now."""
        return os.pread(self.descriptor, SIZE, 0)

    @property
    def database(self) -> sqlite3.Connection:
        """The read-only connection."""
        if self.connection is None:
            raise RuntimeError(self.access)
        return self.connection

    def _open(self) -> None:
        if not self._private:
            refuse_layer(self.path)
            wait_for_folder(self.path, self.lock_timeout, self._names.openers)
        if not self.size:
            self.access = "empty"
            warnings, self.damage = _empty(self.path, allow_damaged=self.allow_damaged)
            self.warnings += warnings
        elif why := _no_database(self.header):
            self._unreadable(why, kind="notadb")
            self._check_names()
        else:
            self._check_names()
            if not self._private:
                self._names.check_at_rest(wal=versions(self.header) == WAL)
            self._connect()
            self._check_names()
            if self._names.in_use:  # whoever uses it by this name may merge its log
                self._stamp = None
        self._check_file_system()

    def _check_names(self) -> None:
        """Whoever reads in rollback mode needs no log, and his locks are on the file itself."""
        if not self._private and (versions(self.header) != ROLLBACK or os.path.exists(f"{self.path}-shm")):
            self._names.check()

    def _check_file_system(self) -> None:
        """Warn where somebody may use the database whose locks do not reach here."""
        system = None if self._private else self._shared
        if system is not None and not self._names.in_use and not self._names.openers():
            self.warnings.append(_SHARED.format(system=system))

    def restamp(self) -> None:
        """Say that `snapshot` was pinned anew, and the file may have changed until now."""
        self._stamp = None if self._stamp is None else self.stamp()

    def confirm(self, *, pinned: bool) -> None:
        """See, once everything is read, that nobody has used the database under another name meanwhile.

        `pinned` tells whether it was read in the transaction of `snapshot`, whose log must still be there.
        """
        if not self._private:
            refuse_layer(self.path)
        self._check_names()
        if self.snapshot is None:
            return
        if pinned:
            self.snapshot.check_log()
        if self._stamp is not None and self.stamp() != self._stamp and not _is_explained(self._names, self.snapshot):
            self.check_stamp(self._stamp)

    def stamp(self) -> tuple[int, int]:
        """What tells a change of the file: the time of its last write, in ns, and its size.

        Other machines and FUSE tell that time late: there SQLite's change counter has to do.
        """
        status = os.fstat(self.descriptor)
        return status.st_mtime_ns if self._shared is None else change_counter(self.header), status.st_size

    def check_stamp(self, stamp: tuple[int, int]) -> None:
        """Refuse a file that was changed since `stamp`, where everybody who respects locks could not."""
        if self.stamp() != stamp:
            text = "the file was changed while it was read, by a program that does not respect its lock or its log"
            raise TaskError("unsafe", text, hint="see who writes to it, by another name or without SQLite; try again")

    def _connect(self) -> None:
        if versions(self.header) == WAL and _would_keep_out(self.path):
            self.access = "private"
            self.unsafe = "this user may not write to it, and a log beside it would be this user's"
            return
        if versions(self.header) != ROLLBACK:
            self._side_files.watch()
        try:
            self.connection = sqlite3.connect(
                self._uri, uri=True, timeout=self.lock_timeout, isolation_level=None, check_same_thread=False
            )
            self.begin()
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(_NOT_IN_PLACE):
                self.access = "private"
                self.unsafe = "a journal or log has to be recovered first, and the source is not to be changed"
            elif is_damage(error, self.header):
                read_through(self.descriptor)
                self._unreadable(str(error), kind=name)
            elif name == "SQLITE_NOTADB":
                self._unsupported(unsupported(self.header))
            else:
                raise
            return
        self._choose_access()
        if self.access == "file":
            self.end()

    def begin(self) -> None:
        """Begin a read transaction; in rollback mode nobody can commit while it lasts."""
        self.database.execute("BEGIN")
        # Reads the header and no more, so that a damaged schema does not stop it.
        self.database.execute("PRAGMA schema_version").fetchone()

    def end(self) -> None:
        """End the read transaction."""
        self.database.execute("ROLLBACK")

    def _choose_access(self) -> None:
        """Copy pages as they lie where that is certain to be right."""
        mode = versions(self.header)
        self.size = page_size(self.header) * page_count(self.header, os.fstat(self.descriptor).st_size)
        if self._shared is not None:
            self.unsafe = f"the file system is {self._shared}"
        elif mode == WAL:
            self._pin()
        elif mode != ROLLBACK:
            self.unsafe = f"its header names the format versions {mode[0]} and {mode[1]}"
        elif size_of(f"{self.path}-wal"):
            self.unsafe = "it is in rollback mode and has a write-ahead log"

    def _pin(self) -> None:
        self.end()
        try:
            self.snapshot = self._pinned()
            self.access, self.size = "wal", self.snapshot.size
        except (RawCopyUnsafe, OSError) as error:
            self.unsafe = str(error)
            if self.database.in_transaction:
                self.end()
            self.begin()

    def _pinned(self) -> WalSnapshot:
        """Pin the snapshot at a moment when nobody changes the file, if nobody is known to use the database."""
        for _ in range(_TRIES):
            snapshot = WalSnapshot(self.path, begin=self.begin, end=self.end)
            self._stamp = self.stamp()
            snapshot.pin()
            if self._names.in_use or self.stamp() == self._stamp or snapshot.is_shared():
                return snapshot
            self.end()
        raise RawCopyUnsafe(f"the file was changed in {_TRIES} moments at which it was opened")

    def _unreadable(self, text: str, *, kind: str) -> None:
        if not self.allow_damaged:
            raise TaskError(kind, text)
        self.access = "as-is"
        self.damage.append(f"SQLite cannot read it: {text}")

    def _unsupported(self, text: str) -> None:
        """Whether it is damaged cannot be told; copied as it is, it is neither checked nor compared."""
        if not self.allow_damaged:
            raise TaskError("newer", f"SQLite {sqlite3.sqlite_version} cannot read it: {text}", hint=_NEWER)
        self.access = "as-is"
        self.warnings.append(f"copied as it is, for SQLite {sqlite3.sqlite_version} cannot read it: {text}")

    def clean_up(self) -> None:
        """Remove the side files that our opening has made."""
        if self.connection is not None:
            self.connection.close()
            self._side_files.remove()


def begin_again(source: Source) -> None:
    """Begin one on a source that had no hot journal when it was opened."""
    try:
        source.begin()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
            raise
        raise TaskError(
            "unsafe",
            "a transaction has begun beside it that holds none of SQLite's locks, or has lost them",
            hint="try again: if a program was killed just then, its journal is rolled back in the backup; if it "
            "happens often, see which program writes to it, by another name or with other locks",
        ) from error


def _would_keep_out(path: str) -> bool:
    """Whether SQLite would make a log that is not the owner's, so that he could not write, and we not remove it.

    It gets the mode of the file (os_unix.c: findCreateFileMode), and the lock for its removal takes writing.
    """
    return not os.path.exists(f"{path}-wal") and not os.access(path, os.W_OK)


def _is_explained(names: Names, snapshot: WalSnapshot) -> bool:
    """Whether somebody who uses the log beside this name has changed the file, or may be about to.

    A checkpoint tells of what it has merged only when it is done; whoever was at it meanwhile is asked for first.
    """
    return names.in_use or snapshot.is_shared() or not snapshot.is_current()


def shared_file_system_of(path: str) -> str | None:
    """The type of a path's file system if others may reach that without this machine, as far as the kernel tells."""
    mount = mount_of(path, mounts())
    return mount.kind if mount is not None and shared_file_system(mount.kind) else None


def _no_database(header: bytes) -> str:
    """Why the first bytes are not those of a database, if they are not."""
    if header[: len(MAGIC)] != MAGIC:
        return "it does not begin with 'SQLite format 3'"
    return "it begins as one, and what follows is random, as encryption leaves it" if is_disguised(header) else ""


def locked_size(source: Source) -> int:
    """Bytes of the database; what may have changed since it was opened is looked at again, under the lock."""
    header, file_size = source.header, os.fstat(source.descriptor).st_size
    size = page_size(header) * page_count(header, file_size)
    if versions(header) != ROLLBACK or size_of(f"{source.path}-wal"):
        raise RawCopyUnsafe("the database has changed to WAL mode")
    if size > file_size:
        raise RawCopyUnsafe(f"its header tells of {size} bytes, and it has {file_size}")
    return size


def _empty(path: str, *, allow_damaged: bool) -> tuple[list[str], list[str]]:
    """Warnings and damage of an empty file: it is a database without tables, unless a log tells of some."""
    size = size_of(f"{path}-wal")
    if not size:
        return ["the file is empty, which is a database without tables to SQLite"], []
    text = f"the file is empty, and the log beside it has {size} bytes, of a database that it was"
    if not allow_damaged:
        hint = "find out what has emptied it, and keep that log; --allow-damaged backs up the empty file alone"
        raise TaskError("damaged", text, hint=hint)
    return [], [text]
