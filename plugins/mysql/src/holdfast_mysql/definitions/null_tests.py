"""Conditions that MySQL adds to a view with INTERSECT each time that the view is made: `… and (x is not null)`.

It writes them among those of the text, so that a view grows with each dump and restore, and means the same.
"""

from collections.abc import Iterator, Sequence

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, code, is_text, is_word, replaced


def without_repeated_tests(statement: Statement, body: bytes) -> bytes:
    """The definition of a view with each of these conditions once among those that AND joins."""
    if b" intersect " not in body.lower():
        return body
    tokens = code(body, statement.sql_mode, charset=statement.character_set_client)
    changes: list[tuple[int, int, bytes]] = []
    index = 0
    while index < len(tokens):
        chain = list(_chain(tokens, index))
        changes += _repeated(tokens, chain, body)
        index = chain[-1][1] + 1 if chain else index + 1
    return replaced(body, changes)


def _chain(tokens: Sequence[Token], start: int) -> Iterator[tuple[int, int]]:
    """The first and the last token of each of the tests that AND joins, from that token on."""
    end = _test_end(tokens, start)
    while end:
        yield start, end
        if not is_word(tokens, end + 1, "AND"):
            return
        start = end + 2
        end = _test_end(tokens, start)


def _test_end(tokens: Sequence[Token], start: int) -> int:
    """Where `(… is not null)` ends that begins there, 0 if none does."""
    depth = 0
    for index in range(start, len(tokens)) if is_text(tokens, start, b"(") else ():
        depth += is_text(tokens, index, b"(") - is_text(tokens, index, b")")
        if depth == 0:
            words = [token.text.upper() for token in tokens[index - 3 : index]]
            return index if words == [b"IS", b"NOT", b"NULL"] and _is_one(tokens, start + 1, index - 3) else 0
    return 0


def _is_one(tokens: Sequence[Token], start: int, end: int) -> bool:
    """Whether no AND or OR stands there outside of further parentheses."""
    depth = 0
    for index in range(start, end):
        depth += is_text(tokens, index, b"(") - is_text(tokens, index, b")")
        if depth == 0 and is_word(tokens, index, "AND", "OR", "XOR"):
            return False
    return True


def _repeated(
    tokens: Sequence[Token], chain: Sequence[tuple[int, int]], body: bytes
) -> Iterator[tuple[int, int, bytes]]:
    """What to take out; the parentheses around a chain go with all but one of it."""
    seen = set()
    for start, end in chain:
        text = body[tokens[start].start : tokens[end].end]
        if text in seen:
            yield tokens[start - 2].end, tokens[end].end, b""
        seen.add(text)
    if len(chain) > len(seen) == 1:
        before, after = chain[0][0] - 1, chain[-1][1] + 1
        if is_text(tokens, before, b"(") and is_text(tokens, after, b")"):
            yield tokens[before].start, tokens[before].end, b""
            yield tokens[after].start, tokens[after].end, b""
