"""Backups that nobody made: the entries of a store as large as wanted, and the files of a small one."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast.store.entry import Entry
from holdfast.store.findings import Depth, Finding
from holdfast.store.manifest import BlobRecord, CodecRecord, Manifest, SourceRecord, StreamRecord, ToolRecord

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST = "0" * 64
_FAILED = Finding(time=NOW, depth=Depth.STORED, passed=False)


def entry(
    name: str = "app",
    days: float = 0.5,
    *,
    state: str = "complete",
    size: int = 1_000_000,
    duration: float = 12.5,
    engine: str = "sqlite",
    tags: Sequence[str] = (),
    number: int = 0,
    identity: str = "",
    selection: dict[str, list[str]] | None = None,
    url: str = "",
) -> Entry:
    """A backup begun so many days before `NOW`; a proven one was drilled an hour later."""
    at = NOW - timedelta(days=days)
    backup_id = f"{at:%Y%m%dT%H%M%SZ}-{number:06d}"
    stream = StreamRecord(
        name="database",
        suffix=".sql",
        size=size,
        digests={"sha256": DIGEST},
        blob=BlobRecord(path="database.sql.zst", size=size // 4, digests={"sha256": DIGEST}),
    )
    manifest = Manifest(
        format_version=1,
        id=backup_id,
        created_at=at,
        duration_seconds=duration,
        source=SourceRecord(name=name, url=url or f"{engine}:///{name}.db", engine=engine, identity=identity or name),
        codec=CodecRecord(name="zstd", spec="zstd:1"),
        checksums=["sha256"],
        streams=[stream],
        tool=ToolRecord(holdfast="0.1.0", python="3.11.0", plugins={}),
        tags=list(tags),
        selection=selection or {},
    )
    proven = Finding(time=at + timedelta(hours=1), depth=Depth.DRILL, passed=True)
    verified = Finding(time=at + timedelta(hours=1), depth=Depth.STORED, passed=True)
    findings = {"proven": (proven,), "verified": (verified,), "damaged": (_FAILED,)}.get(state, ())
    return Entry(name=name, id=backup_id, manifest=manifest, findings=findings, checksum=f"{name}{backup_id}")


def daily(sources: int, days: int) -> Iterator[Entry]:
    """Backups of so many sources on so many days, oldest first: one of seven proven, one of a hundred damaged."""
    for day in range(days, 0, -1):
        for source in range(sources):
            turn = day * 31 + source * 17
            yield entry(
                f"shop-{source:03d}",
                day - 0.5,
                state="proven" if turn % 7 == 0 else "damaged" if turn % 97 == 0 else "complete",
                size=50_000_000 + source * 1_000_003 + (days - day) * 100_003,
                duration=20 + turn % 13,
                engine=("sqlite", "postgresql", "mysql")[source % 3],
                number=source,
            )


def write_store(folder: Path, entries: Sequence[Entry]) -> Path:
    """Write a store that lists these entries, with blobs that hold nothing of worth."""
    import msgspec

    folder.mkdir()
    (folder / "holdfast.json").write_text(json.dumps({"format_version": 1}))
    for each in entries:
        assert each.manifest is not None
        backup = folder / each.folder
        (backup / "findings").mkdir(parents=True)
        manifest: dict[str, Any] = msgspec.to_builtins(each.manifest)
        (backup / "backup_manifest.json").write_text(json.dumps(manifest))
        for stream in each.manifest.streams:
            (backup / stream.blob.path).write_bytes(b"")
            with (backup / stream.blob.path).open("r+b") as file:
                file.truncate(stream.blob.size)  # sparse
        for finding in each.findings:
            outcome = "passed" if finding.passed else "failed"
            name = f"{finding.time:%Y%m%dT%H%M%S.%fZ}-{finding.depth.name.lower()}-{outcome}-000000.json"
            (backup / "findings" / name).write_text("{}")
    return folder
