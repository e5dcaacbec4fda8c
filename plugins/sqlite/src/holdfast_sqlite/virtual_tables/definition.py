"""CREATE VIRTUAL TABLE, taken apart as SQLite and the modules do it."""

from __future__ import annotations

from holdfast_sqlite.tokens import Token, folded, tokens

TYPE_CHECKING = False  # see `tokens`
if TYPE_CHECKING:
    from collections.abc import Iterator


class Definition:
    """A virtual table as it is declared: its name, its module in lowercase, and the module's arguments as raw text."""

    def __init__(self, name: str, module: str, arguments: tuple[str, ...]) -> None:
        self.name = name
        self.module = module
        self.arguments = arguments


def parse(sql: str) -> Definition | None:
    """Take a CREATE VIRTUAL TABLE apart; None if it is something else."""
    words = tokens(sql)
    if not _is_create_virtual(words):
        return None
    name = token = next(words, None)
    if token is not None and token.is_word("IF"):  # in a script, where it may stand before the name
        next(words, None)
        next(words, None)
        name = next(words, None)
    token = next(words, None)
    if token is not None and token.text == ".":
        name, token = next(words, None), next(words, None)
    module = next(words, None)
    if name is None or module is None or token is None or not token.is_word("USING"):
        return None
    return Definition(name.name, folded(module.name), tuple(_arguments(sql, words)))


def _is_create_virtual(words: Iterator[Token]) -> bool:
    """Whether tokens begin so; those words are taken."""
    for expected in ("CREATE", "VIRTUAL", "TABLE"):
        token = next(words, None)
        if token is None or not token.is_word(expected):
            return False
    return True


def _arguments(sql: str, words: Iterator[Token]) -> Iterator[str]:
    """Yield the module's arguments: what stands between commas outside of all quotes and parentheses.

    Each is the text from its first token to its last, with what lies between (`sqlite3VtabArgExtend`).
    """
    first = next(words, None)
    if first is None or first.text != "(":
        return
    depth = 1
    start = end = -1
    for token in words:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 or (depth == 1 and token.text == ","):
            if start >= 0:
                yield sql[start:end]
            start = -1
            if depth == 0:
                return
            continue
        start = token.start if start < 0 else start
        end = token.end
