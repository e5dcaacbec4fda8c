"""The database that is restored into: the one at the URL, one made for it, or one beside it that takes its place."""

import logging
from collections.abc import Callable, Sequence

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, RestoreRequest, UnreachableError, UsageError, quote_name
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.hints import Hints
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.session import Server, connect, connected, pin, survey
from holdfast_postgres.target import checks, contents, databases
from holdfast_postgres.target.checks import Findings
from holdfast_postgres.target.contents import Before

log = logging.getLogger("holdfast.postgres.target")


class RestoreTarget:
    """One target, from the first look at it to the end of the restore."""

    def __init__(self, request: RestoreRequest, hints: Hints, location: Location) -> None:
        self._request = request
        self._hints = hints
        self._options: PostgresOptions = request.options
        self._location = location
        self._made = ""
        self._before: Before | None = None
        self._done = False
        self.warnings: list[str] = []
        self.name = location.database
        self.into = location
        self.exists = True

    def check(self) -> tuple[Server, Findings]:
        """Look at everything that can be known, and touch nothing."""
        connection, server = self._open()
        with connection, translate_errors(f"cannot look at {self._location.shown}"):
            checks.check_version(server, self._hints, self._options)
            found = checks.check_needs(connection, server, self._hints, self._options, drill=self._request.drill)
            if not (self._options.globals and self._hints.globals):
                checks.check_policies(connection, self._hints)
            checks.check_space(connection, self._hints)
            if self.exists:
                self._check_content(connection)
        self.warnings += found.warnings
        return server, found

    def _open(self) -> "tuple[Connection[TupleRow], Server]":
        """Connect to the target, or to its server where it is to be made."""
        try:
            connection = connect(self._location)
        except UnreachableError as error:
            if "does not exist" not in error.message:
                raise
            if not self._options.create:
                raise UnreachableError(error.message, hint="-o create=true makes the database") from error
            self.exists = False
            connection = databases.reach(self._location)
            self._location = pin(self._location, connection).at(self.name)
        else:
            self._location = pin(self._location, connection)
            self.name = self._location.database
        self.into = self._location
        with translate_errors(f"cannot read {self._location.shown}"):
            return connection, survey(connection)

    def _check_content(self, connection: "Connection[TupleRow]") -> None:
        where = f"database {quote_name(self.name)}"
        if self._hints.data_only:
            if self._request.replace:
                raise UsageError("a backup of data alone cannot replace a database", hint="empty its tables first")
            filled = [f"rows in {name}" for name in contents.filled_tables(connection)]
            hint = "empty its tables with TRUNCATE, or restore into another database that has the same tables"
            checks.refuse_content(filled, where, hint=hint)
        elif self._request.replace:
            ours = connection.info.backend_pid
            with databases.maintenance(self._location, avoid=self.name) as other:
                databases.check_unused(other, self.name, disconnect=self._options.disconnect, ours=ours)
        else:
            checks.refuse_content([str(one) for one in contents.found(connection)], where)

    def prepare(self) -> None:
        """Make the database that is restored into, if it is not the empty one at the URL."""
        if self.exists and not self._request.replace:
            with connected(self._location) as connection, translate_errors(f"cannot read {self._location.shown}"):
                self._before = contents.remember(connection)
            return
        name = databases.beside(self.name, "holdfast") if self.exists else self.name
        with databases.maintenance(self._location, avoid=self.name) as connection:
            with translate_errors(f"cannot make database {quote_name(name)}"):
                tablespace = databases.properties(connection, self.name).tablespace if self.exists else ""
                self.warnings += databases.create(connection, name, self._hints.database, tablespace=tablespace)
            self._made = name
            self.into = self._location.at(name)

    def finish(self) -> None:
        """Let the database beside the target take its place."""
        if self._made and self.exists:
            self._swap()
        self._done = True

    def _swap(self) -> None:
        old = databases.beside(self.name, "holdfast_old")
        disconnect = self._options.disconnect
        with databases.maintenance(self._location, avoid=self.name) as connection:
            with translate_errors(f"cannot put the backup in the place of database {quote_name(self.name)}"):
                found = databases.properties(connection, self.name)
                databases.give(connection, self._made, found)
                databases.swap(connection, self.name, self._made, old, found.comment, disconnect=disconnect)
            self._done = True
            try:
                databases.drop(connection, old)
            except psycopg.Error as error:
                log.warning("database %s is left behind: %s", old, error)
                self.warnings.append(f"the replaced database is left as {quote_name(old)}: it could not be dropped")

    def close(self, failed: HoldfastError | None) -> None:
        """Undo, unless it was finished; where that fails, the error that ended the restore says what is left."""
        if self._done:
            return
        self._done = True
        if self._made:
            self._undo(self._drop_made, f"database {quote_name(self._made)}", failed)
        elif self._before is not None and self._hints.data_only:
            self._undo(self._empty_tables, f"rows in database {quote_name(self.name)}", failed)
        elif self._before is not None:
            self._undo(self._remove_content, f"objects in database {quote_name(self.name)}", failed)

    def _undo(self, how: Callable[[], Sequence[str]], what: str, failed: HoldfastError | None) -> None:
        begin = failed.message if failed else "the restore failed"
        kind = type(failed) if failed else HoldfastError
        try:
            left = how()
        except (psycopg.Error, HoldfastError) as error:
            text = " ".join(str(error).split())
            raise kind(f"{begin}; {what} is left behind, since: {text}", hint="drop it by hand") from error
        if left:
            raise kind(
                f"{begin}; in database {quote_name(self.name)} is left: {some_names(left)}", hint="drop it by hand"
            )

    def _drop_made(self) -> Sequence[str]:
        with databases.maintenance(self._location, avoid=self._made) as connection:
            databases.drop(connection, self._made)
        return ()

    def _remove_content(self) -> Sequence[str]:
        assert self._before is not None  # noqa: S101 (asked by the caller)
        with connected(self._location) as connection:
            return contents.remove(connection, self._before)

    def _empty_tables(self) -> Sequence[str]:
        with connected(self._location) as connection:
            return contents.empty(connection)
