"""Who has a file open, from /proc; where there is none, nobody can be named."""

import os
import re
from collections.abc import Collection

_SIDE_FILES = ("", "-wal", "-shm")


def holders(path: str, *, besides: Collection[int] = ()) -> list[int]:
    """Process ids that have a database or its log open or locked, without those in `besides`.

    Descriptors of other users' processes are not ours to see, their locks are.
    """
    files = set()
    for suffix in _SIDE_FILES:
        try:
            status = os.stat(path + suffix)
        except OSError:
            continue
        files.add((status.st_dev, status.st_ino))
    return sorted(pid for pid in {*_with_descriptors(files), *_with_locks(files)} if pid not in besides)


def _with_descriptors(files: set[tuple[int, int]]) -> set[int]:
    return {pid for pid in _processes() if _opens(pid, files)}


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _opens(pid: int, files: set[tuple[int, int]]) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False  # ended, or somebody else's
    for name in names:
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in files:
            return True
    return False


def _with_locks(files: set[tuple[int, int]]) -> set[int]:
    """Holders of POSIX locks: `1: POSIX  ADVISORY  READ 4711 fe:00:131 1073741826 1073742335`."""
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            lines = locks.readlines()
    except OSError:
        return set()
    pids = set()
    for line in lines:
        match = re.search(r"POSIX\s+\S+\s+\S+\s+(\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s", line)
        if match and (os.makedev(int(match[2], 16), int(match[3], 16)), int(match[4])) in files:
            pids.add(int(match[1]))
    return pids
