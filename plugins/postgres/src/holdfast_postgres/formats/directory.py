"""pg_dump's directory format as one stream: a tar of its files, and back."""

import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast.api import Chunk, IntegrityError, quote_name

_READ = 1 << 20
# What pg_dump puts into a directory: the table of contents, a file a table, the large objects and their lists.
_NAME = re.compile(r"toc\.dat|\d+\.dat|blobs(_\d+)?\.toc|blob_\d+\.dat")


def directory_chunks(folder: Path) -> Iterator[bytes]:
    """Yield the directory as a tar, each file removed as soon as it is read."""
    for name in sorted(os.listdir(folder)):
        path = folder / name
        entry = tarfile.TarInfo(name)
        entry.size = path.stat().st_size
        entry.mode = 0o600
        # GNU's numbers have no limit of 8 GB a file, and every tar reads them.
        yield entry.tobuf(tarfile.GNU_FORMAT)
        with open(path, "rb", buffering=0) as file:
            left = entry.size
            while left:
                piece = file.read(min(_READ, left))
                if not piece:
                    raise IntegrityError(f"pg_dump's file {quote_name(name)} became shorter while it was read")
                left -= len(piece)
                yield piece
        yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
        path.unlink()
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


class _Reader:
    """Chunks as the file that `tarfile` reads as a stream."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        pieces = []
        while size:
            if not self._left:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._left = memoryview(chunk)
            piece, self._left = self._left[:size], self._left[size:]
            pieces.append(bytes(piece))
            size -= len(piece)
        return b"".join(pieces)

    def drain(self) -> None:
        for _ in self._chunks:
            pass


def unpack(chunks: Iterable[Chunk], folder: Path) -> None:
    """Write the files of such a tar into a new folder; anything that pg_dump would not write is refused."""
    folder.mkdir(mode=0o700)
    reader = _Reader(chunks)
    try:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=_READ) as tar:  # type: ignore[call-overload]
            for entry in tar:
                if not entry.isreg() or not _NAME.fullmatch(entry.name):
                    raise IntegrityError(f"the directory holds {quote_name(entry.name)}, which pg_dump would not write")
                _write(tar, entry, folder / entry.name)
    except tarfile.TarError as error:
        raise IntegrityError(f"the stream is not a tar of pg_dump's directory: {error}") from error
    reader.drain()


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(entry)
    assert source is not None  # noqa: S101 (a regular file)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        left = entry.size
        while left:
            piece = source.read(min(_READ, left))
            if not piece:
                raise IntegrityError(f"the directory's file {quote_name(entry.name)} is truncated")
            left -= len(piece)
            target.write(piece)
