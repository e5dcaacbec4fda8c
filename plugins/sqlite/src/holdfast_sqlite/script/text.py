"""The text of a script, from its stored bytes."""

import codecs
import itertools
import zlib
from collections.abc import Iterable, Iterator

from holdfast.api import Chunk, IntegrityError

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
# What Windows programs and redirections of its PowerShell begin with.
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Text from bytes, decompressed if they are gzip's; UTF-16 only with its byte order mark.

    Bytes that are not UTF-8, which texts in a database may hold, come as surrogates (`surrogateescape`).
    """
    try:
        pieces = _plain(chunks)
        first = next(pieces, b"")
        while len(first) < len(codecs.BOM_UTF8) and (more := next(pieces, b"")):
            first += more
        mark, encoding = next(((mark, name) for mark, name in _MARKS if first.startswith(mark)), (b"", "utf-8"))
        decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding == "utf-8" else "strict")
        for piece in itertools.chain((first[len(mark) :],), pieces):
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise IntegrityError("the SQL script begins like UTF-16 text, and is none") from error
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
