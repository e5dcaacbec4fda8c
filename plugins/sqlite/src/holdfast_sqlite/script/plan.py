"""The plan of a script: how each object is made, tried in an empty database before anything is written.

What its own definition makes is written so. What an INSERT or CREATE would refuse or change there is written by way
of `sqlite_schema` (`definitions`). An index that takes a function or collation of the application's comes last, behind
COMMIT: where that is missing, all else is loaded. What cannot be carried at all is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from holdfast_sqlite.catalog import Entry, entries, identifier
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.extensions import load_extensions
from holdfast_sqlite.lending import lend_collations, lending
from holdfast_sqlite.script import definitions
from holdfast_sqlite.script.columns import Table, strict_tables
from holdfast_sqlite.script.survey import Survey, has_duplicates
from holdfast_sqlite.trial import Trial, Trials

_COUNTER = "holdfast_counter"
_RESERVED = "object name reserved for internal use"
IMAGE = "use -o format=image, which needs nothing of the application"


class TablePlan:
    """How a table is written: statements before and after its rows, and which columns and rows these are."""

    __slots__ = ("after", "before", "computed", "has_long", "table")

    def __init__(self, table: Table, before: list[str], after: list[str], *, computed: bool, has_long: bool) -> None:
        self.table = table
        self.before = before
        self.after = after
        self.computed = computed
        self.has_long = has_long


class Plan:
    """How a database is written: its tables, then SQLite's own, then all other objects.

    `last` are the indexes that only the application can make. With `needs`, which a manifest can hold, and `warnings`
    they are told of. `keep_returns` has the shell, too, keep the line breaks of DOS in definitions.
    """

    def __init__(self, connection: sqlite3.Connection, extensions: Sequence[str], *, keep_returns: bool) -> None:
        self._connection = connection
        self._keep_returns = keep_returns
        self._extensions = extensions
        schema = entries(connection)
        self._trials = Trials(connection, schema)
        lend_collations(connection, Trial(connection).connection)
        self._unmade: set[tuple[str, str]] = set()
        self.needs: list[dict[str, str]] = []
        self.warnings: list[str] = []
        self.last: list[list[str]] = []
        self._strict = strict_tables(connection)
        names = {entry.name for entry in schema}
        self.tables = [
            self._table(entry) for entry in schema if entry.kind == "table" and not entry.module and not entry.internal
        ]
        self._indexes = {index.name: (plan.table, index) for plan in self.tables for index in plan.table.indexes}
        self.internal: list[TablePlan] = []
        if "sqlite_sequence" in names:
            self.internal.append(self._internal("sqlite_sequence", self._counters()))
        if "sqlite_stat1" in names:
            self.internal.append(self._internal("sqlite_stat1", ["ANALYZE sqlite_schema"]))
        self.objects = [self._put_row(entry) for entry in schema if entry.module]
        for kind in ("index", "view", "trigger"):
            self.objects += [self._object(entry) for entry in schema if entry.kind == kind and entry.sql]
        self._compare()

    def _table(self, entry: Entry) -> TablePlan:
        """A table by its own definition, or from a bare one where that is not possible or its rows do not fit."""
        table = Table(self._connection, entry.name)
        survey = self._survey(table, entry)
        trial = self._trials.of(entry.name)
        natural = definitions.natural(entry, keep_returns=self._keep_returns)
        failure = "its rows do not fit its definition" if survey.is_unfit else trial.run(natural)
        before, after, computed = natural, [], False
        if failure:
            try:
                before, after, computed = definitions.bare(table), definitions.dressed(entry, table), True
            except definitions.UnwritableError as error:
                failure = f"{failure}, and {error}"
            else:
                failure = trial.run([*before, *after])
        if failure:
            self._refuse_unless_extended(entry, natural, failure, fits=not survey.is_unfit)
            before, after, computed = natural, [], False
        return TablePlan(table, before, after, computed=computed, has_long=survey.has_long)

    def _survey(self, table: Table, entry: Entry) -> Survey:
        computed, strict = definitions.computed_columns(entry.sql), entry.name in self._strict
        return lending(self._connection, lambda: Survey(self._connection, table, computed, strict=strict))

    def _refuse_unless_extended(self, entry: Entry, natural: list[str], failure: str, *, fits: bool) -> None:
        """Let a table pass that the user's extensions make; an error says what others need."""
        if self._extensions and fits:
            trial = Trial(self._connection)
            load_extensions(trial.connection, self._extensions)
            if not trial.run(natural):
                self._need(entry, failure)
                return
        raise TaskError(
            "script",
            f"table {entry.name!r} would not be loaded: {failure}",
            hint=IMAGE + ("" if self._extensions else ", or name the library that has it with --load-extension"),
        )

    def _need(self, entry: Entry, failure: str) -> None:
        """Record that an object takes something of its application's."""
        self._unmade.add((entry.kind, entry.name))
        self.needs.append({"kind": entry.kind, "name": entry.name, "needs": failure})
        self.warnings.append(
            f"{entry.kind} {entry.name!r} needs what its application has ({failure}): the script is restored only "
            "with --load-extension, or loaded by the application; -o format=image needs neither"
        )

    def _internal(self, name: str, statements: list[str]) -> TablePlan:
        """A table that only SQLite itself can make: its rows take the place of what it has put in."""
        trial = self._trials.having(name) or self._trials.of(name)
        statements = _run(trial, [*statements, f"DELETE FROM {name}"])  # noqa: S608
        return TablePlan(Table(self._connection, name), statements, [], computed=False, has_long=False)

    def _counters(self) -> list[str]:
        """What makes sqlite_sequence where no table has: its last table with AUTOINCREMENT is gone, or a bare one."""
        if self._trials.having("sqlite_sequence"):
            return []
        return [f"CREATE TABLE {_COUNTER}(i INTEGER PRIMARY KEY AUTOINCREMENT)", f"DROP TABLE {_COUNTER}"]

    def _object(self, entry: Entry) -> list[str]:
        """What makes an index, view or trigger; nothing for an index that comes last."""
        statements = definitions.natural(entry, keep_returns=self._keep_returns)
        trial = self._trials.of(entry.on)
        failure = trial.run(statements)
        if entry.kind != "index":
            return self._put_row(entry) if failure else statements
        if failure:
            if failure.startswith(_RESERVED):  # some tools make such an index, and no SQLite would make it again
                raise TaskError("script", f"index {entry.name!r} would not be loaded: {failure}", hint=IMAGE)
            table_needs = [need["needs"] for need in self.needs if (need["kind"], need["name"]) == ("table", entry.on)]
            self._need(entry, table_needs[0] if table_needs else failure)
            self.last.append(statements)
            return []
        if self._has_duplicates(entry):
            trial.run([f"DROP INDEX {identifier(entry.name)}"])
            return _run(trial, definitions.without_unique(entry))
        return statements

    def _has_duplicates(self, entry: Entry) -> bool:
        """Whether a unique index could not be made of the rows of its table."""
        table, index = self._indexes[entry.name]
        return lending(self._connection, lambda: has_duplicates(self._connection, table, index))

    def _put_row(self, entry: Entry) -> list[str]:
        """What enters an object by its row of the schema."""
        return _run(self._trials.of(entry.on), definitions.put_row(entry))

    def _compare(self) -> None:
        """Refuse what has come out otherwise, whatever the reason."""
        tables = {name for kind, name in self._unmade if kind == "table"}
        changed = [
            change
            for change in self._trials.differences()
            if (change.kind, change.name) not in self._unmade and change.on not in tables
        ]
        if changed:
            names = ", ".join(f"{change.kind} {change.name!r}" for change in changed[:3])
            raise TaskError("script", f"the script would not make the same of {names}", hint=IMAGE)


def _run(trial: Trial, statements: list[str]) -> list[str]:
    """Try statements that every SQLite runs."""
    if failure := trial.run(statements):
        raise TaskError("script", failure, hint=IMAGE)
    return statements
