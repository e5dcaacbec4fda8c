"""Members of ENUM and SET, and defaults, with characters beyond U+FFFF, for which definitions of tables have a `?`.

The servers write definitions in three bytes a character (MySQL bug 110291; newer ones of MySQL write such defaults in
hexadecimal). A temporary table with the same columns has them as they are.
"""

from collections.abc import Iterator, Sequence

import pymysql

from holdfast_mysql.definitions.tokens import Token, closing, code, is_text, is_word, replaced
from holdfast_mysql.session import Session, plain_literal, quoted

_WIDE = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"})
_TEXTS = frozenset({"char", "varchar", "enum", "set"})
_COPY, _KEY = quoted("holdfast_columns"), quoted("holdfast key")


def with_all_characters(session: Session, database: str, table: str, body: bytes) -> tuple[bytes, list[str]]:
    """The definition with what the server has no characters for, and the columns of which that cannot be read."""
    if b"?" not in body:
        return body, []
    columns = _hiding(session, database, table)
    if not columns:
        return body, []
    tokens = code(body)
    items = {token.name: (start, end) for start, end, token in _items(tokens)}
    spans = {name: items[name] for name in columns if name in items}
    members = {name: _members(tokens, *span) for name, span in spans.items()}
    numbers = {name: _numbers(columns[name], len(members[name])) for name in spans}
    try:
        values = _read(session, f"{quoted(database)}.{quoted(table)}", numbers)
    except pymysql.MySQLError:
        return body, sorted(spans)
    changes = []
    for name, span in spans.items():
        texts = dict(zip(members[name], values[name][1:], strict=False))
        default = _default(tokens, *span)
        if default is not None:
            texts[default] = values[name][0]
        changes += [
            (tokens[place].start, tokens[place].end, plain_literal(text).encode())
            for place, text in texts.items()
            if b"?" in tokens[place].text and not text.isascii()
        ]
    return replaced(body, changes), []


def _hiding(session: Session, database: str, table: str) -> dict[str, str]:
    """The columns that may have such characters, with their types."""
    where = f"{session.is_named('table_schema', database)} AND {session.is_named('table_name', table)}"
    rows = session.texts(
        "SELECT column_name, data_type, character_set_name FROM information_schema.columns"
        f" WHERE {where} AND (column_type LIKE '%?%' OR column_default LIKE '%?%')"
    )
    return {name: kind.lower() for name, kind, charset in rows if kind.lower() in _TEXTS and charset.lower() in _WIDE}


def hiding_tables(session: Session, database: str) -> list[str]:
    """The tables with columns that may have such characters."""
    rows = session.texts(
        "SELECT table_name, data_type, character_set_name FROM information_schema.columns"
        f" WHERE {session.is_named('table_schema', database)}"
        " AND (column_type LIKE '%?%' OR column_default LIKE '%?%') ORDER BY table_name"
    )
    named = [table for table, kind, charset in rows if kind.lower() in _TEXTS and charset.lower() in _WIDE]
    return list(dict.fromkeys(named))


def _numbers(kind: str, count: int) -> list[int]:
    return [1 << place if kind == "set" else place + 1 for place in range(count)]


def _read(session: Session, place: str, numbers: dict[str, list[int]]) -> dict[str, list[str]]:
    """The default of each column, and its members by their numbers."""
    names = ", ".join(map(quoted, numbers))
    session.execute(
        f"CREATE TEMPORARY TABLE {_COPY} ({_KEY} INT PRIMARY KEY) DEFAULT CHARSET=utf8mb4"
        f" AS SELECT {names} FROM {place} LIMIT 0"
    )
    try:
        session.execute(f"INSERT IGNORE INTO {_COPY} ({_KEY}) VALUES (0)")
        values: dict[str, list[str]] = {}
        for name, listed in numbers.items():
            session.execute(f"DELETE FROM {_COPY} WHERE {_KEY} > 0")
            for row, number in enumerate(listed, 1):
                session.execute(f"INSERT IGNORE INTO {_COPY} ({_KEY}, {quoted(name)}) VALUES ({row}, {number})")
            read = session.texts(f"SELECT CONVERT({quoted(name)} USING utf8mb4) FROM {_COPY} ORDER BY {_KEY}")
            values[name] = [text for (text,) in read]
    finally:
        session.execute(f"DROP TEMPORARY TABLE IF EXISTS {_COPY}")
    return values


def _items(tokens: Sequence[Token]) -> Iterator[tuple[int, int, Token]]:
    """Where each definition of a column begins and ends, and its name."""
    opening = next((index for index in range(len(tokens)) if is_text(tokens, index, b"(")), len(tokens))
    start, last = opening + 1, closing(tokens, opening) if opening < len(tokens) else 0
    index = start
    while index <= last:
        if index == last or is_text(tokens, index, b","):
            if start < len(tokens) and tokens[start].kind == "name":
                yield start, index, tokens[start]
            start = index + 1
        index = closing(tokens, index) + 1 if is_text(tokens, index, b"(") else index + 1


def _members(tokens: Sequence[Token], start: int, end: int) -> list[int]:
    """Where the members of an ENUM or SET stand."""
    if not is_word(tokens, start + 1, "ENUM", "SET"):
        return []
    last = min(closing(tokens, start + 2), end)
    return [index for index in range(start + 2, last) if tokens[index].kind == "string"]


def _default(tokens: Sequence[Token], start: int, end: int) -> int | None:
    """Where the text stands that is the default."""
    for index in range(start, end - 1):
        if is_word(tokens, index, "DEFAULT") and tokens[index + 1].kind == "string":
            return index + 1
    return None
