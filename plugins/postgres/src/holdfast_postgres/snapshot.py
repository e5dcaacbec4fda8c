"""One exported snapshot under locks that were taken before it.

A TRUNCATE or a rewriting ALTER between a snapshot and the lock on a table makes its rows vanish without an error.
So the tables are listed by another connection, locked as the first statements of the transaction, and only then
does a query take the snapshot, in which the list must still be the same.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, shown
from holdfast_postgres import catalog, extent
from holdfast_postgres.catalog import Relation, Table
from holdfast_postgres.extent import Extent
from holdfast_postgres.location import Location
from holdfast_postgres.selection import Selection
from holdfast_postgres.session import Server, connect, connected, our_failures, pin, settings, survey

log = logging.getLogger("holdfast.postgres.snapshot")

_ATTEMPTS = 5
_BATCH = 500
_GONE = {"42P01", "3F000"}  # undefined_table, invalid_schema_name


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A transaction that holds the locks and the snapshot; `point` says which moment it shows.

    `extent` is what a selection takes, None without one.
    """

    id: str
    connection: "Connection[TupleRow]"
    location: Location
    server: Server
    tables: tuple[Table, ...]
    relations: tuple[Relation, ...]
    schemas: tuple[str, ...]
    extent: Extent | None
    point: dict[str, Any]
    identity: str

    def takes(self, relation: Relation) -> bool:
        """Whether the dump holds a relation."""
        return self.extent is None or relation.oid in self.extent.relations

    @property
    def begin(self) -> str:
        """The statements that make another session see the same, its settings included."""
        return (
            settings(self.server.major, encoding=self.server.encoding)
            + "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n"
            + f"SET TRANSACTION SNAPSHOT '{self.id}';\n"
        )


_Finder = Callable[["Connection[TupleRow]", Sequence[Relation] | None], Extent | None]


class _Moved(Exception):  # noqa: N818 (a signal to try again, never seen outside)
    """A table was made, changed or removed between listing and locking."""


@contextmanager
def open_snapshot(
    location: Location, selection: Selection, *, lock_timeout: float, definitions: bool = True
) -> Iterator[Snapshot]:
    """Lock, take the snapshot, and hold both for the length of the block.

    With `definitions` a selection takes what it cannot be restored without, too.
    """
    connection = connect(location)
    try:
        with our_failures(f"cannot read {location.shown}"):
            server = survey(connection)
            location = pin(location, connection)
            connection.execute(settings(server.major))
            find = _finder(selection, definitions=definitions)
            snapshot = _take(connection, location, server, find, lock_timeout)
        yield snapshot
    finally:
        _release(connection)


def _take(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _Finder, lock_timeout: float
) -> Snapshot:
    for attempt in range(_ATTEMPTS):
        try:
            return _attempt(connection, location, server, find, lock_timeout)
        except _Moved as moved:
            log.info("tables changed while they were being locked, attempt %d: %s", attempt + 1, moved)
            connection.execute("ROLLBACK")
            time.sleep(0.05 * attempt)
    raise LockedError(
        f"the tables of {location.shown} changed {_ATTEMPTS} times while they were being locked",
        hint="another session makes and removes tables all the time; --exclude leaves them out",
    )


def _attempt(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _Finder, lock_timeout: float
) -> Snapshot:
    with connected(location) as other:
        other.execute(settings(server.major))
        listed = _chosen(catalog.tables(other), find(other, None))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    _lock(connection, location, listed, lock_timeout)
    function = "pg_current_snapshot" if server.major >= 13 else "txid_current_snapshot"
    row = connection.execute(f"SELECT pg_catalog.pg_export_snapshot(), pg_catalog.{function}()::text").fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    relations = catalog.relations(connection)
    found = find(connection, relations)
    tables = _chosen(catalog.tables(connection), found)
    _recheck(connection, listed, tables)
    return Snapshot(
        id=row[0],
        connection=connection,
        location=location,
        server=server,
        tables=tuple(catalog.with_sizes(connection, tables)),
        relations=tuple(relations),
        schemas=tuple(catalog.schemas(connection)),
        extent=found,
        point={**_point(connection, server), "snapshot": row[1]},
        identity=_identity(connection, location, server),
    )


def _finder(selection: Selection, *, definitions: bool) -> _Finder:
    """How to find what a selection takes, in a connection with the relations that it lists, if they are known."""

    def find(connection: "Connection[TupleRow]", relations: Sequence[Relation] | None) -> Extent | None:
        if not selection:
            return None
        relations = catalog.relations(connection) if relations is None else relations
        return extent.find(connection, selection, relations, definitions=definitions)

    return find


