"""A server that speaks the XML interface of Google Cloud Storage, as far as its documentation says and a store needs.

The emulators that are to be had speak the JSON interface, which the client of the stores does not, or look at no
precondition. What Google's own service does otherwise than its documentation, no test of ours shows.
"""

import hashlib
import itertools
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from support.servers.object_faults import Faults
from support.servers.object_proxy import CuttingHandler, listening

TOKEN = "t0kenOfTheTests"
PAGE = 100  # objects that are listed at once, of which Google lists a thousand
READER_TOKEN = "t0kenOfTheReader"
_MATCH = "x-goog-if-generation-match"


@dataclass(frozen=True, kw_only=True)
class _Object:
    data: bytes
    generation: int
    attributes: dict[str, str]
    written: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.data + str(self.generation).encode(), usedforsecurity=False).hexdigest()}"'


@dataclass(kw_only=True)
class GCSServer(Faults):
    """A running server with the bucket `first`."""

    endpoint: str = ""
    objects: dict[str, dict[str, _Object]] = field(default_factory=lambda: {"first": {}})
    uploads: dict[str, tuple[str, dict[int, bytes], dict[str, str]]] = field(default_factory=dict)
    changing: threading.RLock = field(default_factory=threading.RLock)
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000_000_000))

    def url(self, prefix: str, *, bucket: str = "first") -> str:
        """The URL of a store in a bucket."""
        return f"gs://{bucket}/{prefix}?endpoint={self.endpoint}"


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str = "it is refused") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(CuttingHandler):
    server_state: GCSServer

    def do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.body = self.rfile.read(int(headers.get("content-length", 0)))
        self.given = headers
        fault = self.server_state.note(self.command, self.path, headers)
        if fault == "lost":
            self.cut()
            return
        if fault.isdigit():
            self._tell(int(fault), _error("SlowDown" if fault == "503" else "Fault", "as a test wants it"), {})
            return
        try:
            status, body, more = self._answer()
        except _RefusedError as refusal:
            status, body, more = refusal.status, _error(refusal.code, refusal.message), {}
        if fault == "drop":
            self.cut()
            return
        self._tell(status, body, more, cut=fault == "reset")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815 (so http.server calls them)

    def _answer(self) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        token = self.given.get("authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, READER_TOKEN):
            raise _RefusedError(401, "AuthenticationRequired", "Authentication required.")
        if token == READER_TOKEN and self.command not in ("GET", "HEAD"):
            raise _RefusedError(403, "AccessDenied", "Access denied.")
        state = self.server_state
        with state.changing:
            if bucket not in state.objects:
                raise _RefusedError(404, "NoSuchBucket", "The specified bucket does not exist.")
            if not key:
                return self._list(state.objects[bucket], query)
            if self.command in ("GET", "HEAD"):
                return self._read(state.objects[bucket], key)
            if self.command == "DELETE" and "uploadId" in query:
                state.uploads.pop(query["uploadId"], None)
                return 204, b"", {}
            if self.command == "DELETE":
                if state.objects[bucket].pop(key, None) is None:
                    raise _RefusedError(404, "NoSuchKey", "The specified key does not exist.")
                return 204, b"", {}
            return self._write(state, bucket, key, query)

    def _write(
        self, state: GCSServer, bucket: str, key: str, query: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        if self.command == "POST" and "uploads" in query:
            name = secrets.token_hex(8)
            state.uploads[name] = (key, {}, self._attributes())
            return (
                200,
                f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>".encode(),
                {},
            )
        if "uploadId" in query:
            if query["uploadId"] not in state.uploads:
                raise _RefusedError(404, "NoSuchUpload", "The requested upload was not found.")
            _, pieces, attributes = state.uploads[query["uploadId"]]
            if self.command == "PUT":
                pieces[int(query["partNumber"])] = self.body
                return 200, b"", {"ETag": f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'}
            data = b"".join(pieces[number] for number in sorted(pieces))
            del state.uploads[query["uploadId"]]
            made = self._put(state, bucket, key, data, attributes)
            tag = escape(made.tag)
            return (
                200,
                f"<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>".encode(),
                _told(made),
            )
        if source := self.given.get("x-goog-copy-source"):
            from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
            copied = state.objects[from_bucket].get(from_key)
            if copied is None:
                raise _RefusedError(404, "NoSuchKey", "The specified key does not exist.")
            made = self._put(state, bucket, key, copied.data, copied.attributes)
            return 200, _xml("CopyObjectResult", ""), _told(made)
        return 200, b"", _told(self._put(state, bucket, key, self.body, self._attributes()))

    def _put(self, state: GCSServer, bucket: str, key: str, data: bytes, attributes: dict[str, str]) -> _Object:
        there = state.objects[bucket].get(key)
        if _MATCH in self.given and int(self.given[_MATCH]) != (there.generation if there else 0):
            message = "At least one of the pre-conditions you specified did not hold."
            raise _RefusedError(412, "PreconditionFailed", message)
        made = _Object(data=data, generation=next(state.generations), attributes=attributes)
        state.objects[bucket][key] = made
        return made

    def _read(self, objects: dict[str, _Object], key: str) -> tuple[int, bytes, dict[str, str]]:
        there = objects.get(key)
        if there is None:
            raise _RefusedError(404, "NoSuchKey", "The specified key does not exist.")
        told = {**_told(there), **{f"x-goog-meta-{name}": value for name, value in there.attributes.items()}}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.given.get("range", ""))
        if match is None:
            return 200, there.data, told
        first, size = int(match[1]), len(there.data)
        if first >= size:
            raise _RefusedError(416, "InvalidRange", "The requested range cannot be satisfied.")
        data = there.data[first : int(match[2]) + 1 if match[2] else size]
        return 206, data, {**told, "Content-Range": f"bytes {first}-{first + len(data) - 1}/{size}"}

    def _list(self, objects: dict[str, _Object], query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        rows: dict[str, str] = {}
        for key in sorted(objects):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            folder = prefix + rest.partition(delimiter)[0] + delimiter if delimiter and delimiter in rest else ""
            if folder > after or (not folder and key > after):
                rows[folder or key] = _folder_row(folder) if folder else _row(key, objects[key])
        listed = list(rows)[: min(PAGE, int(query.get("max-keys", PAGE)))]
        more = f"<NextContinuationToken>{escape(listed[-1])}</NextContinuationToken>" if len(listed) < len(rows) else ""
        text = "".join(rows[name] for name in listed)
        return 200, _xml("ListBucketResult", text + more), {}

    def _attributes(self) -> dict[str, str]:
        return {
            name.removeprefix("x-goog-meta-"): v for name, v in self.given.items() if name.startswith("x-goog-meta-")
        }

    def _tell(self, status: int, body: bytes, more: dict[str, str], *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.cut()


def _folder_row(folder: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"


def _row(key: str, there: _Object) -> str:
    what = f"<Key>{escape(key)}</Key><Size>{len(there.data)}</Size><ETag>{escape(there.tag)}</ETag>"
    return f"<Contents>{what}<LastModified>{there.written:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"


def _told(there: _Object) -> dict[str, str]:
    modified = format_datetime(there.written, usegmt=True)
    return {"ETag": there.tag, "Last-Modified": modified, "x-goog-generation": str(there.generation)}


def _error(code: str, message: str) -> bytes:
    return _xml("Error", f"<Code>{code}</Code><Message>{escape(message)}</Message>")


def _xml(name: str, content: str) -> bytes:
    return f"<?xml version='1.0'?><{name}>{content}</{name}>".encode()


@contextmanager
def running_gcs() -> Iterator[GCSServer]:
    """Start a server."""
    state = GCSServer()
    with listening(_Handler, server_state=state) as state.endpoint:
        yield state
