"""Long literals of a script, which are never in memory as a whole: put aside in a file, and from there into tables."""

import mmap
import os
from collections.abc import Iterator

from holdfast.api import IntegrityError

_PIECE = 1 << 20
_NO_BLOB = "the SQL script has a blob literal that is none"


class LongValue:
    """The value of a literal, in a file from an offset on: the bytes of a blob, or a text in UTF-8.

    Bytes of a text that are not UTF-8 come and go as surrogates (`surrogateescape`).
    """

    def __init__(self, descriptor: int, offset: int, *, is_blob: bool) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self.is_blob = is_blob
        self.size = 0  # bytes
        self._half = ""  # half a byte of a blob

    @property
    def end_offset(self) -> int:
        """Where in the file another value may begin, which can be mapped into memory."""
        unit = mmap.ALLOCATIONGRANULARITY
        return (self._offset + self.size + unit - 1) // unit * unit

    def write(self, text: str) -> None:
        """Add a piece of what stands between the quotes; a quote that stands doubled is not cut in two."""
        if not self.is_blob:
            self._add(text.replace("''", "'").encode(errors="surrogateescape"))
            return
        text = self._half + text
        self._half = text[len(text) & ~1 :]
        try:
            self._add(bytes.fromhex(text[: len(text) & ~1]))
        except ValueError as error:
            raise IntegrityError(_NO_BLOB) from error

    def _add(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._offset + self.size)
            view = view[written:]
            self.size += written

    def end(self) -> None:
        """Say that this was all."""
        if self._half:
            raise IntegrityError(_NO_BLOB)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        done = 0
        while piece := os.pread(self._descriptor, min(_PIECE, self.size - done), self._offset + done):
            yield piece
            done += len(piece)

    def parameter(self) -> str | mmap.mmap:
        """The value as SQLite takes it; a blob stays in the file, and so does a text that is not UTF-8."""
        if not self.is_blob:
            try:
                return os.pread(self._descriptor, self.size, self._offset).decode()
            except UnicodeDecodeError:
                pass  # the bytes are what the script has; SQLite takes them for text as they are
        return mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ, offset=self._offset)
