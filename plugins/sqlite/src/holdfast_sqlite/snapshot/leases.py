"""Who has a file open, also where nobody can be seen: a lease is given only while nobody else has (fcntl(2)).

Linux alone has leases, on most of its own file systems, and gives them to the owner of a file and to root. Where there
are none nothing is known. A lease is given back at once: who opens the file in between waits for so long.
"""

from __future__ import annotations

import fcntl

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from typing import Literal


def is_open(descriptor: int) -> bool | None:
    """Whether anything but this descriptor, in whatever process, has the file open; None if that cannot be told."""
    return _is_refused(descriptor, "F_WRLCK")


def is_written(descriptor: int) -> bool | None:
    """Whether any process has the file open for writing; None if that cannot be told."""
    return _is_refused(descriptor, "F_RDLCK")


def _is_refused(descriptor: int, lease: Literal["F_WRLCK", "F_RDLCK"]) -> bool | None:
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    import signal

    signal.signal(signal.SIGIO, signal.SIG_IGN)  # tells the holder that somebody waits, and would end us
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, getattr(fcntl, lease))
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None  # not our file, or not on this file system
    return False
