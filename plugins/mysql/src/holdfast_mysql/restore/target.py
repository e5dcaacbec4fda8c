"""The database that a restore goes into: what is there, connections that write to it, and taking back what was made."""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.catalog.tables import names_of
from holdfast_mysql.definitions.script import OPENING
from holdfast_mysql.location.database_url import Location
from holdfast_mysql.restore.load import WARNINGS
from holdfast_mysql.session.connection import Session, connect, failure, literal, number, quoted

log = logging.getLogger("holdfast.mysql")

_DAY = 86400
_NOT_ALLOWED = 1227
_UNDO_WAIT = 30  # seconds for locks that our own cut connections may still hold


def exists(session: Session, database: str) -> bool:
    """Whether there is a database of that name, as the server compares names."""
    return bool(session.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name={literal(database)}"))


def redo_size(session: Session) -> int:
    """Bytes of InnoDB's redo log."""
    query = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('innodb_redo_log_capacity', 'innodb_log_file_size')"
    sizes = {name: size for name, size in session.texts(query)}  # noqa: C416 (tuples of any length, to mypy)
    # MySQL says both since 8.0.30, and the first one counts.
    return int(sizes.get("innodb_redo_log_capacity") or sizes.get("innodb_log_file_size") or 0)


def objects_of(session: Session, database: str) -> list[tuple[str, str]]:
    """Kind and name of everything in a database that a restore could collide with."""
    where = literal(database)
    found = [
        ({"VIEW": "view", "SEQUENCE": "sequence"}.get(kind, "table"), name)
        for name, kind in names_of(session, database)
    ]
    routines = session.texts(
        f"SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema={where}"
    )
    events = session.texts(f"SELECT event_name FROM information_schema.events WHERE event_schema={where}")
    return [*found, *((kind.lower(), name) for kind, name in routines), *(("event", name) for (name,) in events)]


def prepare(session: Session) -> None:
    """Set a connection up for writing exactly what was read; it must be in a database or name each one."""
    session.execute(OPENING[0])
    session.execute(f"SET foreign_key_checks=0, unique_checks=0, autocommit=0, max_error_count={WARNINGS}")
    session.execute("SET lc_messages='en_US'")  # warnings and errors are read, not only shown
    session.execute(f"SET net_write_timeout={_DAY}, net_read_timeout={_DAY}, wait_timeout={_DAY}")
    session.execute(f"SET innodb_lock_wait_timeout={_DAY}, lock_wait_timeout={_DAY}")
    server = session.server
    if server.mariadb:
        session.execute("SET check_constraint_checks=0")
        if server.mariadb_since(10, 11):
            session.execute("SET system_versioning_insert_history=1")
        _log_rows(session)
    for variable, wanted in (
        ("sql_require_primary_key", "0"),
        ("sql_generate_invisible_primary_key", "0"),
        ("explicit_defaults_for_timestamp", "1"),
    ):
        # Changing these takes a privilege: only where the server does not have them so already.
        found = session.texts(f"SHOW VARIABLES LIKE '{variable}'")
        if found and (found[0][1] in ("1", "ON")) != (wanted == "1"):
            session.execute(f"SET {variable}={wanted}")


def _log_rows(session: Session) -> None:
    """Write rows to the binary log where statements are: the state of a sequence cannot be written as one."""
    if session.value("SELECT @@log_bin AND @@binlog_format='STATEMENT'") == "1":
        try:
            session.execute("SET binlog_format='ROW'")
        except pymysql.MySQLError as error:
            if number(error) != _NOT_ALLOWED:
                raise
            log.debug("the account may not set binlog_format: sequences cannot be restored")


class Connections:
    """Connections for loading, made as threads need them, all cut at once when the restore is given up."""

    def __init__(self, location: Location, database: str) -> None:
        self._location = location
        self._database = database
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._all: list[Session] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Session]:
        """A connection in the database; after an error it is closed, which rolls back."""
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = connect(self._location, database=self._database)
            with self._lock:
                closed = self._closed
                self._all.append(session)
            if closed:
                session.close()
                raise HoldfastError("the restore has been given up") from None
            prepare(session)
        try:
            yield session
        except BaseException:
            session.abort()
            raise
        self._idle.put(session)

    def close(self, killer: Session | None = None) -> None:
        """End all of them, at the server as well, so that none holds a lock on what is about to be dropped."""
        with self._lock:
            self._closed = True
            sessions, self._all = self._all, []
        for session in sessions:
            session.abort()
            if killer is not None:
                with contextlib.suppress(pymysql.MySQLError):
                    killer.execute(f"KILL {session.connection.thread_id()}")
            session.close()


def drop(session: Session, database: str, kind: str, name: str) -> None:
    """Drop one object, if it is there."""
    packaged = kind.startswith("package")
    if packaged:
        session.execute("SET sql_mode='ORACLE'")  # the grammar knows packages in no other mode
    session.execute(f"DROP {kind.upper()} IF EXISTS {quoted(database)}.{quoted(name)}")
    if packaged:
        session.execute(OPENING[0])


def undo(location: Location, database: str, *, made: list[tuple[str, str]], whole: bool) -> None:
    """Remove what a restore made, newest first; `HoldfastError` names what could not be removed."""
    left = [f"database {quote_name(database)}"] if whole else [f"{kind} {quote_name(name)}" for kind, name in made]
    if not left:
        return
    try:
        session = connect(location)
    except HoldfastError as error:
        raise _left(left, error.message) from error
    try:
        session.execute(f"SET foreign_key_checks=0, lock_wait_timeout={_UNDO_WAIT}")
        if whole:
            session.execute(f"DROP DATABASE IF EXISTS {quoted(database)}")
            return
        for kind, name in reversed(made):
            drop(session, database, kind, name)
            left.pop()
    except pymysql.MySQLError as error:
        raise _left(left, failure(error, "cannot drop it").message) from error
    finally:
        session.close()


def _left(names: list[str], why: str) -> HoldfastError:
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return HoldfastError(f"left behind: {listed} ({why})", hint="drop what is left before the next restore")
