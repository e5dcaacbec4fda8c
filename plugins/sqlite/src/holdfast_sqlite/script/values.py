"""Values as SQL literals that every SQLite reads back as they were, to the last bit."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import literal

_GROUP = 50  # columns
# Stands for a carriage return within a literal: the shell takes those at the ends of lines away.
_MARK = 0xE00D
_EXACT = "holdfast_exact"


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the function that `row_expression` uses."""
    connection.create_function(_EXACT, 1, _exact, deterministic=True)


def row_expression(columns: list[str], *, utf8: bool) -> str:
    """SQL that makes of a row its literals with commas between, from columns that are quoted as names."""
    return _joined([expression(column, utf8=utf8) for column in columns])


def _joined(expressions: list[str]) -> str:
    """SQL that puts commas between values, in groups: SQLite's expressions are 1000 deep at most."""
    comma = "||','||"
    groups = [comma.join(expressions[at : at + _GROUP]) for at in range(0, len(expressions), _GROUP)]
    return groups[0] if len(groups) == 1 else comma.join(f"({group})" for group in groups)


def expression(column: str, *, utf8: bool) -> str:
    """SQL that writes a value as a literal: all of quote()'s, which stops at NUL and knows no infinity, and more."""
    mark = f"char({_MARK})"
    lost = "" if utf8 else f"OR {_is_changed_by_utf8(column)} "
    returns = f"'replace('||quote(replace({column},char(13),{mark}))||',{mark},char(13))'"
    return (
        f"CASE typeof({column}) "
        f"WHEN 'real' THEN CASE WHEN {column} = 9e999 THEN '9e999' WHEN {column} = -9e999 THEN '-9e999' "
        f"WHEN {column} <> 0 AND CAST(quote({column}) AS REAL) = {column} THEN quote({column}) "
        f"ELSE {_EXACT}({column}) END "
        f"WHEN 'text' THEN CASE WHEN instr({column},char(0)) OR instr({column},{mark}) {lost}"
        f"THEN 'CAST(X'''||hex(CAST({column} AS BLOB))||''' AS TEXT)' "
        f"WHEN instr({column},char(13)) THEN {returns} ELSE quote({column}) END "
        f"ELSE quote({column}) END"
    )


def _is_changed_by_utf8(column: str) -> str:
    """SQL that tells of a text in UTF-16 whether a script, which is UTF-8, brings another one back."""
    # trim() of nothing gives the text through UTF-8, and back as this library does it: another, before 3.54, makes
    # U+FFFD of U+FFFE and U+FFFF.
    changed = f"CAST(trim({column},'') AS BLOB) <> CAST({column} AS BLOB)"
    return f"{changed} OR instr({column},char(65534)) OR instr({column},char(65535))"


def _exact(number: float) -> str:
    """A number of which SQLite's decimals lose the last bit or the sign, in powers of two, which are exact."""
    if not number:
        return str(number)  # 0.0 or -0.0
    numerator, denominator = number.as_integer_ratio()
    power = max(0, numerator.bit_length() - 53) if denominator == 1 else -(denominator.bit_length() - 1)
    whole = numerator >> power if power > 0 else numerator
    operator = "*" if power > 0 else "/"
    steps, rest = divmod(abs(power), 40)
    factors = f"{operator}{2**40}.0" * steps + f"{operator}{2**rest}.0"
    return f"(CAST({whole} AS REAL){factors})"


def text_literal(text: str) -> str:
    """Quote a text so that the shell, too, keeps the carriage returns in it."""
    if "\r" not in text:
        return literal(text)
    mark = next(chr(code) for code in range(_MARK, 0xF900) if chr(code) not in text)
    return f"replace({literal(text.replace(chr(13), mark))},char({ord(mark)}),char(13))"


def valid_utf8(rows: list[bytes]) -> list[bytes]:
    """The rows with texts that are not UTF-8 in hexadecimal: the script itself is valid text."""
    try:
        b"".join(rows).decode()
    except UnicodeDecodeError:
        return [_hexed(row) for row in rows]
    return rows


def _hexed(row: bytes) -> bytes:
    import re

    def replace(match: re.Match[bytes]) -> bytes:
        text = match[1].replace(b"''", b"'")
        try:
            text.decode()
        except UnicodeDecodeError:
            return b"CAST(X'" + text.hex().encode() + b"' AS TEXT)"
        return match[0]

    return re.sub(rb"'((?:[^']|'')*)'", replace, row)
