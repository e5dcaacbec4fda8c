"""Sizes, of a file that may be gone by the time that it is asked for, and free space; whether a file can be read.

Standard library only: child processes and restores need it alike.
"""

from __future__ import annotations

import os

_PIECE = 1 << 20


def size_of(path: str) -> int:
    """Bytes of a file; 0 where there is none, or none that can be reached."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def free_bytes(folder: str) -> int | None:
    """Bytes that this user may still write; None where the file system does not tell."""
    try:
        file_system = os.statvfs(folder)
    except OSError:
        return None
    return file_system.f_bavail * file_system.f_frsize if file_system.f_blocks else None


def lacks_inodes(folder: str) -> bool:
    """Whether the file system can take no further file, however much space it has."""
    try:
        file_system = os.statvfs(folder)
    except OSError:
        return False
    return bool(file_system.f_files and not file_system.f_favail)


def read_through(descriptor: int) -> None:
    """Read a file to its end: `OSError` if its medium does not let it be read, which SQLite takes for damage of it.

    SQLite makes SQLITE_CORRUPT of EIO (os_unix.c: unixRead, vdbe.c: SQLITE_IOERR_CORRUPTFS).
    """
    at = 0
    while piece := os.pread(descriptor, _PIECE, at):
        at += len(piece)
