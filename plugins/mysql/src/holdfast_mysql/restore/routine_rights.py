"""What accounts may do with single routines: the server takes it away together with the routine.

A replacement drops routines and makes them, or others of their names, again: their rights are then granted again, too.
Those on tables and views stay, because they go by the name alone.
"""

import logging
from collections.abc import Sequence

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.catalog.accounts import PUBLIC
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.restore.target import objects_of
from holdfast_mysql.session import Session, plain_literal, quoted

log = logging.getLogger("holdfast.mysql")

#: Kind and name of a routine, as the server compares names, and the statement that grants something on it.
Right = tuple[str, str, str]
_KINDS = ("library", "function", "procedure", "package", "package body")


def rights_on_routines(session: Session, database: str, dropped: Sequence[Statement]) -> tuple[Right, ...]:
    """The rights that go with routines which are dropped; a warning if the account may not read who has any."""
    routines = {(each.kind, each.name.lower()) for each in dropped if each.kind in _KINDS}
    if not routines:
        return ()
    try:
        rows = session.texts(
            "SELECT routine_type, routine_name, user, host, proc_priv FROM mysql.procs_priv"
            f" WHERE {session.is_named('db', database)} ORDER BY 1, 2, 3, 4"
        )
        session.execute("COMMIT")
    except pymysql.MySQLError as error:
        log.warning(
            "rights that accounts were granted on single routines of %s go with them, and the account may not read "
            "which there are (%s): grant them again, or let an account replace it that may read mysql.procs_priv",
            quote_name(database), error.args[-1],
        )  # fmt: skip
        return ()
    return tuple(
        (kind.lower(), name.lower(), _grant(kind, f"{quoted(database)}.{quoted(name)}", account, privileges))
        for kind, name, *account, privileges in rows
        if (kind.lower(), name.lower()) in routines
    )


def grant_again(session: Session, database: str, rights: Sequence[Right]) -> None:
    """Grant what was granted on routines that are there; a warning says what could not be."""
    if not rights:
        return
    there = {(kind, name.lower()) for kind, name in objects_of(session, database)}
    for kind, name, statement in rights:
        if (kind, name) not in there:
            continue
        try:
            session.execute(statement)
        except pymysql.MySQLError as error:
            log.warning("a right is to be granted again: %s (%s)", statement, error.args[-1])


def _grant(kind: str, routine: str, account: Sequence[str], privileges: str) -> str:
    listed = [name.strip().upper() for name in privileges.split(",") if name.strip()]
    given = ", ".join(name for name in listed if name != "GRANT") or "USAGE"
    option = " WITH GRANT OPTION" if "GRANT" in listed else ""
    user, host = account
    # MariaDB's roles have no host, and everybody is a word.
    who = f"{plain_literal(user)}@{plain_literal(host)}" if host else user if user == PUBLIC else plain_literal(user)
    return f"GRANT {given} ON {kind} {routine} TO {who}{option}"
