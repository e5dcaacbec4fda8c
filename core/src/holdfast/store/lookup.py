"""Look-up: which backup a reference means (an id, the beginning of it, `latest` or `NAME/latest`), and if it is usable.

In a store of ten thousand backups a look-up reads the names of their folders and the few manifests that could be meant.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast.api import Storage, SupportsFolder, SupportsNames
from holdfast.errors import IntegrityError, NotFoundError, UsageError, quote_name
from holdfast.store.entry import Entry
from holdfast.store.lineage import are_mixed, describe, lineages
from holdfast.store.manifest import Manifest
from holdfast.store.manifest_cache import Key, origin_text
from holdfast.store.names import ID, is_source_name, store_hint
from holdfast.store.renames import renamed_hint

if TYPE_CHECKING:
    from holdfast.store.catalog import Catalog

FEW = 16  #: backups that are looked at each by itself: of more, all are listed


def is_latest(reference: str) -> bool:
    """Tell whether a reference asks for the newest backup, whichever that is."""
    return reference.rpartition("/")[2] == "latest"


def find(catalog: "Catalog", reference: str) -> Entry:
    """Find a backup by a reference, see `Catalog.find`; its manifest is whole and was read from the store."""
    name, slash, wanted = reference.rpartition("/")
    if slash and not is_source_name(name):
        raise NotFoundError(
            f"no backup {quote_name(reference)}: {quote_name(name)} is not a source name", hint=store_hint(reference)
        )
    entry = _newest(catalog, name) if wanted == "latest" else _of_id(catalog, reference)
    if not entry.outlined:  # of several only the outlines are kept
        return entry
    whole = catalog.reload(entry)
    if whole is None:
        raise NotFoundError(f"backup {entry.folder} has been deleted meanwhile")
    return whole


def _of_id(catalog: "Catalog", reference: str) -> Entry:
    name, _, wanted = reference.rpartition("/")
    entries = _meant(catalog, name, wanted)
    exact = [entry for entry in entries if entry.id == wanted]
    matches = exact or [entry for entry in entries if wanted and entry.id.startswith(wanted)]
    if not matches:
        raise NotFoundError(
            f"no backup {quote_name(reference)} in {quote_name(catalog.storage.location)}",
            hint=(name and renamed_hint(catalog.storage, name)) or "see what is there: holdfast list",
        )
    if len(matches) > 1:
        ids = ", ".join(entry.folder if exact else entry.id for entry in matches[:5])
        raise UsageError(f"'{reference}' could be any of {len(matches)} backups: {ids}")
    return matches[0]


def _meant(catalog: "Catalog", name: str, wanted: str) -> Sequence[Entry]:
    """The backups whose ids begin so."""
    folders = _folders(catalog.storage, name)
    if folders is not None:
        keys = [key for key in folders if key[1].startswith(wanted)]
        if 0 < len(keys) <= FEW:  # that there is none is said only once all was listed
            return sorted(_reloaded(catalog, keys), key=lambda entry: (entry.created_at, entry.id))
    return catalog.listing(name or None, beginning=wanted).entries


def _newest(catalog: "Catalog", name: str) -> Entry:
    """The newest backup of a source, or of the only one there is."""
    return _quickly(catalog, name) or _latest(catalog.storage, catalog.listing(name or None, cached=True).entries, name)


def _quickly(catalog: "Catalog", name: str) -> Entry | None:
    """The newest backup of a source, where it is known of all others that they are of the same database."""
    folders = _folders(catalog.storage, name) if name else None
    if not folders:
        return None
    known = catalog.cache.origins(name)
    unknown = [key for key in folders if key[1] not in known]
    if len(unknown) > FEW:
        return None
    entries = {entry.id: entry for entry in _reloaded(catalog, unknown)}
    origins = {known[backup_id] for _, backup_id in folders if backup_id in known}
    origins |= {origin_text(entry.manifest.source) for entry in entries.values() if entry.manifest}
    if len(origins) > 1:
        return None
    for key in sorted(folders, reverse=True):
        entry = entries.get(key[1]) if key in unknown else catalog.entry(*key)
        if entry is not None:
            return entry
    return None


def _reloaded(catalog: "Catalog", keys: Sequence[Key]) -> Iterator[Entry]:
    return (entry for key in keys if (entry := catalog.entry(*key)) is not None)


def _folders(storage: Storage, name: str) -> list[Key] | None:
    """The folders of backups, of one source or all; None where the storage cannot list names alone, or not all."""
    if not isinstance(storage, SupportsNames):
        return None
    try:
        sources = [name] if name else [source for source in storage.names("") if is_source_name(source)]
        if len(sources) > FEW and not isinstance(storage, SupportsFolder):
            return None  # a request for each takes longer than one for each thousand objects
        return [(source, each) for source in sources for each in storage.names(source) if ID.fullmatch(each)]
    except OSError:  # the listing of all says which of it cannot be read
        return None


def usable_manifest(catalog: "Catalog", entry: Entry, reference: str, *, allow_damaged: bool = False) -> Manifest:
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


def newest_good(catalog: "Catalog", name: str) -> Entry | None:
    """The newest backup of a source that counts, of the whole if there is one."""
    return _first_whole(entry for entry in catalog.newest(name) if entry.good)


def _first_whole(entries: Iterator[Entry]) -> Entry | None:
    """The first that holds all of its source, else the first of all; no more are read than that takes."""
    first = next(entries, None)
    return next((entry for entry in entries if not entry.part), first) if first and first.part else first


def newest_good_hint(catalog: "Catalog", name: str) -> str:
    """Say which backup of a source to use in the place of a damaged one."""
    good = newest_good(catalog, name)
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
