"""Entries: each backup of a store as its listing shows it."""

from dataclasses import dataclass, field
from datetime import datetime

from holdfast.api import Stat
from holdfast.errors import IntegrityError, NotFoundError
from holdfast.store import findings, labels
from holdfast.store.findings import Finding, State
from holdfast.store.labels import Label
from holdfast.store.manifest import Manifest
from holdfast.store.names import time_of


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One backup as the store shows it; `manifest` is None and `problem` says why where it cannot be used.

    `unreadable` means that the system did not hand the manifest out, and `newer` that it is of a later format than
    ours: neither says anything about the backup.
    """

    name: str
    id: str
    manifest: Manifest | None = None
    problem: str = ""
    hint: str | None = None
    unreadable: bool = False
    newer: bool = False
    findings: tuple[Finding, ...] = ()
    labels: tuple[Label, ...] = ()
    files: dict[str, Stat] = field(default_factory=dict, repr=False, compare=False)
    checksum: str = ""

    @property
    def folder(self) -> str:
        """Where it lies, relative to the store's root."""
        return f"{self.name}/{self.id}"

    @property
    def state(self) -> State:
        """What is known of it."""
        if self.manifest is None or self.problem:
            return State.DAMAGED
        return findings.state_of(self.findings, damaged_source=bool(self.manifest.damage))

    @property
    def good(self) -> bool:
        """Whether it counts as a backup at all."""
        return self.state is not State.DAMAGED

    @property
    def unknown(self) -> bool:
        """Whether nothing can be said of it, neither that it is good nor that it is damaged."""
        return self.unreadable or self.newer

    def check_readable(self) -> None:
        """Raise `NotFoundError` or `IntegrityError` where nothing can be said of the backup: we cannot read it."""
        if self.unreadable:
            raise NotFoundError(f"cannot read backup {self.id}: {self.problem}")
        if self.newer:
            raise IntegrityError(f"cannot read backup {self.id}: {self.problem}", hint=self.hint)

    @property
    def pinned(self) -> bool:
        """Whether retention leaves it alone."""
        return labels.is_pinned(self.labels)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that it was made with or got since."""
        return labels.tags_of(self.labels, self.manifest.tags if self.manifest else ())

    @property
    def stored_size(self) -> int:
        """Stored bytes of all blobs, 0 where only the manifest would know."""
        return self.manifest.stored_size if self.manifest else 0

    @property
    def created_at(self) -> datetime:
        """When it was begun: from the manifest, else from the id."""
        if self.manifest is not None:
            return self.manifest.created_at
        return time_of(self.id)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Every backup of a store, oldest first, and the folders that are none: unfinished or half deleted.

    `foreign` has the place and name of a source or backup and is a link or the like, which is never followed.
    """

    entries: tuple[Entry, ...]
    leftovers: tuple[str, ...]
    foreign: tuple[str, ...] = ()


def missing(document: Manifest, files: dict[str, Stat]) -> str:
    """Say what a folder lacks of what its manifest names, or return nothing."""
    for stream in document.streams:
        stat = files.get(stream.blob.path)
        if stat is None:
            return f"blob {stream.blob.path} is missing"
        if not stat.regular:
            return f"blob {stream.blob.path} is not a regular file"
        if stat.size != stream.blob.size:
            return f"blob {stream.blob.path} has {stat.size} bytes, expected {stream.blob.size}"
    return ""
