"""Values that the server computes, made what they were: under settings that the backup tells, or that errors ask for.

What has rows already is computed anew by a copy of the table: the servers take all settings into account then, also
those that they look at only when they open a table, and a time zone says nothing of the times that rows hold.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.catalog.computing import SUBTRACTION, computing, computing_again, current, with_modes
from holdfast_mysql.errors import OUT_OF_RANGE, error_number
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")

Result = TypeVar("Result")

# An expression is out of range, a partition is out of its function's domain, a function is not allowed in a column.
_OF_SUBTRACTION = frozenset({OUT_OF_RANGE, 1563, 1901})


class OutOfRangeError(HoldfastError):
    """LOAD DATA LOCAL has left rows out for which an expression is out of range."""


class ComputedValues:
    """What the tables of a restore are made, loaded and computed under besides what every restore says."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._told: Mapping[str, Mapping[str, str]] = facts.get("computed_under", {})
        self._signed: set[str] = set()
        self._lock = threading.Lock()

    def run(
        self, session: Session, table: str, action: Callable[[], Result], *, undo: Callable[[], Any] | None = None
    ) -> Result:
        """Do something with a table, and once more with NO_UNSIGNED_SUBTRACTION where that may be missing.

        The source has had the mode: else it could not hold what is refused here. `undo` takes back what was done to a
        table that is there.
        """
        signed = table in self._signed
        try:
            return self._run(session, action, signed=signed)
        except (pymysql.MySQLError, OutOfRangeError) as error:
            number = OUT_OF_RANGE if isinstance(error, OutOfRangeError) else error_number(error)
            if signed or number not in _OF_SUBTRACTION:
                raise
            try:
                if undo:
                    undo()
                    self._open_signed(session, table)
                done = self._run(session, action, signed=True)
            except (pymysql.MySQLError, OutOfRangeError) as other:
                raise error from other
            with self._lock:
                self._signed.add(table)
            log.info("table %s needs sql_mode %s", quote_name(table), SUBTRACTION)
            return done

    @staticmethod
    def _open_signed(session: Session, table: str) -> None:
        """Let the server forget a table that it has opened without the mode: it would not look at that again."""
        with computing(session, with_modes({}, [SUBTRACTION])):
            session.execute(f"ALTER TABLE {quoted(table)} FORCE, ALGORITHM=COPY")

    @staticmethod
    def _run(session: Session, action: Callable[[], Result], *, signed: bool) -> Result:
        if not signed:
            return action()
        with computing(session, with_modes({}, [SUBTRACTION])):
            return action()

    def compute_again(self, session: Session, table: str) -> str | None:
        """Compute the stored columns of a loaded table as they were; why not, where that cannot be."""
        settings = dict(self._told.get(table, {}))
        if not settings:
            return None
        if table in self._signed:
            settings = with_modes(settings, [SUBTRACTION])
        told = ", ".join(f"{name}={value}" for name, value in settings.items())
        why = f"stored generated columns of table {quote_name(table)} are not what they were: this server "
        if unknown := set(settings) - set(current(session)):
            return f"{why}has no {', '.join(sorted(unknown))}, and they were computed under {told}"
        try:
            with computing(session, settings):
                if session.server.mariadb_since(10, 3):
                    session.execute("SET system_versioning_alter_history=KEEP")
                session.execute("SET autocommit=1")  # as in `TableMaker.transaction`
                try:
                    session.execute(computing_again(session.server, table, _written(session, table), settings))
                finally:
                    session.execute("SET autocommit=0")
        except pymysql.MySQLError as error:
            return f"{why}does not compute them under {told} ({error.args[-1]})"
        return None


def _written(session: Session, table: str) -> list[str]:
    """The columns of a table that nobody computes."""
    rows = session.texts(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE()"
        f" AND {session.is_named('table_name', table)} AND COALESCE(generation_expression, '')=''"
        " ORDER BY ordinal_position"
    )
    return [name for (name,) in rows]
