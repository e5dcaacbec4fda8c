"""Which locks of SQLite's lie on a database, and whose: an inode has them, whatever name it was opened by.

A connection in WAL mode holds, from its first statement until it is closed, the SHARED lock of the database file and
one on a byte of the log's index, which is beside the name that it knows (os_unix.c: UNIX_SHM_DMS). Who holds the one
must therefore hold the other.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys

from holdfast_sqlite.snapshot.locks import ALL_SIZE, FLOCK, PENDING, SHARED, SHARED_SIZE

ATTACHED = 128  # the byte of the index that everybody who uses it has locked
INDEX_LOCKS = 120  # where the locks of the index begin
_LINE = re.compile(r"\d+: (?:POSIX|OFDLCK)\s+\S+\s+(READ|WRITE)\s+(-?\d+)\s+(\S+)\s+(\d+)\s+(\d+|EOF)")


def blocker(descriptor: int, start: int, size: int) -> int | None:
    """Who else holds a lock on these bytes; not above 0 where the process cannot be seen, None if nobody does.

    The kernel tells that of processes in any namespace, and of other machines where the file system does.
    """
    if sys.platform != "linux":
        return None
    question = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, size, 0)
    try:
        answer = struct.unpack(FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    except OSError:
        return None  # a file system without locks
    return None if answer[0] == fcntl.F_UNLCK else int(answer[4])


class LockTable:
    """One look at the locks on a database file and on the index of its log, without those of this process.

    In `readers` are the processes with the SHARED lock, in `attached` those that use this index, in `elsewhere` those
    that use an index of any other database, in `writers` those with any lock that excludes others. Empty where the
    kernel's table cannot be read; it lacks processes outside of our pid namespace, which `unseen` tells of.
    """

    def __init__(self, file: int, index: int | None) -> None:
        self.readers: set[int] = set()
        self.writers: set[int] = set()
        self.attached: set[int] = set()
        self.elsewhere: set[int] = set()
        descriptors = [file] if index is None else [file, index]
        # On btrfs and overlayfs the table names a file's device otherwise than stat(2): so a mark tells its line.
        mark = 1 << 41 | int.from_bytes(os.urandom(4), "big") << 2
        try:
            for number, descriptor in enumerate(descriptors):
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, mark + number)
            with open("/proc/locks", encoding="ascii", errors="replace") as table:
                self._read(_LINE.findall(table.read()), mark)
        except OSError:
            pass  # no locks here, or no table: `unseen` asks in another way
        finally:
            for number, descriptor in enumerate(descriptors):
                _unlock(descriptor, mark + number)
        self.unseen = self._unseen(file, index)

    def _read(self, lines: list[tuple[str, ...]], mark: int) -> None:
        names = {start: file for _, _, file, start, _ in lines}
        file, index = names.get(str(mark)), names.get(str(mark + 1))
        own = next((pid for _, pid, _, start, _ in lines if start == str(mark)), "")
        if file is None:
            return
        for kind, pid, name, start, end in lines:
            if pid != own:
                self._add(kind, int(pid), int(start), int(end.replace("EOF", "-1")), name=name, ours=(file, index))

    def _add(self, kind: str, pid: int, start: int, end: int, *, name: str, ours: tuple[str, str | None]) -> None:
        if name == ours[0] and start < PENDING + ALL_SIZE and (end < 0 or end >= PENDING):
            if kind == "WRITE":
                self.writers.add(pid)
            elif end < 0 or end >= SHARED:
                self.readers.add(pid)
        elif name == ours[1] and kind == "WRITE":
            self.writers.add(pid)
        elif start <= ATTACHED <= end and start >= INDEX_LOCKS:
            (self.attached if name == ours[1] else self.elsewhere).add(pid)

    def _unseen(self, file: int, index: int | None) -> bool:
        """Whether a process that is not in the table reads the file, and nobody uses the index."""
        reader = blocker(file, SHARED, SHARED_SIZE)
        if reader is None or reader in self.readers | self.writers:
            return False
        return index is None or blocker(index, ATTACHED, 1) is None


def who_blocks(path: str) -> set[int]:
    """Who may be why a lock was not got: holders of locks that exclude others, else those who read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never closed: that would drop what locks we have
    index = os.open(f"{path}-shm", os.O_RDONLY | os.O_CLOEXEC) if os.path.exists(f"{path}-shm") else None
    table = LockTable(file, index)
    unseen = {pid for pid in (blocker(file, PENDING, ALL_SIZE),) if pid is not None}
    return table.writers or table.readers or unseen


def _unlock(descriptor: int, at: int) -> None:
    try:  # noqa: SIM105 (contextlib would take a fiftieth of the time in which this process starts)
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, at)
    except OSError:
        pass  # a file system without locks
