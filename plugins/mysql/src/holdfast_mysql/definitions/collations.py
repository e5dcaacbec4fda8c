"""What one server calls differently from another: collations and sql_modes that only one of them has."""

from collections.abc import Mapping
from dataclasses import replace

from holdfast_mysql.definitions.rewrite import with_collations
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.session import Server, Session

# In the order of preference; each sorts by a close version of the Unicode Collation Algorithm with the same rules for
# case and accents.
_CLOSE = {
    "utf8mb4_0900_ai_ci": ("utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"),
    "utf8mb4_0900_as_ci": ("utf8mb4_uca1400_as_ci",),
    "utf8mb4_0900_as_cs": ("utf8mb4_uca1400_as_cs",),
    "utf8mb4_0900_bin": ("utf8mb4_nopad_bin",),
    "utf8mb4_uca1400_ai_ci": ("utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_ci"),
    "utf8mb4_uca1400_as_ci": ("utf8mb4_0900_as_ci",),
    "utf8mb4_uca1400_as_cs": ("utf8mb4_0900_as_cs",),
    "utf8mb4_nopad_bin": ("utf8mb4_0900_bin",),
}
# Modes of MariaDB or of older versions that MySQL 8 does not take, and the one that MariaDB does not.
_NOT_MYSQL = frozenset(
    """
    DB2 EMPTY_STRING_IS_NULL IGNORE_BAD_TABLE_OPTIONS MAXDB MSSQL MYSQL323 MYSQL40 NO_AUTO_CREATE_USER NO_FIELD_OPTIONS
    NO_KEY_OPTIONS NO_TABLE_OPTIONS ORACLE POSTGRESQL SIMULTANEOUS_ASSIGNMENT TIME_ROUND_FRACTIONAL
    """.split()  # noqa: SIM905
)
_NOT_MARIADB = frozenset({"TIME_TRUNCATE_FRACTIONAL"})


def known_collations(session: Session) -> frozenset[str]:
    """The collations that the server knows, under their full names."""
    column = "full_collation_name" if session.server.mariadb_since(10, 10) else "collation_name"
    query = f"SELECT {column} FROM information_schema.collation_character_set_applicability"
    return frozenset(name.lower() for (name,) in session.texts(query))


def replacements(known: frozenset[str]) -> dict[str, str]:
    """For each collation that the server does not know but has a close one of, that one."""
    close = {name: next((other for other in others if other in known), None) for name, others in _CLOSE.items()}
    return {name: other for name, other in close.items() if other is not None and name not in known}


def fit_to_server(statement: Statement, *, server: Server, collations: Mapping[str, str]) -> Statement:
    """A definition with the collations and modes that this server has."""
    mode = statement.sql_mode
    if mode:
        unknown = _NOT_MARIADB if server.mariadb else _NOT_MYSQL if server.mysql_since(8, 0) else frozenset()
        mode = ",".join(name for name in mode.split(",") if name.upper() not in unknown)
    return replace(
        statement,
        body=with_collations(statement, collations),
        sql_mode=mode,
        collation_connection=collations.get(statement.collation_connection, statement.collation_connection),
        collation=collations.get(statement.collation, statement.collation),
    )
