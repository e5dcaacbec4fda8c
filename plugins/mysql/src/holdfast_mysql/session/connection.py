"""One connection: queries whose answers are bytes, and errors that say what they mean for a backup."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from holdfast.api import CredentialsError, HoldfastError, LockedError, UnreachableError, UsageError, quote_name
from holdfast_mysql.location.database_url import Location
from holdfast_mysql.session.server import Server

Value = bytes | None
Row = tuple[Value, ...]

# Numbers of the server's error messages (MySQL 8.4 "Server Error Message Reference", MariaDB "Error Codes").
_CREDENTIALS = frozenset({1044, 1045, 1130, 1131, 1132, 1141, 1142, 1143, 1227, 1251, 1275, 1370, 1396, 1449, 1524,
                          1698, 1820, 1862, 2049, 2059, 2061, 3118, 3159, 3879, 4151, 4166})  # fmt: skip
_UNREACHABLE = frozenset({0, 1040, 1049, 1053, 1077, 1079, 1080, 1129, 1184, 1203, 1226, 1927, 2002, 2003, 2005, 2006,
                          2013, 2026, 3169})  # fmt: skip
_LOCKED = frozenset({1205, 1213, 1099, 1100, 1192, 1223, 1317, 3024, 3572, 4031})
_HINTS = {
    1153: "raise max_allowed_packet on the server: one row is larger than it",
    1044: "grant the account what the documentation of the engine lists",
    1418: "on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1419: "on the server: SET GLOBAL log_bin_trust_function_creators=1",
    1412: "a table was altered in the middle: run the backup again",
    1021: "make room on the server's disk",
    1114: "make room on the server's disk",
}
# Without these what a server has for its sessions would cut results short, without a word: sql_select_limit.
_WHOLE = (
    "autocommit=1, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_safe_updates=0,"
    " sql_quote_show_create=1"
)
LOST = frozenset({0, 1053, 1927, 2006, 2013})


def number(error: BaseException) -> int:
    """The server's number of an error, 0 for none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def failure(error: BaseException, doing: str) -> HoldfastError:
    """Say what an error of the driver or the server means, by its number."""
    code = number(error)
    text = str(error.args[1] if len(error.args) > 1 else error) or type(error).__name__
    text = " ".join(text.split())[:1000]
    kind: type[HoldfastError] = HoldfastError
    if code in _CREDENTIALS:
        kind = CredentialsError
    elif code in _LOCKED:
        kind = LockedError
    elif code in _UNREACHABLE and isinstance(error, pymysql.MySQLError):
        kind = UnreachableError
        text = text if code else "the connection is closed"
    return kind(f"{doing}: {text}" + (f" (error {code})" if code else ""), hint=_HINTS.get(code))


@contextmanager
def saying(doing: str) -> Iterator[None]:
    """Turn what the driver raises into errors that begin with what was being done."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise failure(error, doing) from error
    except (EOFError, ConnectionError, ssl.SSLError, TimeoutError) as error:
        raise UnreachableError(f"{doing}: lost the connection to the server") from error


class Session:
    """A connection whose answers are bytes as the server keeps them; used by one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.server = Server.of(connection.get_server_info())

    def query(self, sql: str | bytes) -> Any:
        """Run one statement and return the driver's result."""
        self.connection.query(sql)
        return self.connection._result

    def rows(self, sql: str | bytes) -> list[Row]:
        """The rows of a query."""
        return list(self.query(sql).rows or ())

    def dicts(self, sql: str | bytes) -> list[dict[str, Value]]:
        """The rows of a query by the names of their columns."""
        result = self.query(sql)
        names = [_text(column[0]) for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.rows or ()]

    def texts(self, sql: str | bytes) -> list[tuple[str, ...]]:
        """The rows of a query as text, NULL as the empty one."""
        return [tuple(_text(value) for value in row) for row in self.rows(sql)]

    def value(self, sql: str | bytes) -> str:
        """The first column of the first row as text, empty for NULL and for no row."""
        rows = self.rows(sql)
        return _text(rows[0][0]) if rows else ""

    def execute(self, sql: str | bytes) -> int:
        """Run one statement and return the number of its warnings."""
        return int(self.query(sql).warning_count or 0)

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
        sock = self.connection._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def connect(location: Location, *, database: str | None = None) -> Session:
    """Connect and choose the database, if one is named; raises what the connection's failure means."""
    with saying(f"cannot connect to {location.server}"):
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
                autocommit=None,  # it is switched on below: the driver cannot say so without its converters
                # A server that accepts and then says nothing must not hold us for ever.
                read_timeout=location.connect_timeout,
                program_name="holdfast",
                # Without the driver's own local_infile it refuses every file that a server asks for; load.py
                # answers the one request that it made, from memory.
                client_flag=CLIENT.LOCAL_FILES,
                defer_connect=True,
                **tls,
            )
            connection._secure = bool(location.socket)
            connection.connect(sock)
        except pymysql.OperationalError as error:
            sock.close()
            cause = getattr(error, "original_exception", None)
            if isinstance(cause, ssl.SSLError):
                why = " ".join((cause.reason or str(cause)).replace("_", " ").lower().split())
                raise UnreachableError(f"cannot connect to {location.server}: TLS failed: {why}") from error
            raise
        except RuntimeError as error:  # the driver's word for a missing cryptography package
            sock.close()
            raise HoldfastError(f"cannot connect to {location.server}: {error}") from error
        except BaseException:
            sock.close()
            raise
    connection._read_timeout = connection._current_timeout = None
    connection._sock.settimeout(None)
    session = Session(connection)
    try:
        with saying(f"cannot connect to {location.server}"):
            limit = "max_statement_time" if session.server.mariadb else "max_execution_time"
            session.execute(f"SET {_WHOLE}, {limit}=0")
            # Under a lower one nothing can be written while the binary log holds statements.
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if database:
            use(session, database)
    except BaseException:
        session.close()
        raise
    return session


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
    """Make a database the current one."""
    with saying(f"cannot use database {quote_name(database)}"):
        session.execute(f"USE {quoted(database)}")


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a string of SQL, in any sql_mode: hexadecimal knows no escapes."""
    raw = text.encode(errors="surrogateescape")
    return f"_utf8mb4 X'{raw.hex()}'" if raw else "''"


def plain_literal(text: str) -> str:
    """A text as a string of SQL where the grammar takes no other, under an sql_mode with backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def _text(value: bytes | str | None) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else value.decode(errors="surrogateescape")


def _tls(location: Location) -> dict[str, Any]:
    """The driver's words for an ssl_mode; a unix socket needs no TLS, and the driver would try it there too."""
    if location.socket or location.ssl_mode == "disabled":
        return {"ssl_disabled": True}
    if location.ssl_mode == "preferred":
        return {}
    try:
        context = ssl.create_default_context(cafile=location.ssl_ca)
        if location.ssl_cert:
            context.load_cert_chain(location.ssl_cert, location.ssl_key)
    except OSError as error:  # ssl.SSLError is one too
        raise UsageError(f"cannot use the certificates of the URL: {error.strerror or error}") from error
    # Certificates that MySQL makes for itself are not strict X.509.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = location.ssl_mode == "verify_identity"
    context.verify_mode = ssl.CERT_REQUIRED if location.ssl_mode.startswith("verify") else ssl.CERT_NONE
    return {"ssl": context}
