"""A proxy before a PostgreSQL server that falls silent: it goes on to take what is sent, and passes nothing on."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class SilentProxy:
    """Forwards until a client sends `at`, which the server does not get any more.

    With `alone` that connection alone is silent then, else all of them, those to come included. With `cuts` the server
    does get it, and the connection is closed before its answer comes.
    """

    port: int
    at: bytes = b"\0never"
    alone: bool = False
    cuts: bool = False
    own_port: int = 0  # that of the proxy itself
    silent: threading.Event = field(default_factory=threading.Event)

    def url(self, database: str, **query: str) -> str:
        """The URL of a database through the proxy, with a wait of a second."""
        tail = "&".join(f"{key}={value}" for key, value in {"connect_timeout": "1", **query}.items())
        return f"postgresql://postgres@127.0.0.1:{self.own_port}/{database}?{tail}"

    def serve(self, listener: socket.socket, links: list[socket.socket]) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.port))
                links += [client, server]
                muted = threading.Event()
                for source, target in ((client, server), (server, client)):
                    arguments = (source, target, muted, source is client)
                    threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, muted: threading.Event, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if asks and self.cuts and self.at in data:
                    self.silent.set()
                    target.sendall(data)
                    break
                if asks and self.at in data:
                    muted.set()
                    self.silent.set()
                if muted.is_set() or (self.silent.is_set() and not (self.alone or self.cuts)):
                    continue
                target.sendall(data)
            for link in (source, target):
                link.shutdown(socket.SHUT_RDWR)


def cutting_proxy(port: int, at: bytes) -> AbstractContextManager[SilentProxy]:
    """One that loses the answer to a statement."""
    return silent_proxy(port, at, cuts=True)


@contextmanager
def silent_proxy(
    port: int, at: bytes = b"\0never", *, alone: bool = False, cuts: bool = False
) -> Iterator[SilentProxy]:
    """A proxy before the server on that port of this machine."""
    proxy = SilentProxy(port=port, at=at, alone=alone, cuts=cuts)
    links: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.own_port = listener.getsockname()[1]
        thread = threading.Thread(target=proxy.serve, args=(listener, links), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for link in links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
                link.close()
