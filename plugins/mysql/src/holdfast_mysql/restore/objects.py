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
from holdfast_mysql.definitions.renaming import (
    ambiguous_refs,
    names_in_strings,
    rename_database,
    with_names_as_made,
)
from holdfast_mysql.definitions.rewrite import disabled, with_definer
from holdfast_mysql.definitions.script import OPENING, Statement
from holdfast_mysql.drill_marker import STAND_IN
from holdfast_mysql.errors import error_number, server_error
from holdfast_mysql.names import BROKEN, OBJECTS
from holdfast_mysql.restore.absence import is_elsewhere
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.object_settings import made_under
from holdfast_mysql.restore.object_warnings import ObjectWarnings
from holdfast_mysql.restore.own_definers import OwnDefiners
from holdfast_mysql.restore.placeholder_libraries import make_importing
from holdfast_mysql.restore.placeholder_tables import PlaceholderTables
from holdfast_mysql.restore.reserved_words import run_quoting
from holdfast_mysql.restore.server_warnings import NO_DEFINER
from holdfast_mysql.session import Session, literal, quoted, use

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
            self._session.execute(OPENING[0])
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
            for reference in ambiguous_refs(fitted, old=self._source, objects=names):
                log.warning(
                    "%s %s names %s, which is left as it is because it can be a column there: if it is meant to be in "
                    "database %s, correct the definition by hand",
                    statement.kind, quote_name(statement.name), quote_name(reference), quote_name(self._source),
                )  # fmt: skip
            if names_in_strings(fitted, old=self._source):
                log.warning("%s %s runs SQL out of a string that names database %s: it stays as it is",
                            statement.kind, quote_name(statement.name), quote_name(self._source))  # fmt: skip
            fitted = replace(fitted, body=rename_database(fitted, old=self._source, new=self._database, objects=names))
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
        if statement.kind != "event" or self._event_is_there(statement):
            made.append((statement.kind, statement.name))

    def _event_is_there(self, event: Statement) -> bool:
        """Whether the server has kept an event: it drops one whose time has passed, and only says so."""
        if self._session.rows(f"SHOW EVENTS WHERE name={literal(event.name)} AND db={literal(self._database)}"):
            return True
        why = "its time has passed, and the server makes no such event"
        log.warning(
            "event %s is not made: %s; its definition is in the stream %s of the backup",
            quote_name(event.name), why, OBJECTS,
        )  # fmt: skip
        self._excuse("event", event.name, why)
        return False

    def _execute(self, statement: Statement) -> None:
        with made_under(self._session, statement):
            self._warnings.judge(statement, run_quoting(self._run, statement, self._session.server))

    def _failure(self, statement: Statement, error: pymysql.MySQLError) -> HoldfastError:
        raised = server_error(error, f"cannot make {statement.kind} {quote_name(statement.name)}")
        if isinstance(raised, CredentialsError) and self._definer == "keep":
            raised.hint = "use -o definer=current to make the restoring account the definer"
        return raised

    def _listed(self, statement: Statement, error: pymysql.MySQLError) -> bool:
        """Whether the restore goes on without an object."""
        raised = self._failure(statement, error)
        raised.__cause__ = error
        return self._failures.take(statement.kind, statement.name, raised)

    def _make_views(self, views: list[Statement], made: list[tuple[str, str]]) -> None:
        """Make views in passes, for what their text does not tell about their order."""
        left = self._pass(views, self._execute, made)
        if any(error_number(error) == NO_DEFINER for error in left.values()):
            with OwnDefiners(self._execute, self._done) as own:
                left = self._pass([view for view in views if view.name in left], own.make, made)
        if left:
            self._make_broken([view for view in views if view.name in left], made)

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
                    if error_number(error) in _ABSENT:
                        left[view.name] = error
                    elif not self._listed(view, error):
                        raise self._failure(view, error) from error
                else:
                    made.append(("view", view.name))
                    self._done.append(view)
            if len(left) in (0, len(views)):
                return left
            views = [view for view in views if view.name in left]

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
            self._session.execute(OPENING[0])
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
