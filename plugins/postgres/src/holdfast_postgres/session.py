"""Connections: settings under which text means the same everywhere, and no session that outlives us."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UnreachableError
from holdfast_postgres.encodings import ANY_BYTES
from holdfast_postgres.errors import server_error
from holdfast_postgres.location import Location
from holdfast_postgres.pooler import check_exclusive
from holdfast_postgres.silence import is_silent, remember, shortened
from holdfast_postgres.watched import WatchedConnection

# psycopg logs a second error that a failed COPY has at its end: without any handler Python would print it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# Seconds for the first answer: a pool without a free session makes us wait, PgBouncer by default for two minutes.
_FIRST_ANSWER = 180.0
LOGIN_TRIGGERS_SINCE = 17
OLDEST = 12  # attgenerated, and what pg_dump of today still is tested with

# Those of pg_dump (setup_connection), and what the text of rows depends on: it is hashed for the proof.
_FIXED = {
    "search_path": "''",
    "datestyle": "'ISO, MDY'",
    "intervalstyle": "'postgres'",
    "extra_float_digits": "3",
    "timezone": "'UTC'",
    "bytea_output": "'hex'",
    "xmloption": "'content'",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",  # compiling a query of the catalogs takes 2 s where it is estimated to be long: of 10,000 tables
}
_SINCE = (
    ("client_connection_check_interval", "'2s'", 14),  # a query whose client died ends soon, not at its own end
    ("idle_session_timeout", "0", 14),
    ("transaction_timeout", "0", 17),
)


def settings(major: int, *, encoding: str = "", money: str = "") -> str:
    """The `SET` statements of a session on a server of that major version.

    Without `encoding`, or without the locale of `money`, it keeps its own.
    """
    given = {"client_encoding": encoding, "lc_monetary": money}
    values = _FIXED | {name: literal(value) for name, value in given.items() if value}
    values |= {name: value for name, value, since in _SINCE if major >= since}
    return "".join(f"SET {name} TO {value};\n" for name, value in values.items())


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself; `version` as in `server_version`, `encoding` that of the database."""

    version: str
    number: int
    encoding: str
    database: str
    standby: bool
    superuser: bool
    role: str

    @property
    def major(self) -> int:
        """The major version."""
        return self.number // 10000


_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
    current_setting('server_encoding'), current_database(), pg_catalog.pg_is_in_recovery(),
    current_setting('is_superuser') = 'on', current_user
"""


class NoAnswerError(UnreachableError):
    """Nobody answers at an address, whatever database is asked for."""


def connect(location: Location) -> WatchedConnection:
    """Open a connection in autocommit mode, or raise what its failure means.

    A pooler in transaction mode is refused before anything is set. Time-outs and the
    read-only default that role, database or server have for their sessions are lifted at once: making a database takes
    longer than many a statement_timeout allows.
    """
    connection = _open(location)
    try:
        connection.limit = _FIRST_ANSWER
        check_exclusive(connection, lambda: _open(location), location.label)
        connection.identify()
        connection.execute(_limits_lifted(connection.info.server_version // 10000))
        if connection.info.parameter_status("server_encoding") == ANY_BYTES:
            from holdfast_postgres.any_bytes import take_any_bytes

            take_any_bytes(connection)
        connection.limit = None
    except psycopg.Error as error:
        connection.close()
        raise server_error(error, f"cannot connect to {location.label}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _limits_lifted(major: int) -> str:
    """The statements that take from a session what role, database or server forbid to all of theirs."""
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    names += [name for name, value, since in _SINCE if value == "0" and major >= since]
    return "".join(f"SET {name} TO 0; " for name in names) + "SET default_transaction_read_only TO off"


_CONNECTING_DENIED = "grant the role CONNECT on the database, or name another database"


def _open(location: Location) -> WatchedConnection:
    """A connection as the server gives it: nothing has been set in its session."""
    try:
        connection = _open_watched(location)
        connection.open_another = lambda: _open_watched(location)
        return connection
    except psycopg.errors.ConnectionTimeout as error:
        translated = server_error(error, f"cannot connect to {location.label}")
        if not is_silent(location.address):
            raise UnreachableError(translated.message, hint=translated.hint) from error
        remember(location.address)
        raise NoAnswerError(translated.message, hint=translated.hint) from error
    except psycopg.OperationalError as error:
        translated = server_error(error, f"cannot connect to {location.label}", denied=_CONNECTING_DENIED)
        if type(translated).exit_code == 1:  # whatever else keeps libpq from connecting: a name, a route, a time-out
            translated = UnreachableError(translated.message, hint=translated.hint)
        raise translated from error
    except psycopg.Error as error:
        raise server_error(error, f"cannot connect to {location.label}") from error


def _open_watched(location: Location) -> WatchedConnection:
    limit = round(shortened(location.address, location.patience))
    connection = WatchedConnection.connect(
        location.connect_string(client_encoding="UTF8", connect_timeout=str(limit)),
        autocommit=True,
        fallback_application_name="holdfast",
    )
    connection.patience = location.patience
    return connection


def read_server(connection: "Connection[TupleRow]") -> Server:
    """Ask the server for its version, role and database; one that is too old is an `UnreachableError`."""
    row = connection.execute(_SERVER).fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    version, number, encoding, database, standby, superuser, role = row
    server = Server(
        version=version,
        number=number,
        encoding=encoding,
        database=database,
        standby=standby,
        superuser=superuser,
        role=role,
    )
    if server.major < OLDEST:
        raise UnreachableError(
            f"the server is PostgreSQL {version}, and this engine needs {OLDEST} or newer",
            hint="upgrade the server, or use its own pg_dump",
        )
    return server


def pin(location: Location, connection: "Connection[TupleRow]") -> Location:
    """The location of exactly the server and database that this connection reached."""
    info = connection.info
    return location.pinned(host=info.host, hostaddr=info.hostaddr, port=info.port).at(info.dbname)


@contextmanager
def connected(location: Location) -> Iterator[WatchedConnection]:
    """A connection for the length of a block."""
    connection = connect(location)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def releasing_locks(connection: "Connection[TupleRow]") -> Iterator[None]:
    """Give back every lock that the block takes in the transaction of a connection, with all that it does there.

    A server has room for a few thousand, and a transaction keeps those of each table, index and TOAST table it reads.
    """
    connection.execute("SAVEPOINT holdfast")
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):  # what led here is what counts
            _release(connection)
        raise
    _release(connection)


def _release(connection: "Connection[TupleRow]") -> None:
    if not connection.closed and not connection.broken:
        connection.execute("ROLLBACK TO SAVEPOINT holdfast; RELEASE SAVEPOINT holdfast")


def execute_each(connection: "Connection[TupleRow]", statements: Iterable[str]) -> Iterator[tuple[str, psycopg.Error]]:
    """Run each statement by itself, in autocommit mode; yields those that the server refuses, and its errors.

    A session that is lost, or ended, is the error of the whole.
    """
    for statement in statements:
        try:
            connection.execute(statement)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            yield statement, error


def quoted(*names: str) -> str:
    """An identifier, qualified or not, that means the same in every session."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A string literal that means the same whatever standard_conforming_strings says."""
    doubled = text.replace("'", "''")
    return f"E'{doubled}'".replace("\\", "\\\\") if "\\" in text else f"'{doubled}'"
