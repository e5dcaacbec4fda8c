"""What stands in clear of an encrypted backup: what listing, checking, copying and pruning it takes, and no more.

The catalog has it as a `Manifest` whose streams are its blobs, the sealed manifest among them, and whose fields are
empty otherwise: whatever needs more than that opens the sealed one (`holdfast.store.sealed`).
"""

from datetime import datetime

import msgspec

from holdfast.errors import IntegrityError
from holdfast.store.manifest import (
    SEALED_VERSION,
    BlobRecord,
    CipherRecord,
    CodecRecord,
    Manifest,
    SourceRecord,
    StreamRecord,
    ToolRecord,
    write_json,
)
from holdfast.store.names import KEYS

_DAMAGED = "something was wrong with the source: what that was is sealed"


class Stub(msgspec.Struct, frozen=True, kw_only=True):
    """`backup_manifest.json` of format version 2."""

    format_version: int
    id: str
    created_at: datetime
    name: str
    origin: str
    cipher: CipherRecord
    blobs: list[BlobRecord]
    manifest: BlobRecord
    damaged: bool = False
    tags: list[str] = []
    run: str = ""
    shrunk_from: str = ""


def stub_of(document: Manifest, sealed: BlobRecord) -> Stub:
    """What stands in clear of a backup, whose manifest is sealed as a file."""
    if document.cipher is None:
        raise ValueError("the backup is not encrypted")
    return Stub(
        format_version=SEALED_VERSION,
        id=document.id,
        created_at=document.created_at,
        name=document.source.name,
        origin=document.source.identity,
        cipher=document.cipher,
        blobs=[stream.blob for stream in document.streams],
        manifest=sealed,
        damaged=bool(document.damage),
        tags=document.tags,
        run=document.run,
        shrunk_from=document.shrunk_from,
    )


def encode_stub(stub: Stub) -> bytes:
    """Write it as indented JSON."""
    return write_json(stub)


def outline_of(stub: Stub) -> Manifest:
    """The same as the catalog has it."""
    blobs = [*stub.blobs, stub.manifest]
    for blob in blobs:
        if blob.path.lower().partition("/")[0] == KEYS:
            raise IntegrityError(f"the manifest names a blob in the folder {KEYS}")
    return Manifest(
        format_version=stub.format_version,
        id=stub.id,
        created_at=stub.created_at,
        duration_seconds=0.0,
        source=SourceRecord(name=stub.name, url="", engine="", identity=stub.origin),
        codec=CodecRecord(name="", spec=stub.cipher.name),
        cipher=msgspec.structs.replace(stub.cipher, manifest=stub.manifest),
        checksums=[*stub.manifest.digests],
        streams=[StreamRecord(name=blob.path, suffix="", size=0, digests=blob.digests, blob=blob) for blob in blobs],
        tool=ToolRecord(holdfast="", python="", plugins={}),
        damage=[_DAMAGED] if stub.damaged else [],
        tags=stub.tags,
        run=stub.run,
        shrunk_from=stub.shrunk_from,
    )
