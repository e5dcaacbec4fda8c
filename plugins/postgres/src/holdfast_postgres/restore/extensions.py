"""What some extensions need of a restore besides their entries: a mode of their own, or to be left out."""

import contextlib

import psycopg

from holdfast.api import HoldfastError, quote_name
from holdfast_postgres import special_extensions
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.session import connected
from holdfast_postgres.target.extensions import installed_extensions


class Extensions:
    """The special extensions of one restore."""

    def __init__(self, run: RestoreRun) -> None:
        self._run = run
        # Of single tables nobody takes the rows of such extensions along.
        self._modes = [] if run.request.select else special_extensions.with_modes(run.hints.installed)
        self._entered: list[ExtensionHint] = []
        #: The names of those that the database which is restored into cannot have.
        self.omitted: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Enter the modes, before anything else is restored, and find out what is to be left out."""
        run = self._run
        if not self._modes and special_extensions.PLACES.keys().isdisjoint(run.hints.extensions):
            return
        with run.connected() as connection, run.translated("cannot prepare the extensions"):
            there = installed_extensions(connection)
            for extension in self._modes:
                make = extension.name not in there
                for statement in special_extensions.enter_statements(extension, make=make):
                    connection.execute(statement)
                self._entered.append(extension)
            names = [name for name in run.hints.extensions if name not in there]
            database = run.target.into.database
            self.omitted = frozenset(special_extensions.misplaced(connection, names, database))
        if self.omitted and run.hints.format == "plain":
            raise HoldfastError(
                f"{self._why()}, and a script cannot be restored without",
                hint="restore a backup in another format, or into that database",
            )
        if self.omitted and not self.comes_late:
            run.warn([f"not restored: {self._why()}"])

    def _why(self) -> str:
        name = min(self.omitted)
        setting = special_extensions.PLACES[name]
        return f"extension {quote_name(name)} with its rows, which only the database that {setting} names can have"

    @property
    def comes_late(self) -> bool:
        """Whether the database will be able to have what is left out, once it has the name of the one it replaces."""
        run = self._run
        if not (self.omitted and run.request.replace and run.target.exists) or run.target.merges:
            return False
        with run.connected() as connection:
            return not special_extensions.misplaced(connection, sorted(self.omitted), run.target.name)

    def end(self) -> None:
        """Leave the modes; a drill stays in them, so that no worker changes what it compares."""
        run = self._run
        if run.request.drill or not self._entered:
            return
        with run.connected() as connection, run.translated("cannot end the restore of the extensions"):
            for extension in self._entered:
                connection.execute(special_extensions.leave_statement(extension))
        self._entered = []

    def undo(self) -> None:
        """Take the modes from a database that stays although its restore has failed."""
        run = self._run
        if run.request.drill or not self._entered or run.target.into != run.target.location:
            return
        with contextlib.suppress(psycopg.Error, HoldfastError), connected(run.target.location) as connection:
            for extension in self._entered:
                connection.execute(special_extensions.reset_statement(extension, run.target.name))
