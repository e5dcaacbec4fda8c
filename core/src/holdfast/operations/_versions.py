"""What the versions of a store hold of one backup: which of them are what was published.

Nothing of ours is ever written over. So where a path has had several contents, the oldest is ours, and what came after
it is somebody else's; digests decide.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from holdfast.api import SupportsVersions, Version
from holdfast.defaults import default_jobs
from holdfast.errors import IntegrityError, quote_name
from holdfast.store import manifest
from holdfast.store.manifest import MAX_SIZE, Manifest
from holdfast.store.names import FINDINGS, ID, LABELS, MANIFEST, SUMS, is_source_name
from holdfast.store.sums import parse_sums
from holdfast.streaming.workers import Stop, run_tasks

_PIECE = 8 << 20
_NOTES = (f"{FINDINGS}/", f"{LABELS}/")

History = Mapping[str, Sequence[Version]]
"""The versions of what lies in the folder of a backup, by its path in there, the oldest first."""


class Sound(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that a backup was published with, of every object but its manifest, and that of it."""

    document: Manifest
    objects: tuple[Version, ...]
    manifest: Version


def histories(versions: Iterable[Version]) -> tuple[dict[tuple[str, str], dict[str, list[Version]]], History]:
    """Sort versions by source and id of the backups that they are of; and those of all else, by their paths."""
    backups: dict[tuple[str, str], dict[str, list[Version]]] = {}
    others: dict[str, list[Version]] = {}
    for version in sorted(versions, key=lambda version: (version.newest, version.at)):
        parts = version.path.split("/", 2)
        if len(parts) == 3 and is_source_name(parts[0]) and ID.fullmatch(parts[1]):
            backups.setdefault((parts[0], parts[1]), {}).setdefault(parts[2], []).append(version)
        else:
            others.setdefault(version.path, []).append(version)
    return backups, others


def contents(versions: Iterable[Version]) -> list[Version]:
    """Those that are no deletions."""
    return [version for version in versions if not version.deletion]


def is_gone(versions: Sequence[Version]) -> bool:
    """Whether what had a content has been deleted."""
    return bool(versions) and versions[-1].deletion and bool(contents(versions))


def what_happened(storage: SupportsVersions, history: History) -> str:
    """Whether a backup was `deleted` or `overwritten`, as far as its versions show; empty where it is as it was."""
    if not contents(history.get(MANIFEST, ())):
        return ""  # it never was a backup
    objects = {path: versions for path, versions in history.items() if not path.startswith(_NOTES)}
    if is_gone(objects[MANIFEST]):
        return "deleted"
    if any(_is_changed(storage, versions) for versions in objects.values()):
        return "overwritten"
    return "deleted" if any(map(is_gone, objects.values())) else ""


def _is_changed(storage: SupportsVersions, versions: Sequence[Version]) -> bool:
    """Whether there is another content than the first; a copy of that may be called otherwise by the service."""
    held = contents(versions)
    if len(held) < 2 or versions[-1].deletion:
        return False
    first, last = held[0], held[-1]
    if first.size != last.size:
        return True
    same = bool(first.content) and first.content == last.content
    return not same and digest_of(storage, first) != digest_of(storage, last)


def deleted_notes(history: History) -> list[Version]:
    """Findings and labels that were deleted, as they were."""
    return [
        contents(versions)[0] for path, versions in history.items() if path.startswith(_NOTES) and is_gone(versions)
    ]


def sound_versions(storage: SupportsVersions, name: str, backup_id: str, history: History) -> Sound:
    """The versions of a backup that agree with each other; `IntegrityError` where there are none.

    Of several that do, as after somebody has put another backup in the place of this one, the oldest are taken.
    """
    problem = f"no version of {MANIFEST} is there"
    for version in contents(history.get(MANIFEST, ())):
        try:
            data = _read(storage, version)
            document = manifest.decode(data, name=name, backup_id=backup_id, was_called=is_source_name)
            objects = _objects(storage, history, document, hashlib.sha256(data).hexdigest())
        except IntegrityError as error:
            problem = error.message
        else:
            return Sound(document=document, objects=objects, manifest=version)
    raise IntegrityError(f"backup {backup_id} cannot be brought back: {problem}")


def _objects(storage: SupportsVersions, history: History, document: Manifest, checksum: str) -> tuple[Version, ...]:
    """The versions of all that a manifest and SHA256SUMS name."""
    sizes = {stream.blob.path: stream.blob.size for stream in document.streams}
    digests = {stream.blob.path: stream.blob.digests["sha256"] for stream in document.streams}
    sums = next((each for each in _sums_of(storage, history) if each[1].get(MANIFEST) == checksum), None)
    if sums is None or any(sums[1].get(path) != digest for path, digest in digests.items()):
        raise IntegrityError(f"no version of {SUMS} agrees with the manifest")
    wanted = {path: digest for path, digest in {**sums[1], **digests}.items() if path != MANIFEST}
    chosen: dict[str, Version] = {}

    def choose(path: str) -> None:
        # What is read now comes first: most often nothing is wrong with it.
        held = sorted(contents(history.get(path, ())), key=lambda version: not version.newest)
        for version in held:
            if sizes.get(path, version.size) == version.size and digest_of(storage, version) == wanted[path]:
                chosen[path] = version
                return
        raise IntegrityError(f"no version of {quote_name(path)} is what was stored")

    tasks = [partial(choose, path) for path in wanted]
    run_tasks(tasks, jobs=default_jobs(), stop=Stop(), tick=lambda: None, release=lambda: None)
    return (*chosen.values(), sums[0])


def _sums_of(storage: SupportsVersions, history: History) -> Iterator[tuple[Version, dict[str, str]]]:
    for version in contents(history.get(SUMS, ())):
        yield version, parse_sums(_read(storage, version))


def _read(storage: SupportsVersions, version: Version) -> bytes:
    if version.size > MAX_SIZE:
        raise IntegrityError(f"{quote_name(version.path)} is larger than {MAX_SIZE >> 20} MiB")
    return bytes(storage.read_version(version.path, version.id))


def digest_of(storage: SupportsVersions, version: Version) -> str:
    """The SHA-256 of a version, read piece by piece."""
    running = hashlib.sha256()
    for at in range(0, version.size, _PIECE):
        running.update(storage.read_version(version.path, version.id, at, min(_PIECE, version.size - at)))
    return running.hexdigest()
