"""Delete: one backup, never the last good one of a source by accident."""

import logging

from holdfast.api import EventType, Operation, Watcher
from holdfast.command_text import command_text
from holdfast.errors import LockedError, UnsafeError
from holdfast.plugins.registry import Registry
from holdfast.record import Backup, reference
from holdfast.run import Run
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import State
from holdfast.store.lineage import lineage_of
from holdfast.store.lookup import is_latest
from holdfast.store.readers import deleting
from holdfast.store.removal import remove_backup
from holdfast.store.retention import retention_of, until_text

log = logging.getLogger("holdfast.delete")

_OVERRIDE = "use --allow-last to delete it all the same"


def delete(
    backup: str | Backup,
    *,
    store: StoreLike,
    registry: Registry,
    allow_last: bool = False,
    on_event: Watcher | None = None,
) -> Entry:
    """Delete one backup and return what it was; the newest good, the newest proven or a pinned one is refused.

    `allow_last` lifts the first two; a pinned one has to be unpinned. `latest` never passes over a damaged backup.
    """
    with Run(Operation.DELETE, registry=registry, on_event=on_event) as run:
        catalog = open_catalog(store, registry)
        name = reference(backup)
        entry = catalog.readable(name)[0] if is_latest(name) else catalog.find(name)
        run.identify(entry.id, entry.name)
        run.action = f"cannot delete {entry.id}"
        _check_allowed(catalog, entry, allow_last=allow_last)
        run.emit(EventType.STARTED)
        try:
            with deleting(catalog.storage, entry):
                _check_retention(catalog, entry)
                remove_backup(catalog, entry)
        except LockedError as error:
            why = f"{entry.id} is kept, because another process is reading or making it"
            raise LockedError(why, hint="run it again when that is done") from error
        log.info("deleted %s", entry.folder, extra={"id": entry.id, "source_name": entry.name})
        run.finish(id=entry.id, name=entry.name, stored_bytes=entry.stored_size)
        return entry


def _check_allowed(catalog: Catalog, entry: Entry, *, allow_last: bool) -> None:
    if entry.pinned:
        unpin = command_text("holdfast", "unpin", entry.id)
        raise UnsafeError(f"{entry.id} is pinned and is kept", hint=f"unpin it first: {unpin}")
    if allow_last:
        return
    if entry.doubt:
        raise UnsafeError(
            f"{entry.id} is kept, since it cannot be told whether it is good or pinned: {entry.doubt}",
            hint=entry.hint or _OVERRIDE,
        )
    reason = protection(catalog, entry)
    if reason:
        raise UnsafeError(f"{entry.id} is {reason} of '{entry.name}' and is kept", hint=_OVERRIDE)


def _check_retention(catalog: Catalog, entry: Entry) -> None:
    """Refuse what the store keeps from everybody: to hide it would free nothing, and lose it to whoever looks."""
    retention = retention_of(catalog.storage, entry.folder, lambda: entry.noted_retention)
    if retention is not None:
        raise UnsafeError(
            f"{entry.id} is kept until {until_text(retention)} by its retention in the store",
            hint="nobody can delete it before"
            if retention.mode == "compliance"
            else "who may lift that does so with the tools of the store's service; Holdfast never does",
        )


def protection(catalog: Catalog, entry: Entry) -> str:
    """Say why a backup must stay, or nothing."""
    others = lineage_of(catalog.storage, entry, catalog.listing(entry.name).entries)
    siblings = [sibling for sibling in others if sibling.part in ("", entry.part)]
    good = [sibling for sibling in siblings if sibling.good]
    proven = [sibling for sibling in siblings if sibling.state is State.PROVEN]
    if good and good[-1].id == entry.id:
        return "the newest good backup"
    if proven and proven[-1].id == entry.id:
        return "the newest proven backup"
    return ""
