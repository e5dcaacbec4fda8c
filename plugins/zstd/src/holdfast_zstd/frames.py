"""Where the frames and blocks of Zstandard data end (RFC 8878 §3.1), without decompressing anything."""

from collections.abc import Iterator

from holdfast.api import Chunk, IntegrityError

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"  # after a byte 0x50 to 0x5f
MAX_WINDOW = 8 << 20  # bytes; what RFC 8878 asks decoders to support, and our frames need at most 4 MiB
_BLOCKS = 16  # each at most 128 KiB plain
_CONTENT_SIZE = (0, 2, 4, 8)
_DICTIONARY_ID = (0, 1, 2, 4)


class FrameReader:
    """Cuts stored bytes, which come in pieces of any size, into slices of whole blocks."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._in_frame = False
        self._checksum = self._checksum_due = False
        self._skip = 0

    @property
    def between_frames(self) -> bool:
        """Whether the data may end here."""
        return not self._in_frame and not self._buffer and not self._skip

    def slices(self, data: Chunk) -> Iterator[tuple[bytes, bool]]:
        """Yield slices to decompress, each with whether it ends its frame."""
        self._buffer += data
        position = 0
        while True:
            if self._skip:
                step = min(self._skip, len(self._buffer) - position)
                position += step
                self._skip -= step
            start = position
            if not self._in_frame:
                header = self._header(position)
                if header is None:
                    break
                position += header
                if not self._in_frame:
                    continue  # a skippable frame
            end, last = self._blocks(position)
            if end == start:
                break
            yield bytes(self._buffer[start:end]), last
            position = end
        del self._buffer[:position]

    def _header(self, at: int) -> int | None:
        """Length of the frame header at a position, None if it is not all there yet."""
        buffer = self._buffer
        begin = bytes(buffer[at : at + 4])
        skippable = begin[:1] and begin[0] >> 4 == 5 and SKIPPABLE.startswith(begin[1:])
        if not (skippable or MAGIC.startswith(begin)):
            raise IntegrityError("not valid zstd: a frame does not begin with its magic number")
        if len(buffer) - at < 8:
            # The smallest frame, an empty one, has 4 bytes of magic, 2 of header and 3 of its block.
            return None
        if skippable:
            self._skip = int.from_bytes(buffer[at + 4 : at + 8], "little")
            return 8
        descriptor = buffer[at + 4]
        single_segment = bool(descriptor & 0x20)
        content = 1 if single_segment and not descriptor >> 6 else _CONTENT_SIZE[descriptor >> 6]
        length = 5 + (not single_segment) + _DICTIONARY_ID[descriptor & 3] + content
        if len(buffer) - at < length:
            return None
        self._in_frame = True
        self._checksum = bool(descriptor & 4)
        return length

    def _blocks(self, at: int) -> tuple[int, bool]:
        """End of the whole blocks from a position, at most `_BLOCKS`, and whether the frame ends with them."""
        end = at
        for _ in range(_BLOCKS):
            if self._checksum_due:
                return self._end_of_frame(end)
            if len(self._buffer) - end < 3:
                return end, False
            header = int.from_bytes(self._buffer[end : end + 3], "little")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            length = 3 + (1 if kind == 1 else size)
            if len(self._buffer) - end < length:
                return end, False
            end += length
            if last:
                return self._end_of_frame(end)
        return end, False

    def _end_of_frame(self, end: int) -> tuple[int, bool]:
        """Where the frame ends, behind its checksum; the last block does not wait for that, which may be cut off."""
        length = 4 if self._checksum else 0
        self._checksum_due = self._in_frame = len(self._buffer) - end < length
        return (end, False) if self._in_frame else (end + length, True)
