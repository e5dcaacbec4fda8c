"""Views, routines, triggers and events, each made under the settings that it was first made under."""

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import pymysql

from holdfast.api import CredentialsError, HoldfastError, UnreachableError, quote_name
from holdfast_mysql.catalog.definitions import BROKEN_VIEW
from holdfast_mysql.definitions.check_head import check_head
from holdfast_mysql.definitions.renaming import with_names_as_made
from holdfast_mysql.definitions.rewrite import disabled, dropped, with_definer, with_last_semicolon
from holdfast_mysql.definitions.script import OF_SESSION, Statement
from holdfast_mysql.definitions.view_order import order_views
from holdfast_mysql.drill_marker import STAND_IN
from holdfast_mysql.errors import error_number, server_error
from holdfast_mysql.names import BROKEN, OBJECTS
from holdfast_mysql.restore.absence import is_elsewhere
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.kept_events import why_not_there
from holdfast_mysql.restore.object_settings import made_under
from holdfast_mysql.restore.object_warnings import ObjectWarnings
from holdfast_mysql.restore.own_definers import (
    OwnDefiners,
    can_be_of_definer,
    is_of_broken,
    is_rightless,
    rights_hint,
    tell_of_rights,
)
from holdfast_mysql.restore.placeholder_libraries import make_importing
from holdfast_mysql.restore.placeholder_tables import PlaceholderTables
from holdfast_mysql.restore.renamed_objects import renamed
from holdfast_mysql.restore.reserved_words import run_quoting
from holdfast_mysql.restore.server_warnings import NO_DEFINER
from holdfast_mysql.session import Session, quoted, use

log = logging.getLogger("holdfast.mysql")

_ORDER = ("library", "function", "procedure", "package", "package body", "view", "trigger", "event")
# What a view meets that refers to something which is not there (yet): database, table, column, function, loadable
# function, view, table of a MERGE table, or access by a definer who is missing.
_ABSENT = frozenset({1049, 1051, 1054, 1146, 1168, 1305, 1356, 1449, 1584, 1630, 4092})


def _ignore(*_: str) -> None:
    """Excuse nothing."""


