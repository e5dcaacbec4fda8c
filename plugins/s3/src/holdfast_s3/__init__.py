"""Stores of Holdfast in S3: `s3://bucket/prefix`, of AWS and of whatever else speaks S3 with conditional writes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from holdfast.api import Component, Kind, Storage, hookimpl

PARAMETERS = frozenset(
    {
        "addressing",
        "ca",
        "checksum",
        "endpoint",
        "part_size",
        "profile",
        "proxy",
        "region",
        "requester_pays",
        "sse",
        "sse_key",
        "storage_class",
    }
)


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """What may be told of a store by `--store-option`."""

    lease: Literal["lock", "age"] = field(
        default="lock",
        metadata={
            "help": "lock: runs keep each other off by an object that is overwritten; age: nothing is, and what is "
            "unfinished goes once nothing was written to it for a week. The same for all who use a store"
        },
    )
    create: Literal["prefer", "require"] = field(
        default="prefer",
        metadata={
            "help": "require: refuse a service that may overwrite what is there; with lease=lock it always is refused"
        },
    )


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the storage."""
    yield Component(
        kind=Kind.STORAGE,
        name="s3",
        summary="an S3 bucket: s3://bucket/prefix?region=…&endpoint=…",
        options=S3Options,
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_storage(scheme: str, url: str, options: S3Options) -> Storage | None:
    """Open a bucket; nothing is asked of it before the first call."""
    if scheme != "s3":
        return None
    from holdfast_s3.location import Location
    from holdfast_s3.storage import AgedS3Storage, S3Storage

    location = Location.parse(url)
    if options.lease == "age":
        return AgedS3Storage(location, required=options.create == "require")
    return S3Storage(location)
