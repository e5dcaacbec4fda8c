"""Undelete: backups that were deleted or overwritten, as far as the versions of a store still hold them.

What is brought back is compared with the manifest and SHA256SUMS first, and the manifest comes last, as at a
publication. What lies in the place of a backup is not lost by that: it becomes a version itself.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from holdfast.api import EventType, Operation, Storage, SupportsVersions, Version, Watcher
from holdfast.defaults import installed
from holdfast.errors import IntegrityError, NotFoundError, UsageError, quote_name
from holdfast.operations._versions import (
    contents,
    deleted_notes,
    histories,
    is_gone,
    sound_versions,
    what_happened,
)
from holdfast.plugins.registry import Registry
from holdfast.record import Backup, reference
from holdfast.run import Run
from holdfast.setup import StoreAddress, StoreLike
from holdfast.store.catalog import Catalog, unopened_catalog
from holdfast.store.leasing import held
from holdfast.store.manifest import check_marker
from holdfast.store.names import CLAIM, FORMERLY, MANIFEST, MARKER
from holdfast.store.readers import using_source

log = logging.getLogger("holdfast.undelete")


@dataclass(frozen=True, kw_only=True)
class DeletedBackup:
    """A backup that is not there, or not as it was, and of which the store holds versions."""

    id: str  #: its id
    name: str  #: the name of its source
    happened: str  #: what happened to it: `deleted` or `overwritten`
    at: datetime  #: when that was, by the clock of the store (UTC)
    stored_bytes: int  #: bytes of the versions that it was published with, as far as can be told without reading them

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "at": self.at.isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True, kw_only=True)
class UndeleteResult:
    """What was brought back of one backup."""

    id: str  #: its id
    name: str  #: the name of its source
    objects: int  #: how many objects were brought back; 0 where nothing was amiss
    stored_bytes: int  #: their bytes

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def list_deleted(
    store: str | os.PathLike[str] | Storage | None = None,
    *,
    store_options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[DeletedBackup]:
    """List the backups that were deleted or overwritten and of which the store holds versions, oldest first.

    A store that keeps no versions is a `NotFoundError`.
    """
    return Undeleting(store=StoreAddress(store, store_options), registry=registry or installed()).deleted()


def undelete(
    backup: str | Backup,
    /,
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> UndeleteResult:
    """Bring a backup back that was deleted or overwritten, named by its id or the beginning of it.

    All of it is read and compared with what was recorded first; where no versions agree with that, an `IntegrityError`
    says so and nothing is changed. One that is as it was stays so. A store that keeps no versions, and a backup of
    which it holds none, is a `NotFoundError`.
    """
    name, address = reference(backup), StoreAddress(store, store_options)
    return Undeleting(store=address, registry=registry or installed(), on_event=on_event).undelete(name)


class Undeleting:
    """The versions of a store, listed once, and what is brought back of them."""

    def __init__(self, *, store: StoreLike, registry: Registry, on_event: Watcher | None = None) -> None:
        self._registry, self._on_event = registry, on_event
        with Run(Operation.UNDELETE, registry=registry, on_event=on_event) as run:
            run.action = "cannot list the versions of the store"
            self._catalog = unopened_catalog(store, registry)
            self._storage = _versioned(self._catalog)
            self._backups, self._others = histories(self._storage.versions())
            if not contents(self._others.get(MARKER, ())):
                raise NotFoundError(f"no version of a store at {quote_name(self._catalog.storage.location)}")

    def deleted(self) -> list[DeletedBackup]:
        """What can be looked for; whether it can be brought back is known once it is read."""
        with Run(Operation.UNDELETE, registry=self._registry, on_event=self._on_event) as run:
            run.action = "cannot read the versions of the store"
            return sorted(self._deleted(), key=lambda backup: (backup.id, backup.name))

    def _deleted(self) -> Iterator[DeletedBackup]:
        for (name, backup_id), history in self._backups.items():
            if happened := what_happened(self._storage, history):
                first = [contents(versions)[0] for versions in history.values() if contents(versions)]
                since = [versions[-1].at for versions in history.values() if versions[-1] not in first]
                yield DeletedBackup(
                    id=backup_id,
                    name=name,
                    happened=happened,
                    at=max(since, default=history[MANIFEST][-1].at),
                    stored_bytes=sum(version.size for version in first),
                )

    def undelete(self, backup: str) -> UndeleteResult:
        """Bring one back; see `holdfast.undelete`."""
        with Run(Operation.UNDELETE, registry=self._registry, on_event=self._on_event) as run:
            name, backup_id = self._named(backup)
            run.identify(backup_id, name)
            run.action = f"cannot bring {backup_id} back"
            history = self._backups[name, backup_id]
            run.emit(EventType.STARTED, store=self._catalog.storage.location)
            with ExitStack() as stack:
                stack.enter_context(using_source(self._catalog.storage, name))
                stack.enter_context(held(self._catalog.storage.lease(backup_id), backup_id))
                sound = sound_versions(self._storage, name, backup_id, history)
                wanted = [version for version in (*sound.objects, *deleted_notes(history)) if not version.newest]
                wanted += self._around(name)
                self._bring(wanted)
                if not sound.manifest.newest:
                    self._catalog.storage.barrier()
                    self._bring([sound.manifest])
                    wanted.append(sound.manifest)
                self._catalog.storage.barrier()
                self._check(name, backup_id)
            size = sum(version.size for version in wanted)
            result = UndeleteResult(id=backup_id, name=name, objects=len(wanted), stored_bytes=size)
            log.info("brought back %s/%s", name, backup_id, extra={"id": backup_id, "source_name": name})
            run.finish(**result.as_data())
            return result

    def _named(self, backup: str) -> tuple[str, str]:
        """The backup that is meant: by its id, the beginning of one, or either behind the name of its source."""
        name, _, start = backup.rpartition("/")
        if start == "latest":
            raise UsageError("latest is the newest backup that is there", hint="name the id of the one to bring back")
        fitting = [key for key in self._backups if start and key[1].startswith(start) and name in ("", key[0])]
        fitting = [key for key in fitting if contents(self._backups[key].get(MANIFEST, ()))]
        if not fitting:
            where = quote_name(self._catalog.storage.location)
            raise NotFoundError(f"no version of a backup {quote_name(backup)} in the store at {where}")
        if len(fitting) > 1:
            ids = ", ".join("/".join(key) for key in sorted(fitting)[:5])
            raise UsageError(f"{quote_name(backup)} begins the ids of {len(fitting)} backups: {ids}")
        return fitting[0]

    def _around(self, name: str) -> list[Version]:
        """What makes the place a store, and the names of the source, where those were deleted."""
        marks = [path for path in self._others if path.startswith((f"{name}/{FORMERLY}", f"{name}/{CLAIM}"))]
        wanted = [contents(self._others[path])[-1] for path in marks if is_gone(self._others[path])]
        marker = self._marker(self._others[MARKER])
        return wanted if marker.newest else [*wanted, marker]

    def _marker(self, versions: Sequence[Version]) -> Version:
        """The version of `holdfast.json` that is one; the newest if that is."""
        where = quote_name(self._catalog.storage.location)
        error: IntegrityError | None = None
        for version in sorted(contents(versions), key=lambda version: not version.newest):
            try:
                check_marker(self._storage.read_version(MARKER, version.id, 0, 1 << 16), where, "the storage")
            except IntegrityError as failure:
                error = failure
            else:
                return version
        raise error or NotFoundError(f"no version of a store at {where}")

    def _bring(self, versions: Sequence[Version]) -> None:
        for version in versions:
            self._storage.bring_back(version.path, version.id)

    def _check(self, name: str, backup_id: str) -> None:
        entry = self._catalog.entry(name, backup_id)
        if entry is None or entry.manifest is None or entry.problem:
            why = entry.problem if entry else "it is not listed"
            raise IntegrityError(f"backup {backup_id} was brought back, and is not whole: {why}")


def _versioned(catalog: Catalog) -> SupportsVersions:
    storage = catalog.storage
    if not isinstance(storage, SupportsVersions):
        raise NotFoundError(
            f"the store at {quote_name(storage.location)} keeps no versions: what was deleted is gone",
            hint="look for a copy in another store: holdfast list --store OTHER",
        )
    return storage
