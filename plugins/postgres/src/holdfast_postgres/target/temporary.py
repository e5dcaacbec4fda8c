"""Databases that are ours for a while: marked, and held by a lock of the session that works for them.

What a run that was killed leaves must be told from everything else, by whoever looks next: see `target.abandoned`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import Connection, pq
from psycopg.rows import TupleRow

from holdfast_postgres.location import Location
from holdfast_postgres.session import quoted
from holdfast_postgres.target import databases
from holdfast_postgres.unfinished import LOCK_KEY
from holdfast_postgres.watched import Connections, WatchedConnection

#: What all comments of ours on databases begin with.
OURS = "holdfast: "
#: The comment on a database that a restore makes beside its target.
UNFINISHED = f"{OURS}made by a restore that has not ended, which then drops it or lets it replace another"
#: How the comment on a replaced database begins, which goes on with the OID of that in its place.
REPLACED = f"{OURS}replaced by a restore, which drops it at its end, with the database of OID "


def replaced_comment(successor: int, comment: str | None) -> str:
    """The comment on a replaced database, which keeps that which it had for whoever takes it back."""
    return f"{REPLACED}{successor}" + (f"\n{comment}" if comment else "")


def successor_of(comment: str) -> int | None:
    """The OID of the database that replaced the one with this comment, None if it is no such comment."""
    number = comment.removeprefix(REPLACED).partition("\n")[0]
    return int(number) if comment.startswith(REPLACED) and number.isdecimal() else None


def hold(connection: "Connection[TupleRow]", name: str) -> None:
    """Say to all others, in whatever database they are, that this session works for the database of that name."""
    _lock(connection, "pg_advisory_lock", name)


def release(connection: "Connection[TupleRow]", name: str) -> None:
    """Say so no longer."""
    _lock(connection, "pg_advisory_unlock", name)


def _lock(connection: "Connection[TupleRow]", function: str, name: str) -> bool:
    query = f"SELECT pg_catalog.{function}(%s, pg_catalog.hashtext(%s))::text = 'true'"
    row = connection.execute(query, (LOCK_KEY, name)).fetchone()
    return bool(row and row[0])


def mark(connection: "Connection[TupleRow]", name: str) -> None:
    """Mark a database that was made with the limit of a fresh one, before anything is put in."""
    connection.execute(
        f"COMMENT ON DATABASE {quoted(name)} IS '{UNFINISHED}'; ALTER DATABASE {quoted(name)} CONNECTION LIMIT -1"
    )


class Maintenance:
    """The session of a restore in another database than its target, which holds what the restore makes.

    There is at most one at a time, as a pool may have no other to give, and none before it is needed.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open = ExitStack()
        self._connection: WatchedConnection | None = None
        self._names: list[str] = []

    @contextmanager
    def connected(self, location: Location, *, avoid: str) -> Iterator[WatchedConnection]:
        """The session, not in the database to `avoid`: a new one where it was lost, as one that long does nothing."""
        if self._connection is None or not _answers(self._connection):
            self.close()
            connection = self._open.enter_context(databases.maintenance(location, avoid=avoid))
            self._connection = self._open.enter_context(self._connections.holding(connection))
            for name in self._names:
                _lock(connection, "pg_try_advisory_lock", name)  # the lost session may still have it
        try:
            yield self._connection
        finally:
            if not self._names:
                self.close()

    def hold(self, name: str) -> None:
        """Hold a database that is to be made or renamed, from now on to the end of the restore."""
        assert self._connection is not None  # noqa: S101 (called in the block of `connected`)
        self._names.append(name)
        hold(self._connection, name)

    def try_hold(self, name: str) -> bool:
        """The same for a name that others may want too; False where another run holds it."""
        assert self._connection is not None  # noqa: S101 (called in the block of `connected`)
        self._names.append(name)
        if not _lock(self._connection, "pg_try_advisory_lock", name):
            self._names.remove(name)
            return False
        return True

    def close(self) -> None:
        """End the session, and what it holds."""
        self._connection = None
        self._open.close()


def _answers(connection: WatchedConnection) -> bool:
    if connection.closed or connection.info.transaction_status != pq.TransactionStatus.IDLE:
        return False
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
