"""A target with data replaced: built beside it in a database of its own, then swapped by one RENAME TABLE.

Only the tables change places in one moment. Triggers have to be dropped before, and views, routines and events are
made after; a failure in between puts the old definitions back.
"""

import logging
from collections.abc import Collection, Mapping, Sequence

import pymysql

from holdfast.api import Change, HoldfastError, Preview, quote_name, refuse_replacing
from holdfast_mysql.catalog.definitions import DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.foreign_keys import lost_references, relink
from holdfast_mysql.restore.objects import ObjectMaker
from holdfast_mysql.restore.target import drop
from holdfast_mysql.session import Session, literal, quoted, use

log = logging.getLogger("holdfast.mysql")

_LONGEST = 64


def building_name(database: str, token: str) -> str:
    """The name of the database that is built in."""
    end = f"_holdfast_{token}"
    return database[: _LONGEST - len(end)] + end


def warn_of_replacement(database: str, occupants: Sequence[tuple[str, str]]) -> None:
    """Say what the replacement does and what of it is not atomic."""
    kinds = sorted({kind for kind, _ in occupants} - {"table", "sequence"})
    others = f" {', '.join(kinds)} definitions" if kinds else " Views, routines and events"
    log.warning(
        "replacing %s: the tables change places in one RENAME TABLE; not atomic with it are triggers (dropped "
        "before) and%s (dropped before, made after): a program that runs meanwhile may miss them",
        quote_name(database), others,
    )  # fmt: skip


def explain(
    session: Session, *, building: str, target: str, new: list[str], views: Collection[str], selective: bool
) -> None:
    """Tell of all that `swap` would drop and move; `new` and `views` are the names that it would bring."""
    coming = {("view", name) for name in views}
    going = _going(session, target, [*new, *views], selective=selective)
    use(session, target)
    saved = [
        f"{statement.kind} {quote_name(statement.name)}"
        for statement in _saved(session, target, new, coming, going, selective=selective)
    ]
    away = _away(building, target)
    if saved:
        log.warning("would drop, to be put back if it fails: %s", ", ".join(saved))
    log.warning("would run: %s", _renaming(_moves(building, target, away, going, new)))
    log.warning("would drop at the end: database %s and database %s", quote_name(away), quote_name(building))


def swap(
    session: Session, maker: ObjectMaker, statements: list[Statement], *, building: str, target: str,
    selective: bool, replace: bool,
) -> list[str]:  # fmt: skip
    """Put what was built in the target's place; if it is selective, only in the place of what has the same names.

    What is returned the user has to know.
    """
    new = [name for name, kind in list_names(session, building) if kind != "VIEW"]
    coming = {(statement.kind, statement.name) for statement in statements}
    views = [name for kind, name in coming if kind == "view"]
    going = _going(session, target, [*new, *views], selective=selective)
    use(session, target)
    saved = _saved(session, target, new, coming, going, selective=selective)
    if not replace:
        refuse_replacing(f"database {quote_name(target)}", _replaced(going, saved))
    away = _away(building, target)
    with translate_errors(f"cannot create database {quote_name(away)}"):
        session.execute(f"CREATE DATABASE {quoted(away)}")
    moved = False
    try:
        with translate_errors(f"cannot replace {quote_name(target)}"):
            _drop(session, target, saved)
            _rename(session, _moves(building, target, away, going, new))
            moved = True
            _repair_sequences(session, building, target)
            relink(session, target, [away, building])
        maker.make(statements, made=[("table", name) for name in new])
    except BaseException as error:
        log.warning("the replacement failed, %s is put back", quote_name(target))
        _put_back(session, saved, building=building, target=target, away=away,
                  old=going if moved else [], new=new if moved else [], error=error)  # fmt: skip
        raise
    lost = list(lost_references(session, target, new))
    with translate_errors("cannot drop the old tables"):
        session.execute(f"DROP DATABASE {quoted(away)}")
        session.execute(f"DROP DATABASE {quoted(building)}")
    return lost


def _away(building: str, target: str) -> str:
    """The database that the old tables go into."""
    return building_name(target, "old_" + building.rpartition("_")[2])


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


def _moves(building: str, target: str, away: str, going: list[str], new: list[str]) -> list[tuple[str, str, str]]:
    """Each table with the database that it leaves and the one that it goes into."""
    return [*((target, away, name) for name in going), *((building, target, name) for name in new)]


def _saved(
    session: Session, target: str, new: Collection[str], coming: Collection[tuple[str, str]], going: list[str], *,
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


def _drop(session: Session, target: str, saved: Sequence[Statement]) -> None:
    for statement in saved:
        drop(session, target, statement.kind, statement.name)


def _rename(session: Session, moves: Sequence[tuple[str, str, str]]) -> None:
    """Move tables between databases, all of them at once."""
    if moves:
        session.execute(_renaming(moves))


def _renaming(moves: Sequence[tuple[str, str, str]]) -> str:
    return "RENAME TABLE " + ", ".join(
        f"{quoted(old)}.{quoted(name)} TO {quoted(new)}.{quoted(name)}" for old, new, name in moves
    )


def _repair_sequences(session: Session, building: str, target: str) -> None:
    """Let defaults that name a sequence follow it: the server keeps the name of the database it was in."""
    if not session.server.mariadb:
        return
    mark = f"{quoted(building)}."
    for table, column, default in session.texts(
        "SELECT table_name, column_name, column_default FROM information_schema.columns"
        f" WHERE table_schema={literal(target)} AND column_default LIKE '%nextval(%'"
    ):
        if mark in default:
            fixed = default.replace(mark, f"{quoted(target)}.")
            session.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)} SET DEFAULT ({fixed})")


def _put_back(
    session: Session, saved: list[Statement], *, building: str, target: str, away: str,
    old: list[str], new: list[str], error: BaseException,
) -> None:  # fmt: skip
    """Undo a swap that failed half-way; what cannot be undone is named, with where it is."""
    try:
        made = DefinitionReader(session, target)
        current = [*made.triggers(Selection()), *made.views(Selection()), *made.routines(), *made.events()]
        names = {(statement.kind, statement.name) for statement in saved}
        made_here = [statement for statement in current if old or new or (statement.kind, statement.name) in names]
        _drop(session, target, made_here)
        _rename(session, [*((target, building, name) for name in new), *((away, target, name) for name in old)])
        own = ObjectMaker(session, database=target, source=target, definer="keep", disable_events=False)
        own.make(saved, made=[])
        relink(session, target, [away, building])
        session.execute(f"DROP DATABASE {quoted(away)}")
    except (HoldfastError, pymysql.MySQLError) as failed:
        log.warning(
            "could not put %s back: %s; its old tables are in database %s",
            quote_name(target),
            failed,
            quote_name(away),
            extra={"reason": str(error)},
        )
