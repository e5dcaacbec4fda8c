"""One exported snapshot under locks that were taken before it.

A TRUNCATE or a rewriting ALTER between a snapshot and the lock on a table makes its rows vanish without an error.
So the tables are listed by another connection, locked as the first statements of the transaction, and only then
does a query take the snapshot, in which the list must still be the same.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, Source
from holdfast_postgres import catalog
from holdfast_postgres.catalog import ListedTable, Relation, Table
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.leniency import without_leniency
from holdfast_postgres.location import Location
from holdfast_postgres.lock_monitor import LockMonitor, with_mark
from holdfast_postgres.money import money_locale
from holdfast_postgres.pooler import is_pooled
from holdfast_postgres.selection.patterns import Selection
from holdfast_postgres.session import Server, connect, pin, read_server, settings

if TYPE_CHECKING:
    from holdfast_postgres.selection.backup_scope import BackupScope

log = logging.getLogger("holdfast.postgres.snapshot")

_ATTEMPTS = 5
_BATCH = 500
_REMOVED = {"42P01", "3F000"}  # undefined_table, invalid_schema_name


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that holds the locks and the snapshot; `point` says which moment it shows.

    `scope` is what a selection takes, None without one; `money` the locale in which amounts are written, empty where
    there are none. The settings `lenient` are on.
    """

    id: str
    connection: "Connection[TupleRow]"
    location: Location
    server: Server
    monitor: LockMonitor
    pooled: bool
    money: str
    lenient: tuple[str, ...]
    tables: tuple[Table, ...]
    relations: tuple[Relation, ...]
    schemas: tuple[str, ...]
    scope: "BackupScope | None"
    point: dict[str, Any]
    source: Source

    def takes(self, relation: Relation) -> bool:
        """Whether the dump holds a relation."""
        return self.scope is None or relation.oid in self.scope.relations

    @property
    def begin(self) -> str:
        """The statements that make another session see the same, its settings included."""
        return (
            settings(self.server.major, encoding=self.server.encoding, money=self.money)
            + "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n"
            + f"SET TRANSACTION SNAPSHOT '{self.id}';\n"
        )


_Table = TypeVar("_Table", bound=ListedTable)
_FindScope = Callable[["Connection[TupleRow]", Sequence[Relation] | None], "BackupScope | None"]


class _TablesChanged(Exception):  # noqa: N818 (a signal to try again, never raised to a caller)
    """A table was made, changed or removed between listing and locking."""


@contextmanager
def open_snapshot(
    location: Location, selection: Selection, *, lock_timeout: float, definitions: bool = True
) -> Iterator[Snapshot]:
    """Lock, take the snapshot, and hold both for the length of the block.

    With `definitions` a selection takes what it cannot be restored without, too.
    """
    location, mark = with_mark(location)
    connection = connect(location)
    with ExitStack() as stack:
        stack.callback(_release, connection)
        with translate_errors(f"cannot read {location.label}"):
            server = read_server(connection)
            location = pin(location, connection)
            connection.execute(settings(server.major))
            pooled = is_pooled(connection)
            location, lenient = without_leniency(connection, location, server, pooled=pooled)
            monitor = stack.enter_context(LockMonitor(location, mark, major=server.major, lock_timeout=lock_timeout))
            find = _scope_finder(selection, definitions=definitions)
            with monitor.explain_locks(), translate_errors(f"cannot read {location.label}"):
                snapshot = msgspec.structs.replace(_take(connection, location, server, find, monitor), lenient=lenient)
            monitor.set_holder(connection)
        yield snapshot


def _take(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _FindScope, monitor: LockMonitor
) -> Snapshot:
    for attempt in range(_ATTEMPTS):
        try:
            return _try_once(connection, location, server, find, monitor)
        except _TablesChanged as changed:
            log.info("tables changed while they were being locked, attempt %d: %s", attempt + 1, changed)
            connection.execute("ROLLBACK")
            time.sleep(0.05 * attempt)
    raise LockedError(
        f"the tables of {location.label} changed {_ATTEMPTS} times while they were being locked",
        hint="use --exclude to leave out the tables that another session makes and removes all the time",
    )


