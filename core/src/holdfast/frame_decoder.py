"""Decompresses frames one after another, for codecs whose library does so one by one."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from holdfast.errors import IntegrityError

_PIECE = 1 << 20  # bytes that are decompressed at once, however much a frame expands
_KEPT = 4 << 20  # bytes of a frame that is being read, which are read once more where it is damaged
_STEP = 1 << 10  # bytes; where the damage is, is looked for in steps of so many, and then byte by byte

_Data = bytes | bytearray | memoryview


class FrameDecompressor(Protocol):
    """What decompresses one frame: `bz2.BZ2Decompressor()`, `lzma.LZMADecompressor()`, `zlib.decompressobj()`.

    It has `needs_input` as the first two, or `unconsumed_tail` as the last: either is looked for.
    """

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was handed over behind the end of the frame."""
        ...

    def decompress(self, data: Any, max_length: int, /) -> bytes:
        """Take stored bytes, and return at most so many plain ones."""
        ...


class FrameDecoder:
    """A `Decoder` for codecs whose library has what `bz2`, `lzma` and `zlib` have: an object that reads one frame.

    `start` makes such an object for each frame: it has `decompress(data, max_length)`, `eof`, `unused_data`, and either
    `needs_input` or zlib's `unconsumed_tail`. `errors` are what it raises over bytes that are not of the format, whose
    name for people is `title`. The rest of the contract follows: pieces of at most 1 MiB, frames that are cut anywhere,
    and `IntegrityError` over damage, over what follows the last frame, and in `finish` over a frame that is cut off. Of
    a damaged frame, what stands before the damage is decoded as far as the library can.

    Example::

        def decoder(self):
            return FrameDecoder("bzip2", bz2.BZ2Decompressor, OSError)
    """

    def __init__(self, title: str, start: Callable[[], FrameDecompressor], *errors: type[Exception]) -> None:
        self._title = title
        self._start = start
        self._errors = errors
        self._frame: FrameDecompressor | None = None
        self._given: list[bytes] = []  # what the frame was handed so far
        self._kept = self._yielded = 0

    def decode(self, data: _Data) -> Iterator[bytes]:
        """Yield the plain bytes that these stored bytes complete."""
        while data:
            frame = self._frame if self._frame is not None else self._begin()
            self._keep(data)
            try:
                for piece in _inflate(frame, data):
                    self._yielded += len(piece)
                    yield piece
            except self._errors as error:
                yield from self._before_damage()
                raise IntegrityError(f"not valid {self._title}: {' '.join(str(error).split())}") from error
            if not frame.eof:
                return
            data = frame.unused_data
            self._frame = None

    def finish(self) -> None:
        """Refuse a frame that is cut off."""
        if self._frame is not None:
            raise IntegrityError(f"the {self._title} data is cut off")

    def _begin(self) -> FrameDecompressor:
        self._frame = self._start()
        self._given, self._kept, self._yielded = [], 0, 0
        return self._frame

    def _keep(self, data: _Data) -> None:
        self._kept += len(data)
        if self._kept <= _KEPT:
            self._given.append(bytes(data))
        else:
            self._given = []

    def _before_damage(self) -> Iterator[bytes]:
        """What comes before the error: libraries hand out nothing of a call that fails."""
        data, sound = b"".join(self._given), 0
        for step in (_STEP, 1):
            sound = self._sound(data, sound, step)
        skip = self._yielded
        for piece in _inflate(self._start(), data[:sound]) if sound else ():
            if piece[skip:]:
                yield piece[skip:]
            skip = max(0, skip - len(piece))

    def _sound(self, data: bytes, sound: int, step: int) -> int:
        """How many bytes are taken without an error, in steps: so many are known to be."""
        frame = self._start()
        with contextlib.suppress(*self._errors):
            _drain(frame, data[:sound])
            while sound < len(data) and not frame.eof:
                _drain(frame, data[sound : sound + step])
                sound += step
        return min(sound, len(data))


def _drain(frame: FrameDecompressor, data: bytes) -> None:
    for _ in _inflate(frame, data) if data else ():
        pass


def _inflate(frame: Any, data: _Data) -> Iterator[bytes]:
    """What a frame holds of these bytes, in pieces; it keeps what it has not taken, or gives it back as zlib does."""
    left: _Data | None = data
    while left is not None:
        piece: bytes = frame.decompress(left, _PIECE)
        if piece:
            yield piece
        if frame.eof:
            return
        if hasattr(frame, "needs_input"):
            left = None if frame.needs_input else b""
        else:
            # With all input taken in, zlib may hold output back that did not fit into the piece.
            left = frame.unconsumed_tail or (b"" if len(piece) == _PIECE else None)
