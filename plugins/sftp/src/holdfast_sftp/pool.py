"""The connections to a server: of which several are opened for objects that are read and written at once."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from holdfast.api import HoldfastError, UnreachableError
from holdfast_sftp.connection import Connection, ConnectionLostError
from holdfast_sftp.location import Location

log = logging.getLogger("holdfast.storage")

_T = TypeVar("_T")
_PATIENCE = 300.0  # seconds from the first failure of a call to the last try
_UNKNOWN_PATIENCE = 3.0  # where the server has not answered once: its address is wrong, or it is down
_LONGEST_PAUSE = 20.0


class Pool:
    """Opens connections as they are needed, and new ones in place of those that broke."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._connections: list[Connection] = []
        self._most = location.connections
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._answered = False

    def call(self, operation: Callable[[Connection], _T], *, patience: float | None = None) -> _T:
        """Do what may be done twice, and do it again where the connection breaks, for as long as that can help."""
        tries, failed = 0, 0.0
        while True:
            try:
                return operation(self.connection(patience=patience))
            except ConnectionLostError as error:
                failed = failed or time.monotonic()
                self.pause(error, tries, failed, patience=patience)
                tries += 1

    def pause(self, error: ConnectionLostError, tries: int, failed: float, *, patience: float | None = None) -> None:
        """Wait before the next try, or raise `UnreachableError` once there is none."""
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.25 * 2**tries))  # noqa: S311 (no secret)
        left = (_PATIENCE if patience is None else patience) - (time.monotonic() - failed)
        if pause > left or tries > 40:
            raise UnreachableError(str(error.strerror)) from error
        log.info("tried again in %.1f s: %s", pause, error.strerror)
        time.sleep(pause)

    def connection(self, *, patience: float | None = None) -> Connection:
        """A connection for a short request."""
        with self._lock:
            if alive := self._alive():
                return min(alive, key=lambda each: each.transfers)
        with self._opening:
            with self._lock:
                if alive := self._alive():
                    return alive[0]
            return self._open_patiently(patience)

    def give_back(self, connection: Connection) -> None:
        """End what `take` began."""
        with self._lock:
            connection.transfers -= 1

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            connections, self._connections = self._connections, []
        for each in connections:
            each.close()

    def take(self) -> Connection:
        """A connection for an object that is read or written, which as few others as can be share."""
        connection = self.connection()
        with self._lock:
            alive = self._alive()
            if (connection.transfers and len(alive) < self._most) and self._opening.acquire(blocking=False):
                more = True
            else:
                more = False
                connection = min(alive, key=lambda each: each.transfers, default=connection)
                connection.transfers += 1
        if not more:
            return connection
        try:
            with contextlib.suppress(HoldfastError, ConnectionLostError):
                connection = self._open()
        finally:
            self._opening.release()
        with self._lock:
            if connection.transfers:  # no other could be opened, as servers limit sessions
                self._most = max(1, len(self._alive()))
            connection.transfers += 1
        return connection

    def _alive(self) -> list[Connection]:
        self._connections = [each for each in self._connections if not each.is_broken]
        return self._connections

    def _open_patiently(self, patience: float | None) -> Connection:
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return self._open()
            except (UnreachableError, ConnectionLostError) as error:
                most = (_PATIENCE if patience is None else patience) if self._answered else _UNKNOWN_PATIENCE
                pause = random.uniform(0, min(_LONGEST_PAUSE, 0.5 * 2**tries)) + 0.05  # noqa: S311 (no secret)
                if time.monotonic() - begun + pause > most:
                    if isinstance(error, ConnectionLostError):
                        raise UnreachableError(str(error.strerror)) from error
                    raise
                log.info("connected again in %.1f s: %s", pause, error)
                time.sleep(pause)
                tries += 1

    def _open(self) -> Connection:
        connection = Connection(self._location)
        with self._lock:
            self._connections.append(connection)
            self._answered = True
        return connection
