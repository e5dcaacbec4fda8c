"""What a service keeps although somebody deletes it: objects for a time, and versions of what was there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from holdfast.api.storage import Writer
from holdfast.field_docs import explain_fields

#: Who can lift a retention before its time: `governance`, those with a right of its own; `compliance`, nobody.
RetentionMode = Literal["governance", "compliance"]


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Retention:
    """Until when a service keeps an object from being deleted or changed."""

    #: When it ends (UTC).
    until: datetime
    #: `governance`, which whoever has a right of its own can lift, or `compliance`, which nobody can.
    mode: RetentionMode = "governance"


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Version:
    """One of the contents that a path has had, or a deletion of it."""

    #: The path, as in `Stat`.
    path: str
    #: What the storage tells it by from the other versions of the path.
    id: str
    #: Its size in bytes; 0 for a deletion.
    size: int
    #: When it was written or deleted, by the clock of the service (UTC).
    at: datetime
    #: Whether it is the newest: what is read and listed, or why nothing is.
    newest: bool = False
    #: Whether it stands for a deletion, and has no content.
    deletion: bool = False
    #: What is the same for the same content, such as an ETag; empty where the storage has nothing of the kind.
    content: str = ""


@runtime_checkable
class SupportsRetention(Protocol):
    """A storage whose service can keep an object from everybody for a time: object lock."""

    def check_retention(self, retention: Retention, /) -> None:
        """Raise a `HoldfastError` where objects here cannot be kept so; what cannot be told passes. Changes nothing."""
        ...

    def retained_writer(self, path: str, retention: Retention | None, /) -> AbstractContextManager[Writer]:
        """Create an object as `writer` does that is kept from the moment when it is visible.

        None is for what has to be replaced now and then: as far as that can be, it is not kept, also where the service
        keeps by itself whatever is written.
        """
        ...

    def retain(self, path: str, retention: Retention, /) -> None:
        """Keep an object that is there at least until then; a retention is never shortened or weakened.

        One that cannot be made as strict as asked, as services allow to nobody, is a `CredentialsError`.
        """
        ...

    def retention(self, path: str, /) -> Retention | None:
        """Until when an object is kept, None where nothing keeps it; a key that may not ask is a `CredentialsError`."""
        ...


@runtime_checkable
class SupportsVersions(Protocol):
    """A storage whose service keeps what is deleted or overwritten as a version."""

    def versions(self, prefix: str = "", /) -> Iterable[Version]:
        """Every version of what lies, or has lain, below a folder, in any order; no leases.

        A place that keeps no versions is a `NotFoundError`.
        """
        ...

    def read_version(self, path: str, version: str, /, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of a version as `read` does those of an object."""
        ...

    def bring_back(self, path: str, version: str, /) -> None:
        """Let the content of a version be the object again, with its retention; nothing is lost that is there now."""
        ...
