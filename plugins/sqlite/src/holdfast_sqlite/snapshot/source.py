"""Opening a source: how its content can be read, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.child.check import is_damage
from holdfast_sqlite.header import MAGIC, ROLLBACK, SIZE, WAL, page_count, page_size, versions
from holdfast_sqlite.snapshot.locks import remove_unused
from holdfast_sqlite.snapshot.wal import RawCopyUnsafe, WalSnapshot

# The media are read-only, or, with the last of them, so full that the index of the log cannot be made.
_NOT_IN_PLACE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_SHM")
# Their locks and caches are not to be trusted with what a raw copy assumes of them.
_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.")


class Source:
    """A database file, opened to be read and never to be written.

    `access` is how to read its content: `empty` (no bytes at all), `wal` (pinned, in `snapshot`), `file` (raw, under
    the SHARED lock), `private` (a copy has to be recovered first) or `as-is` (SQLite cannot read it). `unsafe` says
    why pages may not be copied as they lie. Descriptors stay open until the process ends: closing one drops all locks.
    """

    def __init__(self, path: str, uri: str, lock_timeout: float, *, allow_damaged: bool) -> None:
        self.path = path
        self.lock_timeout = lock_timeout
        self.allow_damaged = allow_damaged
        self.access = "file"
        self.unsafe = ""
        self.damage: list[str] = []
        self.warnings: list[str] = []
        self.connection: sqlite3.Connection | None = None
        self.snapshot: WalSnapshot | None = None
        self._uri = uri
        self._absent = [suffix for suffix in ("-wal", "-shm") if not os.path.exists(path + suffix)]
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._file).st_size
        self._open()

    @property
    def header(self) -> bytes:
        """The first 100 bytes of the file as they are now."""
        return os.pread(self._file, SIZE, 0)

    @property
    def database(self) -> sqlite3.Connection:
        """The read-only connection."""
        if self.connection is None:
            raise RuntimeError(self.access)
        return self.connection

    @property
    def descriptor(self) -> int:
        """The file, for copying it while the SHARED lock is held."""
        return self._file

    def _open(self) -> None:
        if not self.size:
            self.access = "empty"
            log = f"{self.path}-wal"
            if os.path.exists(log) and os.path.getsize(log):
                # SQLite, too, would take this for an empty database: it deletes such a log.
                self.warnings.append("the database file is empty, and its write-ahead log belongs to another one")
        elif self.header[: len(MAGIC)] != MAGIC:
            self._unreadable("it does not begin with 'SQLite format 3'", kind="notadb")
        else:
            self._connect()

    def _connect(self) -> None:
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
            elif is_damage(error):
                self._unreadable(str(error), kind=name)
            else:
                raise
            return
        self._choose_access()
        self.database.execute("ROLLBACK") if self.access == "file" else None

    def begin(self) -> None:
        """Begin a read transaction; in rollback mode nobody can commit while it lasts."""
        self.database.execute("BEGIN")
        # Reads the header and no more, so that a damaged schema does not stop it.
        self.database.execute("PRAGMA schema_version").fetchone()

    def _choose_access(self) -> None:
        """Copy pages as they lie where that is certain to be right."""
        header = self.header
        mode = versions(header)
        self.size = page_size(header) * page_count(header, os.fstat(self._file).st_size)
        log = f"{self.path}-wal"
        if (system := network_file_system(self.path)) is not None:
            self.unsafe = f"the file system is {system}"
        elif mode == WAL:
            self._pin()
        elif mode != ROLLBACK:
            self.unsafe = f"its header names the format versions {mode[0]} and {mode[1]}"
        elif os.path.exists(log) and os.path.getsize(log):
            self.unsafe = "it is in rollback mode and has a write-ahead log"

    def _pin(self) -> None:
        self.database.execute("ROLLBACK")
        snapshot = WalSnapshot(self.database, self.path)
        try:
            snapshot.pin()
        except (RawCopyUnsafe, OSError) as error:
            self.unsafe = str(error)
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            self.begin()
            return
        self.snapshot, self.access, self.size = snapshot, "wal", snapshot.size

    def _unreadable(self, text: str, *, kind: str) -> None:
        if not self.allow_damaged:
            raise TaskError(kind, text)
        self.access = "as-is"
        self.damage.append(f"SQLite cannot read it: {text}")

    def clean_up(self) -> None:
        """Remove the side files that our opening has made."""
        if self.connection is not None and "-wal" in self._absent:
            self.connection.close()
            remove_unused(self.path, self._absent)


def network_file_system(path: str) -> str | None:
    """The kind of file system of a path if it is on a network, as far as the kernel tells."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                fields = line.split()
                kind = fields[fields.index("-") + 1]
                if fields[2] == wanted and kind.startswith(_NETWORK):
                    return kind
    except OSError:
        pass  # not Linux
    return None
