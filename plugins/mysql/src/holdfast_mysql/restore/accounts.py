"""Accounts, roles and grants made again: those that are missing, with what they had.

An account that the target has already keeps its password and its grants, and so does what everybody is granted there.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pymysql

from holdfast.api import HoldfastError, IntegrityError, quote_name
from holdfast_mysql.catalog.accounts import PUBLIC, creation, grants_of, knows_public, public_grants
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.server_warnings import judge, read_warnings
from holdfast_mysql.session import Session, plain_literal

log = logging.getLogger("holdfast.mysql")

_VALIDATION = "strict-password-validation"  # as the server names the option that forbids a statement
_HEADS = (b"CREATE USER IF NOT EXISTS ", b"CREATE ROLE IF NOT EXISTS ", b"GRANT ", b"SET DEFAULT ROLE ")


@contextmanager
def applied(session: Session, statements: Sequence[Statement]) -> Iterator[None]:
    """Make accounts that are missing, and grant them what they had; if the block fails, they are dropped again.

    One that was left behind without its grants could be the one that the server takes whoever restores for.
    """
    made: list[Statement] = []
    try:
        if statements:
            apply(session, statements, made)
        yield
    except BaseException:
        for account in reversed(made):
            _take_back(session, account)
        raise


def apply(session: Session, statements: Sequence[Statement], made: list[Statement]) -> None:
    """Make accounts that are missing, each of which is added to `made`, and grant them what they had."""
    for statement in statements:
        if not statement.body.startswith(_HEADS):
            raise IntegrityError(f"the statement for account {quote_name(statement.name)} does not create one")
    present = _present(session)
    kept = sorted({statement.name for statement in statements if statement.name in present})
    if kept:
        log.warning("accounts that exist are left as they are: %s", ", ".join(map(quote_name, kept[:20])))
    missing = [statement for statement in statements if statement.name not in present]
    if any(statement.name == PUBLIC for statement in missing) and not knows_public(session):
        log.warning("what was granted to everybody (PUBLIC) is left out: %s has no such grants", session.server.name)
        missing = [statement for statement in missing if statement.name != PUBLIC]
    _make(session, [statement for statement in missing if statement.kind == "account"], made)
    for statement in missing:
        if statement.kind == "grant":
            with translate_errors(f"cannot grant to account {quote_name(statement.name)}"):
                _run(session, statement)


def _present(session: Session) -> set[str]:
    """The names of the accounts and roles that are there, and PUBLIC where everybody is granted something."""
    role = "is_role" if session.server.mariadb else "'N'"
    names = {
        user if is_role == "Y" else f"{user}@{host}"
        for user, host, is_role in session.texts(f"SELECT user, host, {role} FROM mysql.user")
    }
    return names | {PUBLIC} if public_grants(session) else names - {PUBLIC}


def _make(session: Session, accounts: Sequence[Statement], made: list[Statement]) -> None:
    """Make accounts in passes: one may name a role that comes later."""
    left = list(accounts)
    while left:
        again: list[Statement] = []
        for account in left:
            try:
                told = _run(session, account)
            except pymysql.MySQLError as error:
                again.append(account)
                last = error
            else:
                # With a warning it was there already: somebody else has made it since it was looked for.
                made += [] if told else [account]
        if len(again) == len(left):
            if _VALIDATION in str(last.args[-1]):
                name = quote_name(again[0].name)
                raise HoldfastError(
                    f"cannot make account {name}: the server takes no password that it cannot test",
                    hint="run on the server while the restore lasts: SET GLOBAL strict_password_validation=OFF",
                ) from last
            with translate_errors(f"cannot make account {quote_name(again[0].name)}"):
                raise last
        left = again


def _take_back(session: Session, account: Statement) -> None:
    what = "ROLE" if account.body.startswith(b"CREATE ROLE") else "USER"
    user, at, host = account.name.rpartition("@")
    place = f"{plain_literal(user)}@{plain_literal(host)}" if at else plain_literal(host)
    try:
        session.execute(f"DROP {what} {place}")
    except pymysql.MySQLError as error:
        log.warning("account %s is left behind: %s", quote_name(account.name), error.args[-1])


def _run(session: Session, statement: Statement) -> bool:
    """Run it; with a warning, what is there afterwards has to be what the statement says. Whether there was one."""
    warnings = read_warnings(session) if session.execute(statement.body) else []
    judge(session, statement.kind, statement.name, warnings, unchanged=lambda: _is_there(session, statement))
    return bool(warnings)


def _is_there(session: Session, statement: Statement) -> bool:
    user, at, host = statement.name.rpartition("@")
    role = not at
    account = f"{plain_literal(user)}@{plain_literal(host)}" if at else plain_literal(host)
    if statement.kind == "grant":
        return statement.body in grants_of(session, PUBLIC if statement.name == PUBLIC else account)
    return creation(session, account, role) == statement.body
