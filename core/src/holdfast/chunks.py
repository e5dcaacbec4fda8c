"""Chunks of a fitting size, of files and of many small pieces, and lines of them again."""

import os
from collections.abc import Iterable, Iterator

_CHUNK = 1 << 20  # bytes

_Data = bytes | bytearray | memoryview


def file_chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """What a file holds, in chunks of 1 MiB, less at its end; `OSError` where it cannot be read."""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def gather_chunks(pieces: Iterable[_Data]) -> Iterator[bytearray]:
    """Pieces of any size, such as rows, one after another in chunks of about 1 MiB."""
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = bytearray()
    if chunk:
        yield chunk


def split_lines(chunks: Iterable[_Data]) -> Iterator[bytes]:
    r"""The lines of text that comes in chunks cut anywhere, without their `\n`; the last line need not have any."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        yield from lines
    if rest:
        yield rest
