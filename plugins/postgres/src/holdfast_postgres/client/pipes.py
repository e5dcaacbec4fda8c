"""Pipes of client programs, also where the process has made them non-blocking, as gevent and eventlet do."""

import io
import os
import select
from typing import TextIO

READ = 1 << 20


def read_block(descriptor: int) -> bytes | bytearray:
    """The next 1 MiB, less at the end only: a pipe gives what it happens to hold."""
    first = _read(descriptor, READ)  # most often all of it, and no buffer had to be cleared for it
    if len(first) == READ or not first:
        return first
    block = bytearray(first)
    while len(block) < READ and (more := _read(descriptor, READ - len(block))):
        block += more
    return block


def write_block(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of the bytes; where nobody reads any more eventlet's `os.write` would try for ever."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.writev(descriptor, [view]) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def text_of(descriptor: int) -> TextIO:
    """The text of a pipe, which stays open when that is closed."""
    return io.TextIOWrapper(io.BufferedReader(_Pipe(descriptor)), encoding="utf-8", errors="backslashreplace")


def _read(descriptor: int, size: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            select.select([descriptor], [], [])  # which in such a process lets the others go on


class _Pipe(io.RawIOBase):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = _read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)
