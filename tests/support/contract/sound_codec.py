# mypy: ignore-errors
"""Codecs that break one sentence each."""

import gzip
import zlib

import pytest

from holdfast.api import IntegrityError
from holdfast.testing import CodecSuite
from support.contract import breaks

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


def suite_of(tested):
    class Suite(CodecSuite):
        @pytest.fixture
        def codec(self):
            return tested()

        @pytest.fixture
        def reader(self, codec):
            return tested.reader() if tested.reader else codec

    return Suite
