"""SQLite's locks on a database file, taken without SQLite (https://www.sqlite.org/lockingv3.html)."""

from __future__ import annotations

import fcntl
import os
import time

_PENDING = 0x40000000
_SHARED = _PENDING + 2
_SHARED_SIZE = 510
_ALL_SIZE = 2 + _SHARED_SIZE


def share(descriptor: int, timeout: float) -> bool:
    """Take the SHARED lock: nobody can write to the file while it is held; False if that was not possible in time."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            # A writer that waits for readers to leave holds PENDING: whoever comes has to wait behind it.
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _PENDING)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED)
            finally:
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _PENDING)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def remove_unused(path: str, suffixes: list[str]) -> None:
    """Remove side files that reading has made, as SQLite itself does when its last connection is closed.

    Opening a database in WAL mode makes `-wal` and `-shm`, and a read-only connection leaves them behind. They go if
    nobody has the database open, which the EXCLUSIVE lock tells, and nothing was written to the log.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # not ours to lock: an empty log does no harm
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _ALL_SIZE, _PENDING)
        if "-wal" not in suffixes or os.path.getsize(f"{path}-wal") == 0:
            for suffix in suffixes:
                os.unlink(path + suffix)
    except OSError:
        pass  # somebody has it open, and will remove them
    finally:
        os.close(descriptor)
