"""The SQL function `unistr` of SQLite 3.50, by which its shell writes texts with control characters."""

import re
import sqlite3

_ESCAPE = re.compile(
    r"\\(?:\\|([0-9A-Fa-f]{4})|u([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|U([0-9A-Fa-f]{8})|(.|\Z))", re.DOTALL
)


def add_unistr(connection: sqlite3.Connection) -> None:
    """Give a connection the function, unless SQLite has it."""
    try:
        connection.execute("SELECT unistr('')")
    except sqlite3.OperationalError:
        connection.create_function("unistr", 1, unistr, deterministic=True)


def unistr(text: object) -> str | None:
    """Replace the escapes of a text; what is none is an error, as it is in SQLite."""
    return None if text is None else _ESCAPE.sub(_character, str(text))


def _character(match: re.Match[str]) -> str:
    if match[5] is not None:
        raise ValueError("invalid Unicode escape")
    digits = match[1] or match[2] or match[3] or match[4]
    return chr(int(digits, 16)) if digits else "\\"
