"""A session that monitors the others of a backup: what they wait for, and whether the snapshot is still held.

pg_dump sets lock_timeout to 0 for itself and limits only its LOCK TABLE: to read the definition of a view, an index or
a sequence that somebody has locked it would wait for ever, and hold its locks on all tables for as long.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, LockedError, UnreachableError, quote_name
from holdfast_postgres.catalog import USER_SCHEMA
from holdfast_postgres.errors import OutOfLocksError, is_recovery_conflict, server_error
from holdfast_postgres.location import Location
from holdfast_postgres.session import connect, settings

log = logging.getLogger("holdfast.postgres.lock_monitor")

LOST = "the session that held the snapshot was lost"
_LONGEST_PAUSE = 1.0  # seconds between two queries, each of which takes the server a millisecond

_SESSIONS = """
SELECT pid, coalesce(wait_event_type = 'Lock', false) FROM pg_catalog.pg_stat_activity
WHERE pg_catalog.right(application_name, %s) = %s AND pid <> pg_catalog.pg_backend_pid()
"""
_WAITED_FOR = """
SELECT relation::int8 FROM pg_catalog.pg_locks WHERE pid = ANY (%s) AND NOT granted AND locktype = 'relation'
"""
# Ours are ACCESS SHARE, which waits for nothing but ACCESS EXCLUSIVE, held or waited for by somebody before us.
_LOCK_HOLDER = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
        WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    n.nspname || '.' || c.relname, l.granted, l.pid, coalesce(a.usename,
        CASE a.backend_type WHEN 'startup' THEN 'recovery, for a transaction of the primary' END, ''),
    coalesce(a.application_name, '')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY (%s)
    AND l.database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY l.granted DESC LIMIT 1
"""
# What pg_dump locks, and reads a sequence at a time: until its transaction ends.
_LOCKED = f"""
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND {USER_SCHEMA}
"""
# Those whose client was killed while the server works for them: the others see that their client has gone.
_TERMINATE = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pg_catalog.right(application_name, %s) = %s AND pid <> pg_catalog.pg_backend_pid() AND state = 'active'
"""


def with_mark(location: Location) -> tuple[Location, str]:
    """The location with an application_name for the sessions of one backup alone, and how that name ends."""
    mark = f" {secrets.token_hex(4)}"
    return location.with_mark(mark), mark


class LockMonitor:
    """Monitors the sessions of one backup, whose application_name ends in `mark`, from a thread of its own.

    The first thing that must end the backup is given to `on_error`. Leaving it ends what the server still does for
    the backup.
    """

    def __init__(self, location: Location, mark: str, *, major: int, lock_timeout: float) -> None:
        self._location = location
        self._mark = (len(mark), mark)
        self._settings = settings(major)
        self._lock_timeout = lock_timeout
        self._pause = min(_LONGEST_PAUSE, max(0.02, lock_timeout / 5))
        self._holder_pid: int | None = None
        self._holder: Connection[TupleRow] | None = None
        self._loss: HoldfastError | None = None
        self._loss_lock = threading.Lock()
        self._on_error: Callable[[HoldfastError], None] | None = None
        self._since: dict[tuple[int, int], float] = {}
        self._seen = ""
        self._seen_at = 0.0
        self._checked_at = time.monotonic()
        self._stop = threading.Event()
        self.connection = self._connect()
        self._thread = threading.Thread(target=self._run, name="holdfast-locks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self.connection.execute(_TERMINATE, self._mark)
        except psycopg.Error as lost:
            log.info("cannot look for the sessions of the backup: %s", lost)  # they are gone with the server
        finally:
            self.connection.close()

    def _connect(self) -> "Connection[TupleRow]":
        connection = connect(self._location)
        try:
            connection.execute(self._settings)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    @property
    def lock_timeout_ms(self) -> int:
        """The lock_timeout of every session of the backup, in milliseconds."""
        return max(1, round(self._lock_timeout * 1000))

    def set_holder(self, connection: "Connection[TupleRow]") -> None:
        """From now on the loss of this session, which holds the snapshot, is the end of the backup."""
        self._holder = connection
        # Asked of the server: behind a pooler libpq knows another number.
        (self._holder_pid,) = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() or (None,)

    def loss(self) -> HoldfastError | None:
        """What the session that holds the snapshot was ended with; None while it answers."""
        with self._loss_lock:
            if self._loss is None and self._holder is not None:
                try:
                    self._holder.execute("SELECT 1")
                except psycopg.Error as error:
                    self._loss = server_error(error, LOST)
            return self._loss

    def on_error(self, callback: Callable[[HoldfastError], None]) -> None:
        """Call this, in the thread of the monitor, with what must end the backup."""
        self._on_error = callback

    @contextmanager
    def explain_locks(self, relations: Sequence[int] = ()) -> Iterator[None]:
        """Let the errors of this block say who holds a lock, how much room locks take, and why the snapshot is lost."""
        try:
            yield
        except UnreachableError as error:
            if LOST in error.message and (loss := self.loss()):
                raise loss from error
            raise
        except LockedError as error:
            raise self.explain(error, relations) from error
        except OutOfLocksError as error:
            raise self._explain_room(error) from error

    def explain(self, error: HoldfastError, relations: Sequence[int] = ()) -> HoldfastError:
        """Say who locks one of these, or what a session of the backup was seen waiting for just now."""
        if is_recovery_conflict(error.message):
            return error  # nobody holds a lock: the session was ended
        text = self._seen if time.monotonic() - self._seen_at < 2 * self._pause + 0.5 else ""
        try:
            text = self._describe_holder(relations) or text
        except psycopg.Error as lost:
            log.info("cannot look for who holds the lock: %s", lost)
        if not text:
            return error
        hint = f"end that session, or use -o lock_timeout=SECONDS to wait longer than {self._lock_timeout:g} s"
        return LockedError(text, hint=hint)

    def _explain_room(self, error: HoldfastError) -> HoldfastError:
        from holdfast_postgres.lock_room import read_lock_room

        try:
            row = self.connection.execute(_LOCKED).fetchone()
            room = read_lock_room(self.connection)
        except psycopg.Error as lost:
            log.info("cannot look for the room for locks: %s", lost)
            return error
        return room.error(row[0], "a backup of the whole database") if row else error

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                failure = self._check()
            except psycopg.Error as error:
                failure = self._reconnect(error)
            if failure is not None and self._on_error is not None:
                self._on_error(failure)
                return

    def _reconnect(self, error: psycopg.Error) -> HoldfastError | None:
        """Somebody may have ended this session alone, which says nothing about the others.

        Where the server does not answer, why the session ended is the reason, and not that there is none any more.
        """
        log.info("the session of the lock monitor was lost: %s", error)
        try:
            self.connection = self._connect()
        except (HoldfastError, psycopg.Error) as failure:
            log.info("and cannot be opened again: %s", failure)
            lost = server_error(error, f"the server of {self._location.label} was lost")
            return lost if isinstance(lost, UnreachableError) else UnreachableError(lost.message, hint=lost.hint)
        return None

    def _check(self) -> HoldfastError | None:
        sessions: dict[int, bool] = dict(self.connection.execute(_SESSIONS, self._mark).fetchall())
        if self._holder_pid is not None and self._holder_pid not in sessions:
            return self.loss() or UnreachableError(LOST)
        before, self._checked_at = self._checked_at, time.monotonic()
        waits = [
            (pid, relation)
            for pid, is_waiting in sessions.items()
            if is_waiting
            for (relation,) in self.connection.execute(_WAITED_FOR, ([pid],)).fetchall()
        ]
        self._since = {wait: self._since.get(wait, before) for wait in waits}
        if not waits:
            return None
        if text := self._describe_holder([relation for _, relation in waits]):
            self._seen, self._seen_at = text, self._checked_at
        # A little later than the sessions that have a lock_timeout of their own.
        if all(self._checked_at - since < self._lock_timeout + self._pause for since in self._since.values()):
            return None
        return self.explain(LockedError(f"what the backup needs was locked for more than {self._lock_timeout:g} s"))

    def _describe_holder(self, relations: Sequence[int]) -> str:
        row = self.connection.execute(_LOCK_HOLDER, (list(relations),)).fetchone() if relations else None
        if row is None:
            return ""
        kind, name, granted, pid, *parts = row
        who = ", ".join(quote_name(part) for part in parts if part)
        session = f"process {pid}: {who}" if pid else "a prepared transaction"
        if granted:
            return f"{kind} {quote_name(name)} is locked by another session ({session})"
        return f"another session is waiting to change {kind} {quote_name(name)} ({session})"
