# mypy: ignore-errors
"""Codecs that break one sentence each: decoding."""

import gzip
import zlib

from holdfast.api import IntegrityError
from support.contract import add_suites, breaks
from support.contract.sound_codec import PIECE, Decoder, Gzip, decoding, suite_of


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


add_suites(globals(), suite_of)
