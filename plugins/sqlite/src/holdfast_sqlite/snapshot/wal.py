"""The raw snapshot of a database in WAL mode: its file, overlaid with the newest committed frame of each page.

How it can be right while others write (https://www.sqlite.org/walformat.html): an open read transaction holds a
read mark. While it is held the log is not started anew, and checkpoints copy no frame beyond the mark into the
database file. Every page that a checkpoint may be writing meanwhile thus has a frame up to the mark, and is taken
from the log; all others do not change. What shows that the transaction and the figures read here belong together is
the header of the `-shm` file, equal before and after the transaction began, and its salt once more after that.
"""

from __future__ import annotations

import bisect
import os
import struct
import time
from array import array
from collections.abc import Callable, Iterator

from holdfast_sqlite.header import SIZE, page_count, page_size
from holdfast_sqlite.snapshot.lock_table import ATTACHED, blocker

_VERSION = 3007000
# Wal-index header: version, unused, change counter, initialised, big-endian checksums, page size, frames, pages.
_INDEX = struct.Struct("=IIIBBHII")
_INDEX_COPY = 48  # bytes of the header, which is there twice
_INDEX_SALT = slice(32, 40)
_BACKFILLED = 96  # where the number of frames stands that are in the database file already
_INDEX_SIZE = 136
_INDEX_BLOCK = 32768  # 4096 page numbers and their hash table; the first begins behind the header
_FIRST_ENTRIES = 4096 - _INDEX_SIZE // 4
_WAL_HEADER = 32
_FRAME_HEADER = 24
_TRIES = 200
# The map takes about 100 bytes a page; a log of more than 2 GB (at 4 KiB a page) is left to SQLite.
_MOST_FRAMES = 500_000
_LENT = 1 << 20  # bytes at a time, as many as the pipe holds


class RawCopyUnsafe(Exception):  # noqa: N818 (sends the dump another way; nobody sees it as an error)
    """A copy of the pages as they lie is not certain to be right here; SQLite's own backup is."""


