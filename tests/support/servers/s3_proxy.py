"""A proxy before an S3 service that lets requests go wrong as networks and services do."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from support.servers.object_faults import Faults
from support.servers.object_proxy import CuttingHandler, listening
from support.servers.seaweed import S3Server

_ERRORS = {
    "501": (501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "409": (409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation"),
    "403": (403, "AccessDenied", "Access Denied"),
    "404": (404, "NoSuchUpload", "The specified upload does not exist."),
    "400": (400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-central-1'"),
    "error in 200": (200, "InternalError", "We encountered an internal error. Please try again."),
    "archived": (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
    "other bytes": (400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match"),
    "522": (522, "", "Connection timed out"),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
}
_CONDITIONS = ("if-none-match", "if-match")


@dataclass(kw_only=True)
class S3Proxy(Faults):
    """A running proxy, which knows more faults: see `_Handler.do`."""

    endpoint: str = ""
    latency: float = 0.0  # seconds, of each request

    def url(self, bucket: str, prefix: str) -> str:
        """The URL of a store by way of the proxy."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}"


class _Handler(CuttingHandler):
    proxy: S3Proxy
    backend: int
    owner: Any

    def do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        time.sleep(self.proxy.latency)
        fault = self.proxy.note(self.command, self.path, headers)
        if fault in _ERRORS:
            self._refuse(*_ERRORS[fault])
            return
        if fault == "ignore" and self.command == "PUT" and any(name in headers for name in _CONDITIONS):
            self._overwrite(body)
            return
        if fault == "garbled":
            self._tell(200, b"<html><body>Log in to this <b>network</html>")
            return
        if fault == "whole":  # the header Range does not arrive
            self._tell(200, self.owner.get_object(**self._object())["Body"].read())
            return
        if fault == "lost":  # the request never arrives
            self.cut()
            return
        backend = http.client.HTTPConnection("127.0.0.1", self.backend, timeout=120)
        backend.request(self.command, self.path, body=body, headers={k: v for k, v in headers.items() if k != "expect"})
        answer = backend.getresponse()
        data = answer.read()
        if fault == "twice":
            backend.request(self.command, self.path, body=body, headers=headers)
            answer = backend.getresponse()
            data = answer.read()
        backend.close()
        if fault == "drop":  # carried out, and the reply is lost
            self.cut()
            return
        self._answer(answer, data, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815 (so http.server calls them)

    def _answer(self, answer: http.client.HTTPResponse, data: bytes, fault: str) -> None:
        half = data[: len(data) // 2]
        if fault == "flip" and data:
            data = half + bytes([data[len(half)] ^ 1]) + data[len(half) + 1 :]
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = (
            answer.getheader("Content-Length") if self.command == "HEAD" else len(half if fault == "short" else data)
        )
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(half if fault in ("reset", "short") else data)
        if fault == "reset":
            self.cut()

    def _overwrite(self, body: bytes) -> None:
        """Put an object as a service does that looks at no condition: what was signed cannot be left out."""
        told = self.owner.put_object(**self._object(), Body=body)
        self.send_response_only(200)
        self.send_header("ETag", told["ETag"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _object(self) -> dict[str, str]:
        bucket, _, key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")
        return {"Bucket": bucket, "Key": key}

    def _refuse(self, status: int, code: str, text: str) -> None:
        self._tell(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode())

    def _tell(self, status: int, data: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def running_proxy(server: S3Server) -> Iterator[S3Proxy]:
    """Start a proxy before a service."""
    proxy = S3Proxy()
    with listening(_Handler, proxy=proxy, backend=server.port, owner=server.client()) as proxy.endpoint:
        yield proxy
