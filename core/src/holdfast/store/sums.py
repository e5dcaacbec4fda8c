"""SHA256SUMS: the digest of every file of a backup, as `sha256sum -c` reads it."""

import hashlib

from holdfast.api import Storage
from holdfast.errors import HoldfastError, os_error_text, quote_name
from holdfast.store.entry import Entry
from holdfast.store.key_files import key_problems
from holdfast.store.manifest import MAX_SIZE
from holdfast.store.names import MANIFEST, SUMS
from holdfast.store.object_bytes import object_bytes
from holdfast.store.published import check_published
from holdfast.streaming.workers import Stop


def sums(digests: dict[str, str]) -> bytes:
    """Write SHA256SUMS in the form of `sha256sum`; paths hold no character that it would escape."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def parse_sums(data: bytes) -> dict[str, str]:
    """Read SHA256SUMS: digest by path; lines that are none are left out."""
    lines = (line.split("  ", 1) for line in data.decode(errors="replace").splitlines())
    return {parts[1]: parts[0] for parts in lines if len(parts) == 2}


def verify_sidecars(entry: Entry, storage: Storage) -> list[str]:
    """Compare the manifest and the small files of a backup with SHA256SUMS; a line for each thing that is wrong."""
    listed = entry.files.get(SUMS)
    if listed is None or not listed.regular:
        return [f"{SUMS} is missing"]
    if listed.size > MAX_SIZE:
        return [f"{SUMS} is larger than {MAX_SIZE >> 20} MiB"]
    try:
        recorded = parse_sums(storage.read(f"{entry.folder}/{SUMS}"))
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            check_published(storage, entry.folder)
        raise HoldfastError(f"cannot read {SUMS} of {entry.id}: {os_error_text(error)}") from error
    blobs = (
        {stream.blob.path: stream.blob.digests["sha256"] for stream in entry.manifest.streams} if entry.manifest else {}
    )
    problems = [
        f"{SUMS} and the manifest differ on {path}" for path, digest in blobs.items() if recorded.get(path) != digest
    ]
    if MANIFEST not in recorded:
        problems.append(f"{SUMS} does not name the manifest")
    if entry.manifest is not None and entry.manifest.is_sealed:
        problems += key_problems(storage, entry.folder, entry.files)
    for path, digest in recorded.items():
        if path in blobs:
            continue
        stat = entry.files.get(path)
        if stat is None or not stat.regular:
            problems.append(f"{quote_name(path)} is missing")
        elif _sha256(storage, f"{entry.folder}/{path}", stat.size) != digest:
            problems.append(f"{quote_name(path)} is not what was stored")
    return problems


def _sha256(storage: Storage, path: str, size: int) -> str:
    """Digest a file piece by piece: what lies in a folder that others write to may have any size."""
    running = hashlib.sha256()
    for piece in object_bytes(storage, path, size=size, stop=Stop()):
        running.update(piece)
    return running.hexdigest()