class WalSnapshot:
    """One moment of a database in WAL mode, pinned by the read transaction that `pin` opens with `begin`.

    `end` ends it again. Of an `opaque` database nothing is known that its file says itself.
    """

    def __init__(self, path: str, *, begin: Callable[[], None], end: Callable[[], None], opaque: bool = False) -> None:
        self._begin_reading = begin
        self._end_reading = end
        self._path = path
        self._opaque = opaque
        self._wal = self._shm = -1
        self._salt = self._index = b""
        self._pages = array("I")
        self._frames = array("I")
        self.page_size = self.page_count = self.frames = 0
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return self.page_size * self.page_count

    def pin(self) -> None:
        """Begin the read transaction and map the log; `RawCopyUnsafe` if that cannot be done for certain."""
        self.map(self.begin())

    def map(self, index: bytes) -> None:
        """Map the log as it was when `begin` returned this header of its index; its transaction is open still."""
        self._index = index
        self._wal, self._pages, self._frames = -1, array("I"), array("I")
        version, _, _, _, _, size, self.frames, pages = _INDEX.unpack_from(index)
        if version != _VERSION:
            raise RawCopyUnsafe(f"the index of the log has version {version}")
        backfilled = struct.unpack_from("=I", index, _BACKFILLED)[0]
        self._salt = index[_INDEX_SALT]
        if self.frames:
            # 65536 does not fit into 16 bits: both formats write it as 1.
            self.page_size, self.page_count = (size & 0xFF00) | (size & 1) << 16, pages
        else:
            self._measure()
        if backfilled < self.frames:
            self._map()
            # Without frames of it the log may be started anew meanwhile: the file then holds all of the snapshot.
            if _read_index(self._shm)[_INDEX_SALT] != self._salt:
                raise RawCopyUnsafe("the log was started anew while it was mapped")
        self._check_file()

    def _measure(self) -> None:
        """Take the size from the file, where the log tells none."""
        header, size = os.pread(self._file, SIZE, 0), os.fstat(self._file).st_size
        self.page_size = 1 if self._opaque else page_size(header)
        self.page_count = size if self._opaque else page_count(header, size)

    def begin(self) -> bytes:
        """Open the transaction at a moment when nobody commits; the header of the index."""
        try:
            if self._shm < 0:
                self._shm = os.open(f"{self._path}-shm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise RawCopyUnsafe("the log has no index in a file") from error
        for _ in range(_TRIES):
            before = _read_index(self._shm)
            self._begin_reading()
            after = _read_index(self._shm)
            copies = after[:_INDEX_COPY], after[_INDEX_COPY : 2 * _INDEX_COPY]
            whole = len(after) == _INDEX_SIZE and copies[0] == copies[1] and after[12] == 1
            if whole and before[:_BACKFILLED] == after[:_BACKFILLED]:
                return after
            self._end_reading()
            time.sleep(0.0003)
        raise RawCopyUnsafe(f"no quiet moment in {_TRIES} tries")

    def _map(self) -> None:
        """Find the newest frame of each page in the index, and see that the log holds just that frame."""
        if self.frames > _MOST_FRAMES:
            raise RawCopyUnsafe(f"the log has {self.frames} frames")
        self._wal = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        header = os.pread(self._wal, _WAL_HEADER, 0)
        if len(header) < _WAL_HEADER or header[16:24] != self._salt or header[8:12] != _big(self.page_size):
            raise RawCopyUnsafe("the log and its index differ")
        newest = {page: number for number, page in enumerate(_entries(self._shm, self.frames))}
        self._pages = array("I", sorted(page for page in newest if page <= self.page_count))
        self._frames = array("I", [newest[page] for page in self._pages])
        for page, frame in zip(self._pages, self._frames, strict=True):
            frame_header = os.pread(self._wal, 16, self._offset(frame) - _FRAME_HEADER)
            if frame_header[:4] != _big(page) or frame_header[8:16] != self._salt:
                raise RawCopyUnsafe(f"frame {frame} of the log is not that of page {page}")

    def _check_file(self) -> None:
        """Pages that are not in the database file yet must all be in the log."""
        there = os.fstat(self._file).st_size // self.page_size
        missing = self.page_count - there
        if missing > 0 and len(self._pages) - bisect.bisect_right(self._pages, there) != missing:
            raise RawCopyUnsafe(f"the file has {there} pages of {self.page_count}, and the log not all of the others")

    def _offset(self, frame: int) -> int:
        return _WAL_HEADER + frame * (_FRAME_HEADER + self.page_size) + _FRAME_HEADER

    def pieces(self, room: int, start: int = 0) -> Iterator[memoryview]:
        """Yield the image from a page on in pieces of about `room` bytes, each valid until the next is asked for."""
        room = max(room // self.page_size, 1) * self.page_size
        view = memoryview(bytearray(room))
        for at in range(start, self.size, room):
            piece = view[: min(room, self.size - at)]
            read_at(self._file, piece, at)
            self._overlay(piece, at)
            yield piece

    def splice(self, pipe: int) -> int:
        """Put the image into a pipe, and return how far that went: to a page that the kernel would have to copy.

        What is not in the log is not copied but lent by the page cache: a third less time in the kernel. So the
        transaction has to stay open until the other side has read everything.
        """
        if not hasattr(os, "splice"):
            return 0
        at = 0
        copy = memoryview(bytearray(self.page_size))
        for page, frame in zip(self._pages, self._frames, strict=True):
            begin = (page - 1) * self.page_size
            at = self._lend(pipe, at, begin)
            if at < begin:
                return at
            self._read_frame(copy, frame)
            write_all(pipe, copy)
            at += self.page_size
        return self._lend(pipe, at, self.size)

    def _lend(self, pipe: int, start: int, end: int) -> int:
        while start < end:
            try:
                lent = os.splice(self._file, pipe, min(end - start, _LENT), offset_src=start)
            except OSError:
                # Not on this file system; what else it may be reading and writing say.
                return self._whole_pages(pipe, start)
            if not lent:
                raise OSError(None, "the file has become shorter under a read lock: some program ignores locks")
            start += lent
        return start

    def _whole_pages(self, pipe: int, start: int) -> int:
        """Copy what is left of a page that was lent in part."""
        if left := -start % self.page_size:
            view = memoryview(bytearray(left))
            read_at(self._file, view, start)
            write_all(pipe, view)
        return start + left

    def check_log(self) -> None:
        """See that the log was not started anew since `pin`, once everything is read."""
        if self._wal >= 0 and os.pread(self._wal, 8, 16) != self._salt:
            raise OSError(None, "the write-ahead log was started anew under a read lock: some program ignores locks")

    def is_current(self) -> bool:
        """Whether nobody has committed or merged anything by this index since `pin`."""
        return _read_index(self._shm)[: _BACKFILLED + 4] == self._index[: _BACKFILLED + 4]

    def is_shared(self) -> bool:
        """Whether another process uses this log."""
        return blocker(self._shm, ATTACHED, 1) is not None

    def _overlay(self, piece: memoryview, start: int) -> None:
        size = self.page_size
        first = start // size + 1
        low = bisect.bisect_left(self._pages, first)
        high = bisect.bisect_left(self._pages, first + len(piece) // size, low)
        for at in range(low, high):
            begin = (self._pages[at] - first) * size
            self._read_frame(piece[begin : begin + size], self._frames[at])

    def _read_frame(self, page: memoryview, frame: int) -> None:
        if read_at(self._wal, page, self._offset(frame)) < len(page):
            raise OSError(None, "the write-ahead log has become shorter under a read lock")


def read_at(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill a view from a file, with zeros beyond its end; the number of bytes that were there."""
    done = 0
    while done < len(view):
        got = os.preadv(descriptor, [view[done:]], offset + done)
        if not got:
            view[done:] = bytes(len(view) - done)
            break
        done += got
    return done


def write_all(target: int, piece: memoryview) -> None:
    """Write all of a piece."""
    while piece:
        piece = piece[os.write(target, piece) :]


def _read_index(descriptor: int) -> bytes:
    return os.pread(descriptor, _INDEX_SIZE, 0)


def _entries(descriptor: int, frames: int) -> array[int]:
    """The page number of each frame, from the index."""
    numbers = array("I")
    block = 0
    while len(numbers) < frames:
        skip, room = (0, 4096) if block else (_INDEX_SIZE, _FIRST_ENTRIES)
        count = min(room, frames - len(numbers))
        data = os.pread(descriptor, 4 * count, block * _INDEX_BLOCK + skip)
        if len(data) < 4 * count:
            raise RawCopyUnsafe("the index of the log is cut off")
        numbers.frombytes(data)
        block += 1
    return numbers


def _big(number: int) -> bytes:
    return number.to_bytes(4, "big")
