"""Keys: who can open the encrypted backups of a store, by one small file for each backup and recipient."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from holdfast.api import SupportsIdentities
from holdfast.errors import HoldfastError, NotFoundError, UnsafeError, UsageError
from holdfast.identities import IdentitySource
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.key_files import KeyFile, key_files_in, new_key_file, recipient_digest
from holdfast.store.published import check_published
from holdfast.store.readers import reading
from holdfast.store.retention import write_note
from holdfast.store.sealed import open_key


class KeyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one backup: whether anything was changed, or why nothing could be."""

    entry: Entry
    changed: bool = False
    error: HoldfastError | None = None


def encrypted_backups(catalog: Catalog, references: Sequence[str]) -> list[Entry]:
    """The encrypted backups that are meant, all of the store if none is named; one that is not is a `UsageError`."""
    if not references:
        return [entry for entry in catalog.listing().entries if is_encrypted(entry)]
    entries = [catalog.find(reference) for reference in references]
    for entry in entries:
        if not is_encrypted(entry):
            raise UsageError(f"backup {entry.id} is not encrypted")
    return entries


def is_encrypted(entry: Entry) -> bool:
    """Whether a backup needs a key."""
    return entry.manifest is not None and entry.manifest.is_sealed


def key_files(entry: Entry) -> list[KeyFile]:
    """The key files of a backup, the newest first."""
    return key_files_in(entry.files)


def new_identity(registry: Registry, cipher: str) -> tuple[str, str]:
    """Make an identity; returns it and its recipient."""
    maker = registry.cipher(cipher)
    if not isinstance(maker, SupportsIdentities):
        raise UsageError(f"{provider(maker)} makes no identities")
    identity = maker.new_identity()
    return identity, maker.recipient_of(identity)


def export_key(catalog: Catalog, entry: Entry, *, registry: Registry, identity: IdentitySource) -> bytes:
    """The key of one backup, which opens it and no other."""
    return open_key(catalog.storage, entry, registry=registry, identity=identity).secret


def try_identity(catalog: Catalog, entry: Entry, *, registry: Registry, identity: IdentitySource) -> KeyResult:
    """Open the sealed manifest of a backup with an identity."""
    open_key(catalog.storage, entry, registry=registry, identity=identity)
    return KeyResult(entry=entry)


def add_recipient(
    catalog: Catalog, entry: Entry, recipient: str, *, registry: Registry, identity: IdentitySource
) -> KeyResult:
    """Seal the key of a backup to another recipient: one small file more, and nothing that was there is changed."""
    storage = catalog.storage
    cipher = registry.cipher(_cipher_name(entry))
    recipient = cipher.recipient(recipient)
    if any(file.recipient == recipient_digest(recipient) for file in key_files(entry)):
        return KeyResult(entry=entry)
    with reading(storage, entry):
        key = open_key(storage, entry, registry=registry, identity=identity)
        path, data = new_key_file(key.cipher, key.secret, recipient)
        write_note(storage, entry.folder, f"{entry.folder}/{path}", data)
        storage.barrier()
        try:
            check_published(storage, entry.folder)
        except NotFoundError:
            storage.delete(f"{entry.folder}/{path}")  # of a backup that is gone it would be all that is left
            raise
    return KeyResult(entry=entry, changed=True)


def remove_recipient(catalog: Catalog, entry: Entry, recipient: str, *, registry: Registry) -> KeyResult:
    """Delete the key file of a recipient; the last that there is, is an `UnsafeError`."""
    recipient = registry.cipher(_cipher_name(entry)).recipient(recipient)
    files = key_files(entry)
    gone = [file for file in files if file.recipient == recipient_digest(recipient)]
    if gone and len(gone) == len(files):
        raise UnsafeError(
            f"backup {entry.id} is sealed to nobody else, and nobody could open it then",
            hint="add another recipient first",
        )
    with reading(catalog.storage, entry):
        for file in gone:
            catalog.storage.delete(f"{entry.folder}/{file.path}")
        if gone:
            catalog.storage.barrier()
    return KeyResult(entry=entry, changed=bool(gone))


def each(entries: Sequence[Entry], work: Callable[[Entry], KeyResult]) -> Iterator[KeyResult]:
    """Do it for each backup; an error of one stops no other, unless there is only one."""
    for entry in entries:
        try:
            yield work(entry)
        except HoldfastError as error:
            if len(entries) == 1:
                raise
            yield KeyResult(entry=entry, error=error)


def _cipher_name(entry: Entry) -> str:
    if entry.manifest is None or entry.manifest.cipher is None:
        raise UsageError(f"backup {entry.id} is not encrypted")
    return entry.manifest.cipher.name
