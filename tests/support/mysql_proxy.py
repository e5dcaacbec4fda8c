"""A proxy before a MySQL or MariaDB server that does something at one statement, on the real wire."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_QUERY = 3  # the command of the protocol
REFUSED = b"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='refused by the proxy'"


@dataclass(kw_only=True)
class StatementProxy:
    """Counts the statements from the first one that fits `begins`, and calls `at` before each of them.

    `at` gets the number and the text and returns what is sent to the server in its place; None cuts the connection.
    `after` is called with the same when the server has answered; where it says False, the answer is lost.
    """

    port: int
    begins: "re.Pattern[bytes]"
    at: Callable[[int, bytes], bytes | None] = lambda _, statement: statement
    after: Callable[[int, bytes], bool] = lambda *_: True
    statements: list[bytes] = field(default_factory=list)
    own_port: int = 0  # that of the proxy itself
    greeting: bytes = b""  # the version that it says in the place of the server's
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    client.close()  # nobody listens there at this moment
                    continue
                for link in (client, server):
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_Link(client, server, self).run, daemon=True).start()

    def numbered(self, statement: bytes) -> int:
        """The number of a statement, 0 before the first one that counts."""
        with self._lock:
            if self.statements or self.begins.match(statement):
                self.statements.append(statement)
            return len(self.statements)


class _Link:
    """One connection: both of its directions, each in a thread."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: StatementProxy) -> None:
        self._client, self._server, self._proxy = client, server, proxy
        self._pending: tuple[int, bytes] | None = None

    def run(self) -> None:
        """Both directions, until one of them ends."""
        back = threading.Thread(target=self._back)
        back.start()
        self._forward()
        back.join()
        self._client.close()
        self._server.close()

    def _cut(self) -> None:
        for link in (self._client, self._server):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _back(self) -> None:
        """What the server says, as it comes."""
        with contextlib.suppress(OSError):
            if self._proxy.greeting:
                self._client.sendall(self._greeting())
            while data := self._server.recv(1 << 16):
                pending, self._pending = self._pending, None
                if pending and not self._proxy.after(*pending):
                    break
                self._client.sendall(data)
        self._cut()

    def _greeting(self) -> bytes:
        """The first packet with the proxy's version: the server speaks no TLS, of which the rest would tell."""
        data = self._server.recv(1 << 16)
        body = data[4:5] + self._proxy.greeting + data[data.index(0, 5) :]
        return len(body).to_bytes(3, "little") + data[3:4] + body

    def _forward(self) -> None:
        """What the client says, packet by packet."""
        with contextlib.suppress(OSError), self._client.makefile("rb") as source:
            while len(head := source.read(4)) == 4:
                body = source.read(int.from_bytes(head[:3], "little"))
                if head[3] == 0 and body[:1] == bytes([_QUERY]):
                    changed = self._query(body[1:])
                    if changed is None:
                        break
                    body = body[:1] + changed
                self._server.sendall(len(body).to_bytes(3, "little") + head[3:] + body)
        self._cut()

    def _query(self, statement: bytes) -> bytes | None:
        number = self._proxy.numbered(statement)
        if not number:
            return statement
        self._pending = (number, statement)
        return self._proxy.at(number, statement)


@contextmanager
def statement_proxy(port: int, begins: "re.Pattern[bytes]", *, greeting: bytes = b"") -> Iterator[StatementProxy]:
    """A proxy before the server on that port of this machine."""
    proxy = StatementProxy(port=port, begins=begins, greeting=greeting)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.own_port = listener.getsockname()[1]
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
