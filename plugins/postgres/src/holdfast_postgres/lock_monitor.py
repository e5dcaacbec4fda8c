"""One more session that looks on while the others work: what they wait for, and whether the snapshot is still held.

pg_dump sets lock_timeout to 0 for itself and limits only its LOCK TABLE: to read the definition of a view, an index or
a sequence that somebody has locked it would wait without end, and hold its locks on all tables for as long.
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
from holdfast_postgres.location import Location
from holdfast_postgres.session import connect, settings

log = logging.getLogger("holdfast.postgres.lock_monitor")

LOST = "the session that held the snapshot was lost"
_LONGEST = 1.0  # seconds between two looks, each of which takes the server a millisecond

_SESSIONS = """
SELECT pid, coalesce(wait_event_type = 'Lock', false) FROM pg_catalog.pg_stat_activity
WHERE pg_catalog.right(application_name, %s) = %s AND pid <> pg_catalog.pg_backend_pid()
"""
_WANTED = """
SELECT relation::int8 FROM pg_catalog.pg_locks WHERE pid = ANY (%s) AND NOT granted AND locktype = 'relation'
"""
# Ours are ACCESS SHARE, which waits for nothing but ACCESS EXCLUSIVE, held or waited for by somebody before us.
_HOLDER = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
        WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    n.nspname || '.' || c.relname, l.granted, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, '')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY (%s)
    AND l.database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY l.granted DESC LIMIT 1
"""
# Those that are killed while the server works for them: others see that their client has gone.
_END = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pg_catalog.right(application_name, %s) = %s AND pid <> pg_catalog.pg_backend_pid() AND state = 'active'
"""


def marked(location: Location) -> tuple[Location, str]:
    """The location with an application_name for the sessions of one backup alone, and how that name ends."""
    mark = f" {secrets.token_hex(4)}"
    return location.called(mark), mark


class LockMonitor:
    """Looks at the sessions of one backup, whose application_name ends in `mark`, from a thread of its own.

    It is left with `end` called for what went wrong, once, and with no session of the backup at work.
    """

    def __init__(self, location: Location, mark: str, *, major: int, lock_timeout: float) -> None:
        self._location = location
        self._mark = (len(mark), mark)
        self._settings = settings(major)
        self._lock_timeout = lock_timeout
        self._pause = min(_LONGEST, max(0.02, lock_timeout / 5))
        self._holder: int | None = None
        self._end: Callable[[HoldfastError], None] | None = None
        self._since: dict[tuple[int, int], float] = {}
        self._seen = ""
        self._seen_at = 0.0
        self._looked = time.monotonic()
        self._stop = threading.Event()
        self.connection = self._connect()
        self._thread = threading.Thread(target=self._run, name="holdfast-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self.connection.execute(_END, self._mark)
        except psycopg.Error as gone:
            log.info("the sessions of the backup cannot be looked for: %s", gone)  # the server has gone, and they too
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
    def milliseconds(self) -> int:
        """What lock_timeout is to be in every session of the backup."""
        return max(1, round(self._lock_timeout * 1000))

    def holds(self, connection: "Connection[TupleRow]") -> None:
        """From now on the loss of this session, which holds the snapshot, is the end of the backup."""
        # Asked of the server: behind a pooler libpq knows another number.
        (self._holder,) = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() or (None,)

    def ends(self, end: Callable[[HoldfastError], None]) -> None:
        """Call this, in the thread of the watch, for what must end the backup."""
        self._end = end

    @contextmanager
    def explained(self, relations: Sequence[int] = ()) -> Iterator[None]:
        """Let a lock that was not to be had in this block say who holds it."""
        try:
            yield
        except LockedError as error:
            raise self.explain(error, relations) from error

    def explain(self, error: HoldfastError, relations: Sequence[int] = ()) -> HoldfastError:
        """Say who locks one of these, or what a session of the backup was seen waiting for just now."""
        text = self._seen if time.monotonic() - self._seen_at < 2 * self._pause + 0.5 else ""
        try:
            text = self._who(relations) or text
        except psycopg.Error as gone:
            log.info("who holds the lock cannot be looked for: %s", gone)
        if not text:
            return error
        hint = f"wait for it, end it, or wait longer than {self._lock_timeout:g} s with -o lock_timeout=SECONDS"
        return LockedError(text, hint=hint)

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                failed = self._look()
            except psycopg.Error as error:
                failed = self._again(error)
            if failed is not None and self._end is not None:
                self._end(failed)
                return

    def _again(self, error: psycopg.Error) -> HoldfastError | None:
        """Somebody may have ended this session alone, which says nothing about the others."""
        log.info("the session that watches was lost: %s", error)
        try:
            self.connection = self._connect()
        except HoldfastError as failed:
            return failed
        except psycopg.Error as failed:
            return UnreachableError(f"the session that watches the backup was lost: {failed}")
        return None

    def _look(self) -> HoldfastError | None:
        found: dict[int, bool] = dict(self.connection.execute(_SESSIONS, self._mark).fetchall())
        if self._holder is not None and self._holder not in found:
            return UnreachableError(LOST)
        before, self._looked = self._looked, time.monotonic()
        waiting = [pid for pid, waits in found.items() if waits]
        wanted = [(pid, one) for pid in waiting for (one,) in self.connection.execute(_WANTED, ([pid],)).fetchall()]
        self._since = {one: self._since.get(one, before) for one in wanted}
        if not wanted:
            return None
        if text := self._who([relation for _, relation in wanted]):
            self._seen, self._seen_at = text, self._looked
        # A little later than the sessions that have a lock_timeout of their own.
        if all(self._looked - since < self._lock_timeout + self._pause for since in self._since.values()):
            return None
        return self.explain(LockedError(f"what the backup needs was locked for more than {self._lock_timeout:g} s"))

    def _who(self, relations: Sequence[int]) -> str:
        row = self.connection.execute(_HOLDER, (list(relations),)).fetchone() if relations else None
        if row is None:
            return ""
        kind, name, granted, pid, *parts = row
        who = ", ".join(quote_name(part) for part in parts if part)
        session = f"process {pid}: {who}" if pid else "a prepared transaction"
        if granted:
            return f"{kind} {quote_name(name)} is locked by another session ({session})"
        return f"{kind} {quote_name(name)} is waited for by another session that would change it ({session})"
