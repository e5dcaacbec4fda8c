"""Members out, members in."""

import zlib
from collections.abc import Callable

from holdfast.api import Chunk, FrameDecoder, PluginError

_GZIP = 31  # zlib's wbits for a gzip header and trailer around a 32 KiB window


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

    def decoder(self) -> FrameDecoder:
        """Start to decompress a blob."""
        return FrameDecoder("gzip", _start, zlib.error)


def _start() -> "zlib._Decompress":
    return zlib.decompressobj(_GZIP)


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
