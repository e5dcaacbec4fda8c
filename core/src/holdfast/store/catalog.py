"""The catalog: which backups a store holds, and how they are found.

Names are claimed in `holdfast.store.claims`, and backups removed in `holdfast.store.removal`.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial

import msgspec
from msgspec.structs import replace

from holdfast.api import Stat, Storage, SupportsFolder, SupportsRetention
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NotFoundError,
    os_error_text,
    quote_name,
)
from holdfast.garbage import no_garbage_search
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreLike, open_storage
from holdfast.store import findings, labels, listed, lookup, manifest
from holdfast.store.entry import Entry, Listing, hidden_blobs, missing
from holdfast.store.known import Known, notes_in
from holdfast.store.manifest import Manifest, UnusableManifest
from holdfast.store.manifest_cache import Key, ManifestCache, Row, mark_of
from holdfast.store.names import FINDINGS, ID, LABELS, MANIFEST, MARKER, is_source_name
from holdfast.store.renames import was_called
from holdfast.store.retention import free_writer, noted_in
from holdfast.streaming.workers import Stop, run_tasks

_READERS = 32  # of manifests at once, where they are not files of this machine

_Folders = Mapping[Key, dict[str, Stat]]


class Catalog:
    """The backups in a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._keeps = isinstance(storage, SupportsRetention)  # which takes a second for ten thousand backups

    @cached_property
    def cache(self) -> ManifestCache:
        """What this machine knows of the manifests; see `holdfast.store.manifest_cache` for what that is good for."""
        return ManifestCache.of(self.storage)

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
        with contextlib.suppress(FileExistsError), free_writer(self.storage, MARKER) as writer:
            writer.write(msgspec.json.encode(marker) + b"\n")
        return True

    # --- listing and finding ---

    def listing(self, name: str | None = None, *, beginning: str = "", cached: bool = False) -> Listing:
        """Read the store; what is damaged, hostile or half deleted is shown as that and stops nothing.

        Only backups whose ids have that `beginning` are read. Where nothing is deleted because of it, manifests may be
        `cached`. Of several manifests only the outline is kept: of 20,000 tables the rest would be 50 MB a backup.
        """
        foreign: list[str] = []
        hidden: dict[str, str] = {}
        with no_garbage_search():
            known = Known(self.cache.rows(name), self.storage) if cached and not beginning else None
            folders = self._folders(name, foreign, hidden, known)
            if beginning:
                folders = {key: files for key, files in folders.items() if key[1].startswith(beginning)}
            entries = self._cached_entries(folders, known) if known else self._entries(folders)
        return Listing(entries=entries, leftovers=_leftovers(folders), foreign=tuple(foreign), hidden=hidden)

    def leftovers(self, name: str) -> tuple[str, ...]:
        """The folders of a source that are no backup: unfinished, half deleted, or at work."""
        return _leftovers(self._folders(name))

    def walk(self, name: str = "") -> Iterable[Stat]:
        """What lies in the store, or below a source; what is not ours is not looked into where that can be avoided."""
        return listed.walk(self.storage, name, _is_ours)

    def _folders(
        self,
        name: str | None,
        foreign: list[str] | None = None,
        hidden: dict[str, str] | None = None,
        known: Known | None = None,
    ) -> _Folders:
        """What lies in each folder of a backup, by source and id, without reading any of it.

        Links and the like in the place of a source or backup are added to `foreign`, sources whose folders cannot be
        read to `hidden`. What is `known` and has not changed is left out.
        """
        stats = listed.walk(self.storage, name or "", partial(_is_wanted, known)) if known else self.walk(name or "")
        try:
            return _sorted_into_folders(
                stats, name, [] if foreign is None else foreign, {} if hidden is None else hidden
            )
        except OSError as error:
            where = quote_name(self.storage.location)
            raise NotFoundError(f"cannot read the store at {where}: {os_error_text(error)}") from error

    def _cached_entries(self, folders: _Folders, known: Known) -> tuple[Entry, ...]:
        """The entries, of whose manifests only those are read that are new; all of them are known next time."""
        unchanged = [entry if (entry := known.entry(key)) else self.entry(*key) for key in known.unchanged]
        entries = self._entries(folders, known)
        self.cache.update(
            {
                (entry.name, entry.id): (row, entry.manifest.source)
                for entry in entries
                if entry.manifest is not None and (row := known.new_row(entry)) is not None
            },
            gone=known.rows.keys() - folders.keys() - known.unchanged,
        )
        return _ordered([*filter(None, unchanged), *entries])

    def _entries(self, folders: _Folders, known: Known | None = None) -> tuple[Entry, ...]:
        backups = [(key, files) for key, files in folders.items() if MANIFEST in files or _is_hidden(files)]
        outlined = len(backups) > 1 or bool(known and known.unchanged)
        rows = known.rows if known else {}
        tasks = [partial(self._entry, *key, files, outlined, rows.get(key)) for key, files in backups]
        return _ordered(filter(None, _carried_out(self.storage, tasks)))

    def _entry(
        self, name: str, backup_id: str, files: dict[str, Stat], outlined: bool = False, known: Row | None = None
    ) -> Entry | None:
        """What a folder holds as a backup; None where there is no manifest, or none any more."""
        if MANIFEST not in files and not _is_hidden(files):
            return None
        entry = Entry(
            name=name,
            id=backup_id,
            findings=notes_in(files, FINDINGS, findings.parse_name),
            labels=notes_in(files, LABELS, labels.parse_name),
            noted_retention=noted_in(files) if self._keeps else None,
            files=files,
        )
        if MANIFEST not in files:
            return replace(entry, problem=f"its folder cannot be read: {files[''].problem}", unreadable=True)
        is_known = known is not None and files[MANIFEST].regular and known.mark == mark_of(files[MANIFEST])
        if known is not None and is_known and (document := known.outline()) is not None:
            return self._complete(entry, document, known.checksum, outlined=True, was_cached=True)
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
        document = manifest.outline(document) if outlined else document
        return self._complete(entry, document, hashlib.sha256(data).hexdigest(), outlined=outlined)

    def _complete(
        self, entry: Entry, document: Manifest, checksum: str, *, outlined: bool, was_cached: bool = False
    ) -> Entry | None:
        """The entry with its manifest, and what its folder lacks of that; None where it is being deleted."""
        problem = missing(document, entry.files)
        if problem and not _is_there(self.storage, entry):
            return None  # what is being deleted lacks blobs
        listed.check_blobs(self.storage, entry, document)
        unreadable = "" if problem else hidden_blobs(document, entry.files)
        return replace(
            entry,
            manifest=document,
            checksum=checksum,
            problem=problem or unreadable,
            unreadable=bool(unreadable),
            outlined=outlined,
            was_cached=was_cached,
        )

    def entry(self, name: str, backup_id: str) -> Entry | None:
        """Read one backup; None if it is not there, or is none."""
        folder = f"{name}/{backup_id}"
        stats = listed.checked_listing(self.storage, self.storage.list(folder), folder, f"{folder}/{MANIFEST}")
        files = {stat.path.removeprefix(f"{folder}/"): stat for stat in stats}
        return self._entry(name, backup_id, files)

    def reload(self, entry: Entry) -> Entry | None:
        """Read one backup anew; None if it is gone."""
        return self.entry(entry.name, entry.id)

    def find(self, reference: str) -> Entry:
        """Find a backup by id, unique prefix, `latest` or `NAME/latest`; unknown is a `NotFoundError`."""
        return lookup.find(self, reference)

    def readable(self, reference: str, *, allow_damaged: bool = False) -> tuple[Entry, Manifest]:
        """Find a backup whose data may be used; a damaged one is an `IntegrityError`, unless that is allowed."""
        entry = self.find(reference)
        return entry, lookup.usable_manifest(self, entry, reference, allow_damaged=allow_damaged)

    def newest(self, name: str) -> Iterator[Entry]:
        """The backups of a source, newest first; each manifest is read when it is asked for."""
        folders = self._folders(name)
        return filter(None, (self._entry(*key, folders[key], True) for key in sorted(folders, reverse=True)))


