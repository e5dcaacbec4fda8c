"""Proof, before anything is dropped, that the account could make it again: in the database that old tables go into."""

from holdfast.api import CredentialsError, HoldfastError, quote_name
from holdfast_mysql.definitions.rewrite import definer_clause
from holdfast_mysql.definitions.script import OF_SESSION
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.journal import Journal, Plan, table_name
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.placeholder_libraries import imports_libraries
from holdfast_mysql.restore.target import database_clauses
from holdfast_mysql.session import Session, quoted, use

_HINT = "let an account replace it that has SUPER, SET USER (MariaDB) or SET_ANY_DEFINER (MySQL)"
_ROUTINES = ("function", "procedure", "package", "package body")


def rehearse(session: Session, journal: Journal, plan: Plan) -> None:
    """Make the database for the old tables, and in it what shows that every old definition could be put back.

    An account without SET USER, SUPER or their like may drop what it may not make: definers other than itself, and
    under a binary log functions and triggers. An error says which definition it is; the target is as it was.
    """
    away = quoted(journal.away)
    with translate_errors(f"cannot create database {quote_name(journal.away)}"):
        session.execute(f"CREATE DATABASE {away} {database_clauses(session, plan.target)}")
        session.execute(f"CREATE TABLE {away}.{quoted(table_name(journal.token))} (a INT PRIMARY KEY) ENGINE=InnoDB")
    use(session, journal.away)
    try:
        with translate_errors("cannot make a definer's object"):
            _make_routines(session, journal, plan)
            _make_triggers(session, journal, plan)
            session.execute(OF_SESSION)
    except HoldfastError as error:
        raise type(error)(
            f"nothing of {quote_name(plan.target)} is replaced, because it could not be put back: {error.message}",
            hint=_HINT if isinstance(error, CredentialsError) else None,
        ) from error
    use(session, plan.target)


def _make_routines(session: Session, journal: Journal, plan: Plan) -> None:
    own = ObjectMaker(session, database=journal.away, source=journal.away, definer="keep", disable_events=True)
    routines = [statement for statement in plan.old if statement.kind in _ROUTINES]
    # What imports libraries names those of the target.
    own.make([routine for routine in routines if not imports_libraries(routine)], made=[])
    definers = {definer_clause(statement) for statement in plan.old} - {""}
    for number, definer in enumerate(sorted(definers)):
        session.execute(f"CREATE {definer} PROCEDURE holdfast_probe_{number}() SELECT 1")


def _make_triggers(session: Session, journal: Journal, plan: Plan) -> None:
    place = quoted(table_name(journal.token))
    definers = {definer_clause(statement) for statement in plan.old if statement.kind == "trigger"}
    for number, definer in enumerate(sorted(definers)):
        session.execute(
            f"CREATE {definer} TRIGGER holdfast_probe_{number} BEFORE INSERT ON {place} FOR EACH ROW SET @holdfast = 1"
        )
        session.execute(f"DROP TRIGGER holdfast_probe_{number}")
