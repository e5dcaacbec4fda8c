"""Accounts, roles and grants of a whole server, as an option of its own.

They hold password hashes, belong to the server and not to a database, and are applied only when asked for. An account
that the target has already keeps its password and its grants.
"""

import logging
from collections.abc import Sequence

import pymysql

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import Token, code, replaced
from holdfast_mysql.errors import error_number, translate_errors
from holdfast_mysql.session import Session, plain_literal

log = logging.getLogger("holdfast.mysql")

_OWN = frozenset({"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC"})
_UNKNOWN = frozenset({1133, 1141})
_HEADS = (b"CREATE USER IF NOT EXISTS ", b"CREATE ROLE IF NOT EXISTS ", b"GRANT ", b"SET DEFAULT ROLE ")


def read_accounts(session: Session) -> list[Statement]:
    """What makes each account, then what it may do; needs SELECT on the server's own tables."""
    with translate_errors("cannot read the accounts"):
        role = "is_role" if session.server.mariadb else "'N'"
        rows = session.texts(f"SELECT user, host, {role} FROM mysql.user ORDER BY {role} DESC, user, host")
        if session.server.mysql_since(8, 0):
            session.execute("SET print_identified_with_as_hex=ON")  # a salt holds any bytes
        made, granted = [], []
        for user, host, is_role in rows:
            if user in _OWN:
                continue
            account = plain_literal(user) if is_role == "Y" else f"{plain_literal(user)}@{plain_literal(host)}"
            label = user if is_role == "Y" else f"{user}@{host}"
            try:
                made.append(_creation(session, label, account, is_role == "Y"))
                grants = session.rows(f"SHOW GRANTS FOR {account}")
            except pymysql.MySQLError as error:
                if error_number(error) not in _UNKNOWN:
                    raise
                # A server that resolves no names does not know the accounts that are bound to one.
                log.warning("account %s is not in force on this server and left out", quote_name(label))
                continue
            granted += [Statement(kind="grant", name=label, body=_grant(grant or b"")) for (grant,) in grants]
    return [*made, *granted]


def _creation(session: Session, label: str, account: str, role: bool) -> Statement:
    if role:
        return Statement(kind="account", name=label, body=f"CREATE ROLE IF NOT EXISTS {account}".encode())
    body = session.rows(f"SHOW CREATE USER {account}")[0][0] or b""
    return Statement(kind="account", name=label, body=body.replace(b"CREATE USER ", b"CREATE USER IF NOT EXISTS ", 1))


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


def apply(session: Session, statements: Sequence[Statement]) -> None:
    """Make accounts that are missing, and grant them what they had."""
    for statement in statements:
        if not statement.body.startswith(_HEADS):
            raise IntegrityError(f"the statement for account {quote_name(statement.name)} does not create one")
    role = "is_role" if session.server.mariadb else "'N'"
    present = {
        user if is_role == "Y" else f"{user}@{host}"
        for user, host, is_role in session.texts(f"SELECT user, host, {role} FROM mysql.user")
    }
    kept = sorted({statement.name for statement in statements if statement.name in present})
    if kept:
        log.warning("accounts that exist are left as they are: %s", ", ".join(map(quote_name, kept[:20])))
    missing = [statement for statement in statements if statement.name not in present]
    _make([statement for statement in missing if statement.kind == "account"], session)
    for statement in missing:
        if statement.kind == "grant":
            with translate_errors(f"cannot grant to account {quote_name(statement.name)}"):
                session.execute(statement.body)


def _make(accounts: Sequence[Statement], session: Session) -> None:
    """Make accounts in passes: one may name a role that comes later."""
    left = list(accounts)
    while left:
        again: list[Statement] = []
        for account in left:
            try:
                session.execute(account.body)
            except pymysql.MySQLError as error:
                again.append(account)
                last = error
        if len(again) == len(left):
            with translate_errors(f"cannot make account {quote_name(again[0].name)}"):
                raise last
        left = again
