"""Stores of Holdfast in Azure Blob Storage: `azure://account/container/prefix`."""

from collections.abc import Iterator

from holdfast.api import Component, Kind, Storage, hookimpl
from holdfast_obstore import ObstoreOptions

PARAMETERS = frozenset({"ca", "cli", "endpoint", "part_size", "proxy"})


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the storage."""
    yield Component(
        kind=Kind.STORAGE,
        name="azure",
        aliases=("az",),
        summary="a container of Azure Blob Storage: azure://account/container/prefix",
        options=ObstoreOptions,
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_storage(scheme: str, url: str, options: ObstoreOptions) -> Storage | None:
    """Open a container; nothing is asked of it before the first call."""
    if scheme != "azure":
        return None
    from holdfast_azure.container import open_container

    return open_container(url, options)
