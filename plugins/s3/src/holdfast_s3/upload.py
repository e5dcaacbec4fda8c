"""Writing an object: in one request where it is small, in parts where it is not, and never over another."""

import base64
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.api import HoldfastError
from holdfast_s3.client import Client, code_of
from holdfast_s3.creating import Creating, Put
from holdfast_s3.location import Location
from holdfast_s3.part_buffer import PartBuffer

_MOST_PARTS = 10_000
_GROWS_AT = 9_000  # parts; what comes then is larger, for the services that take that
_GROWTH = 8
_EQUAL_ONLY = ".r2.cloudflarestorage.com"
_SMALL = 128 << 10  # bytes; of less the classes for rare access cost more, and manifests are read all the time
_MARK = "holdfast-write"
REFUSED_OVERRIDES = ("AccessDenied", "InvalidRequest", "InvalidArgument")
"""How services say that a key may not set a retention, or not that one."""
_PATIENCE = 1.0  # seconds; whoever interrupts does not wait longer for a part that is on its way


class Upload:
    """One object on its way.

    `write` returns once what it took stands in the buffer of a part; the part before it may be sent meanwhile, as long
    as not too many writers do so: a buffer is what all of the memory goes to.
    """

    def __init__(
        self,
        client: Client,
        location: Location,
        key: str,
        path: str,
        creating: Creating,
        lock: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._location = location
        self._key = key
        self._path = path
        self._creating = creating
        self._token = secrets.token_hex(16)
        self._lock = lock
        self.override: dict[str, Any] = {}  # a retention in the place of the bucket's, where the key may set one
        self._part_size = location.part_size
        self._buffer = PartBuffer(self._part_size)
        self._parts: list[dict[str, Any]] = []
        self._sending: _Sending | None = None
        self._id = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, and send what fills a part."""
        view = memoryview(data).cast("B")
        while view:
            room = self._part_size - len(self._buffer)
            self._buffer.write(view[:room])
            view = view[room:]
            if len(self._buffer) == self._part_size:
                self._send(aside=True)

    def finish(self, allowed: Callable[[], object]) -> None:
        """Let the object be seen, unless there is one; `allowed` is asked right before."""
        if not self._id:
            allowed()
            self._put_whole()
            return
        if len(self._buffer):
            self._send()
        self._wait()
        allowed()
        what = {"Key": self._key, "UploadId": self._id, "MultipartUpload": {"Parts": self._parts}}
        self._create(
            lambda condition: self._client.call(
                "complete_multipart_upload", self._path, {**what, **condition}, again=self._is_ours
            )
        )

    def abort(self) -> None:
        """Give up what was sent; a part on its way is waited for: it may come after the end of its upload."""
        if self._sending is not None:
            self._sending.wait(_PATIENCE)
        if self._id:
            abort(self._client, self._key, self._path, self._id)

    def _put_whole(self) -> None:
        what = {"Key": self._key, **self._checksum(self._buffer), **self._attributes(len(self._buffer))}
        if self.override:
            try:
                self._put({**what, **self.override})
            except HoldfastError as error:
                if code_of(error) not in REFUSED_OVERRIDES:
                    raise
                self.override = {}
            else:
                return
        self._put(what)

    def _put(self, what: Mapping[str, Any]) -> None:
        self._create(
            lambda condition: self._client.upload(
                "put_object", self._path, self._buffer, {**what, **condition}, again=self._is_ours
            )
        )

    def _create(self, put: Put) -> None:
        self._creating.create(self._path, self._key, put)

    def _send(self, *, aside: bool = False) -> None:
        """Send a part; `aside` while the next one is filled, where there is memory for that."""
        if not self._id:
            how = {"ChecksumAlgorithm": "SHA256"} if self._location.checksum else {}
            created = self._client.call(
                "create_multipart_upload",
                self._path,
                {"Key": self._key, **how, **self._attributes(self._part_size)},
            )
            self._id = created["UploadId"]
        self._wait()
        number = len(self._parts) + 1
        if number > _MOST_PARTS:
            raise HoldfastError(
                f"an object would have more than {_MOST_PARTS} parts of {self._part_size >> 20} MiB, the most that "
                f"the service takes",
                hint="give the store a larger ?part_size=",
            )
        content = self._buffer
        if number == _GROWS_AT and _EQUAL_ONLY not in (self._location.endpoint or ""):
            self._part_size *= _GROWTH
        if aside and self._client.buffers.take_another():
            self._sending = _Sending(lambda: self._sent(number, content), self._client.buffers.give_back)
        else:
            self._parts.append(self._sent(number, content))
        self._buffer = PartBuffer(self._part_size)

    def _sent(self, number: int, content: PartBuffer) -> dict[str, Any]:
        checksum = self._checksum(content)
        how = {"Key": self._key, "UploadId": self._id, "PartNumber": number, **checksum}
        sent = self._client.upload("upload_part", self._path, content, how)
        content.close()
        checksum.pop("ContentMD5", None)
        return {"PartNumber": number, "ETag": sent["ETag"], **checksum}

    def _wait(self) -> None:
        """Wait for the part that is on its way, if there is one; raises what it ended with."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self._parts.append(sending.result())

    def _checksum(self, content: PartBuffer) -> dict[str, str]:
        if not self._location.checksum:
            # What is kept needs either.
            return {"ContentMD5": base64.b64encode(content.md5()).decode()} if self._lock or self.override else {}
        return {"ChecksumSHA256": base64.b64encode(content.sha256()).decode()}

    def _attributes(self, size: int) -> dict[str, Any]:
        return {"Metadata": {_MARK: self._token}, **attributes(self._location, size), **self._lock}

    def _is_ours(self) -> Any:
        """What the service has under the name, if a try of ours that was not answered has put it there; else None."""
        try:
            told = self._client.call("head_object", self._path, {"Key": self._key})
        except FileNotFoundError:
            return None
        return told if told.get("Metadata", {}).get(_MARK) == self._token else None


class _Sending:
    """A part on its way, in a thread of its own: an executor's would be waited for where a service hangs."""

    def __init__(self, send: Callable[[], dict[str, Any]], done: Callable[[], object]) -> None:
        self._send = send
        self._done = done
        self._outcome: dict[str, Any] | BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-s3-part", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._send()
        except BaseException as error:  # noqa: BLE001 (raised where the part is waited for)
            self._outcome = error
        finally:
            del self._send  # it holds the part
            self._done()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end, which may be well or not."""
        self._thread.join(seconds)

    def result(self) -> dict[str, Any]:
        """What the service answered; raises what went wrong."""
        self.wait()
        if isinstance(self._outcome, dict):
            return self._outcome
        raise self._outcome or HoldfastError("a part was not sent")


def attributes(location: Location, size: int) -> dict[str, Any]:
    """What the URL of the store says of each object."""
    given: dict[str, Any] = {}
    if location.storage_class and size >= _SMALL:
        given["StorageClass"] = location.storage_class
    if location.sse:
        given["ServerSideEncryption"] = location.sse
    if location.sse_key:
        given["SSEKMSKeyId"] = location.sse_key
    return given


def abort(client: Client, key: str, path: str, upload: str) -> None:
    """End an unfinished upload, so that nobody pays for its parts; one that has ended is no error."""
    try:
        client.call("abort_multipart_upload", path, {"Key": key, "UploadId": upload})
    except FileNotFoundError:
        return
    except HoldfastError as error:
        if code_of(error) != "NoSuchUpload":
            raise
