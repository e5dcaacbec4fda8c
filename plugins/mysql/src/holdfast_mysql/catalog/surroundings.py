"""What a database uses of its server that no backup of it holds: foreign servers, loadable functions, and the like.

Each is a need with the names of what uses it, so that a backup can warn of it and a restore can look for it.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import pymysql

from holdfast_mysql.catalog.privileges import global_privileges
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code, is_text, is_word
from holdfast_mysql.definitions.uses import sequences_elsewhere
from holdfast_mysql.errors import DENIED, error_number
from holdfast_mysql.session import Session, literal

SERVER, FUNCTION, REFERENCE_SYSTEM = "foreign server", "loadable function", "spatial reference system"
SEQUENCE = "sequence of another database"
_NO_TABLE = frozenset({1109, 1146})
_FOREIGN = frozenset({"federated", "spider", "connect"})
_SPIDER_SERVER = re.compile(r"""\b(?:srv|server)\s+["']([^"']+)["']""")


def outside_needs(
    session: Session, database: str, tables: Sequence[Table], statements: Sequence[Statement]
) -> Iterator[tuple[str, str]]:
    """Each need, such as `foreign server backend`, with the name of what has it."""
    engines = {table.name: table.engine.lower() for table in tables}
    functions = {name.lower() for name in _known(loadable_functions(session))}
    for statement in statements:
        if statement.kind == "table" and engines.get(statement.name) in _FOREIGN:
            yield from ((f"{SERVER} {name}", statement.name) for name in _servers(statement))
        for name in sorted(functions & _called(statement)) if functions else ():
            yield f"{FUNCTION} {name}", statement.table or statement.name
        if statement.kind == "table" and session.server.mariadb:
            yield from ((f"{SEQUENCE} {name}", statement.name) for name in sequences_elsewhere(statement.body))
    for number, table in _own_reference_systems(session, database):
        if table in engines:
            yield f"{REFERENCE_SYSTEM} {number}", table


def foreign_servers(session: Session) -> list[str] | None:
    """The names that CREATE SERVER has made; None if the account may not see them."""
    return _names(session, "SELECT server_name FROM mysql.servers")


def loadable_functions(session: Session) -> list[str] | None:
    """The functions that were loaded from libraries and components; None if the account may not see them."""
    if session.server.mysql_since(8, 0):
        return _names(session, "SELECT udf_name FROM performance_schema.user_defined_functions")
    return _names(session, "SELECT name FROM mysql.func")


def reference_systems(session: Session) -> list[str] | None:
    """The numbers of the spatial reference systems that the server knows; None where it keeps no such list."""
    if not session.server.mysql_since(8, 0):
        return None
    return _names(session, "SELECT srs_id FROM information_schema.st_spatial_reference_systems")


def sequences(session: Session) -> list[str] | None:
    """The sequences of all databases, as `database.name`; None if the account sees only some."""
    if not {"SELECT", "ALL PRIVILEGES"} & global_privileges(session):
        return None
    query = "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_type='SEQUENCE'"
    return _names(session, query)


def persistent_statistics(session: Session, database: str) -> list[str]:
    """The tables of which MariaDB keeps engine-independent statistics, as far as the account sees them."""
    if not session.server.mariadb:
        return []
    return _known(_names(session, f"SELECT table_name FROM mysql.table_stats WHERE db_name={literal(database)}"))


# What tells, for each kind of need, which ones the server has.
LISTS: dict[str, Callable[[Session], list[str] | None]] = {
    SERVER: foreign_servers,
    FUNCTION: loadable_functions,
    REFERENCE_SYSTEM: reference_systems,
    SEQUENCE: sequences,
}


def _names(session: Session, query: str) -> list[str] | None:
    try:
        return [name for (name,) in session.texts(query)]
    except pymysql.MySQLError as error:
        if error_number(error) in DENIED | _NO_TABLE:
            return None
        raise


def _known(names: list[str] | None) -> list[str]:
    return names or []


def _servers(statement: Statement) -> Iterator[str]:
    """The foreign servers that a table names: in CONNECTION, unless that is a URL, or in Spider's comments."""
    tokens = code(statement.body)
    for index, token in enumerate(tokens):
        if token.kind != "string" or not is_text(tokens, index - 1, b"="):
            continue
        text = token.text[1:-1].decode(errors="replace")
        if is_word(tokens, index - 2, "CONNECTION") and "://" not in text:
            yield text.partition("/")[0]
        elif is_word(tokens, index - 2, "COMMENT"):
            yield from _SPIDER_SERVER.findall(text)


def _called(statement: Statement) -> set[str]:
    """Words before a parenthesis."""
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    return {(token.name or "").lower() for index, token in enumerate(tokens) if is_text(tokens, index + 1, b"(")}


def _own_reference_systems(session: Session, database: str) -> list[tuple[str, ...]]:
    """Number and table of each spatial reference system that somebody made and that a column is bound to."""
    if not session.server.mysql_since(8, 0):
        return []
    return session.texts(
        "SELECT DISTINCT c.srs_id, c.table_name FROM information_schema.columns c"
        " JOIN information_schema.st_spatial_reference_systems s ON s.srs_id = c.srs_id"
        f" WHERE c.table_schema={literal(database)} AND c.srs_id <> 0 AND s.organization IS NULL"
        " ORDER BY c.srs_id, c.table_name"
    )
