# mypy: ignore-errors
"""Codecs that break one sentence each: frames."""

import time
import zlib

from holdfast.api import IntegrityError
from support.contract import add_suites, breaks
from support.contract.sound_codec import Decoder, Gzip, decoding, suite_of


@breaks("codec 1")
class NoDot(Gzip):
    """The suffix has no dot."""

    suffix = "gz"


@breaks("codec 1")
class Spaced(Gzip):
    """The suffix has a blank."""

    suffix = ".gz file"


@breaks("codec 1")
class Counting(Gzip):
    """The suffix is another one each time."""

    number = 0

    @property
    def suffix(self):
        self.number += 1
        return f".gz{self.number}"


@breaks("codec 2")
class EndStripped(Gzip):
    """Zeros and blanks at the end of a block are lost."""

    def encode(self, block):
        return super().encode(bytes(block).rstrip(b"\0 \n"))


@breaks("codec 2")
class TextOnly(Gzip):
    """Line ends become those of Unix."""

    def encode(self, block):
        return super().encode(bytes(block).replace(b"\r\n", b"\n"))


@breaks("codec 2")
class Texts(Gzip):
    """A frame is text."""

    def encode(self, block):
        return super().encode(block).decode("latin-1")


@breaks("codec 2")
class Limited(Gzip):
    """What is beyond 1 MiB of a block is lost."""

    def encode(self, block):
        return super().encode(memoryview(block)[: 1 << 20])


@breaks("codec 3")
class Continued(Gzip):
    """A compressor for all: a frame needs those before it."""

    def __init__(self):
        self.compressor = zlib.compressobj(1, wbits=31)

    def encode(self, block):
        return self.compressor.compress(bytes(block)) + self.compressor.flush(zlib.Z_SYNC_FLUSH)


@breaks("codec 3")
class BufferUsedAgain(Gzip):
    """Frames are views of a buffer, into which the next frame goes."""

    def __init__(self):
        self.buffer = bytearray(2 << 20)

    def encode(self, block):
        frame = super().encode(block)
        self.buffer[: len(frame)] = frame
        return memoryview(self.buffer)[: len(frame)]


@decoding("codec 4")
class FirstFrameOnly(Decoder):
    """What follows the first frame is not decoded."""

    done = False

    def decode(self, data):
        if data and not self.done:
            self.member = self.member or zlib.decompressobj(31)
            yield from self.inflate(bytes(data))
            self.done = self.member.eof

    def finish(self):
        if not self.done:
            super().finish()


@decoding("codec 4")
class BoundaryLost(Decoder):
    """The frame that begins where a piece begins is left out after the first."""

    frames = 0

    def decode(self, data):
        self.frames += self.member is None
        for piece in super().decode(data):
            if self.frames < 2:
                yield piece


@breaks("codec 5")
class NothingForNothing(Gzip):
    """An empty block is no frame."""

    def encode(self, block):
        return super().encode(block) if len(block) else b""


@decoding("codec 5")
class NothingIsCutOff(Decoder):
    """A decoder that was given nothing complains."""

    begun = False

    def decode(self, data):
        self.begun = self.begun or bool(data)
        yield from super().decode(data)

    def finish(self):
        if not self.begun:
            raise IntegrityError("there is no data")
        super().finish()


@decoding("codec 5")
class EmptyIsZero(Decoder):
    """An empty frame decodes to a byte."""

    def inflate(self, data):
        plain = b"".join(super().inflate(data))
        yield plain or (b"\0" if self.member.eof else b"")


@breaks("codec 6")
class BytesOnly(Gzip):
    """It takes nothing but bytes."""

    def encode(self, block):
        return super().encode(b"" + block if isinstance(block, bytes) else block.encode())


@breaks("codec 6")
class BlockChanged(Gzip):
    """It works in the block itself."""

    def encode(self, block):
        frame = super().encode(block)
        if isinstance(block, bytearray):
            block.reverse()
        return frame


@breaks("codec 7")
class SharedState(Gzip):
    """The block is kept in the codec while it is compressed."""

    block = b""

    def encode(self, block):
        self.block = block
        time.sleep(0.0001)
        return super().encode(self.block)


@breaks("codec 7")
class SharedCompressor(Gzip):
    """A compressor of the codec is made anew for each frame, in the middle of another thread's."""

    def encode(self, block):
        self.compressor = zlib.compressobj(1, wbits=31)
        half = len(block) // 2
        first = self.compressor.compress(bytes(block[:half]))
        time.sleep(0.0001)
        return first + self.compressor.compress(bytes(block[half:])) + self.compressor.flush()


@breaks("codec 2")
class OtherPieces(Gzip):
    """Pieces are no bytes."""

    def decoder(self):
        class Views(Decoder):
            def inflate(self, data):
                yield from map(memoryview, super().inflate(data))

        return Views()


@decoding("codec 2")
class Endless(Decoder):
    """Empty pieces come without end."""

    def inflate(self, data):
        yield from super().inflate(data)
        while True:
            yield b""


@decoding("codec 2")
class Swollen(Decoder):
    """The last piece comes again and again."""

    def inflate(self, data):
        for piece in super().inflate(data):
            while piece:
                yield piece


add_suites(globals(), suite_of, Gzip)
