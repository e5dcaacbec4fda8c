"""Deleting: never the last good backup of a source by accident, and never half a backup that still looks whole."""

import logging

from holdfast.errors import UnsafeError
from holdfast.store.catalog import Catalog, Entry
from holdfast.store.findings import State

log = logging.getLogger("holdfast.retention")


def delete(catalog: Catalog, entry: Entry, *, force_empty: bool = False) -> None:
    """Delete one backup; the newest good and the newest proven one of a source only with `force_empty`.

    The manifest goes first, so that whatever interrupts this leaves no backup that cannot be restored.
    """
    why = protection(catalog, entry)
    if why and not force_empty:
        raise UnsafeError(
            f"{entry.id} is {why} of '{entry.name}' and is kept", hint="--force-empty deletes it all the same"
        )
    catalog.delete(entry)
    log.info("deleted %s", entry.folder, extra={"id": entry.id, "source_name": entry.name})


def protection(catalog: Catalog, entry: Entry) -> str:
    """Say why a backup must stay, or nothing."""
    siblings = catalog.listing(entry.name).entries
    good = [sibling for sibling in siblings if sibling.good]
    proven = [sibling for sibling in siblings if sibling.state is State.PROVEN]
    if good and good[-1].id == entry.id:
        return "the newest good backup"
    if proven and proven[-1].id == entry.id:
        return "the newest proven backup"
    return ""
