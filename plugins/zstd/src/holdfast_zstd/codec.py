"""Frames out, frames in, never much more in memory than goes through."""

import contextlib
import itertools
import threading
from collections.abc import Iterator

import zstandard

from holdfast.api import Chunk, IntegrityError
from holdfast_zstd.frames import MAGIC, MAX_WINDOW, FrameReader

_KEPT = 4 << 20  # bytes of a frame that is being read, which are read once more where it is damaged
_STEP = 1 << 10  # bytes; of these none is lost but what stands before the damage in the same block
_FRAME = 1 << 20  # bytes; what the pipeline asks to encode, less at the end of a stream


class ZstdCodec:
    """Encodes each block as one frame with its size and a checksum; compressors are kept per thread."""

    suffix = ".zst"
    command = "zstd -dc"
    frame_magic = MAGIC

    def __init__(self, *, level: int = 1) -> None:
        self._level = level
        self._local = threading.local()

    def encode(self, block: Chunk) -> bytes:
        """Return one frame; a compressor is not thread-safe and costs 0.1 ms to make."""
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = _compressor(self._level)
        return compressor.compress(block)

    def decoder(self) -> "ZstdDecoder":
        """Start to decompress a blob."""
        return ZstdDecoder()


def _compressor(level: int) -> zstandard.ZstdCompressor:
    if level != 3:
        return zstandard.ZstdCompressor(level=level, write_checksum=True)
    # For long matches level 3 has a table of 512 KiB, made for windows of 2 MiB. Half of it is enough for a frame
    # of 1 MiB and leaves room for the frame in a second-level cache: 4 to 6 % less CPU for 0.3 % more bytes
    # (pages of SQLite, rows as text, libraries).
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=_FRAME, hash_log=16, write_content_size=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


class ZstdDecoder:
    """Decompresses frame after frame in slices that cannot become more than about 2 MiB.

    A decompressor hands out all that its input expands to, and 4 bytes can stand for 128 KiB: 1 MiB of input
    could fill 30 GiB of memory. So the input is cut where RFC 8878 lets blocks end, 16 of them at a time.
    """

    def __init__(self) -> None:
        self._frames = FrameReader()
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._given: list[bytes] = []  # the slices of the frame so far
        self._kept = self._yielded = 0

    def decode(self, data: Chunk) -> Iterator[bytes]:
        """Yield the plain bytes that these stored bytes complete; of a damaged frame all blocks before the damage."""
        for piece, last in self._frames.slices(data):
            frame = self._frame = self._frame or self._begin()
            self._keep(piece)
            try:
                plain = frame.decompress(piece)
            except zstandard.ZstdError as error:
                yield from self._before_damage()
                raise IntegrityError(f"not valid zstd: {error}") from error
            self._yielded += len(plain)
            if last:
                self._frame = None
            if plain:
                yield plain

    def _begin(self) -> "zstandard.ZstdDecompressionObj":
        self._given, self._kept, self._yielded = [], 0, 0
        return self._decompressor.decompressobj()

    def _keep(self, piece: bytes) -> None:
        self._kept += len(piece)
        self._given = [*self._given, piece] if self._kept <= _KEPT else []

    def _before_damage(self) -> Iterator[bytes]:
        """What comes before the error: the library hands out nothing of a slice that it fails at."""
        if not self._given:
            return
        frame, skip = self._decompressor.decompressobj(), self._yielded
        data = memoryview(b"".join(self._given))
        checksum = max(0, len(data) - 4)  # if the frame ends here
        with contextlib.suppress(zstandard.ZstdError):
            for start, end in itertools.pairwise([*range(0, checksum, _STEP), checksum, len(data)]):
                plain = frame.decompress(data[start:end])
                if plain[skip:]:
                    yield plain[skip:]
                skip = max(0, skip - len(plain))

    def finish(self) -> None:
        """Refuse a file that ends within a frame."""
        if not self._frames.between_frames:
            raise IntegrityError("the zstd data is cut off")
