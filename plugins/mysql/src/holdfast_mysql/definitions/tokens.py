"""SQL text as tokens, as far as it takes to change names in it without touching strings and comments."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STRING = rb"'(?:[^'\\]|\\.|'')*'"
_STRING_PLAIN = rb"'(?:[^']|'')*'"
_DOUBLE = rb'"(?:[^"\\]|\\.|"")*"'
_DOUBLE_PLAIN = rb'"(?:[^"]|"")*"'


def _pattern(string: bytes, double: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"(?P<quoted>`(?:[^`]|``)*`)|(?P<string>" + string + rb")|(?P<double>" + double + rb")"
        # The text of a routine or library in another language, as MySQL writes it.
        rb"|(?P<foreign>(?<=[Aa][Ss]\s)\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
        # The opening and closing of a versioned comment are marks: what it holds is code.
        rb"|(?P<mark>/\*M?!\d*|\*/)|(?P<comment>/\*.*?\*/|--(?=[\s\x00-\x1f]|$)[^\n]*|\#[^\n]*)"
        rb"|(?P<space>\s+)|(?P<word>[\w$\x80-\xff]+)|(?P<other>.)",
        re.DOTALL,
    )


_ESCAPING = _pattern(_STRING, _DOUBLE)
_LITERAL = _pattern(_STRING_PLAIN, _DOUBLE_PLAIN)  # NO_BACKSLASH_ESCAPES


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token and where it is; `kind` is `name`, `word`, `string`, `comment`, `mark`, `space` or `other`."""

    kind: str
    text: bytes
    start: int
    end: int

    @property
    def name(self) -> str | None:
        """The identifier that it is, without quotes; None for what is none."""
        if self.kind == "word":
            return self.text.decode(errors="replace")
        if self.kind == "name":
            quote = self.text[:1]
            return self.text[1:-1].replace(quote * 2, quote).decode(errors="replace")
        return None


def tokens(text: bytes, sql_mode: str | None = "") -> Iterator[Token]:
    """Take text apart, as the server does under that sql_mode."""
    modes = (sql_mode or "").upper().split(",")
    pattern = _LITERAL if "NO_BACKSLASH_ESCAPES" in modes else _ESCAPING
    ansi = "ANSI_QUOTES" in modes
    for match in pattern.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "quoted" or (kind == "double" and ansi):
            kind = "name"
        elif kind in ("double", "foreign"):
            kind = "string"
        yield Token(kind=kind, text=match[0], start=match.start(), end=match.end())


def code(text: bytes, sql_mode: str | None = "") -> list[Token]:
    """The tokens that are neither space nor comment."""
    return [token for token in tokens(text, sql_mode) if token.kind not in ("space", "comment", "mark")]


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
