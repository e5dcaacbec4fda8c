"""A proxy before a service of objects that lets requests go wrong as networks and services do."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.servers.object_faults import Faults


@dataclass(kw_only=True)
class ObjectProxy(Faults):
    """A running proxy."""

    endpoint: str = ""


class CuttingHandler(BaseHTTPRequestHandler):
    """Answers quietly, or cuts whoever asks off."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second waited for 40 ms each time

    def cut(self) -> None:
        """End the connection here."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class _Handler(CuttingHandler):
    proxy: ObjectProxy
    backend: int

    def do(self) -> None:
        headers = dict(self.headers.items())
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.proxy.note(self.command, self.path, {name.lower(): text for name, text in headers.items()})
        if fault == "lost":
            self.cut()
            return
        if fault.isdigit():
            self.send_response_only(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        backend = http.client.HTTPConnection("127.0.0.1", self.backend, timeout=60)
        backend.request(self.command, self.path, body=body, headers=headers)
        answer = backend.getresponse()
        data = answer.read()
        backend.close()
        if fault == "drop":
            self.cut()
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "keep-alive"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == "reset" else data)
        if fault == "reset":
            self.cut()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815 (so http.server calls them)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Whoever was cut off does not matter."""


@contextmanager
def listening(handler: type[CuttingHandler], **attributes: Any) -> Iterator[str]:
    """Let a handler with these attributes answer at an address, which is yielded, for the length of a block."""
    listener = _Server(("127.0.0.1", 0), type("Handler", (handler,), attributes))
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()


@contextmanager
def running_object_proxy(port: int) -> Iterator[ObjectProxy]:
    """Start a proxy before whoever listens at a port."""
    proxy = ObjectProxy()
    with listening(_Handler, proxy=proxy, backend=port) as proxy.endpoint:
        yield proxy
