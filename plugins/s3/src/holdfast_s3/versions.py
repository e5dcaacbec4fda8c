"""Versions: what a bucket keeps of objects that were deleted or overwritten, and how they are had again."""

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from holdfast.api import CredentialsError, HoldfastError, NotFoundError, Version, quote_name
from holdfast_s3.client import code_of
from holdfast_s3.object_lock import ObjectLock, lock_of
from holdfast_s3.upload import attributes

log = logging.getLogger("holdfast.storage")

_LEASES = ".leases/"
_LARGEST_COPY = 5 << 30  # bytes that one request copies
_PART = 1 << 30


class Versions(ObjectLock):
    """What a storage in a bucket does with versions."""

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """List page by page; a bucket that has never kept versions is a `NotFoundError`."""
        self._check_versioning()
        root = self._location.prefix
        for item, deletion in self._listed(f"{root}{prefix}/" if prefix else root):
            path = item["Key"].removeprefix(root)
            if not path.startswith(_LEASES) and not path.endswith("/"):
                yield _version(path, item, deletion=deletion)

    def read_version(self, path: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part of a version in one request."""
        if length == 0:
            return b""
        end = "" if length is None else offset + length - 1
        part = {"Range": f"bytes={offset}-{end}"} if offset or length is not None else {}
        wanted = {"Key": self._key(path), "VersionId": version, **part}
        try:
            content, _ = self._client.content(path, wanted)
        except HoldfastError as error:
            if code_of(error) == "InvalidRange":
                return b""
            raise
        return content

    def bring_back(self, path: str, version: str) -> None:
        """Remove the marks of deletion that lie over a version; where we may not, or there is more, write it anew."""
        self._check_leases()
        key, over = self._key(path), []
        for item, deletion in self._listed(key):
            if item["Key"] != key:
                continue
            if item["VersionId"] == version:
                break
            over.append((item["VersionId"], deletion))
        if not over:
            return
        if all(deletion for _, deletion in over):
            try:
                for mark, _ in over:
                    self._client.call("delete_object", path, {"Key": key, "VersionId": mark})
            except CredentialsError as error:
                log.info("a mark of deletion stays, and %s is written anew: %s", quote_name(path), error.message)
            else:
                return
        self._write_anew(path, version)

    def _write_anew(self, path: str, version: str) -> None:
        """Copy a version within the service, with its retention where that has not ended."""
        source = {"Key": self._key(path), "VersionId": version}
        told = self._client.call("head_object", path, source)
        size = told["ContentLength"]
        retention = None
        with contextlib.suppress(CredentialsError, FileNotFoundError):
            retention = self._retention(path, {"VersionId": version})
        lock = lock_of(retention) if retention and retention.until > datetime.now(UTC) else {}
        how = {"Key": self._key(path), **attributes(self._location, size), **lock}
        origin = {"Bucket": self._location.bucket, **source}
        if size <= _LARGEST_COPY:
            self._client.call("copy_object", path, {**how, "CopySource": origin})
            return
        upload = self._client.call("create_multipart_upload", path, {**how, "Metadata": told.get("Metadata", {})})
        place = {"Key": self._key(path), "UploadId": upload["UploadId"]}
        try:
            parts = []
            for number, at in enumerate(range(0, size, _PART), start=1):
                piece = {"CopySourceRange": f"bytes={at}-{min(at + _PART, size) - 1}", "PartNumber": number}
                done = self._client.call("upload_part_copy", path, {**place, "CopySource": origin, **piece})
                parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
            self._client.call("complete_multipart_upload", path, {**place, "MultipartUpload": {"Parts": parts}})
        except BaseException:
            with contextlib.suppress(HoldfastError, OSError):
                self._client.call("abort_multipart_upload", path, place)
            raise

    def _listed(self, prefix: str) -> Iterator[tuple[dict[str, Any], bool]]:
        """Versions and marks of deletion, those of a key newest first, and whether it is such a mark."""
        parameters: dict[str, Any] = {"Prefix": prefix}
        while True:
            try:
                page = self._client.call("list_object_versions", prefix, parameters)
            except CredentialsError as error:
                raise CredentialsError(
                    error.message, hint="grant s3:ListBucketVersions and s3:GetObjectVersion"
                ) from error
            items = [(item, False) for item in page.get("Versions", ())]
            items += [(item, True) for item in page.get("DeleteMarkers", ())]
            # In two lists, of which the order of the times is known; those of one second are told by what is newest.
            yield from sorted(items, key=lambda each: (each[0]["Key"], not each[0]["IsLatest"], -_time(each[0])))
            if not page.get("IsTruncated"):
                return
            if not page.get("NextKeyMarker"):
                raise HoldfastError("the service lists a part, and does not say how to list the rest")
            parameters["KeyMarker"] = page["NextKeyMarker"]
            parameters["VersionIdMarker"] = page.get("NextVersionIdMarker", "")

    def _check_versioning(self) -> None:
        try:
            status = self._client.call("get_bucket_versioning", "", {}).get("Status")
        except CredentialsError as error:
            log.info("it cannot be told whether the bucket keeps versions: %s", error.message)
            return
        except (HoldfastError, FileNotFoundError) as error:
            if code_of(error) not in ("NotImplemented", "MethodNotAllowed"):
                raise
            status = None
        if not status:
            raise NotFoundError(
                f"the bucket {quote_name(self._location.bucket)} keeps no versions: what was deleted is gone",
                hint="switch versioning on, and what is deleted or overwritten from then on can be brought back",
            )


def _time(item: dict[str, Any]) -> float:
    time: datetime = item["LastModified"]
    return time.timestamp()


def _version(path: str, item: dict[str, Any], *, deletion: bool) -> Version:
    return Version(
        path=path,
        id=item["VersionId"],
        size=item.get("Size", 0),
        at=item["LastModified"].astimezone(UTC),
        newest=item["IsLatest"],
        deletion=deletion,
        content=item.get("ETag", ""),
    )
