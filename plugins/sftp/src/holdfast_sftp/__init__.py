"""Stores of Holdfast over SFTP: `sftp://user@host/path`, by the system's own ssh."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from holdfast.api import Component, Kind, Storage, hookimpl

PARAMETERS = frozenset({"config", "connections"})


@dataclass(frozen=True, kw_only=True)
class SFTPOptions:
    """What may be told of a store by `--store-option`."""

    create: Literal["require"] = field(
        default="require", metadata={"help": "a server that may overwrite what is there is refused, always"}
    )


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the storage."""
    yield Component(
        kind=Kind.STORAGE,
        name="sftp",
        summary="a folder of a server, by ssh: sftp://user@host/path, sftp://host/~/path",
        options=SFTPOptions,
        harmless_parameters=PARAMETERS,
    )


@hookimpl
def holdfast_storage(scheme: str, url: str) -> Storage | None:
    """Open a folder of a server; nothing is asked of it before the first call."""
    if scheme != "sftp":
        return None
    from holdfast_sftp.location import Location
    from holdfast_sftp.storage import SFTPStorage

    return SFTPStorage(Location.parse(url))
