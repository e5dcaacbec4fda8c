"""A codec and a checksum, as a module of marked functions."""

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.api import Chunk, Codec, Component, Hasher, IntegrityError, Kind, hookimpl


@dataclass(frozen=True, kw_only=True)
class Bzip2Options:
    """How to compress."""

    level: int = field(default=9, metadata={"help": "1 to 9"})

    def __post_init__(self) -> None:
        """Refuse levels that bzip2 has not."""
        if not 1 <= self.level <= 9:
            raise ValueError(f"level is {self.level}, expected 1 to 9")


class Bzip2:
    """One bzip2 stream a block; streams one after another are a file that `bunzip2` reads."""

    suffix = ".bz2"
    command = "bzip2 -dc"

    def __init__(self, level: int) -> None:
        self._level = level

    def encode(self, block: Chunk) -> bytes:
        """Return one stream."""
        return bz2.compress(block, self._level)

    def decoder(self) -> "Bzip2Decoder":
        """Start to decompress."""
        return Bzip2Decoder()


class Bzip2Decoder:
    """Decompresses stream after stream."""

    def __init__(self) -> None:
        self._stream = bz2.BZ2Decompressor()
        self._begun = False

    def decode(self, data: Chunk) -> Iterator[bytes]:
        """Yield pieces of at most 1 MiB."""
        left = bytes(data)
        while left or not (self._stream.needs_input or self._stream.eof):
            self._begun = True
            try:
                piece = self._stream.decompress(left, 1 << 20)
            except OSError as error:
                raise IntegrityError(f"not valid bzip2: {error}") from error
            left = b""
            if piece:
                yield piece
            if self._stream.eof:
                left = self._stream.unused_data
                self._stream = bz2.BZ2Decompressor()
                self._begun = False

    def finish(self) -> None:
        """Refuse a stream that is cut off."""
        if self._begun:
            raise IntegrityError("the bzip2 data is cut off")


class Crc32:
    """CRC-32 in the form of a hashlib object."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Chunk) -> None:
        """Take more bytes."""
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """Eight digits."""
        return f"{self._value:08x}"


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List both."""
    yield Component(kind=Kind.CODEC, name="bzip2", aliases=("bz2",), summary="bzip2, slow", options=Bzip2Options)
    yield Component(kind=Kind.CHECKSUM, name="crc32", summary="CRC-32")


@hookimpl
def holdfast_compress(codec: str, options: Bzip2Options) -> Codec | None:
    """Serve `bzip2`."""
    return Bzip2(options.level) if codec == "bzip2" else None


@hookimpl
def holdfast_checksum(algorithm: str) -> Hasher | None:
    """Serve `crc32`."""
    return Crc32() if algorithm == "crc32" else None
