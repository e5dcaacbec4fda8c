"""One exported snapshot under locks that were taken before it.

A TRUNCATE or a rewriting ALTER between a snapshot and the lock on a table makes its rows vanish without an error.
So the tables are listed by another connection, locked as the first statements of the transaction, and only then
does a query take the snapshot, in which the list must still be the same.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError
from holdfast_postgres import catalog
from holdfast_postgres.catalog import Relation, Table
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.location import Location
from holdfast_postgres.lock_monitor import LOST, LockMonitor, marked
from holdfast_postgres.selection import backup_scope
from holdfast_postgres.selection.backup_scope import BackupScope
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.session import Server, connect, pin, settings, survey

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
    watch: LockMonitor
    pooled: bool
    tables: tuple[Table, ...]
    relations: tuple[Relation, ...]
    schemas: tuple[str, ...]
    extent: BackupScope | None
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


_Finder = Callable[["Connection[TupleRow]", Sequence[Relation] | None], BackupScope | None]


class _Moved(Exception):  # noqa: N818 (a signal to try again, never seen outside)
    """A table was made, changed or removed between listing and locking."""


@contextmanager
def open_snapshot(
    location: Location, selection: Selection, *, lock_timeout: float, definitions: bool = True
) -> Iterator[Snapshot]:
    """Lock, take the snapshot, and hold both for the length of the block.

    With `definitions` a selection takes what it cannot be restored without, too.
    """
    location, mark = marked(location)
    connection = connect(location)
    with ExitStack() as stack:
        stack.callback(_release, connection)
        with translate_errors(f"cannot read {location.shown}"):
            server = survey(connection)
            location = pin(location, connection)
            connection.execute(settings(server.major))
            watch = stack.enter_context(LockMonitor(location, mark, major=server.major, lock_timeout=lock_timeout))
            find = _finder(selection, definitions=definitions)
            with watch.explained(), translate_errors(f"cannot read {location.shown}"):
                snapshot = _take(connection, location, server, find, watch)
            watch.holds(connection)
        yield snapshot


def _take(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _Finder, watch: LockMonitor
) -> Snapshot:
    for attempt in range(_ATTEMPTS):
        try:
            return _attempt(connection, location, server, find, watch)
        except _Moved as moved:
            log.info("tables changed while they were being locked, attempt %d: %s", attempt + 1, moved)
            connection.execute("ROLLBACK")
            time.sleep(0.05 * attempt)
    raise LockedError(
        f"the tables of {location.shown} changed {_ATTEMPTS} times while they were being locked",
        hint="another session makes and removes tables all the time; --exclude leaves them out",
    )


def _attempt(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _Finder, watch: LockMonitor
) -> Snapshot:
    listed = _chosen(catalog.tables(watch.connection), find(watch.connection, None))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    # For all of the transaction: reading a sequence, and the size of a table with its indexes, may have to wait too.
    connection.execute(f"SET LOCAL lock_timeout = {watch.milliseconds}")
    _lock(connection, listed, watch)
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
        watch=watch,
        pooled=_pooled(connection),
        tables=tuple(catalog.with_sizes(connection, tables)),
        relations=tuple(relations),
        schemas=tuple(catalog.schemas(connection)),
        extent=found,
        point={**_point(connection, server), "snapshot": row[1]},
        identity=_identity(connection, location, server),
    )


def _pooled(connection: "Connection[TupleRow]") -> bool:
    """Whether a pooler is between us and the server: it makes up the number by which a query is cancelled."""
    return connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() != (connection.info.backend_pid,)


def _finder(selection: Selection, *, definitions: bool) -> _Finder:
    """How to find what a selection takes, in a connection with the relations that it lists, if they are known."""

    def find(connection: "Connection[TupleRow]", relations: Sequence[Relation] | None) -> BackupScope | None:
        if not selection:
            return None
        relations = catalog.relations(connection) if relations is None else relations
        return backup_scope.find(connection, selection, relations, definitions=definitions)

    return find


def _chosen(tables: Sequence[Table], found: BackupScope | None) -> list[Table]:
    """Those whose rows the dump can hold: what an extension brings comes back with the extension."""
    return [
        table
        for table in tables
        if (found is None or table.oid in found.relations) and (not table.member or table.config)
    ]


def _lock(connection: "Connection[TupleRow]", tables: Sequence[Table], watch: LockMonitor) -> None:
    for start in range(0, len(tables), _BATCH):
        batch = tables[start : start + _BATCH]
        names = ", ".join(f"ONLY {table.quoted}" for table in batch)
        try:
            connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        except psycopg.errors.LockNotAvailable as error:
            raise watch.explain(
                server_error(error, "cannot lock the tables"), [table.oid for table in batch]
            ) from error
        except psycopg.Error as error:
            if error.sqlstate in _GONE:
                raise _Moved(error.diag.message_primary or "") from error
            raise


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
    with translate_errors(LOST):
        snapshot.connection.execute("SELECT 1")


def _release(connection: "Connection[TupleRow]") -> None:
    """End the session, also while another thread waits for a query in it."""
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error, HoldfastError):
            connection.cancel_safe(timeout=2)
    connection.close()