def _try_once(
    connection: "Connection[TupleRow]", location: Location, server: Server, find: _FindScope, monitor: LockMonitor
) -> Snapshot:
    listed = _readable(catalog.listed_tables(monitor.connection), find(monitor.connection, None))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    # For all of the transaction: reading a sequence, and the size of a table with its indexes, may have to wait too.
    connection.execute(f"SET LOCAL lock_timeout = {monitor.lock_timeout_ms}")
    _lock(connection, listed, monitor)
    function = "pg_current_snapshot" if server.major >= 13 else "txid_current_snapshot"
    row = connection.execute(f"SELECT pg_catalog.pg_export_snapshot(), pg_catalog.{function}()::text").fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    relations = catalog.relations(connection)
    scope = find(connection, relations)
    tables = _readable(catalog.tables(connection), scope)
    _recheck(connection, listed, tables)
    pooled = is_pooled(connection)
    return Snapshot(
        id=row[0],
        connection=connection,
        location=location,
        server=server,
        monitor=monitor,
        pooled=pooled,
        money=money_locale(connection, fixed=pooled),
        lenient=(),
        tables=tuple(catalog.with_sizes(connection, tables)),
        relations=tuple(relations),
        schemas=tuple(catalog.schemas(connection)),
        scope=scope,
        point={**_point(connection, server), "snapshot": row[1]},
        source=_source(connection, location, server),
    )


def _scope_finder(selection: Selection, *, definitions: bool) -> _FindScope:
    """How to find what a selection takes, in a connection with the relations that it lists, if they are known."""

    def find(connection: "Connection[TupleRow]", relations: Sequence[Relation] | None) -> "BackupScope | None":
        if not selection:
            return None
        relations = catalog.relations(connection) if relations is None else relations
        from holdfast_postgres.selection import backup_scope

        return backup_scope.find_scope(connection, selection, relations, definitions=definitions)

    return find


def _readable(tables: Iterable[_Table], scope: "BackupScope | None") -> list[_Table]:
    """Those whose rows the dump can hold: what an extension brings comes back with the extension."""
    return [
        table
        for table in tables
        if (scope is None or table.oid in scope.relations) and (not table.member or table.config)
    ]


def _lock(connection: "Connection[TupleRow]", tables: Sequence[ListedTable], monitor: LockMonitor) -> None:
    for start in range(0, len(tables), _BATCH):
        batch = tables[start : start + _BATCH]
        names = ", ".join(f"ONLY {table.quoted}" for table in batch)
        try:
            connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        except psycopg.errors.LockNotAvailable as error:
            raise monitor.explain(
                server_error(error, "cannot lock the tables"), [table.oid for table in batch]
            ) from error
        except psycopg.Error as error:
            if error.sqlstate in _REMOVED:
                raise _TablesChanged(error.diag.message_primary or "") from error
            raise


def _recheck(connection: "Connection[TupleRow]", listed: Sequence[ListedTable], tables: Sequence[Table]) -> None:
    before, after = ({table.identity for table in group} for group in (listed, tables))
    if before != after:
        raise _TablesChanged(f"{len(before ^ after)} differences")
    held = connection.execute(
        "SELECT relation::int8 FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() "
        "AND locktype = 'relation' AND mode = 'AccessShareLock' AND granted"
    )
    missing = {table.oid for table in tables} - {row[0] for row in held}
    if missing:
        raise _TablesChanged(f"{len(missing)} tables are not the ones that were locked")


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


_LOCAL = ("localhost", "127.0.0.1", "::1")


def _source(connection: "Connection[TupleRow]", location: Location, server: Server) -> Source:
    """The same for every way to reach a database, and for a standby of it."""
    system = _optional(connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()")
    host = location.parameters.get("host", "")
    if system is None:
        system = f"{host}:{location.parameters.get('port', '')}"
        local = not host or host.startswith("/") or host in _LOCAL
        return Source(name=server.database, identity=f"{system}\0{server.database}", local=local)
    where = "" if not host or host.startswith("/") or host in _LOCAL else host
    return Source(
        name=server.database,
        identity=f"{system}\0{server.database}",
        address=f"{where}:{connection.info.port}",
        position=_position(connection, server),
    )


def _position(connection: "Connection[TupleRow]", server: Server) -> tuple[int, ...]:
    """The timeline and the LSN, by which a copy of a server that goes on by itself can be told; not of a standby."""
    if server.standby:
        return ()
    row = connection.execute(
        """
        SELECT pg_catalog.pg_walfile_name(lsn), (lsn OPERATOR(pg_catalog.-) '0/0')::int8
        FROM (SELECT pg_catalog.pg_current_wal_lsn() AS lsn) w
        """
    ).fetchone()
    return (int(row[0][:8], 16), row[1]) if row else ()


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


def check_held(snapshot: Snapshot) -> None:
    """Make sure at the end that the locks were held all the time: their session still answers."""
    if loss := snapshot.monitor.loss():
        raise loss


def _release(connection: "Connection[TupleRow]") -> None:
    """End the session, also while another thread waits for a query in it."""
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error, HoldfastError):
            connection.cancel_safe(timeout=2)
    connection.close()
