"""Whether any process has a file open, also one that cannot be seen: of another user, in another container.

Linux gives a write lease on a file only while nobody else has it open (fcntl(2), F_SETLEASE).
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time

from holdfast_sqlite.child.channel import TaskError


def refuse_open(path: str, timeout: float) -> None:
    """Refuse a file that anybody has open and does not close within `timeout` seconds.

    Where no lease is given at all (NFS, FUSE, a file of another user, not Linux), nothing is known and nothing said.
    Opens the file: not for a process that has a connection to it.
    """
    deadline = time.monotonic() + timeout
    while _is_open(path):
        if time.monotonic() > deadline:
            raise TaskError("SQLITE_BUSY", "a process has it open, of another user or in another container it may be")
        time.sleep(0.02)


def _is_open(path: str) -> bool:
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # comes when somebody opens the file just then
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False
