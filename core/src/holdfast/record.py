"""The record of a backup: what lists show, what a run returns, what programs read."""

import os
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from holdfast.api import Storage
from holdfast.store import findings
from holdfast.store.entry import Entry


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup.

    `timestamp` is when it was begun (UTC), `file_path` its absolute folder (or URL), `size_bytes` the plain and
    `stored_bytes` the stored size, `checksum` the SHA-256 of its published manifest. `state` is `complete`,
    `verified`, `proven` or `damaged`; `problem` says why a manifest cannot be used, and then the fields that
    only a manifest knows are empty. `proven_at` is when a drill last proved it (UTC), `pinned` whether retention
    leaves it alone.
    """

    id: str
    name: str
    engine: str
    state: str
    database_url: str
    file_path: str
    timestamp: datetime
    size_bytes: int
    stored_bytes: int
    checksum: str
    codec: str
    duration_seconds: float
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    pinned: bool = False
    proven_at: datetime | None = None

    @property
    def path(self) -> str:
        """The same as `file_path`."""
        return self.file_path

    @property
    def created_at(self) -> datetime:
        """The same as `timestamp`."""
        return self.timestamp

    @classmethod
    def of(cls, entry: Entry, storage: Storage) -> "Backup":
        """Describe an entry of a catalog."""
        document = entry.manifest
        return cls(
            id=entry.id,
            name=entry.name,
            engine=document.source.engine if document else "",
            state=str(entry.state),
            database_url=document.source.url if document else "",
            file_path=place(storage, entry.folder),
            timestamp=entry.created_at,
            size_bytes=document.size if document else 0,
            stored_bytes=document.stored_size if document else 0,
            checksum=entry.checksum,
            codec=document.codec.spec if document else "",
            duration_seconds=document.duration_seconds if document else 0.0,
            tags=entry.tags,
            warnings=(*document.warnings, *document.damage) if document else (),
            problem=entry.problem,
            pinned=entry.pinned,
            proven_at=findings.proven_at(entry.findings),
        )

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON, with `path` and `created_at` besides the older names."""
        data = asdict(self)
        data["path"] = self.path
        data["timestamp"] = data["created_at"] = _text(self.timestamp)
        data["proven_at"] = _text(self.proven_at) if self.proven_at else None
        return data


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def place(storage: Storage, folder: str) -> str:
    """Where a folder of a store is, absolutely."""
    root = storage.location
    return os.path.join(root, folder) if root.startswith("/") else f"{root.rstrip('/')}/{folder}"
