"""Who has a file open, from /proc; where there is none, nobody can be named."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection

_SIDE_FILES = ("", "-wal", "-shm")
_MOST_NAMED = 10


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


def processes() -> list[int]:
    """The ids of all processes that can be seen."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def open_files(pid: int, *, to_write: bool = False) -> dict[str, tuple[int, int]] | None:
    """What a process has open: names as the process knows them, with device and inode; None if that is not to see.

    A name that is gone ends with " (deleted)". `to_write` leaves out what is open for reading only.
    """
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return None  # ended, or somebody else's
    files = {}
    refused = False
    for number in numbers:
        try:
            if to_write and not os.lstat(f"{folder}/{number}").st_mode & stat.S_IWUSR:
                continue
            status = os.stat(f"{folder}/{number}")
            files[os.readlink(f"{folder}/{number}")] = (status.st_dev, status.st_ino)
        except PermissionError:
            refused = True
        except OSError:
            continue
    # Of a process outside of a rootless container the numbers are to see, and not what they stand for.
    return None if refused and not files else files


def maps(pid: int, name: str) -> bool:
    """Whether a process has a file, by the name that `open_files` gives, in its memory."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as lines:
            return any(line.rstrip("\n").endswith(f" {name}") for line in lines)
    except OSError:
        return False  # ended, or somebody else's


def process_names(pids: Collection[int]) -> str:
    """Processes as a message names them: `process 4711 (grafana)`; an id below 1 is one that cannot be seen."""
    named = [f"{pid}{_program(pid)}" for pid in sorted(pids) if pid > 0]
    if not named:
        return "a process that cannot be seen from here, of another container or user"
    more = " and more" if len(named) > _MOST_NAMED else ""
    return f"{'process' if len(named) == 1 else 'processes'} {', '.join(named[:_MOST_NAMED])}{more}"


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = "".join(character if character.isprintable() else "?" for character in file.read().strip())
    except OSError:
        return ""
    return f" ({name})" if name else ""


def _with_descriptors(files: set[tuple[int, int]]) -> set[int]:
    return {pid for pid in processes() if not files.isdisjoint((open_files(pid) or {}).values())}


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
