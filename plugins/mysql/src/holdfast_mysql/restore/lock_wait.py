"""Statements that wait for the locks of others: in short turns, so that nobody queues behind us without end.

Whoever asks for a table while we wait for it waits behind us (MySQL manual, "Metadata Locking"): one idle transaction
would stop every reader. So a turn is short, and between two of them all who waited are served.
"""

import logging
import math
import time

import pymysql

from holdfast.api import LockedError
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session

log = logging.getLogger("holdfast.mysql")

DEFAULT = 60.0  # seconds that the end of a replacement waits altogether
_TURN = 5  # seconds that others wait behind us at most
_PAUSE = 1.0
_TIMED_OUT = frozenset({1205, 1213})  # a deadlock of metadata locks is over as soon as one of both gives way
_OPEN_TRANSACTIONS = (
    "SELECT p.id, p.user, p.time FROM information_schema.innodb_trx t JOIN information_schema.processlist p"
    " ON p.id = t.trx_mysql_thread_id WHERE p.id <> CONNECTION_ID() ORDER BY t.trx_started LIMIT 3"
)


class LockWait:
    """Runs statements on one session; all of them together wait at most `seconds` for locks."""

    def __init__(self, session: Session, *, seconds: float, what: str) -> None:
        self._session = session
        self._seconds = self._left = seconds
        self._what = what
        self._turn = 0
        self._told = False

    def run(self, statement: str | bytes) -> int:
        """Run one statement; returns the number of its warnings. No lock in time is a `LockedError`."""
        while True:
            turn = max(1, min(_TURN, math.ceil(self._left)))
            if turn != self._turn:
                self._session.execute(f"SET lock_wait_timeout={turn}, innodb_lock_wait_timeout={turn}")
                self._turn = turn
            began = time.monotonic()
            try:
                return self._session.execute(statement)
            except pymysql.MySQLError as error:
                if error_number(error) not in _TIMED_OUT:
                    raise
                self._left -= time.monotonic() - began + _PAUSE
                if self._left <= 0:
                    raise self._given_up() from error
            self._tell()
            time.sleep(_PAUSE)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "%s waits for locks that other sessions hold%s, %.0f s at most", self._what, self._holders(), self._left
            )

    def _given_up(self) -> LockedError:
        return LockedError(
            f"{self._what} waited {self._seconds:g} s for locks that other sessions hold{self._holders()}",
            hint="end their transactions, or use -o lock_timeout=SECONDS to wait longer",
        )

    def _holders(self) -> str:
        """The oldest transactions of others, where the account may see them."""
        try:
            rows = self._session.texts(_OPEN_TRANSACTIONS)
        except pymysql.MySQLError as error:
            log.debug("cannot see who holds the locks: %s", error)
            return ""
        listed = ", ".join(f"connection {number} of {user}" for number, user, _ in rows)
        return f" (perhaps {listed})" if listed else ""
