"""Opening an encrypted backup: its key by an identity, and by that its manifest, of which the clear one is a part."""

import hashlib
from collections.abc import Callable
from functools import partial

import msgspec

from holdfast.api import Cipher, Storage
from holdfast.errors import CredentialsError, HoldfastError, IntegrityError, os_error_text
from holdfast.identities import IdentitySource
from holdfast.plugins.registry import Registry
from holdfast.store.entry import Entry
from holdfast.store.key_files import KeyFile, key_files_in, read_key_file
from holdfast.store.manifest import (
    MAX_SIZE,
    SEALED_VERSION,
    BlobRecord,
    Manifest,
    check_codec,
    check_document,
    check_place,
    read_json,
)
from holdfast.store.renames import was_called
from holdfast.store.stub import stub_of
from holdfast.streaming.seal import BackupKey


class OpenBackup(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of a backup with all that it says, and the key of its blobs, None where it is not encrypted."""

    manifest: Manifest
    key: BackupKey | None = None


def open_backup(
    storage: Storage, entry: Entry, document: Manifest, *, registry: Registry, identity: IdentitySource
) -> OpenBackup:
    """Open a backup as far as restoring it takes; one that is not encrypted is open.

    `CredentialsError` without an identity, and with one that it is not sealed to; `IntegrityError` where what is sealed
    was changed, or is not what stands in clear beside it. Nothing but the store is touched.
    """
    if document.cipher is None or document.cipher.manifest is None:
        return OpenBackup(manifest=document)
    cipher = registry.cipher(document.cipher.name)
    data = _sealed_manifest(storage, entry, document.cipher.manifest)
    key, plain = _unwrapped(storage, entry, cipher, identity, data)
    return OpenBackup(manifest=_checked(storage, entry, plain, document.cipher.manifest), key=key)


def open_key(storage: Storage, entry: Entry, *, registry: Registry, identity: IdentitySource) -> BackupKey:
    """The key of an encrypted backup."""
    document = entry.manifest
    if document is None or document.cipher is None or document.cipher.manifest is None:
        raise IntegrityError(f"backup {entry.id} is not encrypted")
    cipher = registry.cipher(document.cipher.name)
    data = _sealed_manifest(storage, entry, document.cipher.manifest)
    return _unwrapped(storage, entry, cipher, identity, data)[0]


def _sealed_manifest(storage: Storage, entry: Entry, record: BlobRecord) -> bytes:
    if record.size > MAX_SIZE:
        raise IntegrityError(f"its sealed manifest is larger than {MAX_SIZE >> 20} MiB")
    try:
        data = bytes(storage.read(f"{entry.folder}/{record.path}", 0, record.size + 1))
    except FileNotFoundError as error:
        raise IntegrityError(f"{record.path} of {entry.id} is missing") from error
    except OSError as error:
        raise HoldfastError(f"cannot read {record.path} of {entry.id}: {os_error_text(error)}") from error
    if hashlib.sha256(data).hexdigest() != record.digests["sha256"]:
        raise IntegrityError(
            f"{record.path} of {entry.id} is not what was stored: its sha256 differs from the manifest"
        )
    return data


def _unwrapped(
    storage: Storage, entry: Entry, cipher: Cipher, identity: IdentitySource, data: bytes
) -> tuple[BackupKey, bytes]:
    """The key of a backup, and its manifest, which it has to open."""
    files = key_files_in(entry.files)
    if not files:
        raise IntegrityError(f"backup {entry.id} is encrypted, and has no key file: nobody can open it")
    identities = identity.load(cipher, entry.id)
    failure: IntegrityError | None = None
    for file in files:
        try:
            for secret in filter(None, map(partial(_unwrap, storage, entry, cipher, file), identities)):
                key = BackupKey(cipher=cipher, secret=secret)
                return key, key.open(data)
        except IntegrityError as error:
            failure = error
    if failure is not None:
        raise IntegrityError(f"backup {entry.id} cannot be opened: {failure.message}") from failure
    raise CredentialsError(
        f"backup {entry.id} is encrypted, and sealed to none of the identities that were given",
        hint="give that of one of its recipients: --identity FILE or HOLDFAST_IDENTITY",
    )


def _unwrap(storage: Storage, entry: Entry, cipher: Cipher, file: KeyFile, identity: str) -> bytes | None:
    return cipher.unwrap(read_key_file(storage, entry.folder, file), identity)


def _checked(storage: Storage, entry: Entry, plain: bytes, sealed: BlobRecord) -> Manifest:
    """The manifest that was sealed, if what stands in clear is what it says."""
    manifest = read_json(plain, Manifest)
    if manifest.format_version != SEALED_VERSION or manifest.cipher is None or manifest.is_sealed:
        raise IntegrityError(f"the sealed manifest of {entry.id} is not one of an encrypted backup")
    called: Callable[[str], bool] = partial(was_called, storage, entry.name)
    check_place(manifest, entry.name, entry.id, called)
    check_document(manifest)
    check_codec(manifest.codec.name)
    if entry.manifest is None or stub_of(manifest, sealed) != stub_of(_clear(entry.manifest), sealed):
        raise IntegrityError(
            f"what stands in clear of backup {entry.id} is not what its sealed manifest says: somebody has changed it"
        )
    return manifest


def _clear(outline: Manifest) -> Manifest:
    """An outline as it was before the sealed manifest was added to its blobs."""
    cipher = outline.cipher and msgspec.structs.replace(outline.cipher, manifest=None)
    return msgspec.structs.replace(outline, streams=outline.streams[:-1], cipher=cipher)
