"""A target with data replaced: built beside it in a database of its own, then swapped by one RENAME TABLE.

Nothing of the target is touched before the journal holds all that will be. Then, in this order: the target's triggers
are dropped, which no table takes into another database (under LOCK TABLES, so that no row is written without them);
RENAME TABLE lets all tables change places in one moment, which survives a crash (MySQL 8 "Atomic Data Definition
Statement Support", MariaDB 10.6 "Atomic DDL"); foreign keys, views, routines, events and triggers follow; the journal
says that it is done; the old tables are dropped. `recovery` takes all of it back from wherever it failed; a run that
was killed after the RENAME, with whose tables programs have worked since, is finished by `completion`.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import pymysql

from holdfast.api import Change, HoldfastError, Preview, quote_name, refuse_replacing
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.catalog.unlike_keys import names_among, unlike_keys
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.foreign_keys import (
    inner_keys,
    lost_references,
    outside_keys,
    refuse_lost_parents,
    refuse_unfit_parents,
    refuse_unlike_keys,
    relink,
)
from holdfast_mysql.restore.journal import Journal, Making, Plan, away_name, table_name
from holdfast_mysql.restore.lock_wait import LockWait
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.placed_tables import names_away
from holdfast_mysql.restore.routine_rights import grant_again, rights_on_routines
from holdfast_mysql.restore.target import database_clauses, drop
from holdfast_mysql.restore.write_traces import traces
from holdfast_mysql.session import Session, literal, quoted, use

log = logging.getLogger("holdfast.mysql")

Run = Callable[[str], object]


def warn_of_replacement(database: str, occupants: Sequence[tuple[str, str]]) -> None:
    """Say what the replacement does and what of it is not atomic."""
    kinds = sorted({kind for kind, _ in occupants} - {"table", "sequence"})
    others = f" {', '.join(kinds)} definitions" if kinds else " Views, routines and events"
    log.warning(
        "replacing %s: the tables change places in one RENAME TABLE; not atomic with it are triggers (dropped "
        "before, made after) and%s (made after): a program that runs meanwhile may miss them",
        quote_name(database), others,
    )  # fmt: skip


def check_references(
    session: Session, target: str, names: Mapping[str, Sequence[str]], *, selective: bool, unlike: Sequence[str]
) -> None:
    """Refuse, before anything is built, to replace tables that others refer to by ones that do not come.

    `unlike` names the foreign keys of those that come between columns of other character sets.
    """
    new = [*names.get("table", []), *names.get("sequence", [])]
    going = _going(session, target, [*new, *names.get("view", [])], selective=selective)
    refuse_unlike_keys([*names_among(unlike_keys(session, target), going), *unlike])
    refuse_lost_parents(outside_keys(session, target, going), new)


def explain(
    session: Session, *, building: str, target: str, names: Mapping[str, Sequence[str]], selective: bool
) -> None:
    """Tell of all that `swap` would drop and move; `names` are those of what it would bring, by their kinds."""
    new, views = [*names.get("table", []), *names.get("sequence", [])], names.get("view", [])
    coming = frozenset(("view", name) for name in views)
    going = _going(session, target, [*new, *views], selective=selective)
    use(session, target)
    saved = [
        f"{statement.kind} {quote_name(statement.name)}"
        for statement in _saved(session, target, new, coming, going, selective=selective)
    ]
    away = away_name(target, building.rpartition("_")[2])
    if saved:
        log.warning("would drop, to be put back if it fails: %s", ", ".join(saved))
    for key in outside_keys(session, target, going):
        log.warning("would lead to the new table %s: %s", quote_name(key.parent), key)
    moves = [*((target, name, away, name) for name in going), *((building, name, target, name) for name in new)]
    log.warning("would run: %s", renaming(moves))
    log.warning("would drop at the end: database %s and database %s", quote_name(away), quote_name(building))


def plan_swap(
    session: Session, journal: Journal, statements: Sequence[Statement], *, selective: bool, replace: bool,
    built: Mapping[str, str], settings: str, making: Making,
) -> Plan:  # fmt: skip
    """What the swap will change, read from the target; refuses what must not be replaced. Nothing is touched.

    `built` are the tables that were built under another name than they get, `settings` the clauses of the database's
    settings in the backup, `making` how what follows is made.
    """
    target = journal.target
    tables = [name for name, kind in list_names(session, journal.building) if kind != "VIEW"]
    names = {made: name for name, made in built.items()}
    new = {names.get(name, name): name for name in tables if name != table_name(journal.token)}
    coming = frozenset((statement.kind, statement.name) for statement in statements if statement.kind != "histogram")
    going = _going(session, target, [*new, *(name for kind, name in coming if kind == "view")], selective=selective)
    use(session, target)
    saved = _saved(session, target, new, coming, going, selective=selective)
    if not replace:
        refuse_replacing(f"database {quote_name(target)}", _replaced(going, saved))
    keys = outside_keys(session, target, going)
    refuse_lost_parents(keys, new)
    refuse_unfit_parents(session, keys, building=journal.building, probe=f"{table_name(journal.token)}_probe")
    defaults = database_clauses(session, target)
    return Plan(
        target=target,
        going=names_away(session, target, going, journal.token),
        new=new,
        coming=coming,
        keys=tuple(keys),
        old=tuple(saved),
        defaults=defaults,
        settings=defaults if selective else settings,
        inner=tuple(inner_keys(session, target, journal.building, new)),
        traces=traces(session, journal.building, new.values()),
        made=tuple(statements),
        making=making,
        rights=rights_on_routines(session, target, saved),
    )


def swap(session: Session, maker: ObjectMaker, wait: LockWait, journal: Journal, plan: Plan) -> None:
    """Put what was built in the target's place; the journal tells how far it is."""
    target, away, building = plan.target, journal.away, journal.building
    journal.write(plan)
    with translate_errors(f"cannot replace {quote_name(target)}"):
        for view in [statement for statement in plan.old if statement.kind == "view" and statement.name in plan.new]:
            _drop(session, target, view, wait.run)
        _exchange(session, journal, plan, wait)
        repair_sequences(session, building, target, wait.run)
        relink(session, target, [away, building], wait.run)
        if plan.settings != plan.defaults:
            wait.run(f"ALTER DATABASE {quoted(target)} {plan.settings}")
        for statement in plan.old:
            if statement.kind != "trigger":
                _drop(session, target, statement, wait.run)
    maker.make(objects_of_plan(plan), made=[("table", name) for name in plan.new])
    grant_again(session, target, plan.rights)
    journal.finish()


