"""The database that a restore makes: under its own name, or beside the one whose place it takes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, UnsafeError, quote_name
from holdfast_postgres.database_properties import Property, give_properties
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.hints import DatabaseHint
from holdfast_postgres.location import Location
from holdfast_postgres.session import connected, quoted
from holdfast_postgres.target import contents, databases
from holdfast_postgres.target.temporary import Maintenance, mark
from holdfast_postgres.unfinished import FRESH_LIMIT, new_limit, read_limit, read_remnant
from holdfast_postgres.watched import SessionIdentity, WatchedConnection


class NewDatabase:
    """One database, from the statement that makes it until it is whole, or gone again."""

    def __init__(self, elsewhere: Maintenance) -> None:
        self._elsewhere = elsewhere
        self._maker: SessionIdentity | None = None  # the session that makes it just now
        self._limit = 0
        self._replacing = False
        self._over = False
        #: Where it is, once it may be there.
        self.location: Location | None = None

    @property
    def name(self) -> str:
        """Its name, once it may be there."""
        return self.location.database if self.location else ""

    def make(
        self, connection: WatchedConnection, location: Location, hint: DatabaseHint, *, tablespace: str, replacing: bool
    ) -> list[str]:
        """Make it at a location, with a mark from its first moment on; returns what had to be different.

        `replacing` says that it has a name which nobody else has a use for. Any other is held against other restores.
        """
        name = location.database
        self._replacing = replacing
        self._limit = FRESH_LIMIT if replacing else new_limit()
        if replacing:
            self._elsewhere.hold(name)
        elif not self._elsewhere.try_hold(name):
            raise LockedError(
                f"cannot make database {quote_name(name)}: another restore makes it just now",
                hint="wait until that has ended",
            )
        warnings = [] if replacing else self._drop_remnant(connection, location)
        # In this order: whoever ends the restore says that it is over, and then looks for the name.
        self.location, self._maker = location, connection.identity
        if self._over:
            raise HoldfastError(f"database {quote_name(name)} is not made, since the restore has been ended")
        try:
            warnings += databases.create(connection, name, hint, tablespace=tablespace, limit=self._limit)
        except HoldfastError:
            # If the answer was lost, it may be there. If it was refused, what has the name may be somebody else's.
            # Not `broken`: whoever ends the restore may have closed the session by now.
            if not connection.closed:
                self.location = None
            raise
        self._maker = None
        if replacing:
            mark(connection, name)
        return warnings

    @staticmethod
    def _drop_remnant(connection: WatchedConnection, location: Location) -> list[str]:
        """Drop what a restore that was killed has made there, which holds nothing and which nobody uses."""
        where = f"database {quote_name(location.database)}"
        remnant = read_remnant(connection, location.database)
        if remnant is None or not remnant.made:
            return []
        with connected(location) as there:
            if contents.read_objects(there, limit=1):
                raise UnsafeError(f"{where} was filled by another session meanwhile")
        databases.drop(connection, location, force=False)
        return [f"dropped {where}, which a restore that was killed had made and left empty"]

    def end(self, items: list[Property]) -> list[str]:
        """Give what was made under its own name its properties, in the place of its mark: all at once."""
        what = f"cannot give database {quote_name(self.name)} its properties"
        with self._connected() as connection, translate_errors(what):
            try:
                return self._end(connection, items)
            except psycopg.OperationalError:
                if not (connection.broken and self._has_ended(connection.identity)):
                    raise
        return []

    def _end(self, connection: "Connection[TupleRow]", items: list[Property]) -> list[str]:
        with connection.transaction():
            connection.execute(f"ALTER DATABASE {quoted(self.name)} CONNECTION LIMIT -1")
            return give_properties(connection, self.name, items)

    def _has_ended(self, session: SessionIdentity | None) -> bool:
        """Whether the mark is gone, though the answer of the server was lost."""
        with self._connected() as connection:
            if session is not None:
                databases.end_session(connection, session)
            return read_limit(connection, self.name) not in (None, self._limit)

    def drop(self) -> Sequence[str]:
        """Drop it, if it is there and this restore has made it."""
        assert self.location is not None  # noqa: S101 (asked by the caller)
        with self._connected() as connection:
            if self._maker is not None:
                databases.end_session(connection, self._maker)
            if self._replacing or read_limit(connection, self.name) == self._limit:
                databases.drop(connection, self.location)
        return ()

    def end_making(self) -> None:
        """From now on make nothing: what another thread is about to make it either has named, or makes no more."""
        self._over = True

    def _connected(self) -> AbstractContextManager[WatchedConnection]:
        assert self.location is not None  # noqa: S101 (only called for one that may be there)
        return self._elsewhere.connected(self.location, avoid=self.name)
