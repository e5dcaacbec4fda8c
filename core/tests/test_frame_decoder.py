"""Whatever a library's object for one frame is like, the decoder of it keeps the contract of codecs."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.api import Chunk, Codec, FrameDecoder, IntegrityError
from holdfast.testing import CodecSuite

PLAIN = b"".join(b"%d theory of kelp\n" % number for number in range(40_000))


class Of:
    """A codec of the standard library."""

    def __init__(self, compress: Callable[[Any], bytes], start: Callable[[], Any], *errors: type[Exception]) -> None:
        self.suffix = ".z"
        self.encode: Callable[[Chunk], bytes] = compress
        self.start, self.errors = start, errors

    def decoder(self) -> FrameDecoder:
        return FrameDecoder("format z", self.start, *self.errors)


CODECS = {
    "bz2": Of(bz2.compress, bz2.BZ2Decompressor, OSError),
    "lzma": Of(lambda block: lzma.compress(block, preset=0), lzma.LZMADecompressor, lzma.LZMAError),
    "zlib": Of(lambda block: gzip.compress(bytes(block), 1), lambda: zlib.decompressobj(31), zlib.error),
}


class TestFrameDecoder(CodecSuite):
    configurations = tuple(CODECS)
    # They are of no plugin that is installed, and have no options.
    test_an_option_that_cannot_be_used_is_refused_when_the_codec_is_opened = None  # type: ignore[assignment]

    @pytest.fixture
    def codec(self) -> Codec:
        return CODECS[self.configuration]

    @pytest.fixture
    def reader(self, codec: Codec) -> Codec:
        return codec


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("cut", [100, 1 << 20])
def test_what_stands_before_the_damage_is_decoded(name: str, cut: int) -> None:
    """As far as the library can: bzip2 hands out whole blocks of up to 900 kB, the others nearly each byte."""
    codec = CODECS[name]
    frame = bytes(codec.encode(PLAIN))
    damaged = bytearray(frame + frame)
    at = len(frame) + len(frame) * 3 // 4
    damaged[at : at + 40] = bytes(40)
    decoder, plain = codec.decoder(), bytearray()

    def decode() -> None:
        for begin in range(0, len(damaged), cut):
            for piece in decoder.decode(damaged[begin : begin + cut]):
                plain.extend(piece)
        decoder.finish()

    with pytest.raises(IntegrityError, match="not valid format z: "):
        decode()
    least = len(PLAIN) if name == "bz2" else len(PLAIN) * 17 // 10
    assert least <= len(plain)
    sound = len(PLAIN) * 17 // 10 if name != "bz2" else len(plain)
    assert bytes(plain[:sound]) == (PLAIN + PLAIN)[:sound]


def test_an_error_of_another_kind_is_not_called_damage() -> None:
    class Broken:
        eof, unused_data, needs_input = False, b"", True

        def decompress(self, data: Any, max_length: int, /) -> bytes:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(FrameDecoder("format z", Broken, OSError).decode(b"data"))