def _sorted_into_folders(
    stats: Iterable[Stat], name: str | None, foreign: list[str], hidden: dict[str, str]
) -> _Folders:
    folders: dict[Key, dict[str, Stat]] = {}
    beginning, there = "/", dict[str, Stat]()  # of the last folder: most often the next is of the same
    for stat in stats:
        if stat.path.startswith(beginning):
            there[stat.path[len(beginning) :]] = stat
            continue
        parts = stat.path.split("/", 2)
        if not _is_ours("/".join(parts[:2]).rstrip("/")):
            continue
        if len(parts) == 3:
            beginning, there = f"{parts[0]}/{parts[1]}/", folders.setdefault((parts[0], parts[1]), {})
            there[parts[2]] = stat
        elif stat.problem and name is None:
            hidden[parts[0]] = stat.problem
        elif stat.problem:
            raise NotFoundError(f"cannot read {quote_name(stat.path)} in the store: {stat.problem}")
        elif not stat.regular and (len(parts) == 1 or parts[1]):
            foreign.append(stat.path)
    return folders


def _ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.created_at, entry.id)))


def _carried_out(storage: Storage, tasks: Sequence[Callable[[], Entry | None]]) -> list[Entry | None]:
    """What each read returned, in their order.

    Most of a read is the way to a service, so that many at once take little longer than one.
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


def _is_wanted(known: Known, path: str) -> bool:
    """Whether a folder has to be looked into."""
    return _is_ours(path) and not known.is_unchanged(path)


def _is_hidden(files: Mapping[str, Stat]) -> bool:
    """Whether the folder of a backup cannot be read itself."""
    return "" in files and bool(files[""].problem)


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
    return Catalog(open_storage(store, registry))
