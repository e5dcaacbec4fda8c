"""Connections that a restore writes over."""

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from holdfast.api import HoldfastError
from holdfast_mysql.catalog.computing import compute_plainly
from holdfast_mysql.definitions.script import OF_SESSION
from holdfast_mysql.errors import error_number, is_full
from holdfast_mysql.location import Location
from holdfast_mysql.restore import load_warnings
from holdfast_mysql.session import Session, connect

log = logging.getLogger("holdfast.mysql")

_DAY = 86400
_LARGE_TABLE = (1 << 32) - (1 << 16)  # bytes, and no more than a server of any version takes
_TICK = 0.1  # seconds
_NOT_ALLOWED = 1227
# Variables of a session, some of which take a privilege, and what makes a server take all that it took once, as it was:
# MariaDB writes what InnoDB does by default into each table that is made.
_LENIENT = {
    "enforce_storage_engine": "",
    "explicit_defaults_for_timestamp": "ON",
    "innodb_compression_default": "OFF",
    "innodb_default_encryption_key_id": "1",
    "max_error_count": str(load_warnings.KEPT),
    "restrict_fk_on_non_standard_key": "OFF",
    "sql_generate_invisible_primary_key": "OFF",
    "sql_require_primary_key": "OFF",
}


def prepare_writer(session: Session) -> None:
    """Set a connection up for writing exactly what was read; it must be in a database or name each one.

    What the account may not relax stays as it is: `restore.needs` says before a restore what that costs.
    """
    session.execute(OF_SESSION)
    session.execute("SET foreign_key_checks=0, unique_checks=0, autocommit=0")
    session.execute(f"SET net_write_timeout={_DAY}, net_read_timeout={_DAY}, wait_timeout={_DAY}")
    session.execute(f"SET innodb_lock_wait_timeout={_DAY}, lock_wait_timeout={_DAY}")
    # Also a character set without a collation, as MySQL and older servers write its default, means what it meant there,
    # and utf8 what it was to servers that knew no other name.
    compute_plainly(session)
    server = session.server
    # Tables in memory may be as large as they were: the server's limit for new ones says nothing of those.
    session.execute(f"SET max_heap_table_size={_LARGE_TABLE}")
    if server.mariadb:
        session.execute("SET check_constraint_checks=0")
        if server.mariadb_since(10, 11):
            session.execute("SET system_versioning_insert_history=1")
        _log_rows(session)
    _relax(session)


def _relax(session: Session) -> None:
    """Set what a session may be as lenient in as the source was, where the server is not so already."""
    names = ", ".join(f"'{name}'" for name in _LENIENT)
    for name, value in session.texts(f"SHOW VARIABLES WHERE variable_name IN ({names})"):
        if value != _LENIENT[name.lower()]:
            try:
                session.execute(f"SET {name}={_LENIENT[name.lower()] or 'NULL'}")
            except pymysql.MySQLError as error:
                if error_number(error) != _NOT_ALLOWED:
                    raise
                log.debug("the account may not set %s, which is %s", name, value)


def _log_rows(session: Session) -> None:
    """Write rows to the binary log where statements are: the state of a sequence cannot be written as one."""
    if session.value("SELECT @@log_bin AND @@binlog_format='STATEMENT'") == "1":
        try:
            session.execute("SET binlog_format='ROW'")
        except pymysql.MySQLError as error:
            if error_number(error) != _NOT_ALLOWED:
                raise
            log.debug("the account may not set binlog_format: sequences cannot be restored")


class Connections:
    """Connections for loading, made as threads need them, all cut at once when the restore is aborted."""

    def __init__(self, location: Location, database: str) -> None:
        self._location = location
        self._database = database
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._all: list[Session] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def acquire(self) -> Iterator[Session]:
        """A connection in the database; after an error it is closed, which rolls back."""
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._another()
        try:
            yield session
        except BaseException:
            session.abort()
            raise
        self._idle.put(session)

    def _another(self) -> Session:
        """A new one; where the account may have no more, the next that is given back."""
        try:
            session = connect(self._location, database=self._database)
        except HoldfastError as error:
            if not (self._all and is_full(error)):
                raise
            return self._next_idle()
        with self._lock:
            closed = self._closed
            self._all.append(session)
        if closed:
            session.close()
            raise HoldfastError("the restore was aborted")
        prepare_writer(session)
        return session

    def _next_idle(self) -> Session:
        log.info("the account may have no more connections: fewer load at once")
        while not self._closed:
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=_TICK)
        raise HoldfastError("the restore was aborted")

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
