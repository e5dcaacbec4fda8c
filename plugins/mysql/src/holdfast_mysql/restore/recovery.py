"""What a replacement that failed or was cut off has left, put right from its journal.

One that failed is undone. One that was cut off is finished where the tables have changed places: programs may have
worked with them since, and what they wrote is nowhere else. Where that does not go, the new tables are kept.
Whoever calls it, the run that failed or a later one, works on a connection of its own, looks what is there, and changes
only what differs: it may itself be cut off anywhere and begin again.
"""

import logging
import time
from collections.abc import Sequence

import pymysql

from holdfast.api import HoldfastError, LockedError, UnreachableError, quote_name
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location import Location
from holdfast_mysql.restore.completion import complete, current_objects, describe, is_swapped
from holdfast_mysql.restore.connections import prepare_writer
from holdfast_mysql.restore.foreign_keys import relink, restore_keys
from holdfast_mysql.restore.journal import (
    BUILDING,
    DONE,
    FINISHING,
    SWAPPING,
    UNDOING,
    Journal,
    Plan,
    building_name,
    find_tokens,
    lock_name,
    table_name,
)
from holdfast_mysql.restore.lock_wait import DEFAULT, LockWait
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.routine_rights import grant_again
from holdfast_mysql.restore.swap import rename
from holdfast_mysql.restore.target import database_clauses, drop, exists
from holdfast_mysql.restore.write_traces import written
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
        intent = _intent(session, Journal(session, target, token))
        if dry_run:
            log.warning("would first %s", intent)
            continue
        log.warning("a restore was cut off: %s", intent)
        recover(location, target, token, forward=True)


def _intent(session: Session, journal: Journal) -> str:
    (state, plan), target = journal.read(), journal.target
    if state == SWAPPING and plan and is_swapped(session, journal, plan):
        return (
            f"finish the replacement of database {quote_name(target)}, whose new tables are in their place, from the "
            f"journal in {quote_name(journal.building)}"
        )
    if state in (SWAPPING, FINISHING, UNDOING):
        return f"put database {quote_name(target)} back as it was, from the journal in {quote_name(journal.building)}"
    return f"drop what it left: database {quote_name(journal.building)}"


def recover(location: Location, target: str, token: str, *, patience: float = RECONNECT, forward: bool = False) -> bool:
    """Undo a replacement, or drop what is left if its journal says that it is done; an error says what is left.

    With `forward` it is finished where the tables have changed places. `patience` is how many seconds the server may
    take to come back. Returns whether the target is the new one.
    """
    try:
        session = _connect(location, patience)
        try:
            prepare_writer(session)
            _take_lock(session, token)
            return _recover(session, Journal(session, target, token), forward=forward)
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


def _recover(session: Session, journal: Journal, *, forward: bool) -> bool:
    if not exists(session, journal.building):
        return False
    new = False
    state, plan = journal.read()
    wait = LockWait(session, seconds=DEFAULT, what=f"putting {quote_name(journal.target)} right")
    with translate_errors("cannot put it right"):
        if state == SWAPPING and plan and forward and _finish(session, journal, plan, wait):
            new = True
        elif state in (SWAPPING, FINISHING, UNDOING) and plan is not None:
            _undo(session, journal, plan, wait)
            _keep_written(session, journal, plan, wait)
        elif new := state == DONE:
            log.warning("database %s holds all that was restored: only old tables are left to drop",
                        quote_name(journal.target))  # fmt: skip
        elif state not in ("", BUILDING):
            raise HoldfastError(f"its journal has an unknown state {quote_name(state)}")
        if state == "" and list_names(session, journal.building):
            raise HoldfastError(f"database {quote_name(journal.building)} has tables and no journal")
        wait.run(f"DROP DATABASE IF EXISTS {quoted(journal.away)}")
        wait.run(f"DROP DATABASE IF EXISTS {quoted(journal.building)}")
    return new


def _finish(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> bool:
    """Let the target be what it was to become; False where that has to be undone."""
    if plan.making is None or not is_swapped(session, journal, plan):
        return False
    journal.go_on(finishing=True)
    try:
        with translate_errors(f"cannot finish the replacement of {quote_name(plan.target)}"):
            complete(session, journal, plan, plan.making, wait.run)
    except LockedError:
        journal.go_on(finishing=False)
        raise
    except UnreachableError:
        raise
    except HoldfastError as error:
        log.warning("%s: it is put back as it was", error.message)
        return False
    describe(session, plan, plan.making)
    return True


def _keep_written(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> None:
    """Keep the new tables, beside a target that is what it was, if a program may have written into one of them."""
    there = [name for name, _ in list_names(session, journal.building)]
    tables = [name for name in plan.new.values() if name in there]
    changed = written(session, journal.building, {name: plan.traces[name] for name in tables if name in plan.traces})
    if not changed:
        return
    if not exists(session, journal.kept):
        wait.run(f"CREATE DATABASE {quoted(journal.kept)} {plan.settings}")
    rename([(journal.building, name, journal.kept, name) for name in tables], wait.run)
    names = {built: name for name, built in plan.new.items()}
    listed = ", ".join(quote_name(names[name]) for name in changed[:5])
    log.warning(
        "programs may have written into new tables of %s before it was put back (%s%s): these are kept in database %s; "
        "take over what you need, and drop it",
        quote_name(plan.target), listed, f" and {len(changed) - 5} more" if len(changed) > 5 else "",
        quote_name(journal.kept),
    )  # fmt: skip


def _undo(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> None:
    """Let the target be what it was."""
    journal.turn_back()
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
    grant_again(session, plan.target, plan.rights)
    # Older journals say none where they stay; a maker of routines that was cut off may have left another collation.
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
    current = current_objects(session, plan.target)
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
    there = {(statement.kind, statement.name) for statement in current_objects(session, plan.target)}
    return [statement for statement in old if (statement.kind, statement.name) not in there]


def _known(statement: Statement, old: Sequence[Statement]) -> bool:
    """Whether it is one of those, but for what a view lacks at this moment."""
    return any(
        (statement.kind, statement.name, statement.body, statement.settings())
        == (other.kind, other.name, other.body, other.settings())
        for other in old
    )