def objects_of_plan(plan: Plan) -> list[Statement]:
    """What is made in the target besides its tables; a histogram only describes them."""
    return [statement for statement in plan.made if statement.kind != "histogram"]


def _exchange(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> None:
    """Drop the triggers and let the tables change places.

    The lock shows that what others have open is over before the first trigger goes. MariaDB renames no locked table.
    """
    triggers = [statement for statement in plan.old if statement.kind == "trigger"]
    locked = bool(triggers) and _lock(session, journal, plan, wait)
    for trigger in triggers:
        _drop(session, plan.target, trigger, wait.run)
    if locked and not _renames_locked(session):
        session.execute("UNLOCK TABLES")
    rename(moves(plan, building=journal.building, away=journal.away), wait.run)
    session.execute("UNLOCK TABLES")


def cleared(session: Session, journal: Journal, plan: Plan) -> list[str]:
    """The warnings of `clear`; what it cannot drop is left to the next restore, and a warning too."""
    warnings: list[str] = []
    try:
        warnings += clear(session, journal, plan)
    except HoldfastError as error:
        warnings.append(
            f"left behind: databases {quote_name(journal.away)} and {quote_name(journal.building)} "
            f"({error.message}); the next restore into {quote_name(plan.target)} drops them"
        )
    return warnings


def clear(session: Session, journal: Journal, plan: Plan) -> Iterator[str]:
    """What is done when the new tables are there for good; each line the user has to know."""
    with translate_errors("cannot count rows without a parent"):
        yield from lost_references(session, plan.target, tuple(plan.new))
        session.execute("COMMIT")
    with translate_errors("cannot drop the old tables"):
        journal.flush()
        session.execute(f"DROP DATABASE IF EXISTS {quoted(journal.away)}")
        session.execute(f"DROP DATABASE IF EXISTS {quoted(journal.building)}")


def moves(plan: Plan, *, building: str, away: str) -> list[tuple[str, str, str, str]]:
    """Database and name of each table before and after."""
    return [
        *((plan.target, name, away, kept) for name, kept in plan.going.items()),
        *((building, built, plan.target, name) for name, built in plan.new.items()),
    ]


def rename(moves: Sequence[tuple[str, str, str, str]], run: Run) -> None:
    """Move tables between databases, all of them at once."""
    if moves:
        run(renaming(moves))


def renaming(moves: Sequence[tuple[str, str, str, str]]) -> str:
    """The statement that moves tables."""
    return "RENAME TABLE " + ", ".join(
        f"{quoted(old)}.{quoted(name)} TO {quoted(new)}.{quoted(other)}" for old, name, new, other in moves
    )


def _replaced(going: Sequence[str], saved: Sequence[Statement]) -> list[Change]:
    """What would be replaced; triggers go with their tables."""
    others = [statement for statement in saved if statement.kind != "trigger"]
    return [
        *(Change(action="replaced", kind="table", name=name) for name in going),
        *(Change(action="replaced", kind=statement.kind, name=statement.name) for statement in others),
    ]


def preview(session: Session, *, target: str, names: Mapping[str, Sequence[str]], selective: bool) -> Preview:
    """Say what becomes of each table, view and sequence, of which `names` come."""
    there = {name: {"VIEW": "view", "SEQUENCE": "sequence"}.get(kind, "table") for name, kind in
             list_names(session, target)}  # fmt: skip
    coming = {name: kind for kind, listed in names.items() for name in listed}
    gone = [] if selective else [name for name in there if name not in coming]
    return Preview(
        changes=(
            *(Change(action="replaced" if name in there else "added", kind=kind, name=name)
              for name, kind in coming.items()),
            *(Change(action="gone", kind=there[name], name=name) for name in gone),
        ),
        whole=not selective,
    )  # fmt: skip


def _going(session: Session, target: str, new: Collection[str], *, selective: bool) -> list[str]:
    """The tables and sequences that leave the target: all, or those in whose place something comes."""
    old = list_names(session, target)
    return [name for name, kind in old if kind != "VIEW" and (not selective or name in new)]


def _saved(
    session: Session, target: str, new: Collection[str], coming: Collection[tuple[str, str]], going: Sequence[str], *,
    selective: bool,
) -> list[Statement]:  # fmt: skip
    """The definitions of everything in the target that has to be dropped, so that it can be put back."""
    definitions = DefinitionReader(session, target)
    everything = Selection()
    triggers = [trigger for trigger in definitions.triggers(everything) if trigger.table in going]
    others = [*definitions.views(everything), *definitions.routines(), *definitions.events()]
    if selective:
        replaced = {*coming, *(("view", name) for name in new)}
        others = [statement for statement in others if (statement.kind, statement.name) in replaced]
    return [*triggers, *others]


def _drop(session: Session, target: str, statement: Statement, run: Run) -> None:
    drop(session, target, statement.kind, statement.name, run)


def _lock(session: Session, journal: Journal, plan: Plan, wait: LockWait) -> bool:
    """Keep writers away from tables whose triggers go; False where the account or a table does not allow it."""
    kinds = dict(list_names(session, plan.target))
    tables = [f"{quoted(plan.target)}.{quoted(name)}" for name in plan.going if kinds.get(name) != "SEQUENCE"]
    if _renames_locked(session):
        tables += [f"{quoted(journal.building)}.{quoted(name)}" for name in plan.new.values()]
        tables += sorted({key.place for key in plan.keys})
    try:
        wait.run("LOCK TABLES " + ", ".join(f"{table} WRITE" for table in tables))
    except pymysql.MySQLError as error:
        log.info("the tables are replaced without LOCK TABLES: %s", error.args[-1])
        return False
    return True


def _renames_locked(session: Session) -> bool:
    """Whether the server renames tables under LOCK TABLES, which keeps writers away until the end."""
    return session.server.mysql_since(8, 0, 13)


def repair_sequences(session: Session, building: str, target: str, run: Run) -> None:
    """Let defaults that name a sequence follow it: the server keeps the name of the database it was in."""
    if not session.server.mariadb:
        return
    mark = f"{quoted(building)}."
    moved: dict[str, list[str]] = {}
    for table, column, default in session.texts(
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        f" WHERE table_schema={literal(target)} AND column_default LIKE '%val(%' ORDER BY table_name, ordinal_position"
    ):
        if mark in default:
            fixed = default.replace(mark, f"{quoted(target)}.")
            moved.setdefault(table, []).append(f"ALTER COLUMN {quoted(column)} SET DEFAULT ({fixed})")
    for table, clauses in moved.items():
        # All of them at once: a table one of whose defaults names what is not there cannot be altered (error 1146).
        run(f"ALTER TABLE {quoted(table)} {', '.join(clauses)}")
