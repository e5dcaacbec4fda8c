"""Definitions as bytes in the character set of the client that made them."""

import re

# What Python calls the character sets of clients.
_CODECS = {
    "ascii": "ascii", "big5": "big5hkscs", "cp1250": "cp1250", "cp1251": "cp1251", "cp1256": "cp1256",
    "cp1257": "cp1257", "cp850": "cp850", "cp852": "cp852", "cp866": "cp866", "cp932": "cp932", "eucjpms": "euc_jp",
    "euckr": "euc_kr", "gb18030": "gb18030", "gb2312": "gb2312", "gbk": "gbk", "greek": "iso8859_7",
    "hebrew": "iso8859_8", "koi8r": "koi8_r", "koi8u": "koi8_u", "latin1": "cp1252", "latin2": "iso8859_2",
    "latin5": "iso8859_9", "latin7": "iso8859_13", "macce": "mac_latin2", "macroman": "mac_roman", "sjis": "cp932",
    "tis620": "cp874", "ujis": "euc_jp",
}  # fmt: skip
_GBK = rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]"
_SJIS = re.compile(rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]")
# Characters whose last byte can be a quote, or what escapes one.
_ENDING_IN_ASCII = {
    "big5": re.compile(rb"[\xa1-\xf9][\x40-\x7e\xa1-\xfe]"),
    "cp932": _SJIS,
    "gb18030": re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|" + _GBK),
    "gbk": re.compile(_GBK),
    "sjis": _SJIS,
}


def codec_of(charset: str) -> str:
    """The codec of a character set of the server's, UTF-8 for those that Python does not know."""
    return _CODECS.get(charset, "utf-8")


def ends_in_ascii(charset: str) -> bool:
    """Whether characters of a set can end in a byte that is a character of ASCII."""
    return charset in _ENDING_IN_ASCII


def masked(text: bytes, charset: str) -> bytes:
    """The text with bytes that mean nothing in SQL for such characters; all else is in its place."""
    pattern = _ENDING_IN_ASCII.get(charset)
    return text if pattern is None else pattern.sub(lambda match: b"\xff" * len(match[0]), text)


def in_charset(text: str, charset: str) -> bytes:
    """A text in a character set; in UTF-8 where that has not all of its characters."""
    try:
        return text.encode(codec_of(charset))
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape")
