"""The catalog: which backups a store holds, how they are named, found, begun, published and deleted."""

import contextlib
import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from holdfast.api import Source, Stat, Storage
from holdfast.defaults import default_store
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    LockedError,
    NotFoundError,
    UnsafeError,
    UsageError,
    os_error_text,
    quote_name,
)
from holdfast.plugins.registry import Registry
from holdfast.setup import check_part
from holdfast.store import findings, labels, manifest
from holdfast.store.entry import Entry, Listing, missing
from holdfast.store.manifest import Manifest, NewerFormat
from holdfast.store.names import CLAIM, FINDINGS, ID, LABELS, MANIFEST, MARKER, is_source_name, new_id

log = logging.getLogger("holdfast.store")


StoreLike = str | os.PathLike[str] | Storage | None
"""How a program names a store: a path, a URL, an object, or None for the default."""

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
        manifest.check_marker(data)

    def usable(self) -> bool:
        """Whether there is a store; one that backups cannot go to is an error, a missing one is none."""
        try:
            self.open()
        except NotFoundError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise HoldfastError(f"cannot use the store: {error.message}") from error
            return False
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
        """Read the store; what is damaged, hostile or half deleted is shown as that and stops nothing."""
        foreign: list[str] = []
        folders = self._folders(name, foreign)
        return Listing(entries=self._entries(folders), leftovers=_leftovers(folders), foreign=tuple(foreign))

    def _folders(self, name: str | None, foreign: list[str] | None = None) -> _Folders:
        """What lies in each folder of a backup, by source and id, without reading any of it.

        Links and the like in the place of a source or backup are added to `foreign`.
        """
        folders: dict[tuple[str, str], dict[str, Stat]] = defaultdict(dict)
        foreign = [] if foreign is None else foreign
        try:
            for stat in self.storage.list(name or ""):
                parts = stat.path.split("/", 2)
                if len(parts) == 3 and is_source_name(parts[0]) and ID.fullmatch(parts[1]):
                    folders[parts[0], parts[1]][parts[2]] = stat
                elif not stat.regular and is_source_name(parts[0]) and (len(parts) == 1 or ID.fullmatch(parts[1])):
                    foreign.append(stat.path)
        except OSError as error:
            where = quote_name(self.storage.location)
            raise NotFoundError(f"cannot read the store at {where}: {os_error_text(error)}") from error
        return folders

    def _entries(self, folders: _Folders) -> tuple[Entry, ...]:
        found = [
            self._entry(source, backup_id, files) for (source, backup_id), files in folders.items() if MANIFEST in files
        ]
        return tuple(sorted(found, key=lambda entry: (entry.created_at, entry.id)))

    def _entry(self, name: str, backup_id: str, files: dict[str, Stat]) -> Entry:
        below = {FINDINGS: [], LABELS: []}  # type: dict[str, list[str]]
        for path in files:
            folder, _, file = path.partition("/")
            if folder in below:
                below[folder].append(file)
        found = Entry(
            name=name,
            id=backup_id,
            findings=tuple(one for one in map(findings.parse_name, below[FINDINGS]) if one is not None),
            labels=tuple(one for one in map(labels.parse_name, below[LABELS]) if one is not None),
            files=files,
        )
        try:
            if not files[MANIFEST].regular:
                raise IntegrityError("its manifest is not a regular file")
            if files[MANIFEST].size > manifest.MAX_SIZE:
                raise IntegrityError(f"its manifest is larger than {manifest.MAX_SIZE >> 20} MiB")
            data = self.storage.read(f"{name}/{backup_id}/{MANIFEST}")
            document = manifest.decode(data, name=name, backup_id=backup_id)
        except OSError as error:
            return replace(found, problem=f"its manifest cannot be read: {os_error_text(error)}", unreadable=True)
        except IntegrityError as error:
            return replace(found, problem=error.message, hint=error.hint, newer=isinstance(error, NewerFormat))
        checksum = hashlib.sha256(data).hexdigest()
        return replace(found, manifest=document, checksum=checksum, problem=missing(document, files))

    def reload(self, entry: Entry) -> Entry | None:
        """Read one backup anew; None if it is gone."""
        files = {stat.path.removeprefix(f"{entry.folder}/"): stat for stat in self.storage.list(entry.folder)}
        return self._entry(entry.name, entry.id, files) if MANIFEST in files else None

    def find(self, reference: str) -> Entry:
        """Find a backup by id, unique prefix, `latest` or `NAME/latest`; unknown is a `NotFoundError`."""
        name, slash, wanted = reference.rpartition("/")
        if slash and not is_source_name(name):
            raise NotFoundError(f"no backup {quote_name(reference)}: {quote_name(name)} is not a source name")
        # Only manifests that could be meant are read: a store may hold hundreds, and one of many tables is large.
        folders = self._folders(name or None).items()
        entries = self._entries(
            {key: files for key, files in folders if is_latest(wanted) or key[1].startswith(wanted)}
        )
        if wanted == "latest":
            return self._latest(entries, name)
        exact = [entry for entry in entries if entry.id == wanted]
        matches = exact or [entry for entry in entries if wanted and entry.id.startswith(wanted)]
        if not matches:
            raise NotFoundError(
                f"no backup {quote_name(reference)} in {quote_name(self.storage.location)}",
                hint="holdfast list shows what is there",
            )
        if len(matches) > 1:
            ids = ", ".join(entry.folder if exact else entry.id for entry in matches[:5])
            raise UsageError(f"'{reference}' could be any of {len(matches)} backups: {ids}")
        return matches[0]

    def _latest(self, entries: tuple[Entry, ...], name: str) -> Entry:
        names = sorted({entry.name for entry in entries})
        if not entries:
            raise NotFoundError(f"no backup{f' of {name}' if name else ''} in {quote_name(self.storage.location)}")
        if len(names) > 1:
            options = ", ".join(f"{one}/latest" for one in names)
            raise UsageError(f"'latest' is ambiguous, the store has several sources: {options}")
        return entries[-1]

    def readable(self, reference: str, *, allow_damaged: bool = False) -> tuple[Entry, Manifest]:
        """Find a backup whose data may be used; a damaged one is an `IntegrityError`, unless that is allowed."""
        entry = self.find(reference)
        document = entry.manifest
        if document is not None and (entry.good or allow_damaged):
            return entry, document
        entry.check_readable()
        why = entry.problem or ("; ".join(document.damage) if document else "") or "a check of it has failed"
        hint = entry.hint
        if is_latest(reference):
            hint = self.newest_good_hint(entry.name)
        elif document is not None:
            hint = hint or "use --allow-damaged to take it all the same"
        raise IntegrityError(f"backup {entry.id} is damaged: {why}", hint=hint)

    def newest_good(self, name: str) -> Entry | None:
        """The newest backup of a source that counts."""
        good = [entry for entry in self.listing(name).entries if entry.good]
        return good[-1] if good else None

    def newest_good_hint(self, name: str) -> str:
        """Say which backup of a source to use in the place of a damaged one."""
        good = self.newest_good(name)
        return f"the newest good backup is {good.id}" if good else f"no backup of '{name}' is good"

    def abandoned(self, leftovers: tuple[str, ...]) -> list[str]:
        """Of unfinished folders, those that no running process owns; needs to write to the store, else none."""
        found = []
        for folder in leftovers:
            with contextlib.suppress(LockedError, OSError), self.storage.lease(folder.rpartition("/")[2]):
                found.append(folder)
        return found

    # --- making a backup ---

    @contextmanager
    def begin(self, at: datetime | None = None) -> Iterator[tuple[str, datetime]]:
        """Take a new id and hold its lease, so that nobody takes an unfinished folder for a leftover.

        `at` is when the backup was made, now if None.
        """
        moment = None if at is None else at.timestamp()
        for attempt in range(20):
            backup_id, begun = new_id(moment)
            lease = self.storage.lease(backup_id)
            try:
                lease.__enter__()
            except LockedError:
                if attempt == 19:
                    raise
                continue
            break
        with contextlib.ExitStack() as stack:
            stack.push(lease)
            yield backup_id, begun

    def claim(self, source: Source, *, name: str, explicit: bool, adopt: bool) -> str:
        """Settle under which name a source's backups lie, and return it.

        A derived name that belongs to another source gets six digits of this one's identity; an explicit one is
        refused with `UnsafeError`, unless it is adopted.
        """
        settled, owned = self._settle(source, name=name, explicit=explicit, adopt=adopt)
        return settled if owned else self._take(settled, source, explicit=explicit, adopt=adopt)

    def name_for(self, source: Source, *, name: str, explicit: bool, adopt: bool) -> str:
        """The name that `claim` would settle on; changes nothing."""
        return self._settle(source, name=name, explicit=explicit, adopt=adopt)[0]

    def _settle(self, source: Source, *, name: str, explicit: bool, adopt: bool) -> tuple[str, bool]:
        """The name for a source, and whether it is the source's own already."""
        identity = identity_digest(source)
        names = [name] if explicit or adopt else [name, *(f"{name[:40]}-{identity[:n]}" for n in (6, 12, 20))]
        for candidate in names:
            owner = self._owner(candidate)
            if owner in (None, identity) or adopt:
                return candidate, owner == identity
        raise UnsafeError(
            f"the name '{name}' belongs to the backups of another database",
            hint="choose another --name, or --adopt if this database is its successor",
        )

    def _take(self, name: str, source: Source, *, explicit: bool, adopt: bool) -> str:
        if adopt:
            self.storage.delete(f"{name}/{CLAIM}")
        try:
            with self.storage.writer(f"{name}/{CLAIM}") as writer:
                writer.write(msgspec.json.encode({"identity": identity_digest(source)}) + b"\n")
        except FileExistsError:  # another process was quicker: see who it is
            return self.claim(source, name=name, explicit=explicit, adopt=False)
        return name

    def _owner(self, name: str) -> str | None:
        """The identity that holds a name: as claimed, else as its newest manifest says."""
        try:
            data: Any = msgspec.json.decode(self.storage.read(f"{name}/{CLAIM}", 0, 1 << 16))
            return str(data["identity"])
        except FileNotFoundError:
            pass
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{name}/{CLAIM} in the store is not valid", hint="delete it: the next backup makes it anew"
            ) from error
        held = [entry.manifest.source.identity for entry in self.listing(name).entries if entry.manifest]
        return held[-1] if held else None

    # --- deleting ---

    def delete(self, entry: Entry) -> None:
        """Remove a backup, its manifest first: what is interrupted is no backup any more."""
        self.storage.delete(f"{entry.folder}/{MANIFEST}")
        self.storage.barrier()
        self._clear(entry.folder)
        self._release(entry.name, entry.manifest.source.identity if entry.manifest else None)
        self.storage.barrier()

    def discard(self, name: str, backup_id: str, source: Source) -> None:
        """Remove all that a failed run wrote, its manifest first, and give back a name that is for nothing else."""
        folder = f"{name}/{backup_id}"
        if self._published(folder):  # else a barrier would only write out what is about to go
            self.storage.delete(f"{folder}/{MANIFEST}")
            self.storage.barrier()
        self._clear(folder)
        self._release(name, identity_digest(source))
        self.storage.barrier()

    def sweep(self, name: str) -> list[str]:
        """Remove unfinished folders of a source that no running process owns, and return them.

        The claim of the name stays, also where nothing else is left: the run that sweeps holds it.
        """
        removed = []
        for folder in _leftovers(self._folders(name)):
            try:
                with self.storage.lease(folder.partition("/")[2]):
                    if not self._published(folder):
                        self._clear(folder)
                        removed.append(folder)
                        log.info("removed unfinished %s", folder, extra={"folder": folder})
            except LockedError:
                continue
            except OSError as error:
                log.warning(
                    "could not remove unfinished %s: %s", folder, os_error_text(error), extra={"folder": folder}
                )
        if removed:
            self.storage.barrier()
        return removed

    def _published(self, folder: str) -> bool:
        try:
            self.storage.stat(f"{folder}/{MANIFEST}")
        except FileNotFoundError:
            return False
        return True

    def tidy(self) -> None:
        """Remove folders of sources that are empty, because a deletion was interrupted at its very end."""
        empty = [stat.path for stat in list(self.storage.list()) if stat.path.endswith("/")]
        for path in filter(lambda path: is_source_name(path[:-1]), empty):
            self.storage.delete(path)
        if empty:
            self.storage.barrier()

    def _clear(self, folder: str) -> None:
        for stat in list(self.storage.list(folder)):
            self.storage.delete(stat.path)

    def _release(self, name: str, identity: str | None) -> None:
        """Give a name back whose last backup is gone, so that a wrong first try does not hold it.

        A run that has just claimed it, and written nothing yet, claims it again before it publishes.
        """
        left = [stat.path for stat in self.storage.list(name)]
        if left == [f"{name}/{CLAIM}"] and identity in (None, self._owner(name)):
            self.storage.delete(left[0])


def _leftovers(folders: _Folders) -> tuple[str, ...]:
    return tuple(sorted("/".join(key) for key, files in folders.items() if MANIFEST not in files))


def open_catalog(store: StoreLike, registry: Registry) -> Catalog:
    """Open the catalog of a store: a path, a URL, a `Storage`, or None for `HOLDFAST_STORE`, else `./backups`.

    A store that is not there, or cannot be read, is a `NotFoundError`.
    """
    if store is None or isinstance(store, str | os.PathLike):
        store = registry.storage(default_store() if store is None else os.fspath(store))
    check_part("store", store)
    catalog = Catalog(store)
    catalog.open()
    return catalog


def is_latest(reference: str) -> bool:
    """Tell whether a reference asks for the newest backup, whichever that is."""
    return reference.rpartition("/")[2] == "latest"


def identity_digest(source: Source) -> str:
    """A digest that tells sources apart without naming them."""
    return hashlib.sha256(source.identity.encode(errors="surrogateescape")).hexdigest()
