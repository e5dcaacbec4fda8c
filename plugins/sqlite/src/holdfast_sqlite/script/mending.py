"""What the maker of a statement meant that no SQLite reads, where it is a known fault of the maker's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from holdfast_sqlite.script.statements import first_words
from holdfast_sqlite.tokens import Token, tokens

_NO_SEQUENCE = "no such table: sqlite_sequence"
_NO_INFINITY = "no such column: Inf"
_SURROGATE = re.compile("[\udc80-\udcff]")
_ROW_STATEMENTS = (["INSERT", "INTO"], ["DELETE", "FROM"])


def mended(connection: sqlite3.Connection, statement: str, error: str) -> str:
    """The statement as it was meant, after an error that it made; nothing if that is not known."""
    if first_words(statement, 2) not in _ROW_STATEMENTS:
        return ""
    if error == _NO_INFINITY:
        # As SQLite before 3.41 quotes an infinity in Python's iterdump.
        return _replaced(statement, lambda token: "9e999" if token.kind == "word" and token.text == "Inf" else None)
    if error == _NO_SEQUENCE:
        # Filled before the first table with AUTOINCREMENT is there, whose making makes it.
        connection.execute("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.execute("DROP TABLE holdfast_counter")
        return statement
    return ""


def with_raw_texts(connection: sqlite3.Connection, statement: str) -> str:
    """A statement with texts that are not UTF-8, as the shell's `.dump` writes them, in hexadecimal.

    Elsewhere than in literals of rows they are left as they are.
    """
    is_row = first_words(statement, 2) == ["INSERT", "INTO"]
    if not is_row or connection.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        return statement
    return _replaced(statement, _in_hexadecimal)


def _in_hexadecimal(token: Token) -> str | None:
    if token.kind != "string" or not _SURROGATE.search(token.text):
        return None
    return f"CAST(X'{token.name.encode(errors='surrogateescape').hex()}' AS TEXT)"


def _replaced(statement: str, other: Callable[[Token], str | None]) -> str:
    parts: list[str] = []
    end = 0
    for token in tokens(statement):
        if (text := other(token)) is not None:
            parts += [statement[end : token.start], text]
            end = token.end
    return "".join([*parts, statement[end:]])
