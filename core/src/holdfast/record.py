"""The record of a backup: what lists show, what a run returns, what programs read."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.api import Storage, SupportsFolder
from holdfast.errors import UsageError
from holdfast.store import findings
from holdfast.store.entry import Entry


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup.

    `database_url`, `file_path` and `timestamp` are the names of the earlier BackupManager for `source_url`, `path` and
    `created_at`. What only the manifest knows is empty where that cannot be used.
    """

    id: str  #: the id of the backup
    name: str  #: the name of its source
    engine: str  #: the engine that made it
    state: str  #: `complete`, `verified`, `proven`, `damaged`, or `unknown` where it cannot be told
    source_url: str  #: the source's URL, without its secrets
    path: str  #: the absolute folder of the backup, or the URL of it
    created_at: datetime  #: when it was begun (UTC)
    size_bytes: int  #: plain bytes
    stored_bytes: int  #: stored bytes
    checksum: str  #: the SHA-256 of the published manifest
    codec: str  #: the codec as it was asked for, such as `zstd:3`
    duration_seconds: float  #: how long it took
    tags: tuple[str, ...] = ()  #: the tags that it has now
    warnings: tuple[str, ...] = ()  #: what to know about it, a line each, damage of the source included
    problem: str = ""  #: why it is damaged or its state or pins are unknown, as far as its files say, otherwise empty
    pinned: bool = False  #: whether retention leaves it alone
    proven_at: datetime | None = None  #: when a drill last proved it (UTC)
    held_until: datetime | None = None  #: until when the store was told to keep it from everybody (UTC)
    run: str = ""  #: the occurrence that it was made for, empty where none was named
    reused: bool = False  #: whether it had been made for that before, so that nothing was dumped

    @property
    def database_url(self) -> str:
        """The same as `source_url`: its name in the earlier BackupManager."""
        return self.source_url

    @property
    def file_path(self) -> str:
        """The same as `path`: its name in the earlier BackupManager."""
        return self.path

    @property
    def timestamp(self) -> datetime:
        """The same as `created_at`: its name in the earlier BackupManager."""
        return self.created_at

    @classmethod
    def of(cls, entry: Entry, storage: Storage) -> "Backup":
        """Describe an entry of a catalog."""
        return _described(entry, place(storage, entry.folder))

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON, under the names of the earlier BackupManager too."""
        data = dict(vars(self))
        data["created_at"] = _text(self.created_at)
        for name in ("proven_at", "held_until"):
            data[name] = _text(data[name]) if data[name] else None
        older = {"database_url": "source_url", "file_path": "path", "timestamp": "created_at"}
        return {**data, **{name: data[field] for name, field in older.items()}}


def records(entries: Iterable[Entry], storage: Storage) -> list[Backup]:
    """Describe entries of a catalog: where their store is, is asked for once."""
    where = _Where.of(storage)
    return [_described(entry, where.folder(entry.folder)) for entry in entries]


def _described(entry: Entry, path: str) -> Backup:
    document = entry.manifest
    return Backup(
        id=entry.id,
        name=entry.name,
        engine=document.source.engine if document else "",
        state=str(entry.state),
        source_url=document.source.url if document else "",
        path=path,
        created_at=entry.created_at,
        size_bytes=document.size if document else 0,
        stored_bytes=document.stored_size if document else 0,
        checksum=entry.checksum,
        codec=document.codec.spec if document else "",
        duration_seconds=document.duration_seconds if document else 0.0,
        tags=entry.tags,
        warnings=(*document.warnings, *document.damage) if document else (),
        problem=entry.problem or entry.doubt,
        pinned=entry.pinned,
        proven_at=findings.proven_at(entry.findings),
        held_until=entry.noted_retention.until if entry.noted_retention else None,
        run=document.run if document else "",
    )


def reference(backup: str | Backup) -> str:
    """What names a backup in its store; anything else than an id or a record is a `UsageError`."""
    if not isinstance(backup, str | Backup):
        raise UsageError(f"a backup is of type {type(backup).__name__}, expected an id or a record")
    return f"{backup.name}/{backup.id}" if isinstance(backup, Backup) else backup


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def place(storage: Storage, folder: str) -> str:
    """Where a folder of a store is, absolutely."""
    return _Where.of(storage).folder(folder)


@dataclass(frozen=True)
class _Where:
    """Where a store is: what stands before and behind the path of what lies in it."""

    before: str
    after: str = ""

    @classmethod
    def of(cls, storage: Storage) -> "_Where":
        if isinstance(storage, SupportsFolder):
            return cls(os.path.join(storage.folder, ""))
        where, mark, parameters = storage.location.partition("?" if "://" in storage.location else "\0")
        return cls(f"{where.rstrip('/')}/", f"{mark}{parameters}")

    def folder(self, path: str) -> str:
        return f"{self.before}{path}{self.after}"
