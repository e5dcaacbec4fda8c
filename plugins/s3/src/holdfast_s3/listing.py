"""Listings of a bucket, page by page: objects, folders, and uploads that nobody has ended."""

import logging
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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
    for upload in _uploads(client, prefix):
        path = f"{upload['Key'].removeprefix(root)}/.partial-{upload['UploadId']}"
        yield Stat(path=path, size=sum(part["Size"] for part in _parts_of(client, upload)))


def _uploads(client: Client, prefix: str) -> Iterator[dict[str, Any]]:
    parameters: dict[str, Any] = {"Prefix": prefix}
    while True:
        try:
            page = client.call("list_multipart_uploads", prefix, parameters)
        except HoldfastError as error:
            if not isinstance(error, CredentialsError) and code_of(error) not in _UNKNOWN:
                raise
            log.info("unfinished uploads are not listed: %s", error.message)
            return
        yield from page.get("Uploads", ())
        if not page.get("IsTruncated"):
            return
        following = _next(page, "NextKeyMarker")
        parameters |= {"KeyMarker": following, "UploadIdMarker": page.get("NextUploadIdMarker", "")}


def age(client: Client, prefix: str) -> float:
    """Seconds since anything below a prefix was written, parts of unfinished uploads too, by the service's clock."""
    times: list[datetime] = []
    for page in pages(client, prefix):
        now = time_of(page)
        times += [item["LastModified"] for item in page.get("Contents", ())]
    for upload in _uploads(client, prefix):
        times += [upload["Initiated"], *(part["LastModified"] for part in _parts_of(client, upload))]
    if not times:
        return math.inf
    if now is None:
        raise HoldfastError("the service does not say its time, so that nobody can tell how old anything is")
    return (now - max(times)).total_seconds()


def time_of(answer: Mapping[str, Any]) -> datetime | None:
    """What the clock of the service said when it answered."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None


def _parts_of(client: Client, upload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of an upload; none of one that has ended meanwhile, or that we may not ask for."""
    parameters = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
    while True:
        try:
            page = client.call("list_parts", upload["Key"], parameters)
        except (HoldfastError, FileNotFoundError):
            return
        yield from page.get("Parts", ())
        if not page.get("IsTruncated"):
            return
        parameters["PartNumberMarker"] = _next(page, "NextPartNumberMarker")


def _next(page: Mapping[str, Any], name: str) -> Any:
    """Where the next page of a listing begins."""
    if not page.get(name):
        raise HoldfastError("the service lists a part, and does not say how to list the rest")
    return page[name]
