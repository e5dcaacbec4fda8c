"""The memory of a part: taken from the system as it fills up, and given back as soon as it is sent."""

import hashlib
import mmap
import os
import threading

_MOST = 3  # buffers of parts, beyond which no part is sent while the next one is filled


class Buffers:
    """How many parts are in memory: one for each writer, and others while they are sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def take(self) -> None:
        """Count one that a writer needs."""
        with self._lock:
            self._count += 1

    def take_another(self) -> bool:
        """Count one more, if there is room for it."""
        with self._lock:
            there_is_room = self._count < _MOST
            self._count += there_is_room
            return there_is_room

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._count -= 1


class PartBuffer:
    """Bytes that are written once and read from the beginning by each try to send them.

    Not a `BytesIO`: one that grows to 24 MiB leaves as much again to the heap, and keeps it when it is gone.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, size)
        self._filled = self._at = 0

    def __len__(self) -> int:
        return self._filled

    def write(self, data: memoryview) -> None:
        """Take bytes for which there is room."""
        self._memory[self._filled : self._filled + len(data)] = data
        self._filled += len(data)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all of them without a size."""
        end = self._filled if size < 0 else min(self._filled, self._at + size)
        data = self._memory[self._at : end]
        self._at = end
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Where to read next."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._filled}[whence]
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def sha256(self) -> bytes:
        """The digest of all that was written."""
        with memoryview(self._memory) as memory, memory[: self._filled] as filled:
            return hashlib.sha256(filled).digest()

    def md5(self) -> bytes:
        """What services go by that know no other digest."""
        with memoryview(self._memory) as memory, memory[: self._filled] as filled:
            return hashlib.md5(filled, usedforsecurity=False).digest()

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
