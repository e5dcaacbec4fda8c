"""The catalog: which backups a store holds, and how they are found.

Names are claimed in `holdfast.store.claims`, and backups removed in `holdfast.store.removal`.
"""

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import msgspec

from holdfast.api import Stat, Storage, SupportsFolder, SupportsWalk
from holdfast.defaults import default_store
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NotFoundError,
    UsageError,
    os_error_text,
    quote_name,
)
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.setup import check_part
from holdfast.store import findings, labels, manifest
from holdfast.store.entry import Entry, Listing, hidden_blobs, missing
from holdfast.store.lineage import are_mixed, describe, lineages
from holdfast.store.manifest import Manifest, UnusableManifest
from holdfast.store.names import FINDINGS, ID, LABELS, MANIFEST, MARKER, is_source_name
from holdfast.store.renames import renamed_hint, was_called
from holdfast.streaming.workers import Stop, run_tasks

StoreLike = str | os.PathLike[str] | Storage | None
"""How a program names a store: a path, a URL, an object, or None for the default."""

_READERS = 16  # of manifests at once, where they are not files of this machine

_Note = TypeVar("_Note")
_Folders = Mapping[tuple[str, str], dict[str, Stat]]


class Catalog:
    """The backups in a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    # --- the store itself ---

    def open(self) -> None:
        """Make sure that this is a store of a format that we read; a missing one is a `NotFoundError`."""
        where = self.storage.location
        try:
            data = self.storage.read(MARKER, 0, 1 << 16)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"no store at {quote_name(where)}", hint="name one with --store or HOLDFAST_STORE; backup creates it"
            ) from error
        except OSError as error:
            raise NotFoundError(f"cannot read the store at {quote_name(where)}: {os_error_text(error)}") from error
        manifest.check_marker(data, quote_name(where), provider(self.storage))

    def usable(self) -> bool:
        """Whether there is a store; one that backups cannot go to is an error, a missing one is none."""
        try:
            self.open()
        except NotFoundError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            if isinstance(error.__cause__, OSError):
                raise HoldfastError(f"cannot use the store: {error.message}") from error
            raise  # of the storage itself: there is no such place
        return True

    def open_or_create(self) -> bool:
        """Open the store, or make it; returns whether it was made."""
        if self.usable():
            return False
        marker = manifest.Marker(format_version=manifest.FORMAT_VERSION)
        with contextlib.suppress(FileExistsError), self.storage.writer(MARKER) as writer:
            writer.write(msgspec.json.encode(marker) + b"\n")
        return True

    # --- listing and finding ---

    def listing(self, name: str | None = None) -> Listing:
        """Read the store; what is damaged, hostile or half deleted is shown as that and stops nothing.

        Of several manifests only the outline is kept: of 20,000 tables the rest would be 50 MB a backup.
        """
        foreign: list[str] = []
        hidden: dict[str, str] = {}
        folders = self._folders(name, foreign, hidden)
        return Listing(
            entries=self._entries(folders), leftovers=_leftovers(folders), foreign=tuple(foreign), hidden=hidden
        )

    def leftovers(self, name: str) -> tuple[str, ...]:
        """The folders of a source that are no backup: unfinished, half deleted, or at work."""
        return _leftovers(self._folders(name))

    def walk(self, name: str = "") -> Iterable[Stat]:
        """What lies in the store, or below a source; what is not ours is not looked into where that can be avoided."""
        if isinstance(self.storage, SupportsWalk):
            return self.storage.walk(name, _is_ours)
        return self.storage.list(name)

    def _folders(
        self, name: str | None, foreign: list[str] | None = None, hidden: dict[str, str] | None = None
    ) -> _Folders:
        """What lies in each folder of a backup, by source and id, without reading any of it.

        Links and the like in the place of a source or backup are added to `foreign`, sources whose folders cannot be
        read to `hidden`.
        """
        folders: dict[tuple[str, str], dict[str, Stat]] = defaultdict(dict)
        foreign = [] if foreign is None else foreign
        hidden = {} if hidden is None else hidden
        try:
            for stat in self.walk(name or ""):
                parts = stat.path.split("/", 2)
                if not _is_ours("/".join(parts[:2]).rstrip("/")):
                    continue
                if len(parts) == 3:
                    folders[parts[0], parts[1]][parts[2]] = stat
                elif stat.problem and name is None:
                    hidden[parts[0]] = stat.problem
                elif stat.problem:
                    raise NotFoundError(f"cannot read {quote_name(stat.path)} in the store: {stat.problem}")
                elif not stat.regular and (len(parts) == 1 or parts[1]):
                    foreign.append(stat.path)
        except OSError as error:
            where = quote_name(self.storage.location)
            raise NotFoundError(f"cannot read the store at {where}: {os_error_text(error)}") from error
        return folders

    def _entries(self, folders: _Folders) -> tuple[Entry, ...]:
        backups = [(key, files) for key, files in folders.items() if MANIFEST in files or _is_hidden(files)]
        tasks = [partial(self._entry, *key, files, outlined=len(backups) > 1) for key, files in backups]
        there = [entry for entry in _carried_out(self.storage, tasks) if entry is not None]
        return tuple(sorted(there, key=lambda entry: (entry.created_at, entry.id)))

    def _entry(self, name: str, backup_id: str, files: dict[str, Stat], *, outlined: bool = False) -> Entry | None:
        """What a folder holds as a backup; None where there is no manifest, or none any more."""
        if MANIFEST not in files and not _is_hidden(files):
            return None
        entry = Entry(
            name=name,
            id=backup_id,
            findings=_notes(files, FINDINGS, findings.parse_name),
            labels=_notes(files, LABELS, labels.parse_name),
            files=files,
        )
        if MANIFEST not in files:
            return replace(entry, problem=f"its folder cannot be read: {files[''].problem}", unreadable=True)
        try:
            data = _read_manifest(self.storage, entry, files[MANIFEST])
            document = manifest.decode(
                data, name=name, backup_id=backup_id, was_called=partial(was_called, self.storage, name)
            )
        except FileNotFoundError:
            return None  # deleted since it was listed
        except OSError as error:
            return replace(entry, problem=f"its manifest cannot be read: {os_error_text(error)}", unreadable=True)
        except IntegrityError as error:
            entry = replace(entry, problem=error.message, hint=error.hint)
            is_well = isinstance(error, UnusableManifest)
            return replace(entry, unusable=is_well, misplaced=getattr(error, "source", None))
        problem = missing(document, files)
        if problem and not _is_there(self.storage, entry):
            return None  # what is being deleted lacks blobs
        unreadable = "" if problem else hidden_blobs(document, files)
        return replace(
            entry,
            manifest=manifest.outline(document) if outlined else document,
            checksum=hashlib.sha256(data).hexdigest(),
            problem=problem or unreadable,
            unreadable=bool(unreadable),
            outlined=outlined,
        )

    def reload(self, entry: Entry) -> Entry | None:
        """Read one backup anew; None if it is gone."""
        files = {stat.path.removeprefix(f"{entry.folder}/"): stat for stat in self.storage.list(entry.folder)}
        return self._entry(entry.name, entry.id, files)

    def find(self, reference: str) -> Entry:
        """Find a backup by id, unique prefix, `latest` or `NAME/latest`; unknown is a `NotFoundError`."""
        entry = self._find(reference)
        if not entry.outlined:  # of several only the outlines are kept
            return entry
        whole = self._entry(entry.name, entry.id, dict(entry.files))
        if whole is None:
            raise NotFoundError(f"backup {entry.folder} has been deleted meanwhile")
        return whole

    def _find(self, reference: str) -> Entry:
        name, slash, wanted = reference.rpartition("/")
        if slash and not is_source_name(name):
            raise NotFoundError(f"no backup {quote_name(reference)}: {quote_name(name)} is not a source name")
        # Only manifests that could be meant are read: a store may hold hundreds, and one of many tables is large.
        folders = self._folders(name or None).items()
        entries = self._entries(
            {key: files for key, files in folders if is_latest(wanted) or key[1].startswith(wanted)}
        )
        if wanted == "latest":
            return _latest(self.storage, entries, name)
        exact = [entry for entry in entries if entry.id == wanted]
        matches = exact or [entry for entry in entries if wanted and entry.id.startswith(wanted)]
        if not matches:
            raise NotFoundError(
                f"no backup {quote_name(reference)} in {quote_name(self.storage.location)}",
                hint=(name and renamed_hint(self.storage, name)) or "see what is there: holdfast list",
            )
        if len(matches) > 1:
            ids = ", ".join(entry.folder if exact else entry.id for entry in matches[:5])
            raise UsageError(f"'{reference}' could be any of {len(matches)} backups: {ids}")
        return matches[0]

    def readable(self, reference: str, *, allow_damaged: bool = False) -> tuple[Entry, Manifest]:
        """Find a backup whose data may be used; a damaged one is an `IntegrityError`, unless that is allowed."""
        entry = self.find(reference)
        return entry, usable_manifest(self, entry, reference, allow_damaged=allow_damaged)

    def newest(self, name: str) -> Iterator[Entry]:
        """The backups of a source, newest first; each manifest is read when it is asked for."""
        folders = self._folders(name)
        entries = (self._entry(*key, folders[key], outlined=True) for key in sorted(folders, reverse=True))
        return (entry for entry in entries if entry is not None)

    def newest_good(self, name: str) -> Entry | None:
        """The newest backup of a source that counts, of the whole if there is one."""
        return _first_whole(entry for entry in self.newest(name) if entry.good)


def _carried_out(storage: Storage, tasks: Sequence[Callable[[], Entry | None]]) -> list[Entry | None]:
    """What each read returned, in their order.

    Most of a read is the way to a service: sixteen at once take a tenth of the time of one after the other.
    """
    if len(tasks) < 2 or isinstance(storage, SupportsFolder):
        return [task() for task in tasks]
    results: list[Entry | None] = [None] * len(tasks)

    def run(number: int) -> None:
        results[number] = tasks[number]()

    # Not in an executor: that one waits for its threads, also where a signal ends the program and a service hangs.
    readings = [partial(run, number) for number in range(len(tasks))]
    run_tasks(readings, jobs=_READERS, stop=Stop(), tick=lambda: None, release=lambda: None)
    return results


def _first_whole(entries: Iterator[Entry]) -> Entry | None:
    """The first that holds all of its source, else the first of all; no more are read than that takes."""
    first = next(entries, None)
    return next((entry for entry in entries if not entry.part), first) if first and first.part else first


def usable_manifest(catalog: Catalog, entry: Entry, reference: str, *, allow_damaged: bool = False) -> Manifest:
    """The manifest of a backup that was found by a reference, if its data may be used: see `Catalog.readable`."""
    document = entry.manifest
    if document is not None and (entry.usable or allow_damaged):
        return document
    entry.check_readable()
    why = entry.problem or ("; ".join(document.damage) if document else "") or "a check of it has failed"
    hint = entry.hint
    if is_latest(reference):
        hint = newest_good_hint(catalog, entry.name)
    elif document is not None:
        hint = hint or "use --allow-damaged to take it all the same"
    raise IntegrityError(f"backup {entry.id} is damaged: {why}", hint=hint)


def newest_good_hint(catalog: Catalog, name: str) -> str:
    """Say which backup of a source to use in the place of a damaged one."""
    good = catalog.newest_good(name)
    if good:
        return f"use {good.id}, the newest good backup"
    return f"no backup of '{name}' is good: SHA256SUMS and RESTORE.md in its folder tell what can be restored by hand"


def _latest(storage: Storage, entries: tuple[Entry, ...], name: str) -> Entry:
    names = sorted({entry.name for entry in entries})
    if not entries:
        of = f" of {name}" if name else ""
        hint = renamed_hint(storage, name) if name else None
        raise NotFoundError(f"no backup{of} in {quote_name(storage.location)}", hint=hint)
    if len(names) > 1:
        options = ", ".join(f"{source}/latest" for source in names)
        raise UsageError(f"'latest' is ambiguous, the store has several sources: {options}")
    groups = lineages(storage, names[0], entries)
    if len(groups) > 1 and are_mixed(groups):
        newest = "; ".join(sorted(f"{group[-1].id} of {describe(group)}" for group in groups))
        raise UsageError(
            f"'latest' is ambiguous, '{names[0]}' holds backups of {len(groups)} databases: {newest}",
            hint="name the backup by its id",
        )
    return entries[-1]


def _read_manifest(storage: Storage, entry: Entry, stat: Stat) -> bytes:
    if not stat.regular:
        raise IntegrityError("its manifest is not a regular file")
    if stat.size > manifest.MAX_SIZE:
        raise IntegrityError(f"its manifest is larger than {manifest.MAX_SIZE >> 20} MiB")
    return storage.read(f"{entry.folder}/{MANIFEST}")


def _is_there(storage: Storage, entry: Entry) -> bool:
    """Whether a backup has its manifest still; what cannot be told is taken for that."""
    try:
        storage.stat(f"{entry.folder}/{MANIFEST}")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _is_ours(path: str) -> bool:
    """Whether a path can be that of a source, of a backup, or of what lies in one."""
    parts = path.split("/", 2)
    return is_source_name(parts[0]) and (len(parts) == 1 or ID.fullmatch(parts[1]) is not None)


def _is_hidden(files: Mapping[str, Stat]) -> bool:
    """Whether the folder of a backup cannot be read itself."""
    return "" in files and bool(files[""].problem)


def _notes(files: Iterable[str], folder: str, parse: Callable[[str], _Note | None]) -> tuple[_Note, ...]:
    """The notes of one kind among the files of a backup, by their names alone."""
    names = (path.removeprefix(f"{folder}/") for path in files if path.startswith(f"{folder}/"))
    return tuple(note for note in map(parse, names) if note is not None)


def _leftovers(folders: _Folders) -> tuple[str, ...]:
    return tuple(
        sorted("/".join(key) for key, files in folders.items() if MANIFEST not in files and not _is_hidden(files))
    )


def open_catalog(store: StoreLike, registry: Registry) -> Catalog:
    """Open the catalog of a store: a path, a URL, a `Storage`, or None for `HOLDFAST_STORE`, else `./backups`.

    A store that is not there, or cannot be read, is a `NotFoundError`.
    """
    catalog = unopened_catalog(store, registry)
    catalog.open()
    return catalog


def unopened_catalog(store: StoreLike, registry: Registry) -> Catalog:
    """The catalog of a store that need not be there yet; see `open_catalog`."""
    if store is None or isinstance(store, str | os.PathLike):
        store = registry.storage(default_store() if store is None else os.fspath(store))
    check_part("store", store)
    return Catalog(store)


def is_latest(reference: str) -> bool:
    """Tell whether a reference asks for the newest backup, whichever that is."""
    return reference.rpartition("/")[2] == "latest"
