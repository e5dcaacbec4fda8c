"""What is still sound behind a damaged place of a blob, where a codec tells how its frames begin."""

from collections.abc import Iterable, Iterator

import msgspec

from holdfast.api import Codec, Decoder, SupportsFrameSearch
from holdfast.errors import IntegrityError


class SoundEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Whole frames at the end of a blob: where the first begins in it, and their plain bytes."""

    offset: int
    size: int


def sound_end(stored: Iterable[bytes], codec: Codec, *, most: int) -> SoundEnd | None:
    """Find the frames at the end that can be decoded, to their last byte; None if there are none.

    Frames between two damaged places are not looked for, and what holds more than `most` plain bytes is no end.
    """
    if not isinstance(codec, SupportsFrameSearch):
        return None
    search = _Search(codec)
    for offset, data in _pieces(stored, codec.frame_magic):
        search.take(offset, data)
        if search.size > most:
            return None
    return search.end()


class _Search:
    """Decodes from the last frame on before which something could not be decoded."""

    def __init__(self, codec: SupportsFrameSearch) -> None:
        self.size = 0
        self._codec = codec
        self._offset = 0
        self._decoder: Decoder | None = None

    def take(self, offset: int, data: bytes) -> None:
        """Take the next piece, which begins with what may be the begin of a frame."""
        if self._decoder is not None and self._decode(data):
            return
        # What was taken for a part of the frame before it may be a frame.
        self._decoder, self._offset, self.size = self._codec.decoder(), offset, 0
        if not (data.startswith(self._codec.frame_magic) and self._decode(data)):
            self._decoder, self.size = None, 0

    def _decode(self, data: bytes) -> bool:
        if self._decoder is None:
            return False
        try:
            self.size += sum(map(len, self._decoder.decode(data)))
        except IntegrityError:
            return False
        return True

    def end(self) -> SoundEnd | None:
        """What is sound up to the end."""
        if self._decoder is None or not self.size:
            return None
        try:
            self._decoder.finish()
        except IntegrityError:
            return None
        return SoundEnd(offset=self._offset, size=self.size)


def _pieces(stored: Iterable[bytes], magic: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut stored bytes before each place where a frame may begin, and tell where each piece lies."""
    offset, buffer = 0, bytearray()
    for chunk in stored:
        buffer += chunk
        start, search = 0, 1
        while (border := buffer.find(magic, search)) >= 0:
            yield offset + start, bytes(buffer[start:border])
            start, search = border, border + 1
        offset += start
        del buffer[:start]
    if buffer:
        yield offset, bytes(buffer)
