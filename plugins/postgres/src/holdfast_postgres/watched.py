"""Connections of psycopg that end when nobody answers, and at once when they are interrupted."""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, pq, waiting
from psycopg.rows import TupleRow

from holdfast_postgres.silence import PATIENCE, Peer, SilentServerError, Watch

log = logging.getLogger("holdfast.postgres.watched")

Result = TypeVar("Result")
SessionIdentity = tuple[int, int, int]
"""The process of a session, when it began, and when its server did."""
_TICK = 0.1  # seconds between two looks at the clock and at signals
_GRACE = 2.0  # seconds for an interrupted statement to end
_READY_NONE = waiting.Ready.NONE
# Moments as numbers: as text they are written in the DateStyle of each session, of which only ISO can be read.
_IDENTITY = """
SELECT pid, (extract(epoch FROM backend_start) * 1000000)::int8,
    (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())
"""
# No row: another server behind the same address, of which nothing follows.
_STATE = """
SELECT (SELECT coalesce(wait_event_type, '') FROM pg_catalog.pg_stat_activity WHERE pid = %s
    AND (extract(epoch FROM backend_start) * 1000000)::int8 = %s)
WHERE (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8 = %s
"""


class WatchedConnection(Connection[TupleRow]):
    """A connection of which every wait has an end.

    While a statement takes long the address is asked whether anybody is there, and the server whether the session still
    works for us: neither limits a statement that does. `limit` seconds, if any, are the most for a statement at all.
    """

    patience = PATIENCE
    limit: float | None = None
    #: How to open another connection, to ask about the session of this one.
    open_another: "Callable[[], WatchedConnection] | None" = None
    identity: SessionIdentity | None = None
    _interrupted: float | None = None
    _waits: Watch | None = None

    def identify(self) -> None:
        """Find out which session of which server this is."""
        self.identity = self.execute(_IDENTITY, prepare=False).fetchone()

    @property
    def peer(self) -> Peer | None:
        """The address at the other end."""
        return Peer.of(self.pgconn.socket)

    def cut(self) -> None:
        """End what another thread waits for in it: closing it would free memory under that."""
        watch = self._waits
        if watch is not None and watch.seconds > _GRACE and watch.peer is not None:
            watch.peer.remember()
        with contextlib.suppress(OSError, psycopg.Error):
            duplicate = socket.socket(fileno=os.dup(self.fileno()))
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            finally:
                duplicate.close()

    def wait(self, gen: "Generator[Any, Any, Result]", interval: float = _TICK, timeout: float | None = None) -> Result:
        """Drive a generator of psycopg to its end."""
        watched = gen
        try:
            try:
                wanted = next(gen)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            watched = self._watch(gen, wanted, self.limit if timeout is None else timeout)
            return waiting.wait(watched, self.pgconn.socket, interval=min(interval, _TICK))
        except SilentServerError:
            self.pgconn.finish()
            raise
        except psycopg.Error:
            raise
        except BaseException:  # of the handler of a signal, as that of a command, of a task queue or of Ctrl-C
            self._stop(watched)
            raise
        finally:
            self._waits = None

    def _watch(
        self, gen: "Generator[Any, Any, Result]", wanted: Any, limit: float | None
    ) -> "Generator[Any, Any, Result]":
        """The same generator, which looks at the clock whenever nothing has come."""
        begin, lost = time.monotonic(), ""
        watch = self._waits = Watch(peer=self.peer, patience=self.patience)
        while True:
            ready = yield wanted
            if ready:
                watch.reset()
                lost = ""
            elif self._interrupted is not None and time.monotonic() - self._interrupted > _GRACE:
                raise SilentServerError("the server did not end the statement")
            elif limit is not None and time.monotonic() - begin > limit:
                raise SilentServerError(f"no answer from the server for {limit:.0f} s")
            elif watch.is_due and watch.ask():
                lost = self._lost(watch, before=lost)
            try:
                wanted = gen.send(ready or _READY_NONE)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _lost(self, watch: Watch, *, before: str) -> str:
        """Why no answer will come, said by the server itself; the second time that it says so is an error."""
        if self.open_another is None or self.identity is None or self._interrupted is not None:
            return ""
        try:
            other = self.open_another()
        except psycopg.Error as error:
            log.info("cannot ask about the session: %s", error)
            if isinstance(error, psycopg.errors.ConnectionTimeout):
                watch.missed()
            return ""
        with contextlib.closing(other):
            try:
                other.limit = self.patience
                row = other.execute(_STATE, self.identity, prepare=False).fetchone()
            except psycopg.Error as error:
                log.info("cannot ask about the session: %s", error)  # a pool may have no other session to give
                return ""
        if row is None:
            return ""
        state = "has ended" if row[0] is None else "waits for us" if row[0] == "Client" else ""
        if state and state == before:
            raise SilentServerError(
                f"no answer from the server for {watch.seconds:.0f} s, where the session {state}: what is between "
                "has lost an answer or a statement"
            )
        return state

    def _stop(self, watched: "Generator[Any, Any, Any]") -> None:
        """Let the server end the statement, for a moment: a silent one shall not keep us."""
        self._interrupted = time.monotonic()
        if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=_GRACE)
                self._interrupted = time.monotonic()
                waiting.wait(watched, self.pgconn.socket, interval=_TICK)
        if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            if (peer := self.peer) is not None:
                peer.remember()
            self.pgconn.finish()
        self._interrupted = None


class Connections:
    """Connections that are open just now, for whoever has to end what other threads wait for in them."""

    def __init__(self) -> None:
        self._open: set[WatchedConnection] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def holding(self, connection: WatchedConnection) -> Iterator[WatchedConnection]:
        """Count a connection among them for the length of a block, and close it."""
        with self._lock:
            self._open.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def cut(self) -> None:
        """End what is waited for in all of them, from any thread."""
        with self._lock:
            for connection in self._open:
                connection.cut()
