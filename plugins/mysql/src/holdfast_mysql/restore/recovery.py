"""What a replacement that failed or was cut off has left, put right from its journal.

Whoever calls it, the run that failed or a later one, works on a connection of its own, looks what is there, and changes
only what differs: it may itself be cut off anywhere and begin again.
"""

import logging
import time
from collections.abc import Sequence

import pymysql

from holdfast.api import HoldfastError, LockedError, UnreachableError, quote_name
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location import Location
from holdfast_mysql.restore.connections import prepare_writer
from holdfast_mysql.restore.foreign_keys import relink, restore_keys
from holdfast_mysql.restore.journal import (
    BUILDING,
    DONE,
    SWAPPING,
    Journal,
    Plan,
    building_name,
    find_tokens,
    lock_name,
    table_name,
)
from holdfast_mysql.restore.lock_wait import DEFAULT, LockWait
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.swap import rename
from holdfast_mysql.restore.target import database_clauses, drop, exists
from holdfast_mysql.session import Session, connect, literal, quoted, use

log = logging.getLogger("holdfast.mysql")

RECONNECT = 30.0  # seconds that a server may take to come back while its database is between old and new
_LAST_SESSION = 15  # seconds that a session of the run that was cut off may take to end


def recover_all(location: Location, session: Session, target: str, *, dry_run: bool) -> None:
    """Put right what runs that were cut off have left of `target`; a dry run only tells of it."""
    for token in list(find_tokens(session, target)):
        if session.value(f"SELECT IS_FREE_LOCK({literal(lock_name(token))})") != "1":
            log.info("a restore into %s is under way: %s", quote_name(target), token)
            continue
        state, _ = Journal(session, target, token).read()
        if dry_run:
            log.warning("would first %s", _describe(target, state, Journal(session, target, token)))
            continue
        log.warning("a restore was cut off: %s", _describe(target, state, Journal(session, target, token)))
        recover(location, target, token)


def _describe(target: str, state: str, journal: Journal) -> str:
    if state == SWAPPING:
        return f"put database {quote_name(target)} back as it was, from the journal in {quote_name(journal.building)}"
    return f"drop what it left: database {quote_name(journal.building)}"


def recover(location: Location, target: str, token: str, *, patience: float = RECONNECT) -> None:
    """Undo a replacement, or finish it if its journal says that it is done; an error says what is left, and where.

    `patience` is how many seconds the server may take to come back.
    """
    try:
        session = _connect(location, patience)
        try:
            prepare_writer(session)
            _take_lock(session, token)
            _recover(session, Journal(session, target, token))
        finally:
            session.close()
    except pymysql.MySQLError as error:
        raise _left(target, token, str(error.args[-1])) from error
    except HoldfastError as error:
        raise _left(target, token, error.message) from error


def _left(target: str, token: str, why: str) -> HoldfastError:
    return HoldfastError(
        f"left behind: database {quote_name(building_name(target, token))} ({why}); the next restore into "
        f"{quote_name(target)} puts it right, by what the table {table_name(token)} there says",
        hint="run the restore again",
    )


