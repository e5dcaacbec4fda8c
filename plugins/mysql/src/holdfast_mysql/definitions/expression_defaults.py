"""Defaults of columns that are expressions, as MySQL takes them: in parentheses, which MariaDB leaves out of calls."""

from holdfast_mysql.definitions.create_table import options_start
from holdfast_mysql.definitions.tokens import closing, code, is_text, is_word, replaced

# MySQL takes them without parentheses, for columns of times; and sequences it has none.
_BARE = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP", "NEXTVAL", "LASTVAL")


def with_parentheses(body: bytes) -> bytes:
    """A table of MariaDB whose defaults that call a function are in parentheses."""
    tail = options_start(body)
    tokens = code(body)
    changes = []
    for index in range(len(tokens) - 2):
        called = tokens[index + 1].kind == "word" and is_text(tokens, index + 2, b"(")
        if (
            tokens[index].start < tail
            and is_word(tokens, index, "DEFAULT")
            and called
            and not is_word(tokens, index + 1, *_BARE)
        ):
            start, end = tokens[index + 1].start, tokens[closing(tokens, index + 2)].end
            changes.append((start, end, b"(" + body[start:end] + b")"))
    return replaced(body, changes)
