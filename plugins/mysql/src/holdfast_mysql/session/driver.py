"""All that Holdfast takes from inside PyMySQL, in one place.

The driver decodes every value and reads every packet into objects: answers here are read from its buffer, rows copied
from its socket, and statements are prepared and files answered by packets of our own. `tests/test_driver.py` names each
attribute that this module relies on, and `pyproject.toml` allows no release in which they have not been looked at.
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
from pymysql.constants import CR

# Commands of the client/server protocol (MySQL Internals "Text Protocol" and "Prepared Statements").
_QUERY, _PREPARE, _EXECUTE, _CLOSE = 0x03, 0x16, 0x17, 0x19
# What packets and values begin with, in how many bytes the length of a long value is, and what ends rows.
_OK, _FILE, _ERROR, _END, _NULL, _WIDTHS = b"\0", b"\xfb", b"\xff", b"\xfe", 0xFB, {0xFC: 2, 0xFD: 3, 0xFE: 8}
_HEADER, _FULL, _END_SIZE, _END_PACKET, _MORE_RESULTS = 4, 0xFFFFFF, 9, struct.Struct("<BHH"), 0x0008
_OK_END = struct.Struct("<HH")  # flags and warnings
_PACKET = 1 << 20  # bytes of rows that are sent at once

# `recv_into` of the socket: bytes that were read into the buffer, 0 at its end.
Receive = Callable[[memoryview], int]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The rows of a query, or what else a statement did: rows that it changed, and the number of its warnings."""

    rows: list[tuple[bytes | None, ...]]
    columns: list[bytes]  #: what the server says of each
    affected: int
    warnings: int

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        # Behind catalog, database, and the table's name and alias.
        return [(_values(column, 5)[4] or b"").decode(errors="surrogateescape") for column in self.columns]


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


def query(connection: Any, sql: str | bytes) -> Answer:
    """Run a statement and read its answer; an error of the server or a lost connection is raised."""
    first = _send_query(connection, sql)
    if first[:1] == _OK:
        outcome = _outcome(first)
        return Answer(rows=[], columns=[], affected=outcome.affected, warnings=outcome.warnings)
    columns = _columns(connection, first)
    count = len(columns)
    rows: list[tuple[bytes | None, ...]] = []
    for packet in _packets(connection):
        if packet[:1] == _END and len(packet) < _END_SIZE:
            _, warnings, status = _END_PACKET.unpack_from(packet)
            if status & _MORE_RESULTS:
                raise pymysql.err.InternalError("a statement has more than one result")
            return Answer(rows=rows, columns=columns, affected=len(rows), warnings=warnings)
        rows.append(_values(packet, count))
    raise EOFError  # no packet is the last one


def _send_query(connection: Any, sql: str | bytes) -> bytes:
    """Send a statement; returns the first packet of its answer, which is no request for a file."""
    connection._execute_command(_QUERY, sql)
    first = next(_packets(connection))
    if first[:1] == _FILE:
        raise RuntimeError("the server asks for a file that nobody has offered")
    return first


def _columns(connection: Any, first: bytes) -> list[bytes]:
    """What an answer says of each of its columns, as it comes."""
    columns: list[bytes] = []
    count = _integer(first, 0)[0]
    for packet in _packets(connection):
        if len(columns) == count:
            break
        columns.append(packet)
    return columns


def _packets(connection: Any) -> Iterator[bytes]:
    """The packets that follow of an answer; an error in one is raised.

    The driver makes an object of each, in a fifth of a millisecond for a few columns and one row.
    """
    read, number = connection._rfile.read, connection._next_seq_id
    parts: list[bytes] = []
    while True:
        try:
            header = read(_HEADER)
            size = header[0] | header[1] << 8 | header[2] << 16
            data = read(size)
        except (OSError, IndexError) as error:
            raise _lost(connection) from error
        # Another number has what MariaDB sends when it ends.
        if len(data) < size or header[3] != number:
            raise _lost(connection)
        number = connection._next_seq_id = (number + 1) & 0xFF
        if size == _FULL:
            parts.append(data)
            continue
        if parts:
            data, parts = b"".join([*parts, data]), []
        if data[:1] == _ERROR:
            raise_packet(data)
        yield data


def _lost(connection: Any) -> pymysql.err.OperationalError:
    connection._force_close()
    return pymysql.err.OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")


def _values(packet: bytes, count: int) -> tuple[bytes | None, ...]:
    """So many values of a packet, from its beginning."""
    values: list[bytes | None] = []
    place = 0
    for _ in range(count):
        size, start = packet[place], place + 1
        if size == _NULL:
            values.append(None)
            place = start
            continue
        if size > _NULL:
            size, start = _integer(packet, place)
        place = start + size
        values.append(packet[start:place])
    return tuple(values)


def _integer(packet: bytes, place: int) -> tuple[int, int]:
    """A number of as many bytes as it needs, and where it ends."""
    first, start = packet[place], place + 1
    if first < _NULL:
        return first, start
    end = start + _WIDTHS[first]
    return int.from_bytes(packet[start:end], "little"), end


def shut_down(connection: Any) -> None:
    """Cut a connection, so that a thread that reads from it ends at once; may be called from any thread."""
    sock = connection._sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def row_packets(connection: Any, sql: str | bytes, *, size: int) -> Iterator[tuple[bytes, Receive]]:
    """Run a query and hand its rows over unread: at most `size` bytes that came already, and how to receive more."""
    _columns(connection, _send_query(connection, sql))
    # One read1 empties the driver's buffer; readinto1 would block on small results, because it goes on to the
    # socket after serving what it has.
    yield connection._rfile.read1(size), connection._sock.recv_into


def raise_packet(packet: bytes) -> None:
    """Raise the error that a packet of the server holds."""
    pymysql.err.raise_mysql_exception(packet)


def begin_load(connection: Any, statement: bytes) -> bool:
    """Run LOAD DATA LOCAL; returns whether the server asks for the rows, which `send_rows` then gives it."""
    connection._execute_command(_QUERY, statement)
    return next(_packets(connection))[:1] == _FILE


def send_rows(connection: Any, block: bytes, *, limit: int) -> None:
    """Send some of the rows that LOAD DATA LOCAL asked for, in packets shorter than the server's limit."""
    view = memoryview(block)
    size = min(_PACKET, limit // 2)
    for start in range(0, len(block), size):
        connection.write_packet(bytes(view[start : start + size]))


def end_load(connection: Any) -> Outcome:
    """Say that those were all rows."""
    connection.write_packet(b"")
    return _outcome(next(_packets(connection)))


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
    return _outcome(next(_packets(connection)))


def close_statement(connection: Any, number: int) -> None:
    """Give a prepared statement back."""
    connection._execute_command(_CLOSE, struct.pack("<I", number))


def _outcome(packet: bytes) -> Outcome:
    affected, place = _integer(packet, 1)
    place = _integer(packet, place)[1]  # behind the last number that AUTO_INCREMENT gave
    return Outcome(affected=affected, warnings=_OK_END.unpack_from(packet, place)[1])
