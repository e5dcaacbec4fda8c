"""Locks on a database that are not those of its file, so that neither side would see the other's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.layers import shown_at
from holdfast_sqlite.mounts import describe
from holdfast_sqlite.snapshot.other_names import is_hot

_PAUSE = 0.02


def refuse_layer(path: str) -> None:
    """Refuse a file that an overlay shows elsewhere, before SQLite opens it and truncates an index that is in use."""
    name = shown_at(path)
    if name is None:
        return
    there = f"by that name, {name}, or in the container that has it"
    raise TaskError(
        "unsafe",
        f"it lies in a layer of an overlay that is mounted, and whoever uses it as {describe(name)} has locks that do "
        "not reach here",
        hint=f"back it up {'in that container' if name.startswith('/proc/') else there}",
    )


def wait_for_folder(path: str, timeout: float, users: Callable[[], object]) -> None:
    """Wait for a transaction of a program that locks by a folder alone (the VFS unix-dotfile, SQLite in WebAssembly).

    Others make such a folder for purposes of their own: only one with a hot journal and a process to have it counts.
    """
    lock, journal = f"{path}.lock", f"{path}-journal"
    deadline = time.monotonic() + timeout
    while os.path.isdir(lock) and is_hot(journal) and users():
        if time.monotonic() > deadline:
            raise TaskError(
                "SQLITE_BUSY",
                f"the folder {lock} is the lock of a transaction, of a program that has no other locks (the VFS "
                "unix-dotfile)",
            )
        time.sleep(_PAUSE)
