# mypy: ignore-errors
"""Codecs that break one sentence each."""

import gzip
import time
import zlib

import pytest

from holdfast.api import IntegrityError
from holdfast.testing import CodecSuite
from support.contract import add_suites, breaks

PIECE = 1 << 20


class Decoder:
    """Members of gzip, one after another."""

    errors = zlib.error

    def __init__(self):
        self.member = None

    def decode(self, data):
        left = bytes(data)
        while left:
            if self.member is None:
                self.member = zlib.decompressobj(31)
            try:
                yield from self.inflate(left)
            except self.errors as error:
                raise IntegrityError(f"not valid gzip: {error}") from error
            left = self.member.unused_data
            if self.member.eof:
                self.member = None

    def inflate(self, data):
        yield self.member.decompress(data, PIECE)
        while self.member.unconsumed_tail:
            yield self.member.decompress(self.member.unconsumed_tail, PIECE)

    def finish(self):
        if self.member is not None:
            raise IntegrityError("the gzip data is cut off")


class Gzip:
    suffix = ".gz"
    command = "gzip -dc"
    make_decoder = Decoder
    reader = None

    def encode(self, block):
        return gzip.compress(bytes(block), 1, mtime=0)

    def decoder(self):
        return self.make_decoder()


def decoding(sentence):
    """A mutant that is a decoder, in a codec that is sound otherwise."""

    def mark(decoder):
        names = {"make_decoder": decoder, "__doc__": decoder.__doc__}
        return breaks(sentence)(type(decoder.__name__, (Gzip,), names))

    return mark


# --- frames ---


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


@decoding("codec 8")
class WholeFrames(Decoder):
    """It takes pieces for whole frames."""

    def decode(self, data):
        try:
            yield gzip.decompress(bytes(data))
        except (OSError, EOFError, zlib.error) as error:
            raise IntegrityError("not valid gzip") from error

    def finish(self):
        pass


@decoding("codec 8")
class BytesFrames(Decoder):
    """It takes nothing but bytes."""

    def decode(self, data):
        yield from super().decode(b"" + data if isinstance(data, bytes) else data.encode())


@decoding("codec 8")
class HeaderAtOnce(Decoder):
    """The ten bytes of a header must come in one piece."""

    def decode(self, data):
        if self.member is None and 0 < len(data) < 10:
            raise IntegrityError("not valid gzip: the header is too short")
        yield from super().decode(data)


# --- decoding ---


@decoding("codec 9")
class AllAtOnce(Decoder):
    """All that a piece holds comes at once."""

    def inflate(self, data):
        yield self.member.decompress(data)


@decoding("codec 9")
class CutAfterwards(Decoder):
    """All is in memory before it is cut into pieces."""

    def inflate(self, data):
        plain = self.member.decompress(data)
        for at in range(0, len(plain), PIECE):
            yield plain[at : at + PIECE]


@decoding("codec 9")
class PiecesTooLarge(Decoder):
    """Pieces have 16 MiB."""

    def inflate(self, data):
        yield self.member.decompress(data, 16 << 20)
        while self.member.unconsumed_tail:
            yield self.member.decompress(self.member.unconsumed_tail, 16 << 20)


@breaks("codec 10")
class DecoderShared(Gzip):
    """All decoders are the same."""

    def __init__(self):
        self.only = Decoder()

    def decoder(self):
        return self.only


@breaks("codec 10")
class DecoderReset(Gzip):
    """All decoders are the same, and asking for one resets it."""

    def __init__(self):
        self.only = Decoder()

    def decoder(self):
        self.only.__init__()
        return self.only


class WithKey(Gzip):
    key = 1

    def encode(self, block):
        return super().encode(bytes(block).translate(bytes((n + self.key) % 256 for n in range(256))))

    def decoder(self):
        back = bytes((n - self.key) % 256 for n in range(256))

        class Shifted(Decoder):
            def inflate(self, data):
                for piece in super().inflate(data):
                    yield piece.translate(back)

        return Shifted()


class AnotherKey(WithKey):
    key = 0


@breaks("codec 11")
class OptionsNeeded(WithKey):
    """Who decodes has to know the options of who encoded."""

    reader = AnotherKey


@breaks("codec 12")
class WrongCommand(Gzip):
    """The command shows the file as it is."""

    command = "cat"


@breaks("codec 12")
class CommandWithoutOutput(Gzip):
    """The command puts the plain file next to it."""

    command = "gzip -dk"


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


@decoding("codec 13")
class CutOffIsWell(Decoder):
    """The end of the data is believed to be the end of the frame."""

    def finish(self):
        pass


@decoding("codec 13")
class CutOffIsForeign(Decoder):
    """Data that is cut off is an error of another class."""

    def finish(self):
        if self.member is not None:
            raise EOFError("the gzip data is cut off")


@decoding("codec 13")
class CutOffLater(Decoder):
    """Only the first frame is looked at."""

    frames = 0

    def inflate(self, data):
        yield from super().inflate(data)
        self.frames += self.member.eof

    def finish(self):
        if not self.frames:
            super().finish()


@decoding("codec 13")
class CutOffHeader(Decoder):
    """A frame of which no byte could be decoded does not count."""

    given = False

    def inflate(self, data):
        for piece in super().inflate(data):
            self.given = self.given or bool(piece)
            yield piece

    def finish(self):
        if self.given:
            super().finish()


@decoding("codec 14")
class RestIgnored(Decoder):
    """What follows the last frame and is none is left out, as gzip does it."""

    whole = 0

    def decode(self, data):
        try:
            for piece in super().decode(data):
                self.whole += self.member is not None and self.member.eof
                yield piece
        except IntegrityError:
            if not self.whole:
                raise
            self.member = None

    def finish(self):
        if not self.whole:
            super().finish()


@decoding("codec 15")
class ForeignError(Decoder):
    """The library's own error comes out."""

    errors = ()


@decoding("codec 15")
class ForeignPasses(Decoder):
    """What is no gzip is taken for plain bytes."""

    plain = False

    def decode(self, data):
        if self.plain or (self.member is None and data and bytes(data[:1]) != b"\x1f"):
            self.plain = True
            yield bytes(data)
        else:
            yield from super().decode(data)


@decoding("codec 16")
class DamageIsForeign(Decoder):
    """Damage in the middle is an error of the library; all else is an integrity error."""

    errors = ()

    def decode(self, data):
        try:
            yield from super().decode(data)
        except zlib.error as error:
            if "incorrect header" in str(error):
                raise IntegrityError("not valid gzip") from error
            raise


@decoding("codec 16")
class DamageIsAssertion(Decoder):
    """What cannot be is asserted."""

    def decode(self, data):
        try:
            yield from super().decode(data)
        except IntegrityError as error:
            raise AssertionError("impossible") from error


def suite_of(tested):
    class Suite(CodecSuite):
        @pytest.fixture
        def codec(self):
            return tested()

        @pytest.fixture
        def reader(self, codec):
            return tested.reader() if tested.reader else codec

    return Suite


add_suites(globals(), suite_of, Gzip)
