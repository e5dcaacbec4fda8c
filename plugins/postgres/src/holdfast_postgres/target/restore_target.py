"""The database that is restored into: the one at the URL, one made for it, or one beside it that takes its place."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, ObjectKind, RestoreRequest, UsageError, quote_name
from holdfast_postgres import unfinished
from holdfast_postgres.database_properties import (
    Property,
    give_properties,
    parse_script,
    read_properties,
)
from holdfast_postgres.errors import some_names, translate_errors
from holdfast_postgres.hints import Hints
from holdfast_postgres.kinds import hints_without
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.session import Server, connect, connected, pin, read_server
from holdfast_postgres.target import abandoned, checks, contents, databases, likeness, removal
from holdfast_postgres.target.checks import Adjustments
from holdfast_postgres.target.exchange import drop_leftover, exchange
from holdfast_postgres.target.new_database import NewDatabase
from holdfast_postgres.target.removal import EmptyState
from holdfast_postgres.target.temporary import Maintenance
from holdfast_postgres.unfinished import Remnant, read_remnant
from holdfast_postgres.watched import Connections, WatchedConnection

log = logging.getLogger("holdfast.postgres.target")

_Removal = Callable[["Connection[TupleRow]", EmptyState], Sequence[str]]

# What to do with what could not be undone.
_DROP_BESIDE = "drop it, or leave it to the next restore or drill on that server"
_MAKE_AGAIN = "restore again with -o create=true --replace, which puts it right whatever is there, or drop it"
_REPLACE = "restore again with --replace, which puts it right, or drop it by hand"
_TRUNCATE = "empty its tables with TRUNCATE"


class RestoreTarget:
    """One target, from the first look at it to the end of the restore."""

    def __init__(self, request: RestoreRequest, hints: Hints, location: Location) -> None:
        self._request = request
        self._hints = hints
        self._options: PostgresOptions = request.options
        self._location = location
        self._remnant: Remnant | None = None  # what another restore has left of the target
        self._empty_state: EmptyState | None = None
        self._properties: list[Property] = []  # of the backup, for the database that is made of it
        self._done = False
        self.connections = Connections()  #: Those that whoever ends the restore has to cut.
        self._elsewhere = Maintenance(self.connections)
        self._new = NewDatabase(self._elsewhere)
        #: Whether only selected relations are put in, and all else stays: they are restored beside the target first.
        self.merges = False
        self.warnings: list[str] = []
        self.name = location.database
        self.into = location
        self.exists = True

    @property
    def schemas(self) -> frozenset[str]:
        """The schemas that the target had."""
        state = self._empty_state
        return frozenset() if state is None else state.names

    @property
    def location(self) -> Location:
        """The database at the URL, once it has been checked."""
        return self._location

    def _maintenance(self, avoid: str) -> AbstractContextManager[WatchedConnection]:
        """A connection to another database than the one of that name."""
        return self._elsewhere.connected(self._location, avoid=avoid)

    def _swept(self, connection: WatchedConnection) -> AbstractContextManager[None]:
        if self._request.dry_run or self._request.drill:
            return nullcontext()
        return abandoned.swept(connection, self._location, self.warnings)

    def check(self) -> tuple[Server, Adjustments]:
        """Check everything that can be known, and change nothing."""
        connection, server = self._open()
        with connection, translate_errors(f"cannot read {self._location.label}"), self._swept(connection):
            checks.check_version(server, self._hints, self._options)
            selects = bool(self._request.select or self._request.exclude)
            needs = checks.needs_of_selection(self._hints) if selects else self._hints
            needs = hints_without(needs, self._request.exclude_kinds)
            into = self.exists and not self._request.replace
            adjustments = checks.check_needs(connection, server, needs, self._request, into=into)
            if not (checks.continues(self._request) or (self._options.globals and self._hints.globals)):
                checks.check_policies(connection, needs)
            checks.check_space(connection, needs)
            if self.exists:
                self._check_content(connection)
                if (into or self.merges) and not (self._request.drill or self._hints.data_only):
                    self.warnings += checks.default_rights(connection, server)
        self.warnings += adjustments.warnings
        return server, adjustments

    def _open(self) -> tuple[WatchedConnection, Server]:
        """Connect to the target, or to its server where it is to be made."""
        connection, self.exists = databases.connect_to_target(self._location, create=self._options.create)
        self._location = pin(self._location, connection)
        if self.exists:
            self.name = self._location.database
        else:
            self._location = self._location.at(self.name)
        self.into = self._location
        with translate_errors(f"cannot read {self._location.label}"):
            return connection, read_server(connection)

    def _check_content(self, connection: "Connection[TupleRow]") -> None:
        if not self._request.drill:
            self._remnant = read_remnant(connection, self.name)
        if self._remnant and self._remnant.held:
            raise LockedError(self._remnant.describe(self.name), hint="wait until it has ended")
        if self._hints.data_only:
            if self._request.replace:
                raise UsageError("a backup of data alone cannot replace a database", hint="empty its tables first")
            filled = [f"rows in {name}" for name in contents.filled_tables(connection)]
            hint = "empty its tables with TRUNCATE, or restore into another database that has the same tables"
            checks.refuse_content(filled, self.name, self._remnant, hint=hint)
        elif self._request.selective and not self._request.drill and contents.read_objects(connection, limit=1):
            self.merges = True
            if self._remnant:
                self.warnings.append(f"{self._remnant.describe(self.name)}: only the selection is put right in it")
        elif self._request.replace:
            checks.check_owner(connection, self.name)
            ours = connection.info.backend_pid
            with self._maintenance(self.name) as other:
                databases.check_unused(other, self.name, disconnect=self._options.disconnect, ours=ours)
        else:
            objects = [str(entry) for entry in contents.read_objects(connection, limit=100)]
            checks.refuse_content(objects, self.name, self._remnant)
            if self._remnant and self._remnant.made and self._options.create:
                self.exists = False  # made anew, as if it had never been

    @contextmanager
    def prepared(self) -> Iterator[WatchedConnection]:
        """Make the database that is restored into, if it is not the empty one at the URL; yields a connection to it."""
        in_place = self.exists and not self._request.replace and not self.merges
        if not in_place:
            self._make()
        with self.connections.holding(connect(self.into)) as connection:
            if in_place:
                with translate_errors(f"cannot read {self._location.label}"):
                    self._empty_state = removal.read_empty_state(connection)
                    if not self._request.drill:
                        unfinished.mark(connection)
                        if not self._hints.data_only:
                            self.warnings += likeness.locale_warnings(connection, self._hints.database, self.name)
            yield connection

    def _make(self) -> None:
        name = databases.temporary_name(self.name, "holdfast") if self.exists else self.name
        with self._maintenance(self.name) as connection, translate_errors(f"cannot make database {quote_name(name)}"):
            replaced = read_properties(connection, self.name) if self.exists else None
            hint = self._hints.database
            tablespace = replaced.tablespace if replaced else ""
            if not (replaced or self._request.drill):
                tablespace, unlike = likeness.tablespace(connection, hint.tablespace)
                self.warnings += unlike
            into = self._location.at(name)
            self.warnings += self._new.make(connection, into, hint, tablespace=tablespace, replacing=self.exists)
            if replaced:
                items = [item for item in replaced.items if not item.hinders]
                self.warnings += give_properties(connection, name, items)
        self.into = into

    def take_properties(self, script: str) -> None:
        """Give the database what belongs to it, as the backup has it.

        A database that is made gets all of it, what would hinder the restore at its end, and so does one that takes the
        place of what a killed restore made; a scratch database the settings that may change results. One that was
        there keeps its own, which is said where they differ.
        """
        items = parse_script(script)
        if self.merges:
            return  # a selection is about its tables alone
        with self._maintenance(self.into.database) as connection:
            of_killed = self._request.replace and self._remnant is not None and self._remnant.made
            if self.exists and not (self._request.drill or of_killed):
                with translate_errors(f"cannot read {self._location.label}"):
                    self.warnings += likeness.settings_warnings(connection, items, self.name)
                return
            failed = give_properties(connection, self.into.database, [item for item in items if not item.hinders])
        if self._request.drill:
            self.warnings += failed
        else:
            self._properties = [item for item in items if item.kind not in _omitted(self._request)]

    def finish(self) -> None:
        """Let the database beside the target take its place."""
        if self.merges:
            self._done = True
            self._drop_leftover(self._new.name, "the database that was restored into beside the target")
        elif self._new.name and self.exists:
            old = exchange(self._elsewhere, self._location, self._new.name, disconnect=self._options.disconnect)
            self._done = True
            if self._properties:
                with self._maintenance(self.name) as connection:
                    self.warnings += give_properties(connection, self.name, self._properties)
            self._drop_leftover(old, "the replaced database")
        elif self._new.name:
            self.warnings += self._new.end(self._properties)
        elif self._empty_state is not None and not self._request.drill:
            self.warnings += unfinished.end(self._location)
        self._done = True

    def _drop_leftover(self, name: str, what: str) -> None:
        self.warnings += drop_leftover(self._elsewhere, self._location, name, what)

    def close(self, error: HoldfastError | None) -> None:
        """Undo, unless it was finished; where that fails, the error that ended the restore says what is left."""
        try:
            self._undo(error)
        finally:
            self._done = True
            self._elsewhere.close()

    def _undo(self, error: HoldfastError | None) -> None:
        if self._done:
            return
        self._new.end_making()
        if self._new.name:
            hint = _DROP_BESIDE if self.exists else _MAKE_AGAIN
            _undo(self._new.drop, f"database {quote_name(self._new.name)}", self.name, error, hint=hint)
        elif (before := self._empty_state) is not None:
            rows = self._hints.data_only
            what = f"{'rows' if rows else 'objects'} in database {quote_name(self.name)}"
            remove: _Removal = removal.remove_rows if rows else removal.remove_objects
            hint = _TRUNCATE if rows else _REPLACE
            _undo(lambda: self._removed(remove, before), what, self.name, error, hint=hint)

    def _removed(self, remove: _Removal, before: EmptyState) -> Sequence[str]:
        with connected(self._location) as connection:
            return remove(connection, before)


def _undo(undo: Callable[[], Sequence[str]], what: str, name: str, cause: HoldfastError | None, *, hint: str) -> None:
    """Undo a restore into the database of that name; what remains is said with the cause, and what to do then."""
    begin = f"{cause.message}; " if cause else ""
    kind = type(cause) if cause else HoldfastError
    try:
        remaining = undo()
    except (psycopg.Error, HoldfastError) as error:
        text = " ".join(str(error).split())
        raise kind(f"{begin}could not remove {what}: {text}", hint=hint) from error
    if remaining:
        where = f"database {quote_name(name)}"
        raise kind(f"{begin}left in {where}: {some_names(remaining)}", hint=hint)


def _omitted(request: RestoreRequest) -> set[str]:
    """The kinds of properties of the database that a restore leaves out."""
    options: PostgresOptions = request.options
    kinds = request.exclude_kinds
    wanted = {
        "owner": not options.no_owner,
        "right": not options.no_privileges and ObjectKind.GRANT not in kinds,
        "comment": ObjectKind.COMMENT not in kinds,
        "label": ObjectKind.SECURITY_LABEL not in kinds,
    }
    return {kind for kind, is_wanted in wanted.items() if not is_wanted}
