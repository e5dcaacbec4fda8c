"""The text of a script, from its stored bytes."""

import codecs
import itertools
import zlib
from collections.abc import Iterable, Iterator

from holdfast.api import Chunk, IntegrityError

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20


def decode(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Text from bytes, decompressed if they are gzip's."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in _plain(chunks):
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise IntegrityError("the SQL script is not UTF-8 text") from error
    except zlib.error as error:
        raise IntegrityError(f"the SQL script is not valid gzip: {error}") from error


def _plain(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """Undo the gzip of files that were stored so by others, any number of members, in bounded pieces."""
    pieces = (bytes(chunk) for chunk in chunks if chunk)
    first = next(pieces, b"")
    if first[:2] != _GZIP:
        yield first
        yield from pieces
        return
    member: zlib._Decompress | None = None
    for data in itertools.chain((first,), pieces):
        left = data
        while left:
            member = member or zlib.decompressobj(wbits=31)
            yield member.decompress(left, _PIECE)
            left = member.unused_data if member.eof else member.unconsumed_tail
            member = None if member.eof else member
    if member is not None:
        raise IntegrityError("the SQL script's gzip data is cut off")
