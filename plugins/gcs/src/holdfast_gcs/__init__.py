"""Stores of Holdfast in Google Cloud Storage: `gs://bucket/prefix`."""

from collections.abc import Iterator

from holdfast.api import Component, Kind, Storage, hookimpl
from holdfast_obstore import ObstoreOptions

PARAMETERS = frozenset({"anonymous", "ca", "endpoint", "part_size", "proxy"})


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the storage."""
    yield Component(
        kind=Kind.STORAGE,
        name="gs",
        aliases=("gcs",),
        summary="a bucket of Google Cloud Storage: gs://bucket/prefix",
        options=ObstoreOptions,
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_storage(scheme: str, url: str, options: ObstoreOptions) -> Storage | None:
    """Open a bucket; nothing is asked of it before the first call."""
    if scheme != "gs":
        return None
    from holdfast_gcs.bucket import open_bucket

    return open_bucket(url, options)
