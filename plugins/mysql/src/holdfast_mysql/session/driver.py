"""All that Holdfast takes from inside PyMySQL, in one place.

The driver decodes every value and reads every row into objects: rows here are copied from its socket, and statements
are prepared and files answered by packets of our own. `tests/test_driver.py` names each attribute that this module
relies on, and `pyproject.toml` allows no release in which they have not been looked at.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.protocol import OKPacketWrapper

# Commands of the client/server protocol (MySQL Internals "Text Protocol" and "Prepared Statements").
_QUERY, _PREPARE, _EXECUTE, _CLOSE = 0x03, 0x16, 0x17, 0x19
_PACKET = 1 << 20  # bytes of rows that are sent at once

# `recv_into` of the socket: bytes that were read into the buffer, 0 at its end.
Receive = Callable[[memoryview], int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the server says of a statement that wrote rows."""

    affected: int
    warnings: int


def establish(connection: Any, sock: socket.socket, *, local: bool) -> None:
    """Log in over a socket that is connected, and take off the time limit that held until then.

    `local` says that it is a unix socket: passwords may then be sent without TLS.
    """
    connection._secure = local
    connection.connect(sock)
    connection._read_timeout = connection._current_timeout = None
    connection._sock.settimeout(None)


def try_tls(connection: Any, context: ssl.SSLContext) -> None:
    """Have a connection that was made without TLS use it with a server that speaks it."""
    connection.ssl, connection.ctx = True, context


def exchange(connection: Any, payload: bytes) -> Any:
    """Send a packet of an authentication and return the one that answers it; an error is raised."""
    connection.write_packet(payload)
    return connection._read_packet()


def query(connection: Any, sql: str | bytes) -> Any:
    """Run a statement and return the driver's result: `rows`, `description`, `affected_rows`, `warning_count`."""
    connection.query(sql)
    return connection._result


def shut_down(connection: Any) -> None:
    """Cut a connection, so that a thread that reads from it ends at once; may be called from any thread."""
    sock = connection._sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def row_packets(connection: Any, sql: str | bytes, *, size: int) -> Iterator[tuple[bytes, Receive]]:
    """Run a query and hand its rows over unread: at most `size` bytes that came already, and how to receive more."""
    connection.query(sql, unbuffered=True)
    result = connection._result
    try:
        # One read1 empties the driver's buffer; readinto1 would block on small results, because it goes on to the
        # socket after serving what it has.
        yield connection._rfile.read1(size), connection._sock.recv_into
    finally:
        # The driver would otherwise read a result that nobody wants any more to its end.
        result.unbuffered_active = False
        result.connection = None
        connection._result = None


def raise_packet(packet: bytes) -> None:
    """Raise the error that a packet of the server holds."""
    pymysql.err.raise_mysql_exception(packet)


def begin_load(connection: Any, statement: bytes) -> bool:
    """Run LOAD DATA LOCAL; returns whether the server asks for the rows, which `send_rows` then gives it."""
    connection._execute_command(_QUERY, statement)
    return bool(connection._read_packet().is_load_local_packet())


def send_rows(connection: Any, block: bytes, *, limit: int) -> None:
    """Send some of the rows that LOAD DATA LOCAL asked for, in packets shorter than the server's limit."""
    view = memoryview(block)
    size = min(_PACKET, limit // 2)
    for start in range(0, len(block), size):
        connection.write_packet(bytes(view[start : start + size]))


def end_load(connection: Any) -> Outcome:
    """Say that those were all rows."""
    connection.write_packet(b"")
    return _outcome(connection)


def prepare(connection: Any, statement: bytes) -> int:
    """Prepare a statement; returns the server's number of it."""
    connection._execute_command(_PREPARE, statement)
    answer = connection._read_packet().get_all_data()
    number: int
    number, columns, parameters = struct.unpack_from("<IHH", answer, 1)
    for count in (parameters, columns):
        for _ in range(count + 1 if count else 0):
            connection._read_packet()
    return number


def execute(connection: Any, payload: bytes) -> Outcome:
    """Run a prepared statement; the payload is that of COM_STMT_EXECUTE, its number first."""
    connection._execute_command(_EXECUTE, payload)
    return _outcome(connection)


def close_statement(connection: Any, number: int) -> None:
    """Give a prepared statement back."""
    connection._execute_command(_CLOSE, struct.pack("<I", number))


def _outcome(connection: Any) -> Outcome:
    packet = OKPacketWrapper(connection._read_packet())
    return Outcome(affected=packet.affected_rows, warnings=packet.warning_count)
