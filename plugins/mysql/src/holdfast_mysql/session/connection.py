"""One connection: queries whose answers are bytes as the server keeps them."""

import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from holdfast.api import HoldfastError, PluginError, UnreachableError, UsageError, quote_name
from holdfast_mysql.errors import NO_DATABASE, error_number, server_error, translate_errors
from holdfast_mysql.location import Location
from holdfast_mysql.session import driver, parsec
from holdfast_mysql.session.driver import Answer
from holdfast_mysql.session.server import SERIES, VERSION_QUERY, Server
from holdfast_mysql.session.sql import literal, quoted

Value = bytes | None
Row = tuple[Value, ...]

# Without these what a server has for its sessions would cut results short unnoticed (sql_select_limit), find other rows
# than those asked for (sql_auto_is_null), become a part of views (sql_buffer_result), take '' for NULL (a sql_mode), or
# say in other words what is looked for in a message.
_PLAIN = (
    "sql_mode=0, autocommit=1, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_safe_updates=0,"
    " sql_quote_show_create=1, completion_type=NO_CHAIN, sql_auto_is_null=0, sql_buffer_result=0, lc_messages='en_US',"
    " sql_notes=1"
)


_SHORT = 1000  # bytes of a statement that every server takes


class Session:
    """A connection whose answers are bytes as the server keeps them; used by one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        # A proxy greets with a version of its own; `connect` asks the server behind it.
        self.server = Server.of(connection.get_server_info())

    def query(self, sql: str | bytes) -> Answer:
        """Run one statement and return its answer; one that is too long for the server is not sent.

        The server would cut the connection in the middle of it, which looks as if it were gone.
        """
        if len(sql) > _SHORT:
            size = len(sql.encode(errors="surrogateescape") if isinstance(sql, str) else sql) + 1
            if size >= self.packet_limit:
                raise HoldfastError(
                    f"a statement of {size} bytes is too long: the server's max_allowed_packet is {self.packet_limit}",
                    hint="raise max_allowed_packet on the server",
                )
        return driver.query(self.connection, sql)

    @functools.cached_property
    def packet_limit(self) -> int:
        """The bytes that a statement has to be shorter than."""
        return int(self.value("SELECT @@max_allowed_packet"))

    def rows(self, sql: str | bytes) -> list[Row]:
        """The rows of a query."""
        return self.query(sql).rows

    def dicts(self, sql: str | bytes) -> list[dict[str, Value]]:
        """The rows of a query by the names of their columns."""
        answer = self.query(sql)
        names = answer.names
        return [dict(zip(names, row, strict=True)) for row in answer.rows]

    def texts(self, sql: str | bytes) -> list[tuple[str, ...]]:
        """The rows of a query as text, NULL as the empty one."""
        return [
            tuple(["" if value is None else value.decode("utf-8", "surrogateescape") for value in row])
            for row in self.rows(sql)
        ]

    def value(self, sql: str | bytes) -> str:
        """The first column of the first row as text, empty for NULL and for no row."""
        rows = self.rows(sql)
        return _text(rows[0][0]) if rows else ""

    @cached_property
    def collations(self) -> frozenset[str]:
        """The collations that the server knows, under their full names."""
        column = "full_collation_name" if self.server.mariadb_since(10, 10) else "collation_name"
        query = f"SELECT {column} FROM information_schema.collation_character_set_applicability"
        return frozenset(name.lower() for (name,) in self.texts(query))

    @cached_property
    def folds(self) -> bool:
        """Whether names of databases and tables are compared without case: lower_case_table_names is 1 or 2."""
        return self.value("SELECT @@lower_case_table_names") != "0"

    def is_named(self, column: str, name: str) -> str:
        """A condition that a column of information_schema is the name of a database or table, as the server tells it.

        MariaDB compares these columns without case on every server, and so would find objects of another database.
        """
        condition = f"{column}={literal(name)}"
        if self.folds or not self.server.mariadb:
            return condition
        return f"({condition} AND BINARY {column}={literal(name)})"

    def execute(self, sql: str | bytes) -> int:
        """Run one statement and return the number of its warnings."""
        return self.query(sql).warnings

    def execute_all(self, statements: Sequence[str | bytes]) -> None:
        """Run statements one after another."""
        for statement in statements:
            self.execute(statement)

    def close(self) -> None:
        """End the connection; an error of a connection that is gone is none."""
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self.connection.close()

    def abort(self) -> None:
        """Cut the connection, so that a thread that reads from it ends at once; may be called from any thread."""
        driver.shut_down(self.connection)


def connect(location: Location, *, database: str | None = None) -> Session:
    """Connect and choose the database, if one is named; raises what the connection's failure means."""
    with translate_errors(f"cannot connect to {location.server}"):
        session = Session(_log_in(location))
    try:
        with translate_errors(f"cannot connect to {location.server}"):
            session.execute(f"SET {_PLAIN}")
            session.server = _server(session)
            session.execute_all(list(_settings(session.server)))
            # Under a lower one nothing can be written while the binary log holds statements. That sessions only read
            # unless they say otherwise (transaction_read_only) is for those that somebody forgot.
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE")
        if database:
            use(session, database)
    except BaseException:
        session.close()
        raise
    return session


