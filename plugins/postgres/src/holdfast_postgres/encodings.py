"""Text and bytes of a database, one rule for all of it.

Names and statements are text here. Queries go to the server in UTF-8, which it converts; arguments and scripts for
client programs, and what archives hold, are in the encoding of the database. A database in SQL_ASCII has bytes of any
kind and converts nothing: what is no UTF-8 stands for itself in text, byte by byte, as a character for private use.
Manual: chapter "Character Set Support".
"""

import codecs

from holdfast.api import HoldfastError

ANY_BYTES = "SQL_ASCII"
# Python's names where they are not PostgreSQL's.
_CODECS = {
    ANY_BYTES: "utf-8", "WIN866": "cp866", "WIN874": "cp874", "EUC_CN": "gb2312", "JOHAB": "johab",
    **{f"WIN125{number}": f"cp125{number}" for number in range(9)},
}  # fmt: skip
# A byte that is no text: to Python a lone surrogate, which no manifest can hold.
_PRIVATE = 0x10FF00
_TO_TEXT = {0xDC00 + byte: _PRIVATE + byte for byte in range(0x80, 0x100)}
# Such a character that is there itself is taken for bytes too, so that each text means one row of bytes.
_SPLIT = {private: "".join(chr(0xDC00 + byte) for byte in chr(private).encode()) for private in _TO_TEXT.values()}
_TO_BYTES = {private: surrogate for surrogate, private in _TO_TEXT.items()}


def decode(data: bytes, encoding: str) -> str:
    """The text of bytes in an encoding of PostgreSQL's, whatever they are."""
    if data.isascii():  # most names and definitions: all encodings of servers hold ASCII, byte by byte
        return data.decode("ascii")
    return data.decode(_codec(encoding), "surrogateescape").translate(_SPLIT).translate(_TO_TEXT)


def encode(text: str, encoding: str) -> bytes:
    """The bytes of a text; `HoldfastError` for what the encoding has no character for."""
    if text.isascii():
        return text.encode("ascii")
    try:
        return text.translate(_TO_BYTES).encode(_codec(encoding), "surrogateescape")
    except UnicodeEncodeError as error:
        raise HoldfastError(f"{text[error.start : error.end]!a} cannot be written in {encoding}") from error


def _codec(encoding: str) -> str:
    name = _CODECS.get(encoding, encoding)
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise HoldfastError(f"names beyond ASCII in {encoding} cannot be read", hint="use the format plain") from error
