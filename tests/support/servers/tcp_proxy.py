"""A proxy for TCP that has latency, and lets connections break."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_PIECE = 64 << 10


@dataclass(kw_only=True)
class TCPProxy:
    """A running proxy; what it does may be changed at any time, also for connections that are open."""

    port: int
    latency: float = 0.0  #: seconds, there and back together
    cut_up: int | None = None  #: bytes from the client until the connection breaks; of each new connection
    cut_down: int | None = None  #: bytes to the client until it breaks
    cuts: int = 1_000_000  #: how many connections are broken so
    hold: bool = False  #: whether new connections are refused
    mute: bool = False  #: whether what the server answers is lost, until the connection breaks
    seen: bytearray | None = None  #: all that has gone through, where somebody wants it
    opened: int = 0
    sockets: list[socket.socket] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """Break all connections that are open."""
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def may_cut(self) -> bool:
        """Whether another connection is to be broken."""
        with self.lock:
            self.cuts -= 1
            return self.cuts >= 0


@contextmanager
def running_tcp_proxy(port: int) -> Iterator[TCPProxy]:
    """Start a proxy before a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = TCPProxy(port=listening.getsockname()[1])
        threading.Thread(target=_accept, args=(proxy, listening, port), daemon=True).start()
        try:
            yield proxy
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            proxy.cut()


def _accept(proxy: TCPProxy, listening: socket.socket, port: int) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        if proxy.hold:
            client.close()
            continue
        server = socket.create_connection(("127.0.0.1", port))
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with proxy.lock:
            proxy.sockets += [client, server]
            proxy.opened += 1
        for source, target, up in ((client, server, True), (server, client, False)):
            waiting: queue.Queue[tuple[float, bytes]] = queue.Queue(maxsize=400)
            threading.Thread(target=_take, args=(proxy, source, waiting), daemon=True).start()
            threading.Thread(target=_bring, args=(proxy, source, target, waiting, up), daemon=True).start()


def _take(proxy: TCPProxy, source: socket.socket, waiting: "queue.Queue[tuple[float, bytes]]") -> None:
    data = b"x"
    while data:
        try:
            data = source.recv(_PIECE)
        except OSError:
            data = b""
        waiting.put((time.monotonic() + proxy.latency / 2, data))


def _bring(
    proxy: TCPProxy, source: socket.socket, target: socket.socket, waiting: "queue.Queue[tuple[float, bytes]]", up: bool
) -> None:
    count = 0
    while True:
        due, data = waiting.get()
        if (pause := due - time.monotonic()) > 0:
            time.sleep(pause)
        if data and proxy.mute and not up:
            continue
        count += len(data)
        if proxy.seen is not None:
            proxy.seen += data
        most = proxy.cut_up if up else proxy.cut_down
        broken = most is not None and count > most and proxy.may_cut()
        try:
            if data and not broken:
                target.sendall(data)
                continue
        except OSError:
            pass
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        while data and not broken:
            data = waiting.get()[1]
        return
