"""Refusing a target for those who have it open: at all, or under another name."""

from __future__ import annotations

import os
import time

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.header import SIZE, WAL, versions
from holdfast_sqlite.snapshot.leases import is_open
from holdfast_sqlite.snapshot.names import Names


def refuse_open(path: str, timeout: float) -> None:
    """Refuse a file that anybody has open and does not close within `timeout` seconds, as far as leases tell.

    Opens the file: not for a process that has a connection to it.
    """
    deadline = time.monotonic() + timeout
    while _is_open(path):
        if time.monotonic() > deadline:
            raise TaskError("SQLITE_BUSY", "a process has it open, of another user or in another container it may be")
        time.sleep(0.02)


def _is_open(path: str) -> bool | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return is_open(descriptor)
    finally:
        os.close(descriptor)


def refuse_other_name(path: str, timeout: float) -> None:
    """Refuse a database in WAL mode that is open under another name: nobody would see what is written under this one.

    More than that: two logs of one file, merged one after the other, destroy it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never closed: that would drop the connection's locks
    if versions(os.pread(descriptor, SIZE, 0)) != WAL:
        return
    with _Hint("restore under the name that the program uses, or stop it and use --replace"):
        Names(path, descriptor, timeout).check()


def refuse_left_elsewhere(path: str, timeout: float) -> None:
    """Refuse a database beside whose other name a killed program has left a log or hot journal.

    Its next user by that name would put old pages over what is written under this one.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never closed, as above
    wal = versions(os.pread(descriptor, SIZE, 0)) == WAL
    with _Hint("open it once by that name with a program that uses it, so that this is merged or rolled back"):
        Names(path, descriptor, timeout).check_at_rest(wal=wal)


class _Hint:
    """Gives an objection the hint that a restore needs."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, TaskError):
            raise TaskError(error.kind, str(error), hint=self._text) from error
