"""Accounts, roles and grants of a whole server, as an option of its own.

They hold password hashes, belong to the server and not to a database, and are applied only when asked for. An account
that the target has already keeps its password and its grants.
"""

import logging

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, code, replaced
from holdfast_mysql.errors import error_number, translate_errors
from holdfast_mysql.session import Session, plain_literal

log = logging.getLogger("holdfast.mysql")

PUBLIC = "PUBLIC"
_OWN = frozenset({"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"})
_UNKNOWN = frozenset({1133, 1141})


def read_accounts(session: Session) -> list[Statement]:
    """What makes each account, then what it may do; needs SELECT on the server's own tables."""
    with translate_errors("cannot read the accounts"):
        role = "is_role" if session.server.mariadb else "'N'"
        rows = session.texts(f"SELECT user, host, {role} FROM mysql.user ORDER BY {role} DESC, user, host")
        if session.server.mysql_since(8, 0):
            session.execute("SET print_identified_with_as_hex=ON")  # a salt holds any bytes
        made, granted = [], []
        for user, host, is_role in rows:
            if user in _OWN or (user == PUBLIC and is_role == "Y"):
                continue
            account = plain_literal(user) if is_role == "Y" else f"{plain_literal(user)}@{plain_literal(host)}"
            label = user if is_role == "Y" else f"{user}@{host}"
            try:
                made.append(Statement(kind="account", name=label, body=creation(session, account, is_role == "Y")))
                granted += [Statement(kind="grant", name=label, body=grant) for grant in grants_of(session, account)]
            except pymysql.MySQLError as error:
                if error_number(error) not in _UNKNOWN:
                    raise
                # A server that resolves no names does not know the accounts that are bound to one.
                log.warning("account %s is not in force on this server and left out", quote_name(label))
                continue
    granted += [Statement(kind="grant", name=PUBLIC, body=grant) for grant in public_grants(session)]
    return [*made, *granted]


def creation(session: Session, account: str, role: bool) -> bytes:
    """The statement that makes an account or a role, where it is not there."""
    if role:
        return f"CREATE ROLE IF NOT EXISTS {account}".encode()
    body = session.rows(f"SHOW CREATE USER {account}")[0][0] or b""
    return body.replace(b"CREATE USER ", b"CREATE USER IF NOT EXISTS ", 1)


def grants_of(session: Session, account: str) -> list[bytes]:
    """The statements that grant what an account or a role has."""
    return [_grant(grant or b"") for (grant,) in session.rows(f"SHOW GRANTS FOR {account}")]


def knows_public(session: Session) -> bool:
    """Whether the server has grants to everybody."""
    return session.server.mariadb_since(10, 11)


def public_grants(session: Session) -> list[bytes]:
    """What MariaDB grants to everybody; no account of that name has to be made."""
    try:
        return grants_of(session, PUBLIC) if knows_public(session) else []
    except pymysql.MySQLError as error:
        if error_number(error) in _UNKNOWN:
            return []
        raise


def _grant(body: bytes) -> bytes:
    """A grant of MariaDB without the password that it names: setting one ends that it has expired."""
    tokens = code(body)
    start = next((place for place, token in enumerate(tokens) if _is_word(token, b"IDENTIFIED")), None)
    if start is None:
        return body
    rest = [token for token in tokens[start:] if _is_word(token, b"REQUIRE", b"WITH")]
    return replaced(body, [(tokens[start - 1].end, rest[0].start if rest else len(body), b" " if rest else b"")])


def _is_word(token: Token, *words: bytes) -> bool:
    return token.kind == "word" and token.text.upper() in words
