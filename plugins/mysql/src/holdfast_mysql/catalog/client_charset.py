"""Definitions in one character set: that of the client that made them, in which they are made again.

A server shows the body of a routine, trigger or event in the bytes of that client, and around it names and comments in
UTF-8 (MySQL bug 92880): made again so, an event is called otherwise, and says something else of itself.
"""

import re
from dataclasses import replace

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.session import Session, literal

# In these a client says all that UTF-8 says, or nobody knows what it said.
_AS_THEY_ARE = frozenset({"", "binary", "utf8", "utf8mb3", "utf8mb4"})
_DEFINER = re.compile(rb"DEFINER=(?:[`\"](?:[^`\"]|``)*[`\"]@?)+")
_HEAD = 4096  # bytes within which an object is named
_ESCAPES = {"\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "'": "''"}
_COMMENTS = {
    "event": "SELECT event_comment FROM information_schema.events WHERE event_schema={0} AND event_name={1}",
    "routine": (
        "SELECT routine_comment FROM information_schema.routines"
        " WHERE routine_schema={0} AND routine_name={1} AND routine_type={2}"
    ),
}


def in_client_charset(session: Session, database: str, statement: Statement) -> Statement:
    """A definition of a routine, trigger or event in one character set, as far as that has its names and comment."""
    kind, name, body, charset = statement.kind, statement.name, statement.body, statement.character_set_client
    if charset in _AS_THEY_ARE or kind == "view" or body.isascii():
        return statement
    head, rest = body[:_HEAD], body[_HEAD:]
    if definer := _DEFINER.search(head):
        head = head.replace(definer[0], _converted(session, definer[0], charset), 1)
    for word, each in ((kind, name), ("on", statement.table)):
        if not each.isascii():
            head = _with_name(session, head, word, each, charset)
    body = head + rest
    comment = "" if kind == "trigger" or b"COMMENT '" not in body else _comment(session, database, kind, name)
    if not comment.isascii():
        told = f"COMMENT '{''.join(_ESCAPES.get(char, char) for char in comment)}'".encode(errors="surrogateescape")
        body = body.replace(told, _converted(session, told, charset), 1)
    return replace(statement, body=body)


def _with_name(session: Session, head: bytes, word: str, name: str, charset: str) -> bytes:
    for quote in ("`", '"'):
        told = f"{word.upper()} {quote}{name.replace(quote, quote * 2)}{quote}".encode(errors="surrogateescape")
        if told in head:
            return head.replace(told, _converted(session, told, charset), 1)
    return head


def _comment(session: Session, database: str, kind: str, name: str) -> str:
    query = _COMMENTS.get(kind, _COMMENTS["routine"])
    rows = session.texts(query.format(literal(database), literal(name), literal(kind.upper())))
    return rows[0][0] if rows else ""


def _converted(session: Session, text: bytes, charset: str) -> bytes:
    """A text in another character set; as it is, if that has not all of it, or it is none of UTF-8."""
    try:
        told = literal(text.decode())
    except UnicodeDecodeError:
        return text
    row = session.dicts(
        f"SELECT CONVERT({told} USING {charset}) AS made,"
        f" CONVERT(CONVERT({told} USING {charset}) USING utf8mb4) AS again"
    )[0]
    made, again = row["made"], row["again"]
    return made if made is not None and again == text else text
