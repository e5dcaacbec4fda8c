"""Writing an object: in one request where it is small, in parts where it is not, and never over another."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any

from holdfast.api import HoldfastError
from holdfast_s3.client import Client, code_of
from holdfast_s3.location import Location

_MOST_PARTS = 10_000
_GROWS_AT = 9_000  # parts; what comes then is larger, for the services that take that
_GROWTH = 8
_EQUAL_ONLY = ".r2.cloudflarestorage.com"
_SMALL = 128 << 10  # bytes; of less the classes for rare access cost more, and manifests are read all the time
_MARK = "holdfast-write"


class Upload:
    """One object on its way; `write` returns once what it took is sent or stands in the one buffer of a part."""

    def __init__(self, client: Client, location: Location, key: str, path: str) -> None:
        self._client = client
        self._location = location
        self._key = key
        self._path = path
        self._token = secrets.token_hex(16)
        self._buffer = bytearray()
        self._part_size = location.part_size
        self._parts: list[dict[str, Any]] = []
        self._id = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, and send what fills a part."""
        view = memoryview(data).cast("B")
        while view:
            room = self._part_size - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) == self._part_size:
                self._send()

    def finish(self, allowed: Callable[[], object]) -> None:
        """Let the object be seen, unless there is one; `allowed` is asked right before."""
        if not self._id:
            allowed()
            self._put_whole()
            return
        if self._buffer:
            self._send()
        allowed()
        self._client.call(
            "complete_multipart_upload",
            self._path,
            {
                "Key": self._key,
                "UploadId": self._id,
                "IfNoneMatch": "*",
                "MultipartUpload": {"Parts": self._parts},
            },
            again=self._is_ours,
        )

    def abort(self) -> None:
        """Give up what was sent."""
        if self._id:
            abort(self._client, self._key, self._path, self._id)

    def _put_whole(self) -> None:
        self._client.call(
            "put_object",
            self._path,
            {
                "Key": self._key,
                "Body": bytes(self._buffer),
                "IfNoneMatch": "*",
                **self._checksum(),
                **self._attributes(len(self._buffer)),
            },
            again=self._is_ours,
        )

    def _send(self) -> None:
        if not self._id:
            how = {"ChecksumAlgorithm": "SHA256"} if self._location.checksum else {}
            created = self._client.call(
                "create_multipart_upload",
                self._path,
                {"Key": self._key, **how, **self._attributes(self._part_size)},
            )
            self._id = created["UploadId"]
        number = len(self._parts) + 1
        if number > _MOST_PARTS:
            raise HoldfastError(
                f"an object would have more than {_MOST_PARTS} parts of {self._part_size >> 20} MiB, the most that "
                f"the service takes",
                hint="give the store a larger ?part_size=",
            )
        checksum = self._checksum()
        sent = self._client.call(
            "upload_part",
            self._path,
            {"Key": self._key, "UploadId": self._id, "PartNumber": number, "Body": self._buffer, **checksum},
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], **checksum})
        del self._buffer[:]
        if number == _GROWS_AT and _EQUAL_ONLY not in (self._location.endpoint or ""):
            self._part_size *= _GROWTH

    def _checksum(self) -> dict[str, str]:
        if not self._location.checksum:
            return {}
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(self._buffer).digest()).decode()}

    def _attributes(self, size: int) -> dict[str, Any]:
        location = self._location
        given: dict[str, Any] = {"Metadata": {_MARK: self._token}}
        if location.storage_class and size >= _SMALL:
            given["StorageClass"] = location.storage_class
        if location.sse:
            given["ServerSideEncryption"] = location.sse
        if location.sse_key:
            given["SSEKMSKeyId"] = location.sse_key
        return given

    def _is_ours(self) -> Any:
        """What the service has under the name, if a try of ours that was not answered has put it there; else None."""
        try:
            told = self._client.call("head_object", self._path, {"Key": self._key})
        except FileNotFoundError:
            return None
        return told if told.get("Metadata", {}).get(_MARK) == self._token else None


def abort(client: Client, key: str, path: str, upload: str) -> None:
    """End an unfinished upload, so that nobody pays for its parts; one that has ended is no error."""
    try:
        client.call("abort_multipart_upload", path, {"Key": key, "UploadId": upload})
    except FileNotFoundError:
        return
    except HoldfastError as error:
        if code_of(error) != "NoSuchUpload":
            raise