def _chosen(tables: Sequence[Table], found: Extent | None) -> list[Table]:
    """Those whose rows the dump can hold: what an extension brings comes back with the extension."""
    return [
        table
        for table in tables
        if (found is None or table.oid in found.relations) and (not table.member or table.config)
    ]


def _lock(connection: "Connection[TupleRow]", location: Location, tables: Sequence[Table], lock_timeout: float) -> None:
    connection.execute(f"SET LOCAL lock_timeout = {max(1, round(lock_timeout * 1000))}")
    for start in range(0, len(tables), _BATCH):
        batch = tables[start : start + _BATCH]
        names = ", ".join(f"ONLY {table.quoted}" for table in batch)
        try:
            connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        except psycopg.errors.LockNotAvailable as error:
            raise _locked(connection, location, batch, lock_timeout) from error
        except psycopg.Error as error:
            if error.sqlstate in _GONE:
                raise _Moved(error.diag.message_primary or "") from error
            raise
    connection.execute("SET LOCAL lock_timeout = 0")


def _locked(
    connection: "Connection[TupleRow]", location: Location, tables: Sequence[Table], lock_timeout: float
) -> LockedError:
    """Name a table that somebody else holds, and who that is."""
    connection.execute("ROLLBACK")
    query = """
        SELECT l.relation::int8, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, '')
        FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY (%s)
        ORDER BY l.granted DESC LIMIT 1
    """
    row = connection.execute(query, ([table.oid for table in tables],)).fetchone()
    hint = f"wait for it, end it, or wait longer than {lock_timeout:g} s with -o lock_timeout=SECONDS"
    if row is None:
        return LockedError(f"a table of {location.shown} was locked for more than {lock_timeout:g} s", hint=hint)
    name = next(table.shown for table in tables if table.oid == row[0])
    who = ", ".join(shown(part) for part in row[2:] if part)
    return LockedError(f"table {shown(name)} is locked by another session (process {row[1]}: {who})", hint=hint)


def _recheck(connection: "Connection[TupleRow]", listed: Sequence[Table], tables: Sequence[Table]) -> None:
    before, after = ({table.identity for table in group} for group in (listed, tables))
    if before != after:
        raise _Moved(f"{len(before ^ after)} differences")
    held = connection.execute(
        "SELECT relation::int8 FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() "
        "AND locktype = 'relation' AND mode = 'AccessShareLock' AND granted"
    )
    missing = {table.oid for table in tables} - {row[0] for row in held}
    if missing:
        raise _Moved(f"{len(missing)} tables are not the ones that were locked")


_SETTINGS = """
SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (
    'server_encoding', 'lc_collate', 'lc_ctype', 'data_checksums', 'block_size', 'wal_level', 'TimeZone',
    'default_transaction_isolation', 'standard_conforming_strings', 'lc_messages', 'max_identifier_length')
ORDER BY name
"""


def _point(connection: "Connection[TupleRow]", server: Server) -> dict[str, Any]:
    """Which moment the snapshot shows: taken right after it, so that the LSN is never before it."""
    lsn = "pg_last_wal_replay_lsn()" if server.standby else "pg_current_wal_lsn()"
    row = connection.execute(f"SELECT pg_catalog.{lsn}::text, pg_catalog.transaction_timestamp()::text").fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    point: dict[str, Any] = {"lsn": row[0], "time": row[1], "standby": server.standby}
    timeline = _optional(connection, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()")
    if timeline is not None:
        point["timeline"] = timeline
    point["settings"] = dict(connection.execute(_SETTINGS).fetchall())
    return point


def _identity(connection: "Connection[TupleRow]", location: Location, server: Server) -> str:
    """The same for every way to reach a database, and for a standby of it."""
    system = _optional(connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()")
    if system is None:
        system = f"{location.parameters.get('host', '')}:{location.parameters.get('port', '')}"
    return f"{system}\0{server.database}"


def _optional(connection: "Connection[TupleRow]", query: str) -> Any:
    """What a query returns that a limited role may not be allowed to run."""
    connection.execute("SAVEPOINT holdfast")
    try:
        row = connection.execute(query).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
        connection.execute("ROLLBACK TO SAVEPOINT holdfast")
        return None
    connection.execute("RELEASE SAVEPOINT holdfast")
    return row[0] if row else None


def still_held(snapshot: Snapshot) -> None:
    """Make sure at the end that the locks have been there all the time: their session is still the same."""
    with our_failures("the session that held the snapshot was lost"):
        snapshot.connection.execute("SELECT 1")


def _release(connection: "Connection[TupleRow]") -> None:
    """End the session, also while another thread waits for a query in it."""
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error, HoldfastError):
            connection.cancel_safe(timeout=2)
    connection.close()
