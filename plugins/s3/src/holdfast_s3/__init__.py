"""Stores of Holdfast in S3: `s3://bucket/prefix`, of AWS and of whatever else speaks S3 with conditional writes."""

from collections.abc import Iterator

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


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the storage."""
    yield Component(
        kind=Kind.STORAGE,
        name="s3",
        summary="an S3 bucket: s3://bucket/prefix?region=…&endpoint=…",
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_storage(scheme: str, url: str) -> Storage | None:
    """Open a bucket; nothing is asked of it before the first call."""
    if scheme != "s3":
        return None
    from holdfast_s3.location import Location
    from holdfast_s3.storage import S3Storage

    return S3Storage(Location.parse(url))