class ObjectMaker:
    """Makes objects in a database; `source` is the name that the database had.

    Where it is `strict`, an object that the server makes with a warning has to be what it was.
    """

    def __init__(
        self, session: Session, *, database: str, source: str, definer: str, disable_events: bool,
        run: Callable[[bytes | str], int] | None = None, partial: bool = False,
        excuse: Callable[[str, str, str], None] | None = None, failures: Failures | None = None,
        source_folds: bool = False, strict: bool = False,
    ) -> None:  # fmt: skip
        self._session = session
        self._partial = partial
        self._excuse = excuse or _ignore
        self._excused = False
        self._refold = source_folds and not session.folds
        self._failures = failures or Failures()
        self._done: list[Statement] = []
        self._run = run or session.execute
        self._warnings = ObjectWarnings(session, database, strict=strict, disable_events=disable_events)
        self._database = database
        self._source = source
        self._definer = definer
        self._disable_events = disable_events

    def make(self, statements: Sequence[Statement], *, made: list[tuple[str, str]]) -> None:
        """Make all of them in the order of their kinds; each is added to `made`. Broken views are told of."""
        use(self._session, self._database)
        names = frozenset(
            (*(name for each in statements for name in (each.name, each.table)), *(name for _, name in made))
        )
        kept = self._session.value("SELECT @@collation_database")
        collation = kept
        try:
            for kind in _ORDER:
                chosen = [self._fitted(statement, names) for statement in statements if statement.kind == kind]
                if kind == "view":
                    self._make_views(chosen, made)
                    continue
                for statement in chosen:
                    # Parameters without a character set get the database's own: for this moment it is what it was.
                    if statement.collation and statement.collation != collation:
                        collation = self._alter_collation(statement.collation)
                    self._failures.attempt(kind, statement.name, partial(self._make, statement, made))
        finally:
            if collation != kept:
                self._alter_collation(kept)
            self._session.execute(OF_SESSION)
        self._warnings.tell()

    def _alter_collation(self, collation: str) -> str:
        self._run(f"ALTER DATABASE {quoted(self._database)} COLLATE {collation}")
        return collation

    def _fitted(self, statement: Statement, names: Collection[str]) -> Statement:
        fitted = replace(statement, body=with_definer(statement, self._definer))
        if fitted.body != statement.body and statement.extra != BROKEN_VIEW:  # which no proof has
            why = f"its definer is another one here (-o definer={self._definer})"
            self._excuse(statement.kind, statement.name, why)
        if self._source != self._database:
            fitted = renamed(fitted, old=self._source, new=self._database, objects=names)
        if self._refold:
            fitted = replace(fitted, body=with_names_as_made(fitted, names))
        check_head(fitted, fitted.body, database=self._database)
        if statement.kind == "event" and self._disable_events:
            fitted = replace(fitted, body=disabled(fitted))
        return fitted

    def _make(self, statement: Statement, made: list[tuple[str, str]]) -> None:
        try:
            missing = make_importing(self._session, self._database, statement, lambda: self._execute(statement))
        except pymysql.MySQLError as error:
            raise self._failure(statement, error) from error
        for name in missing:
            log.warning(
                "%s %s imports library %s, which is not there, as it was when it was backed up",
                statement.kind, quote_name(statement.name), quote_name(name),
            )  # fmt: skip
        self._done.append(statement)
        if statement.kind == "event" and (why := why_not_there(self._session, self._database, statement.name)):
            self._excuse("event", statement.name, why)
        else:
            made.append((statement.kind, statement.name))

    def _execute(self, statement: Statement) -> None:
        with made_under(self._session, statement):
            kept = replace(statement, body=with_last_semicolon(statement))
            self._warnings.judge(statement, run_quoting(self._run, kept, self._session.server))

    def _failure(self, statement: Statement, error: pymysql.MySQLError) -> HoldfastError:
        raised = server_error(error, f"cannot make {statement.kind} {quote_name(statement.name)}")
        if isinstance(raised, CredentialsError) and self._definer == "keep":
            rights = rights_hint(statement, self._database) if is_rightless(error) else ""
            raised.hint = f"{rights}use -o definer=current to make the restoring account the definer"
        return raised

    def _listed(self, statement: Statement, error: pymysql.MySQLError) -> bool:
        """Whether the restore goes on without an object."""
        raised = self._failure(statement, error)
        raised.__cause__ = error
        return self._failures.take(statement.kind, statement.name, raised)

    def _make_views(self, views: list[Statement], made: list[tuple[str, str]]) -> None:
        """Make views in passes, for what their text does not tell about their order."""
        left = self._pass(views, self._execute, made)
        if any(can_be_of_definer(view, left[view.name]) for view in views if view.name in left):
            with OwnDefiners(self._execute, list(self._done), self._keep_or_list) as own:
                above = [view for view in views if view.name in left]
                lacking = any(error_number(error) != NO_DEFINER for error in left.values())
                left = self._pass(above, own.make, made)
            if lacking and self._excuse is _ignore and (again := [view for view in above if view.name not in left]):
                tell_of_rights(again, self._database)
        for view in [view for view in views if view.name in left and is_rightless(left[view.name])]:
            error = left.pop(view.name)
            if not self._listed(view, error):
                raise self._failure(view, error) from error
        if left:
            broken = [view.name for view in views if view.extra == BROKEN_VIEW]
            self._make_broken(order_views([view for view in views if view.name in left], broken), made)

    def _keep_or_list(self, statement: Statement, error: pymysql.MySQLError) -> None:
        """What to do about a view whose definer may not use here what it uses: a drill has it with another one."""
        if self._excuse is not _ignore:
            why = f"its definer has no rights in the place of the drill ({error.args[-1]})"
            self._excuse(statement.kind, statement.name, why)
            return
        self._run(dropped(statement).body)
        if not self._listed(statement, error):
            raise self._failure(statement, error) from error

    def _pass(
        self, views: Sequence[Statement], create: Callable[[Statement], None], made: list[tuple[str, str]]
    ) -> dict[str, pymysql.MySQLError]:
        """Make views until a pass makes none; returns what was said of those that lack something."""
        while True:
            left: dict[str, pymysql.MySQLError] = {}
            for view in views:
                try:
                    create(view)
                except pymysql.MySQLError as error:
                    if error_number(error) in _ABSENT or is_rightless(error) or is_of_broken(view, error):
                        left[view.name] = error
                    elif not self._listed(view, error):
                        raise self._failure(view, error) from error
                else:
                    made.append(("view", view.name))
                    self._done.append(view)
            if len(left) in (0, len(views)):
                return left
            # Scripts for clients may have those above before those that they read.
            views = [view for view in reversed(views) if view.name in left]

    def _make_broken(self, views: list[Statement], made: list[tuple[str, str]]) -> None:
        """Make views of what is not there, as far as that can stand in for a moment; the others are told of."""
        placeholders = PlaceholderTables(self._session, self._database)
        try:
            for view in views:
                broken = view.extra == BROKEN_VIEW
                try:
                    placeholders.make(lambda view=view: self._execute(view))  # type: ignore[misc]
                except pymysql.MySQLError as error:
                    if not broken and self._make_on_stand_ins(view, placeholders):
                        made.append(("view", view.name))
                        continue
                    if isinstance(self._failure(view, error), UnreachableError):
                        raise
                    if not broken and self._listed(view, error):
                        continue
                    log.warning(
                        "view %s is broken and cannot be made (%s); its definition is in the stream %s of the backup"
                        if broken else
                        "view %s refers to what is not in this restore and cannot be made (%s); its definition is in "
                        "the stream %s of the backup",
                        quote_name(view.name), error.args[1], BROKEN if broken else OBJECTS,
                    )  # fmt: skip
                    if is_elsewhere(error, self._database, partial=self._partial, above=self._excused):
                        self._excused = True
                        self._excuse("view", view.name, f"it cannot be made here ({error.args[1]})")
                else:
                    made.append(("view", view.name))
                    when = "there, as it did when it was backed up" if broken else "in this restore"
                    log.warning("view %s refers to what is not %s", quote_name(view.name), when)
                    if (self._partial or self._excused) and not broken:
                        missing = "what the backup was made without" if self._partial else "a view that is not made"
                        self._excuse("view", view.name, f"it refers to {missing}")
        finally:
            self._session.execute(OF_SESSION)
            placeholders.clear()

    def _make_on_stand_ins(self, view: Statement, placeholders: PlaceholderTables) -> bool:
        """In a drill, make a view above tables of its own in the place of those of other databases."""
        others = placeholders.make_on_stand_ins(view, self._execute) if self._excuse is not _ignore else {}
        for table, name in others.items():
            self._excuse(STAND_IN, name, json.dumps(table))
        if others:
            self._excused = True
            self._excuse("view", view.name, "it refers to what is in other databases, for which others stand in here")
        return bool(others)
