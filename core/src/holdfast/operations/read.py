"""Reading one plain stream of a backup, for `holdfast cat` and programs."""

from collections.abc import Iterator

from holdfast.api import Storage
from holdfast.error_boundary import translate_errors
from holdfast.errors import IntegrityError, NotFoundError, UsageError, quote_name
from holdfast.identities import NO_IDENTITY, IdentitySource
from holdfast.plugins.registry import Registry
from holdfast.store.blob import StoredBlob
from holdfast.store.entry import Entry
from holdfast.store.manifest import Manifest, StreamRecord
from holdfast.store.plugin_faults import PluginFaults
from holdfast.store.readers import reading
from holdfast.store.sealed import open_backup
from holdfast.streaming.workers import Stop


def read(
    entry: Entry,
    manifest: Manifest,
    stream: str | None,
    *,
    storage: Storage,
    registry: Registry,
    allow_damaged: bool = False,
    identity: IdentitySource = NO_IDENTITY,
) -> Iterator[bytes]:
    """Yield the plain bytes of a stream, the only one if None; damage is raised, at the latest at the end.

    With `allow_damaged` it always is raised at the end, after all that could be read, and says what is missing.
    """
    backup = open_backup(storage, entry, manifest, registry=registry, identity=identity)
    manifest = backup.manifest
    record = _pick(manifest, stream)
    hashers = {"sha256": lambda: registry.hasher("sha256")}
    with registry.needed_for(manifest.tool.plugins):
        codec = registry.codec(manifest.codec.name)
    damage: list[str] = []
    tolerate = damage.append if allow_damaged else None
    classify = PluginFaults(storage, codec, hashers, manifest.tool.plugins, wrapped_by=manifest.tool.wrappers)
    blob = StoredBlob(
        storage,
        entry.folder,
        record,
        codec,
        stop=Stop(),
        hashers=hashers,
        tolerate=tolerate,
        classify=classify,
        key=backup.key,
    )
    with translate_errors(f"cannot read {manifest.id}"), reading(storage, entry):
        yield from blob.chunks()
        if damage or blob.missing:
            raise IntegrityError("; ".join(filter(None, (*damage, blob.missing))))


def _pick(manifest: Manifest, stream: str | None) -> StreamRecord:
    names = ", ".join(quote_name(record.name) for record in manifest.streams[:20])
    if stream is None:
        if len(manifest.streams) != 1:
            raise UsageError(f"backup {manifest.id} has several streams, name one: {names}")
        return manifest.streams[0]
    for record in manifest.streams:
        if stream in (record.name, record.blob.path):
            return record
    raise NotFoundError(f"backup {manifest.id} has no stream {quote_name(stream)} (it has: {names})")
