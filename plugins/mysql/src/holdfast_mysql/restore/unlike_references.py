"""Foreign keys between columns of other character sets or collations, which MySQL keeps and does not make.

With foreign_key_checks=0 it lets the columns of a foreign key be altered (MySQL 8.4 manual §15.1.20.5), so that
ALTER TABLE … CONVERT TO leaves such ones behind. They are made in the same way: between columns that are alike for a
moment.
"""

import re
from dataclasses import dataclass

import pymysql

from holdfast_mysql.definitions.create_table import column_clauses, references_of
from holdfast_mysql.definitions.tokens import code, is_word
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session, literal, quoted

_UNLIKE = 3780
_TEXT = re.compile(
    r"Referencing column '(.+)' and referenced column '(.+)' in foreign key constraint '(.+)' are incompatible",
    re.DOTALL,
)
_WIDEST = "utf8mb4"  # into which and back no character is lost


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """What a server says of a foreign key whose columns are not alike."""

    column: str
    parent_column: str
    name: str

    @classmethod
    def of(cls, error: pymysql.MySQLError) -> "Unlike | None":
        """What an error says; None for another one."""
        match = _TEXT.search(str(error.args[-1])) if error_number(error) == _UNLIKE else None
        return cls(column=match[1], parent_column=match[2], name=match[3]) if match else None


def take_out(session: Session, key: Unlike) -> tuple[str, bytes] | None:
    """Drop a foreign key that leads to a table which is still to be made; returns its table and its clause."""
    table = session.value(
        "SELECT table_name FROM information_schema.table_constraints WHERE table_schema=DATABASE()"
        f" AND constraint_type='FOREIGN KEY' AND constraint_name={literal(key.name)}"
    )
    if not table:
        return None
    clause = references_of(_definition(session, table))[key.name]
    session.execute(f"ALTER TABLE {quoted(table)} DROP FOREIGN KEY {quoted(key.name)}")
    return table, clause


def add_unlike(session: Session, table: str, clause: bytes, error: pymysql.MySQLError) -> None:
    """Add a foreign key to a table of the current database that the server has refused with that error."""
    add = b"ALTER TABLE " + quoted(table).encode() + b" ADD " + clause
    altered: dict[tuple[str, str], bytes] = {}
    try:
        while True:
            _make_alike(session, table, clause, error, altered)
            try:
                session.execute(add)
            except pymysql.MySQLError as again:
                error = again
            else:
                return
    finally:
        for (place, _), own in altered.items():
            session.execute(b"ALTER TABLE " + quoted(place).encode() + b" MODIFY " + own)


def _make_alike(
    session: Session, table: str, clause: bytes, error: pymysql.MySQLError, altered: dict[tuple[str, str], bytes]
) -> None:
    """Let one column of the foreign key be like the other for now, in a way that changes no value."""
    key, tokens = Unlike.of(error), code(clause)
    start = next((index for index in range(len(tokens)) if is_word(tokens, index, "REFERENCES")), None)
    if key is None or start is None:
        raise error
    ends = [(table, key.column), (tokens[start + 1].name or "", key.parent_column)]
    kinds = [_kind(session, *end) for end in ends]
    charsets = [kind[1] for kind in kinds]
    if charsets[0] != charsets[1] and _WIDEST not in charsets:
        raise error
    changed = 0 if charsets[1] == _WIDEST or charsets[0] == charsets[1] else 1
    place, column = ends[changed]
    if ends[changed] in altered:
        raise error
    column_type, charset, collation, _ = kinds[1 - changed]
    nullable = "" if kinds[changed][3] == "YES" else " NOT NULL"
    own = column_clauses(_definition(session, place))[column]
    session.execute(
        f"ALTER TABLE {quoted(place)} MODIFY {quoted(column)} {column_type} CHARACTER SET {charset} COLLATE {collation}"
        f"{nullable}"
    )
    altered[ends[changed]] = own


def _kind(session: Session, table: str, column: str) -> tuple[str, ...]:
    """Type, character set, collation and whether it may be NULL; a column that is no text has none of the first two."""
    rows = session.texts(
        "SELECT column_type, character_set_name, collation_name, is_nullable FROM information_schema.columns"
        f" WHERE table_schema=DATABASE() AND {session.is_named('table_name', table)} AND column_name={literal(column)}"
    )
    return rows[0] if rows else ("", "", "", "")


def _definition(session: Session, table: str) -> bytes:
    return session.dicts(f"SHOW CREATE TABLE {quoted(table)}")[0]["Create Table"] or b""