def _connect(location: Location, patience: float) -> Session:
    """A connection to a server that may be just starting again."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return connect(location)
        except UnreachableError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.5)


def _take_lock(session: Session, token: str) -> None:
    """The lock of the run that was cut off, whose last statement may still be running."""
    if session.value(f"SELECT GET_LOCK({literal(lock_name(token))}, {_LAST_SESSION})") != "1":
        raise LockedError("a session of the restore is still at work")


def _recover(session: Session, journal: Journal) -> None:
    if not exists(session, journal.building):
        return
    state, plan = journal.read()
    wait = LockWait(session, seconds=DEFAULT, what=f"putting {quote_name(journal.target)} right")
    with translate_errors("cannot put it right"):
        if state == SWAPPING and plan is not None:
            _undo(session, journal, plan, wait)
        elif state == DONE:
            log.warning("database %s holds all that was restored: only old tables are left to drop",
                        quote_name(journal.target))  # fmt: skip
        elif state not in ("", BUILDING):
            raise HoldfastError(f"its journal has an unknown state {quote_name(state)}")
        if state == "" and list_names(session, journal.building):
            raise HoldfastError(f"database {quote_name(journal.building)} has tables and no journal")
        wait.run(f"DROP DATABASE IF EXISTS {quoted(journal.away)}")
        wait.run(f"DROP DATABASE IF EXISTS {quoted(journal.building)}")


def _undo(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> None:
    """Let the target be what it was."""
    if not exists(session, plan.target):
        raise HoldfastError("the database itself is gone")
    use(session, plan.target)
    triggers = [statement for statement in plan.old if statement.kind == "trigger"]
    others = [statement for statement in plan.old if statement.kind != "trigger"]
    moves = _moves_back(session, journal, plan)
    _drop_new(session, plan, triggers, wait, moved=bool(moves))
    rename(moves, wait.run)
    restore_keys(session, plan.keys, wait.run)
    relink(session, plan.target, [journal.away, journal.building], wait.run)
    own = ObjectMaker(
        session, database=plan.target, source=plan.target, definer="keep", disable_events=False, run=wait.run
    )
    own.make([*_missing(session, plan, others), *_missing(session, plan, triggers)], made=[])
    if plan.defaults and database_clauses(session, plan.target) != plan.defaults:
        wait.run(f"ALTER DATABASE {quoted(plan.target)} {plan.defaults}")
    left = [name for name, _ in list_names(session, journal.away) if name != table_name(journal.token)]
    if left:
        raise HoldfastError(f"table {quote_name(left[0])} could not be moved back from {quote_name(journal.away)}")


def _moves_back(session: Session, journal: Journal, plan: Plan) -> list[tuple[str, str, str, str]]:
    """Where each table is tells which renames have happened."""
    target, building, away = (
        {name for name, _ in list_names(session, place)} for place in (plan.target, journal.building, journal.away)
    )
    came = [
        (plan.target, name, journal.building, built)
        for name, built in plan.new.items()
        if built not in building and name in target and (name not in plan.going or plan.going[name] in away)
    ]
    return [*came, *((journal.away, kept, plan.target, name) for name, kept in plan.going.items() if kept in away)]


def _drop_new(session: Session, plan: Plan, triggers: Sequence[Statement], wait: LockWait, *, moved: bool) -> None:
    """Drop what was made new: what came, in another form than it was there before, and triggers of moved tables."""
    old = {(statement.kind, statement.name): statement for statement in plan.old}
    current = _current(session, plan.target)
    # Triggers of one table fire in the order in which they were made: all of them are made again, or none.
    kept = [statement for statement in current if statement.kind == "trigger" and _known(statement, triggers)]
    again = moved or len(kept) < len(triggers)
    for statement in current:
        key = (statement.kind, statement.name)
        if statement.kind == "trigger":
            table = statement.table
            dropped = again and (table in plan.new or table in plan.going)
        else:
            dropped = (key in old and not _known(statement, [old[key]])) or (key in plan.coming and key not in old)
        if dropped:
            drop(session, plan.target, statement.kind, statement.name, wait.run)


def _missing(session: Session, plan: Plan, old: Sequence[Statement]) -> list[Statement]:
    there = {(statement.kind, statement.name) for statement in _current(session, plan.target)}
    return [statement for statement in old if (statement.kind, statement.name) not in there]


def _current(session: Session, target: str) -> list[Statement]:
    reader = DefinitionReader(session, target)
    return [*reader.triggers(Selection()), *reader.views(Selection()), *reader.routines(), *reader.events()]


def _known(statement: Statement, old: Sequence[Statement]) -> bool:
    """Whether it is one of those, but for what a view lacks at this moment."""
    return any(
        (statement.kind, statement.name, statement.body, statement.settings())
        == (other.kind, other.name, other.body, other.settings())
        for other in old
    )
