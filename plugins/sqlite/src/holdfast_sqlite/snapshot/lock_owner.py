"""Who holds a lock, asked without taking it."""

from __future__ import annotations

import fcntl
import os
import struct
import sys

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of Linux: type, whence, start, length, owner


def lock_owner(descriptor: int, at: int) -> int | None:
    """The id of a process that has this byte locked exclusively, or None; 0 or less is one that the kernel hides.

    Nobody else notices. Locks of this process itself are not seen.
    """
    if not sys.platform.startswith("linux"):
        return 0  # the question is put in another way there: whoever asks cannot tell
    asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, at, 1, 0)
    kind, _, _, _, owner = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(owner)
