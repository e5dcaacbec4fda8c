"""A proxy before a PostgreSQL server that does something at one statement, on the real wire."""

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ENCRYPTION = (80877103, 80877104)  # SSLRequest and GSSENCRequest
_KEY = b"K\0\0\0\x0c"  # BackendKeyData, which begins with the number of the session's process
COPIED = b"end of the rows of a COPY"


@dataclass(kw_only=True)
class StatementProxy:
    """Counts the statements of all sessions from 1, and calls `at` before each of them.

    `at` gets the number, the text, and the process of the session; where it says False, the connection is cut and the
    server never gets the statement. `after` is called with the same when the server has answered; where it says False,
    the answer is lost with the connection.
    """

    port: int
    at: Callable[[int, bytes, int], bool] = lambda *_: True
    after: Callable[[int, bytes, int], bool] = lambda *_: True
    statements: list[bytes] = field(default_factory=list)
    own_port: int = 0  # that of the proxy itself
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Count from the beginning, and do nothing."""
        self.at = self.after = lambda *_: True
        self.statements = []

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
        """The number of a statement."""
        with self._lock:
            self.statements.append(statement)
            return len(self.statements)


class _Link:
    """One connection: both of its directions, each in a thread."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: StatementProxy) -> None:
        self._client, self._server, self._proxy = client, server, proxy
        self._pending: tuple[int, bytes] | None = None
        self._process = 0

    def run(self) -> None:
        """Both directions, until one of them ends."""
        back = threading.Thread(target=self._back)
        back.start()
        with contextlib.suppress(OSError), self._client.makefile("rb") as source:
            self._begin(source.read)
            self._forward(source.read)
        self._cut()
        back.join()
        self._client.close()
        self._server.close()

    def _cut(self) -> None:
        for link in (self._client, self._server):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _back(self) -> None:
        """What the server says, as it comes."""
        greeting = b""
        with contextlib.suppress(OSError):
            while data := self._server.recv(1 << 16):
                if not self._process:
                    greeting += data
                    match = re.search(re.escape(_KEY) + b"(....)", greeting, re.DOTALL)
                    self._process = struct.unpack("!i", match[1])[0] if match else 0
                pending, self._pending = self._pending, None
                if pending and not self._proxy.after(*pending, self._process):
                    break
                self._client.sendall(data)
        self._cut()

    def _begin(self, read: Callable[[int], bytes]) -> None:
        """The packets before the first message that has a type."""
        while len(head := read(8)) == 8:
            length, code = struct.unpack("!ii", head)
            if code not in _ENCRYPTION:
                self._server.sendall(head + read(length - 8))
                break
            self._client.sendall(b"N")

    def _forward(self, read: Callable[[int], bytes]) -> None:
        """What the client says, message by message."""
        while len(head := read(5)) == 5:
            body = read(int.from_bytes(head[1:], "big") - 4)
            text = {b"Q": body[:-1], b"P": body.partition(b"\0")[2].partition(b"\0")[0], b"c": COPIED}.get(head[:1])
            if text is not None:
                number = self._proxy.numbered(text)
                self._pending = (number, text)
                if not self._proxy.at(number, text, self._process):
                    break
            self._server.sendall(head + body)


@contextmanager
def statement_proxy(port: int) -> Iterator[StatementProxy]:
    """A proxy before the server on that port of this machine."""
    proxy = StatementProxy(port=port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.own_port = listener.getsockname()[1]
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
