"""Members out, members in."""

import zlib
from collections.abc import Callable, Iterator

from holdfast.api import Chunk, IntegrityError, PluginError

_GZIP = 31  # zlib's wbits for a gzip header and trailer around a 32 KiB window
_PIECE = 1 << 20


class GzipCodec:
    """Encodes each block as one gzip member; zlib releases the GIL, so threads work in parallel."""

    suffix = ".gz"
    command = "gunzip -c"
    frame_magic = b"\x1f\x8b\x08"

    def __init__(self, *, level: int = 1, library: str = "auto") -> None:
        self._level = level
        self._compress = _compressor(level, library)

    def encode(self, block: Chunk) -> bytes:
        """Return one member."""
        return self._compress(block, self._level, _GZIP)

    def decoder(self) -> "GzipDecoder":
        """Start to decompress a blob."""
        return GzipDecoder()


def _compressor(level: int, library: str) -> Callable[[Chunk, int, int], bytes]:
    if library == "zlib" or (library == "auto" and level > 3):
        return zlib.compress
    try:
        from isal import isal_zlib
    except ImportError as error:
        if library == "isal":
            raise PluginError("the library isal is not installed", hint="pip install 'holdfast-gzip[isal]'") from error
        return zlib.compress
    compress: Callable[[Chunk, int, int], bytes] = isal_zlib.compress
    return compress


class GzipDecoder:
    """Decompresses members one after another, never more than 1 MiB at a time."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def decode(self, data: Chunk) -> Iterator[bytes]:
        """Yield the plain bytes that these stored bytes complete."""
        left: Chunk = data
        while left:
            self._begun = True
            before = self._member.copy()
            try:
                piece = self._inflate(left)
            except IntegrityError:
                yield _before_damage(before, left)
                raise
            if piece:
                yield piece
            left = self._member.unconsumed_tail
            if self._member.eof:
                left = self._member.unused_data
                self._begin()
            elif not left and len(piece) == _PIECE:
                # All input is taken in, but zlib may hold output back that did not fit into the piece.
                yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        while not self._member.eof and (piece := self._inflate(b"")):
            yield piece
        if self._member.eof:
            self._begin()

    def _inflate(self, data: Chunk) -> bytes:
        try:
            return self._member.decompress(data, _PIECE)
        except zlib.error as error:
            raise IntegrityError(f"not valid gzip: {error}") from error

    def finish(self) -> None:
        """Refuse a file that ends within a member."""
        if self._begun:
            raise IntegrityError("the gzip data is cut off")


def _before_damage(member: "zlib._Decompress", data: Chunk) -> bytes:
    """What comes before the error, at most `_PIECE`: the library hands out nothing of what it fails at."""
    plain, step = bytearray(), _PIECE // 16
    while step and len(plain) < _PIECE:
        before = member.copy()
        try:
            piece = member.decompress(data, step)
        except zlib.error:
            member, step = before, step // 16
            continue
        plain += piece
        data = member.unconsumed_tail
        if not piece:
            break
    return bytes(plain)