def _settings(server: Server) -> Iterator[str]:
    """What lets no statement end early, nor a connection that waits for others of ours, and hides or adds nothing."""
    if not server.mariadb:
        yield "SET max_execution_time=0"
        if server.mysql_since(8, 0, 30):
            yield (
                "SET show_gipk_in_create_table_and_information_schema=ON, show_create_table_verbosity=OFF,"
                " show_create_table_skip_secondary_engine=OFF"
            )
        return
    yield "SET max_statement_time=0"
    if server.mariadb_since(10, 3):
        yield (
            "SET idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, idle_write_transaction_timeout=0,"
            " system_versioning_asof=DEFAULT"
        )


def _server(session: Session) -> Server:
    """The server that answers statements: it alone looks into MariaDB's comments, and a start option may rename it."""
    said, mariadb = session.texts(VERSION_QUERY)[0]
    server = Server.of(said)
    if server.mariadb == (mariadb == "1"):
        return server
    series = ", ".join(f"0 /*M!{number} + {number} */" for number in SERIES)
    return Server.renamed(said, int(session.value(f"SELECT GREATEST({series})")) if mariadb == "1" else 0)


def _log_in(location: Location) -> Any:
    tls = _tls(location)
    sock = _socket(location)
    try:
        connection = pymysql.Connection(
            host=location.host,
            user=location.user,
            password=location.password.encode(errors="surrogateescape"),
            charset="utf8mb4",
            use_unicode=False,
            conv={},
            autocommit=None,  # `connect` switches it on: the driver cannot say so without its converters
            # A server that accepts and then says nothing must not hold us for ever.
            read_timeout=location.connect_timeout,
            program_name="holdfast",
            # Without the driver's own local_infile it refuses every file that a server asks for; restore/load_data.py
            # answers the one request that it made, from memory.
            client_flag=CLIENT.LOCAL_FILES,
            auth_plugin_map={parsec.NAME: parsec.Parsec},
            defer_connect=True,
            **tls,
        )
        if _tries_tls(location):
            driver.try_tls(connection, _context())
        driver.establish(connection, sock, local=bool(location.socket))
    except BaseException as error:
        sock.close()
        cause = getattr(error, "original_exception", None)
        if isinstance(error, pymysql.OperationalError) and isinstance(cause, ssl.SSLError):
            why = " ".join((cause.reason or str(cause)).replace("_", " ").lower().split())
            raise UnreachableError(f"cannot connect to {location.server}: TLS failed: {why}") from error
        if isinstance(error, RuntimeError):  # the driver's word for a missing package of cryptography
            hint = "pip install 'holdfast-mysql[ed25519]'" if "ed25519" in str(error) else None
            raise PluginError(f"cannot connect to {location.server}: {error}", hint=hint) from error
        raise
    return connection


def _socket(location: Location) -> socket.socket:
    """A connected socket: the driver's own way to make one leaks it when nobody listens."""
    sock = None
    try:
        if location.socket:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(location.connect_timeout)
            sock.connect(location.socket)
            return sock
        sock = socket.create_connection((location.host, location.port), location.connect_timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except (OSError, UnicodeError) as error:
        if sock is not None:
            sock.close()
        why = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        raise UnreachableError(f"cannot connect to {location.server}: {why[:1].lower()}{why[1:]}") from error
    return sock


def use(session: Session, database: str) -> None:
    """Make a database the current one; one that is not there is an `UnreachableError`."""
    action = f"cannot use database {quote_name(database)}"
    with translate_errors(action):
        try:
            session.execute(f"USE {quoted(database)}")
        except pymysql.MySQLError as error:
            if error_number(error) == NO_DATABASE:
                raise UnreachableError(server_error(error, action).message) from error
            raise


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "surrogateescape")


def _tls(location: Location) -> dict[str, Any]:
    """The driver's words for an ssl_mode."""
    if location.ssl_mode in ("disabled", "preferred") or location.socket:
        return {"ssl_disabled": True}
    verified = location.ssl_mode.startswith("verify")
    try:
        if verified or location.ssl_ca or location.ssl_capath:
            context = ssl.create_default_context(cafile=location.ssl_ca, capath=location.ssl_capath)
        else:
            context = _context()
        if location.ssl_crl:
            context.load_verify_locations(location.ssl_crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if location.ssl_cert:
            context.load_cert_chain(location.ssl_cert, location.ssl_key)
    except OSError as error:  # ssl.SSLError is one too
        raise UsageError(f"cannot use the certificates of the URL: {error.strerror or error}") from error
    # Certificates that MySQL makes for itself are not strict X.509.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = location.ssl_mode == "verify_identity"
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    return {"ssl": context}


def _tries_tls(location: Location) -> bool:
    """Whether TLS is used where the server speaks it; a unix socket needs none."""
    return location.ssl_mode == "preferred" and not location.socket


def _context() -> ssl.SSLContext:
    """Of a client that believes every server.

    The one of `ssl.create_default_context`, which the driver makes too, reads all certificates of the system: 40 ms for
    each connection, of some ten in a run, to verify nothing with them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
