"""SQLite's locks on a database file, taken without SQLite (https://www.sqlite.org/lockingv3.html)."""

from __future__ import annotations

import fcntl
import os
import struct
import time

from holdfast_sqlite.files import size_of

PENDING = 0x40000000
SHARED = PENDING + 2
SHARED_SIZE = 510
ALL_SIZE = 2 + SHARED_SIZE
_TRIES = 10
FLOCK = "hhqqi"  # struct flock on Linux


def share(descriptor: int, timeout: float) -> bool:
    """Take the SHARED lock: nobody can write to the file while it is held; False if that was not possible in time."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            # A writer that waits for readers to leave holds PENDING: whoever comes has to wait behind it.
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, PENDING)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_SIZE, SHARED)
            finally:
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, PENDING)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def claim(descriptor: int, at: int) -> None:
    """Hold a byte together with others; nothing happens where no lock is to be had.

    The lock belongs to the descriptor and those that were forked from it, and goes with the last of them.
    """
    _own(descriptor, "F_OFD_SETLK", fcntl.F_RDLCK, at)


def give_up(descriptor: int, at: int) -> None:
    """Let go of a byte, for those that were forked too."""
    _own(descriptor, "F_OFD_SETLK", fcntl.F_UNLCK, at)


def is_claimed(descriptor: int, at: int) -> bool:
    """Whether anybody else holds a byte."""
    return _own(descriptor, "F_OFD_GETLK", fcntl.F_WRLCK, at) not in (None, fcntl.F_UNLCK)


def _own(descriptor: int, command: str, kind: int, at: int) -> int | None:
    """Use a lock that belongs to a descriptor and not to a process; None if there are no such locks."""
    if not hasattr(fcntl, command):
        return None
    try:
        answer = fcntl.fcntl(descriptor, getattr(fcntl, command), struct.pack(FLOCK, kind, os.SEEK_SET, at, 1, 0))
    except OSError:
        return None
    return int(struct.unpack(FLOCK, answer)[0])


def remove_unused(path: str, suffixes: list[str]) -> None:
    """Remove side files that reading has made, as SQLite itself does when its last connection is closed.

    Opening a database in WAL mode makes `-wal` and `-shm`, and a read-only connection leaves them behind. They go if
    nobody has the database open, which the EXCLUSIVE lock tells, and nothing was written to the log. The index of a
    log that was there goes alone: whoever is the first to open it makes it anew.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # not ours to lock: an empty log does no harm
    try:
        for _ in range(_TRIES):
            if "-wal" in suffixes and size_of(f"{path}-wal"):
                break
            if _is_unused(path, descriptor):
                for suffix in suffixes:
                    if os.path.exists(path + suffix):  # whoever was killed here had removed the first
                        os.unlink(path + suffix)
                break
            time.sleep(0.005)
    except OSError:
        pass  # somebody removes them or has them open, and will remove them
    finally:
        os.close(descriptor)


def _is_unused(path: str, descriptor: int) -> bool:
    """Whether nobody has the database open by this name; if so, nobody can begin to until the descriptor is closed."""
    if _exclude(descriptor, ALL_SIZE):
        return True
    if not _exclude(descriptor, 1):  # those who have it open already stay; whoever comes waits for this lock
        return False
    from holdfast_sqlite.snapshot.names import used_elsewhere_alone

    if used_elsewhere_alone(path, descriptor):
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, PENDING)
    return False


def _exclude(descriptor: int, size: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, size, PENDING)
    except OSError:
        return False
    return True
