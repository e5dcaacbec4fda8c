"""Listings of a bucket, page by page: objects, folders, and uploads that nobody has ended."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.api import CredentialsError, HoldfastError, Stat
from holdfast_s3.client import Client, code_of

_UNKNOWN = ("NotImplemented", "MethodNotAllowed")  # an operation that a service has not

log = logging.getLogger("holdfast.storage")


def pages(client: Client, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
    """List what begins with a prefix, up to a thousand with each request."""
    parameters = {"Prefix": prefix, **more}
    while True:
        page: dict[str, Any] = client.call("list_objects_v2", prefix, parameters)
        yield page
        if not page.get("IsTruncated"):
            return
        parameters["ContinuationToken"] = _next(page, "NextContinuationToken")


def unfinished(client: Client, root: str, prefix: str) -> Iterator[Stat]:
    """Uploads that were begun and not ended, as `KEY/.partial-UPLOAD`; none where we may not or cannot ask."""
    parameters: dict[str, Any] = {"Prefix": prefix}
    while True:
        try:
            page = client.call("list_multipart_uploads", prefix, parameters)
        except HoldfastError as error:
            if not isinstance(error, CredentialsError) and code_of(error) not in _UNKNOWN:
                raise
            log.info("unfinished uploads are not listed: %s", error.message)
            return
        for upload in page.get("Uploads", ()):
            path = f"{upload['Key'].removeprefix(root)}/.partial-{upload['UploadId']}"
            yield Stat(path=path, size=_size_of(client, upload))
        if not page.get("IsTruncated"):
            return
        following = _next(page, "NextKeyMarker")
        parameters |= {"KeyMarker": following, "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def _size_of(client: Client, upload: dict[str, Any]) -> int:
    try:
        parts = client.call("list_parts", upload["Key"], {"Key": upload["Key"], "UploadId": upload["UploadId"]})
    except (HoldfastError, FileNotFoundError):
        return 0
    return sum(part["Size"] for part in parts.get("Parts", ()))


def _next(page: Mapping[str, Any], name: str) -> Any:
    """Where the next page of a listing begins."""
    if not page.get(name):
        raise HoldfastError("the service lists a part, and does not say how to list the rest")
    return page[name]
