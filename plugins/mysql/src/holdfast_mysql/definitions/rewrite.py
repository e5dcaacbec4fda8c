"""Definitions made to fit another definer or another server, or made comparable."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from holdfast_mysql.definitions.client_bytes import codec_of
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, blanked, code, is_text, is_word, replaced, tokens, upper_words
from holdfast_mysql.session import quoted

# What each comment begins with, and the next number of a table as it says it.
_REMARK = re.compile(rb"/\*|--|#")
_COUNTER = re.compile(rb"(?<![\w$\x80-\xff])AUTO_INCREMENT\s*=\s*([\w$\x80-\xff]+)", re.IGNORECASE)
_STORED = frozenset({"event", "function", "procedure", "trigger"})
_HEAD = 12  # tokens within which a definer is named


def with_definer(statement: Statement, choice: str) -> bytes:
    """Keep the definer, or make whoever restores the definer; `strip` leaves the clause out, which means the same."""
    if choice == "keep":
        return statement.body
    span = _definer_span(statement)
    clause = b"DEFINER=CURRENT_USER" if choice == "current" else b""
    return replaced(statement.body, [(*span, clause)]) if span else statement.body


def stripped(statement: Statement) -> Statement:
    """A definition whose definer is whoever makes it."""
    return replace(statement, body=with_definer(statement, "strip"))


def dropped(statement: Statement) -> Statement:
    """What takes the object away that a definition makes."""
    body = f"DROP {statement.kind.upper()} IF EXISTS {quoted(statement.name)}".encode()
    return Statement(kind=statement.kind, name=statement.name, body=body)


def definer_clause(statement: Statement) -> str:
    """The clause DEFINER=… as it stands in the definition, empty for none."""
    span = _definer_span(statement)
    clause = statement.body[slice(*span)] if span else b""
    return clause.decode(codec_of(statement.character_set_client), errors="replace")


def _definer_span(statement: Statement) -> tuple[int, int] | None:
    """Where the clause DEFINER=… begins and ends."""
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    index = _definer_index(tokens)
    if index is None:
        return None
    end = index + 2
    if is_text(tokens, end + 1, b"@"):
        end += 2
    # CURRENT_USER may be followed by ().
    if is_text(tokens, end + 1, b"("):
        end += 2
    return tokens[index].start, tokens[end].end


def with_quoted_definer(body: bytes, statement: Statement) -> bytes:
    """A trigger's text with its definer in backticks.

    The server keeps it with or without quotes, as sql_quote_show_create was when the trigger was made.
    """
    tokens = code(body, statement.sql_mode, charset=statement.character_set_client)
    index = _definer_index(tokens)
    if index is None:
        return body
    names = [tokens[index + 2]]
    if is_text(tokens, index + 3, b"@"):
        names.append(tokens[index + 4])
    if any(token.name is None for token in names):
        return body
    definer = "@".join(quoted(token.name or "") for token in names)
    return replaced(body, [(names[0].start, names[-1].end, definer.encode())])


def _definer_index(tokens: Sequence[Token]) -> int | None:
    """Where the clause DEFINER= begins."""
    for index, token in enumerate(tokens[:_HEAD]):
        if token.text.upper() == b"DEFINER" and is_text(tokens, index + 1, b"="):
            return index
    return None


def trigger_moment(statement: Statement) -> str:
    """When a trigger fires, such as `BEFORE INSERT`."""
    words = upper_words(code(statement.body, statement.sql_mode, charset=statement.character_set_client)[:40])
    head = words[: words.index("ON")] if "ON" in words else []
    starts = [index for index, word in enumerate(head) if word in ("BEFORE", "AFTER")]
    return " ".join(head[starts[-1] :]) if starts else ""


def without_comments(body: bytes) -> bytes:
    """A table's definition without what the server remarks: that a column is of a format older than its own."""
    if not _REMARK.search(body):
        return body
    remarks = [token for token in tokens(body) if token.kind == "comment"]
    return replaced(body, [(token.start - body[: token.start].endswith(b" "), token.end, b"") for token in remarks])


def without_counter(body: bytes) -> tuple[bytes, int]:
    """A table's definition without the next number of its AUTO_INCREMENT column, and that number, 1 if none is said."""
    plain = blanked(body)
    counter = _COUNTER.search(plain)
    if counter is None:
        return body, 1
    return replaced(body, [(len(plain[: counter.start()].rstrip()), counter.end(), b"")]), int(counter[1])


def disabled(statement: Statement) -> bytes:
    """An event that does not run."""
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    for index, token in enumerate(tokens):
        if is_word(tokens, index, "ENABLE"):
            return replaced(statement.body, [(token.start, token.end, b"DISABLE")])
        if is_word(tokens, index, "DO"):
            break
    return statement.body


def with_last_semicolon(statement: Statement) -> bytes:
    """A routine, trigger or event that ends in a `;`, so that MySQL keeps it.

    It keeps the one before a comment and takes any other away, so that there are such definitions.
    """
    body = statement.body
    if statement.kind not in _STORED or not body.endswith(b";"):
        return body
    last = code(body, statement.sql_mode, charset=statement.character_set_client)[-1]
    return body + b"/**/" if last.text == b";" else body


def with_collations(statement: Statement, stand_in: Callable[[str], str | None]) -> bytes:
    """A definition with other collations, for a server that knows other ones."""
    changes = [
        (token.start, token.end, other.encode())
        for token in code(statement.body, statement.sql_mode, charset=statement.character_set_client)
        if token.kind == "word" and (other := stand_in(token.text.decode(errors="replace").lower()))
    ]
    return replaced(statement.body, changes)
