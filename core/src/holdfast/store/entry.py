"""Entries: each backup of a store as its listing shows it."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from holdfast.api import Retention, Stat
from holdfast.errors import IntegrityError, NotFoundError
from holdfast.policy import AHEAD, is_ahead
from holdfast.store import findings, labels
from holdfast.store.findings import Finding, State
from holdfast.store.key_files import has_keys
from holdfast.store.labels import Label
from holdfast.store.manifest import Manifest, SourceRecord
from holdfast.store.names import FINDINGS, KEYS, LABELS, time_of


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One backup as the store shows it; `manifest` is None and `problem` says why where it cannot be used.

    `unreadable` means that the system did not hand out the manifest or a folder of blobs, and `unusable` that the
    manifest is well and not for us as it lies: neither says anything about the backup; `misplaced` is what it then says
    of its source, if that has another name than the folder. `outlined` tells that the manifest is without its proof's
    objects and its long hints, and `was_cached` that it is what this machine knew of it, and was not read.
    `noted_retention` is until when the service was told to keep it, where the storage can ask for such a thing.
    """

    name: str
    id: str
    manifest: Manifest | None = None
    problem: str = ""
    hint: str | None = None
    unreadable: bool = False
    unusable: bool = False
    misplaced: SourceRecord | None = None
    outlined: bool = False
    was_cached: bool = False
    findings: tuple[Finding, ...] = ()
    labels: tuple[Label, ...] = ()
    files: dict[str, Stat] = {}
    checksum: str = ""
    noted_retention: Retention | None = None

    @property
    def folder(self) -> str:
        """Where it lies, relative to the store's root."""
        return f"{self.name}/{self.id}"

    @property
    def state(self) -> State:
        """What is known of it."""
        if self.unreadable or self.unusable:
            return State.UNKNOWN
        if self.manifest is None or self.problem or self.manifest.damage:
            return State.DAMAGED
        return State.UNKNOWN if self._hidden(FINDINGS) else findings.state_of(self.findings)

    @property
    def good(self) -> bool:
        """Whether it counts as a backup at all."""
        return self.state not in (State.DAMAGED, State.UNKNOWN)

    @property
    def usable(self) -> bool:
        """Whether its data may be used: it has a manifest, and nothing is known against it."""
        return self.manifest is not None and not self.problem and self.state is not State.DAMAGED

    @property
    def doubt(self) -> str:
        """Why it cannot be told whether it is good, or pinned, otherwise empty."""
        if self.unreadable or self.unusable:
            return self.problem
        return self._hidden(FINDINGS) if self.state is State.UNKNOWN else self._hidden(LABELS)

    def _hidden(self, folder: str) -> str:
        """Why the notes in a folder of it cannot be read, otherwise empty."""
        stat = self.files.get(f"{folder}/")
        return f"its folder {folder} cannot be read: {stat.problem}" if stat and stat.problem else ""

    def check_readable(self) -> None:
        """Raise `NotFoundError` or `IntegrityError` where nothing can be said of the backup: we cannot read it."""
        if self.unreadable:
            raise NotFoundError(f"cannot read backup {self.id}: {self.problem}")
        if self.unusable:
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
    def part(self) -> str:
        """Which part of its source it holds; empty for all of it, and where nothing tells."""
        return self.manifest.part if self.manifest else ""

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


def ahead_warning(entry: Entry) -> str:
    """Say of what was found as the latest that a wrong clock may have made it that, or nothing."""
    if not is_ahead(entry.created_at):
        return ""
    return f"{entry.folder}, the latest, is {AHEAD}: a wrong clock may have made it, and one made since be newer"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Every backup of a store, oldest first, and the folders that are none: unfinished or half deleted.

    `foreign` has the place and name of a source or backup and is a link or the like, which is never followed.
    `hidden` has the folders of sources that cannot be read, with why: which backups they hold is unknown.
    """

    entries: tuple[Entry, ...]
    leftovers: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    hidden: Mapping[str, str] = msgspec.field(default_factory=dict)


def hidden_source(source: tuple[str, str]) -> str:
    """Say that the folder of a source cannot be read: its name, and why."""
    return f"the folder {source[0]} cannot be read, and no backup in it is known: {source[1]}"


def missing(document: Manifest, files: dict[str, Stat]) -> str:
    """Say what a folder lacks of what its manifest names, or return nothing."""
    for stream in document.streams:
        stat = files.get(stream.blob.path)
        if stat is None and _hidden_folder(stream.blob.path, files):
            continue
        if stat is None:
            return f"blob {stream.blob.path} is missing"
        if not stat.regular:
            return f"blob {stream.blob.path} is not a regular file"
        if stat.size != stream.blob.size:
            return f"blob {stream.blob.path} has {stat.size} bytes, expected {stream.blob.size}"
    if document.is_sealed and not has_keys(files):
        return f"there is no key file in its folder {KEYS}: nobody can open it"
    return ""


def unlisted_blob(document: Manifest, files: Mapping[str, Stat]) -> str:
    """A blob that a manifest names and no listing, or nothing."""
    return next((stream.blob.path for stream in document.streams if stream.blob.path not in files), "")


def hidden_blobs(document: Manifest, files: Mapping[str, Stat]) -> str:
    """Say which folder of a backup that lacks nothing else cannot be read and holds blobs, or return nothing."""
    unseen = unlisted_blob(document, files)
    if not unseen:
        return ""
    folder = _hidden_folder(unseen, files)
    return f"its folder {folder[:-1]} cannot be read: {files[folder].problem}" if folder else ""


def _hidden_folder(path: str, files: Mapping[str, Stat]) -> str:
    """Of the folders above a file of a backup one that cannot be read, else nothing."""
    parts = path.split("/")
    folders = ("/".join(parts[:length]) + "/" for length in range(1, len(parts)))
    return next((folder for folder in folders if folder in files and files[folder].problem), "")
