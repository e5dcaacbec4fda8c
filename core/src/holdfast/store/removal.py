"""Removal of backups, of what a failed or killed run left, and of the names that nothing needs any more.

The manifest goes first: what is interrupted then is no backup any more, and a later sweep removes the rest.
"""

import contextlib
import errno
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from holdfast.api import Stat, Storage, SupportsAge, SupportsDeleteMany, SupportsRetention
from holdfast.errors import CredentialsError, HoldfastError, LockedError, PluginError, os_error_text
from holdfast.plugins.guard import provider
from holdfast.store.catalog import Catalog
from holdfast.store.claims import release_name
from holdfast.store.entry import Entry
from holdfast.store.leasing import held
from holdfast.store.names import ID, MANIFEST, is_source_name
from holdfast.store.origin import Origin
from holdfast.store.readers import reader_lease, source_lease
from holdfast.store.retention import until_text
from holdfast.temporary_names import PARTIAL

log = logging.getLogger("holdfast.store")

_LONGEST_PAUSE = 7 * 86400.0  # seconds in which a run writes something; of stores that hold no leases


def remove_backup(catalog: Catalog, entry: Entry, *, others_stay: bool = False) -> None:
    """Remove a backup, and the claim of its name with the last of them.

    Whether it is that is looked for in all of the source, which takes as long as the rest where that has a thousand
    backups: whoever knows that `others_stay` says so.
    """
    storage = catalog.storage
    storage.delete(f"{entry.folder}/{MANIFEST}")
    storage.barrier()
    if _is_published(storage, entry.folder):
        raise PluginError(f"{provider(storage)} breaks its contract: delete() left {entry.folder}/{MANIFEST} in place")
    _clear(storage, entry.folder)
    if not others_stay:
        release_name(catalog, entry.name, Origin.recorded(entry.manifest.source) if entry.manifest else None)
    storage.barrier()


def discard(catalog: Catalog, name: str, backup_id: str, origin: Origin) -> None:
    """Remove all that a failed run wrote, and give back a name that is for nothing else."""
    storage, folder = catalog.storage, f"{name}/{backup_id}"
    if _is_published(storage, folder):  # else a barrier would only write out what is about to go
        storage.delete(f"{folder}/{MANIFEST}")
        storage.barrier()
    _clear(storage, folder)
    release_name(catalog, name, origin)
    storage.barrier()


def sweep(catalog: Catalog, name: str) -> list[str]:
    """Remove unfinished folders of a source that no running process owns, and return them.

    The claim of the name stays, also where nothing else is left: the run that sweeps holds it.
    """
    removed = []
    for folder in catalog.leftovers(name):
        try:
            backup_id = folder.partition("/")[2]
            if _is_recent(catalog.storage, folder):
                continue
            with held(catalog.storage.lease(backup_id), backup_id):
                if not _is_published(catalog.storage, folder):
                    _clear(catalog.storage, folder)
                    removed.append(folder)
                    log.info("removed unfinished %s", folder, extra={"folder": folder})
        except LockedError:
            continue
        except (OSError, CredentialsError) as error:  # of a key that may not delete: what it makes is none the worse
            why = os_error_text(error) if isinstance(error, OSError) else error.message
            log.warning("could not remove unfinished %s: %s", folder, why, extra={"folder": folder})
    if removed:
        catalog.storage.barrier()
    return removed


def abandoned(storage: Storage, leftovers: Iterable[str]) -> list[str]:
    """Of unfinished folders, those that no running process owns; needs to write to the store, else none."""
    folders = []
    for folder in leftovers:
        backup_id = folder.rpartition("/")[2]
        with contextlib.suppress(LockedError, OSError, CredentialsError), held(storage.lease(backup_id), backup_id):
            folders += [] if _is_recent(storage, folder) else [folder]
    return folders


def _is_recent(storage: Storage, folder: str) -> bool:
    """Whether somebody may be at work on a folder, in a store that holds no leases."""
    return isinstance(storage, SupportsAge) and storage.age(folder) < _LONGEST_PAUSE


def unfinished_objects(catalog: Catalog) -> set[str]:
    """The paths of what is being written, or was when somebody died."""
    return {stat.path for stat in catalog.walk() if f"/{PARTIAL}" in f"/{stat.path}"}


def remove_unfinished(catalog: Catalog, names: Collection[str], seen: Collection[str]) -> list[str]:
    """Remove what was being written when it was `seen` and still is, and nobody holds a lease for; returns its paths.

    That is what lies in no leftover: of the mark of the store, of claims of these sources, and in published backups. A
    pin that is set meanwhile holds no lease, and would fail if it took as long as a prune.
    """
    removed: list[str] = []
    if not seen:  # as nearly always: the store is not walked once more for nothing
        return removed
    for path in sorted(unfinished_objects(catalog).intersection(seen)):
        source, _, rest = path.rpartition(PARTIAL)[0].partition("/")
        backup_id = rest.partition("/")[0]
        if source and (source not in names or (backup_id and not ID.fullmatch(backup_id))):
            continue
        if isinstance(catalog.storage, SupportsAge) and (not source or _is_recent(catalog.storage, source)):
            continue
        leases = [backup_id, reader_lease(backup_id)] if backup_id else [f"claim-{source}", source_lease(source)]
        try:
            with ExitStack() as stack:
                for name in leases if source else ():  # once there is a mark, whoever writes another has lost
                    stack.enter_context(held(catalog.storage.lease(name), name))
                catalog.storage.delete(path)
        except LockedError:
            continue
        except (OSError, CredentialsError) as error:
            why = os_error_text(error) if isinstance(error, OSError) else error.message
            log.warning("could not remove unfinished %s: %s", path, why)
        else:
            removed.append(path)
            log.info("removed unfinished %s", path)
    return removed


def remove_empty_sources(catalog: Catalog) -> None:
    """Remove folders of sources that are empty, because a deletion was interrupted at its very end."""
    stats = [stat for stat in catalog.walk() if stat.path.endswith("/") and not stat.problem]
    empty = [stat.path for stat in stats if is_source_name(stat.path[:-1])]
    for path in empty:
        catalog.storage.delete(path)
    if empty:
        catalog.storage.barrier()


def _is_published(storage: Storage, folder: str) -> bool:
    try:
        storage.stat(f"{folder}/{MANIFEST}")
    except FileNotFoundError:
        return False
    return True


def _clear(storage: Storage, folder: str) -> None:
    """Remove what lies below a folder, up to what cannot be read."""
    stats = list(storage.list(folder))
    hidden = next((number for number, stat in enumerate(stats) if stat.problem), len(stats))
    paths = [stat.path for stat in stats[:hidden]]
    held = _held(storage, stats[:hidden])
    if isinstance(storage, SupportsDeleteMany):
        storage.delete_many(paths)
    else:
        for path in paths:
            storage.delete(path)
    if held:
        log.warning("%s is removed from sight, and %s", folder, held, extra={"folder": folder})
    if hidden < len(stats):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), stats[hidden].path)


def _held(storage: Storage, stats: Sequence[Stat]) -> str:
    """What stays although it is deleted, because the store keeps it from everybody, as far as that can be told."""
    stored = next((stat for stat in stats if stat.regular and stat.size and f"/{PARTIAL}" not in stat.path), None)
    if stored is None or not isinstance(storage, SupportsRetention):
        return ""
    try:
        retention = storage.retention(stored.path)
    except (HoldfastError, OSError):
        return ""
    if retention is None or retention.until <= datetime.now(UTC):
        return ""
    size = sum(stat.size for stat in stats if stat.regular)
    return f"its {size} bytes stay until {until_text(retention)}, by their retention in the store"
