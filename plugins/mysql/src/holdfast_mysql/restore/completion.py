"""A replacement finished by another run: its tables are in the target, programs work with them, and the rest follows.

Each step looks at what is there and may have been done before: whoever finishes may itself be cut off.
"""

import logging
from collections.abc import Callable

from holdfast.api import quote_name
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.foreign_keys import relink, restore_keys
from holdfast_mysql.restore.histograms import make_histograms
from holdfast_mysql.restore.journal import Journal, Making, Plan
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.routine_rights import grant_again
from holdfast_mysql.restore.swap import moves, objects_of_plan, repair_sequences
from holdfast_mysql.restore.target import database_clauses, drop, make_read_only
from holdfast_mysql.session import Session, quoted, use

log = logging.getLogger("holdfast.mysql")

Run = Callable[[bytes | str], int]


def maker_of(
    session: Session, making: Making, *, database: str, run: Run, failures: Failures, disable_events: bool = False,
    excuse: Callable[[str, str, str], None] | None = None,
) -> ObjectMaker:  # fmt: skip
    """Makes what follows the tables of a backup, as strictly as a restore is."""
    return ObjectMaker(
        session, database=database, source=making.source, definer=making.definer, disable_events=disable_events,
        run=run, partial=making.partial, excuse=excuse, failures=failures, source_folds=making.source_folds,
        strict=True,
    )  # fmt: skip


def is_swapped(session: Session, journal: Journal, plan: Plan) -> bool:
    """Whether the tables have changed places, and the journal tells what is to follow."""
    if plan.making is None or not plan.new:
        return False
    there = {
        (database, name)
        for database in (plan.target, journal.building, journal.away)
        for name, _ in list_names(session, database)
    }
    renames = moves(plan, building=journal.building, away=journal.away)
    return {(new, name) for _, _, new, name in renames} <= there and not any(
        (old, name) in there for old, name, _, _ in renames if old == journal.building
    )


def complete(session: Session, journal: Journal, plan: Plan, making: Making, run: Run) -> None:
    """Do all that `swap` does after the tables have changed places; an error leaves it to be undone, or done again."""
    target = plan.target
    use(session, target)
    restore_keys(session, [*plan.keys, *plan.inner], run)
    repair_sequences(session, journal.building, target, run)
    relink(session, target, [journal.away, journal.building], run)
    if database_clauses(session, target) != plan.settings:
        run(f"ALTER DATABASE {quoted(target)} {plan.settings}")
    ours = {*plan.coming, *((statement.kind, statement.name) for statement in plan.old if statement.kind != "trigger")}
    for statement in current_objects(session, target):
        if (statement.kind, statement.name) in ours:
            drop(session, target, statement.kind, statement.name, run)
    failures = Failures(going_on=making.going_on)
    maker = maker_of(session, making, database=target, run=run, failures=failures)
    maker.make(objects_of_plan(plan), made=[("table", name) for name in plan.new])
    grant_again(session, target, plan.rights)
    for failure in failures.listed:
        log.warning("%s %s is not restored: %s", failure.kind, quote_name(failure.name), failure.message)
    journal.finish()


def describe(session: Session, plan: Plan, making: Making) -> None:
    """Make what only describes the rows, once the journal says that they are there for good."""
    histograms = [statement for statement in plan.made if statement.kind == "histogram"]
    warnings = list(make_histograms(session, plan.target, histograms))
    if making.read_only:
        warnings += make_read_only(session, plan.target)
    for warning in warnings:
        log.warning("%s", warning)


def current_objects(session: Session, target: str) -> list[Statement]:
    """The triggers, views, routines and events that are there."""
    reader = DefinitionReader(session, target)
    return [*reader.triggers(Selection()), *reader.views(Selection()), *reader.routines(), *reader.events()]
