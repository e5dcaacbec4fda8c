"""SQL text as tokens, as far as it takes to change names in it without touching strings and comments."""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from holdfast_mysql.definitions.client_bytes import codec_of, masked

_STRING = rb"'(?:[^'\\]|\\.|'')*'"
_STRING_PLAIN = rb"'(?:[^']|'')*'"
_DOUBLE = rb'"(?:[^"\\]|\\.|"")*"'
_DOUBLE_PLAIN = rb'"(?:[^"]|"")*"'
_MARK = rb"/\*M?!\d*|\*/"
_COMMENT = rb"/\*.*?\*/|--(?=[\s\x00-\x1f]|$)[^\n]*|\#[^\n]*"


def _pattern(string: bytes, double: bytes) -> re.Pattern[bytes]:
    return re.compile(
        # What there is most of stands first: nothing else begins with a space, and with a `$` only what comes before.
        rb"(?P<space>\s+)"
        # The text of a routine or library in another language, as MySQL writes it.
        rb"|(?P<foreign>(?<=[Aa][Ss]\s)\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
        rb"|(?P<word>[\w$\x80-\xff]+)"
        rb"|(?P<quoted>`(?:[^`]|``)*`)|(?P<string>" + string + rb")|(?P<double>" + double + rb")"
        # The opening and closing of a versioned comment are marks: what it holds is code.
        rb"|(?P<mark>" + _MARK + rb")|(?P<comment>" + _COMMENT + rb")"
        rb"|(?P<other>.)",
        re.DOTALL,
    )


# What a search for words has to pass over, in any sql_mode but NO_BACKSLASH_ESCAPES.
_OPAQUE = re.compile(
    rb"`(?:[^`]|``)*`|"
    + _STRING
    + rb"|"
    + _DOUBLE
    + rb"|(/\*M?!\d*|\*/|/\*.*?\*/|--(?=[\s\x00-\x1f]|$)[^\n]*|\#[^\n]*)",
    re.DOTALL,
)
_ESCAPING = _pattern(_STRING, _DOUBLE)
_LITERAL = _pattern(_STRING_PLAIN, _DOUBLE_PLAIN)  # NO_BACKSLASH_ESCAPES


class Token(NamedTuple):
    """A token and where it is; `kind` is `name`, `word`, `string`, `comment`, `mark`, `space` or `other`.

    `charset` is the character set of its text as the server calls it, empty for UTF-8.

    A tuple, because a table has a hundred of them, and a dataclass takes five times as long to make.
    """

    kind: str
    text: bytes
    start: int
    end: int
    charset: str = ""

    @property
    def name(self) -> str | None:
        """The identifier that it is, without quotes; None for what is none."""
        if self.kind == "word":
            return self.text.decode(codec_of(self.charset), errors="replace")
        if self.kind == "name":
            quote = self.text[:1].decode()
            return self.text[1:-1].decode(codec_of(self.charset), errors="replace").replace(quote * 2, quote)
        return None


# What stands between the tokens of the code itself.
_BETWEEN = frozenset({"space", "comment", "mark"})


def tokens(
    text: bytes, sql_mode: str | None = "", *, charset: str = "", without: Collection[str] = ()
) -> Iterator[Token]:
    """Take text apart, as the server does under an sql_mode and in a character set; some kinds are passed over."""
    modes = (sql_mode or "").upper().split(",")
    pattern = _LITERAL if "NO_BACKSLASH_ESCAPES" in modes else _ESCAPING
    kinds = {"quoted": "name", "double": "name" if "ANSI_QUOTES" in modes else "string", "foreign": "string"}
    for match in pattern.finditer(masked(text, charset)):
        kind = match.lastgroup or "other"
        if kind not in without:
            start, end = match.span()
            yield Token(kinds.get(kind, kind), text[start:end], start, end, charset)


def code(text: bytes, sql_mode: str | None = "", *, charset: str = "", first: int | None = None) -> list[Token]:
    """The tokens that are neither space nor comment; with `first` only so many of them."""
    return list(islice(tokens(text, sql_mode, charset=charset, without=_BETWEEN), first))


def blanked(text: bytes) -> bytes:
    """The text with spaces for comments, and a `?` for each byte of what is quoted: patterns find only code in it.

    That takes a tenth of taking it apart.
    """
    return _OPAQUE.sub(_blank, text)


def _blank(match: re.Match[bytes]) -> bytes:
    return (b" " if match.lastindex else b"?") * len(match[0])


def replaced(text: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The text with some ranges changed."""
    parts, last = [], 0
    for start, end, new in sorted(changes):
        parts += [text[last:start], new]
        last = end
    return b"".join([*parts, text[last:]])


def is_text(tokens: Sequence[Token], index: int, text: bytes) -> bool:
    """Whether there is a token with that text at that place."""
    return 0 <= index < len(tokens) and tokens[index].text == text


def is_word(tokens: Sequence[Token], index: int, *words: str) -> bool:
    """Whether there is one of these words, unquoted and in any case, at that place."""
    return (
        0 <= index < len(tokens)
        and tokens[index].kind == "word"
        and tokens[index].text.upper().decode(errors="replace") in words
    )


def upper_words(tokens: Sequence[Token]) -> list[str]:
    """The texts of tokens in upper case."""
    return [token.text.upper().decode(errors="replace") for token in tokens]


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Where the parenthesis ends that begins there; `opening` where it does not."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {b"(": 1, b")": -1}.get(tokens[index].text, 0)
        if not depth:
            return index
    return opening
