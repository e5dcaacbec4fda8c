"""Samples: of each stored stream some frames are remembered by their digests, to be read back and decoded."""

import hashlib

import msgspec

from holdfast.api import Chunk

_STEP = 8  # to read a frame back, decode and digest it takes a quarter of the CPU that the frame took, with its source


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One frame: where it lies in its blob, how long it is there and plain (bytes), and the SHA-256 of both."""

    offset: int
    size: int
    plain_size: int
    stored: str
    plain: str


class Sampler:
    """Chooses frames of one stream: the first, the ninth, then each that is eight times as far, and the last.

    A stream of one frame has none: its digests are those of the stream, and are not taken twice.
    """

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._number = 0
        self._next = 0
        self._last: tuple[int, Chunk, Chunk] | None = None

    def add(self, offset: int, block: Chunk, frame: Chunk) -> None:
        """Take a frame as it is written, with the block that it holds."""
        if self._last is not None and self._number - 1 == self._next:
            self._keep()
            self._next = self._next * _STEP or _STEP
        self._last = (offset, block, frame)
        self._number += 1

    def finish(self) -> tuple[Sample, ...]:
        """All samples, that of the last frame included."""
        if self._number > 1:
            self._keep()
        self._last = None
        return tuple(self._samples)

    def _keep(self) -> None:
        """Digest the last frame."""
        if self._last is not None:
            offset, block, frame = self._last
            stored, plain = (hashlib.sha256(data).hexdigest() for data in (frame, block))
            self._samples.append(
                Sample(offset=offset, size=len(frame), plain_size=len(block), stored=stored, plain=plain)
            )
