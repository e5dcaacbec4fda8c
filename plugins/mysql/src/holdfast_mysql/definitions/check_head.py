"""Definitions proven to make one object of the current database, whatever the backup says.

A backup from a stranger could otherwise drop or redirect: its script is data, not orders.
"""

from collections.abc import Sequence

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, code, is_text, is_word, upper_words

_HEAD = 1000  # bytes of an INSERT, which may be very long, that name its table
_WORDS = 40  # tokens within which a definition has named its object
_FEW = 12  # tokens of the beginning of a table
_HEADS = {
    "sequence": ["SEQUENCE"],
    "table": ["TABLE"],
    "view": ["VIEW"],
    "trigger": ["TRIGGER"],
    "procedure": ["PROCEDURE"],
    "function": ["FUNCTION"],
    "package": ["PACKAGE"],
    "package body": ["PACKAGE", "BODY"],
    "event": ["EVENT"],
    "library": ["LIBRARY"],
}


def check_head(statement: Statement, body: bytes, *, database: str) -> None:
    """Refuse a definition that makes anything but the object that it says, in the current database.

    Names may be qualified by `database` and no other one.
    """
    made = {"rows": _inserts, "sequence state": _inserts, "histogram": _describes}.get(statement.kind, _creates)
    if not made(statement, body, database):
        raise IntegrityError(f"the definition of {statement.kind} {quote_name(statement.name)} does not create it")


def _inserts(statement: Statement, body: bytes, database: str) -> bool:
    tokens = code(body[:_HEAD], statement.sql_mode, charset=statement.character_set_client)
    return upper_words(tokens[:2]) == ["INSERT", "INTO"] and _names(tokens, 2, statement.name, database)


def _describes(statement: Statement, body: bytes, database: str) -> bool:
    tokens = code(body, statement.sql_mode, charset=statement.character_set_client)
    words = upper_words(tokens)
    after = words.index("UPDATE") if "UPDATE" in words else len(words)
    return (
        words[:2] == ["ANALYZE", "TABLE"]
        and _names(tokens, 2, statement.table, database)
        and words[after : after + 3] == ["UPDATE", "HISTOGRAM", "ON"]
        and after in (3, 5)
    )


def _creates(statement: Statement, body: bytes, database: str) -> bool:
    # The first few tokens of a table tell, unless it could be made from another one further behind.
    if statement.kind == "table" and b"select" not in body.lower():
        first = code(body, statement.sql_mode, charset=statement.character_set_client, first=_FEW)
        if _creates_by(statement, first, database):
            return True
    return _creates_by(statement, code(body, statement.sql_mode, charset=statement.character_set_client), database)


def _creates_by(statement: Statement, tokens: Sequence[Token], database: str) -> bool:
    words = upper_words(tokens[:_WORDS])
    if statement.kind not in _HEADS or words[:1] != ["CREATE"]:
        return False
    index = _object_index(tokens, words, _HEADS[statement.kind])
    if index is None or not _names(tokens, index, statement.name, database):
        return False
    if statement.kind == "trigger":
        on = words.index("ON") if "ON" in words else len(words)
        return _names(tokens, on + 1, statement.table, database)
    return statement.kind != "table" or _has_columns(tokens, index)


def _object_index(tokens: Sequence[Token], words: list[str], head: list[str]) -> int | None:
    """Where the name of the object is: behind its kind."""
    for start in range(1, len(words)):
        if words[start : start + len(head)] == head and tokens[start].kind == "word":
            index = start + len(head)
            return index + 3 if words[index : index + 3] == ["IF", "NOT", "EXISTS"] else index
    return None


def _has_columns(tokens: Sequence[Token], index: int) -> bool:
    """Whether a table has columns of its own, and is not made from another one by LIKE or SELECT."""
    after = index + 3 if is_text(tokens, index + 1, b".") else index + 1
    return is_text(tokens, after, b"(") and not any(is_word(tokens, i, "SELECT") for i in range(after, len(tokens)))


def _names(tokens: Sequence[Token], index: int, name: str, database: str) -> bool:
    """Whether that object is named there, qualified by the database or not at all."""
    if index + 2 < len(tokens) and is_text(tokens, index + 1, b"."):
        if (tokens[index].name or "").casefold() != database.casefold():
            return False
        index += 2
    if index >= len(tokens):
        return False
    return (tokens[index].name or "").casefold() == name.casefold() and not is_text(tokens, index + 1, b".")
