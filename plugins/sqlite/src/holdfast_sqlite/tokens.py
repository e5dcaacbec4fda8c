"""The tokens of SQL text, as SQLite divides it (https://www.sqlite.org/src/file/src/tokenize.c).

Standard library only, and little of it: child processes need it alike.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # `typing` takes a tenth of the time in which a child process starts
if TYPE_CHECKING:
    from collections.abc import Iterator

# What is never closed goes on to the end, so that every text is read once. In names is all beyond ASCII: what is not
# in them is quicker to compile (1 ms instead of 18).
_TOKEN = re.compile(
    r"""
    (?P<space> [ \t\n\f\r]+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<string> '[^']*(?:''[^']*)*(?:'|\Z) )
  | (?P<blob> [xX]'[^']*(?:'|\Z) )
  | (?P<quoted> "[^"]*(?:""[^"]*)*(?:"|\Z) | `[^`]*(?:``[^`]*)*(?:`|\Z) | \[[^\]]*(?:\]|\Z) )
  | (?P<number> \.?[0-9](?:[eE][+-]|[0-9A-Za-z_$.])* )
  | (?P<word> [^\x00-@\[-^`{-\x7f][^\x00-\#%-/:-@\[-^`{-\x7f]* )
  | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Token:
    """One token: `kind` is string, blob, quoted (a name), number, word (a name or keyword) or other (one character)."""

    __slots__ = ("end", "kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.end = end

    @property
    def name(self) -> str:
        """The name that it is, without its quotes; SQLite takes a string for a name wherever only a name can be."""
        return unquoted(self.text)

    def is_word(self, word: str) -> bool:
        """Whether it is a keyword, which is given in uppercase."""
        return self.kind == "word" and self.text.upper() == word


def tokens(sql: str) -> Iterator[Token]:
    """Yield all tokens but white space and comments."""
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match[0], match.start(), match.end())


def unquoted(text: str) -> str:
    """A name or string without its quotes of any kind; what has none as it is."""
    quote = text[:1]
    if quote == "[":
        return text[1:].removesuffix("]")
    if quote and quote in "\"'`":
        return text[1:].removesuffix(quote).replace(quote * 2, quote)
    return text


def folded(name: str) -> str:
    """A name in the form in which SQLite compares it: letters of ASCII in lowercase, all others as they are."""
    return name.translate(_UPPER)


def surrogates(raw: bytes) -> str:
    """Decode text as it is stored: bytes that are not UTF-8 as lone surrogates. A factory of text for connections."""
    return raw.decode(errors="surrogateescape")


def label(name: str) -> str:
    """A name as a message can show it: what is no letter or sign, and bytes that are not UTF-8, as escapes."""
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
