# mypy: ignore-errors
"""Codecs that break one sentence each: decoders in threads, commands, suffixes and options."""

import os
import resource
import sys
import time
import warnings

from support.contract import add_suites, breaks
from support.contract.sound_codec import Decoder, Gzip, decoding, suite_of


@decoding("codec 10")
class OneBufferForThreads(Decoder):
    """All decoders put what comes out into one buffer for a moment."""

    buffer = [b""]  # noqa: RUF012

    def inflate(self, data):
        for piece in super().inflate(data):
            self.buffer[0] = piece
            time.sleep(0.0001)
            yield self.buffer[0]


@breaks("codec 12")
class CommandSplitsNames(Gzip):
    """The command does not quote the name of the file."""

    command = "sh -c 'gzip -dc $0'"


class Searched(Gzip):
    """Its frames can be found again."""

    frame_magic = b"\x1f\x8b\x08"


@breaks("codec 19")
class OtherMagic(Gzip):
    """Its frames begin with something else."""

    frame_magic = b"\x1f\x8b\x07"


@breaks("codec 19")
class MagicOfEverything(Gzip):
    """Nothing, with which all begins."""

    frame_magic = b""


@breaks("codec 19")
class MagicOfOneBlock(Gzip):
    """It goes on into what depends on the block."""

    frame_magic = Gzip().encode(b"x")


@breaks("codec 12")
class CommandRemoves(Gzip):
    """The command removes the file once it is decoded."""

    command = """sh -c 'gzip -dc "$0" && rm "$0"'"""


@breaks("codec 12")
class CommandStopsAtFrames(Gzip):
    """The command decodes the first frame alone."""

    command = "python3 -c 'import sys, zlib; print(end=zlib.decompress(open(sys.argv[1], \"rb\").read(), 31))'"


@breaks("codec 1")
class SuffixInOtherDigits(Gzip):
    """The suffix has letters that are none of ASCII, which file names of the core cannot have."""

    suffix = ".gż"


@breaks("codec 18")
class Chatty(Gzip):
    """It prints how much it has saved."""

    def encode(self, block):
        frame = super().encode(block)
        print(f"{len(block)} -> {len(frame)}")
        return frame


@breaks("codec 18")
class SetsEnvironment(Gzip):
    """The number of threads of its library is set for the whole program."""

    def encode(self, block):
        os.environ["THREADS_OF_GZIP"] = "2"
        return super().encode(block)


@breaks("codec 18")
class WarningsAreErrors(Gzip):
    """It wants to learn of what its library deprecates, and lets the whole program learn of it."""

    def encode(self, block):
        warnings.simplefilter("error", DeprecationWarning)
        return super().encode(block)


@breaks("codec 18")
class RaisesTheLimitOfFiles(Gzip):
    """It opens many files, and takes what it needs for the whole program."""

    def encode(self, block):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        return super().encode(block)


@breaks("codec 18")
class RecursesDeeply(Gzip):
    """Its library recurses, and the limit is raised for good."""

    def encode(self, block):
        sys.setrecursionlimit(sys.getrecursionlimit() + 1)
        return super().encode(block)


add_suites(globals(), suite_of, Searched)
