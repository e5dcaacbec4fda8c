"""The task that says of files what they are, from their first bytes."""

from __future__ import annotations

import os

from holdfast_sqlite.child.channel import Channel
from holdfast_sqlite.header import MAGIC


def look(channel: Channel) -> None:
    """Send for each path of the task what it is: `database`, `empty`, `other`, `gone`, or `closed` to us."""
    channel.send("kinds", kinds=[_kind(path) for path in channel.task["paths"]])


def _kind(path: str) -> str:
    try:
        # A FIFO that has taken the place of a file must not keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "closed"
    try:
        begin = os.read(descriptor, len(MAGIC))
    except OSError:
        return "closed"
    finally:
        os.close(descriptor)
    if begin == MAGIC:
        return "database"
    return "other" if begin else "empty"
