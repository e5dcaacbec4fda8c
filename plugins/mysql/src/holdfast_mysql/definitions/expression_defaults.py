"""Defaults of columns that are expressions, as MySQL takes them: in parentheses, which MariaDB leaves out of calls."""

from collections.abc import Sequence

from holdfast_mysql.definitions.create_table import column_tokens
from holdfast_mysql.definitions.tokens import Token, closing, is_text, is_word, replaced

# MySQL takes them without parentheses, for columns of times; and sequences it has none.
_BARE = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP", "NEXTVAL", "LASTVAL")


# Types for which MySQL takes no literal as a default, but an expression that is one.
_LONG = ("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")


def with_parentheses(body: bytes) -> bytes:
    """A table of MariaDB whose defaults that call a function are in parentheses, and those of long texts."""
    changes = []
    for tokens in column_tokens(body):
        index = next((index for index in range(len(tokens) - 1) if is_word(tokens, index, "DEFAULT")), None)
        if index is not None and (end := _end(tokens, index + 1)) is not None:
            start = tokens[index + 1].start
            changes.append((start, end, b"(" + body[start:end] + b")"))
    return replaced(body, changes)


def _end(tokens: Sequence[Token], first: int) -> int | None:
    """Where a default ends that needs parentheses; None where it needs none."""
    if tokens[first].kind == "word" and is_text(tokens, first + 1, b"("):
        return None if is_word(tokens, first, *_BARE) else tokens[closing(tokens, first + 1)].end
    if not is_word(tokens, 1, *_LONG) or is_word(tokens, first, "NULL") or is_text(tokens, first, b"("):
        return None
    introduced = first + 1 < len(tokens) and tokens[first].kind != "string" and tokens[first + 1].kind == "string"
    return tokens[first + 1 if introduced else first].end
