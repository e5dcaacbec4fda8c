"""What lies with the blobs of an encrypted backup: all of it sealed that tells of its content."""

from collections.abc import Mapping, Sequence

import msgspec

from holdfast.api import Codec, HasherFactory
from holdfast.setup import Encryption
from holdfast.store.key_files import new_key_file
from holdfast.store.manifest import BlobRecord, Manifest, StreamRecord, encode
from holdfast.store.manual_restore import FetchSteps, decrypting_instructions, opened_instructions
from holdfast.store.names import INSTRUCTIONS
from holdfast.store.stub import encode_stub, stub_of


def sealed_files(
    encryption: Encryption,
    codec: Codec,
    manifest: Manifest,
    steps: Sequence[str],
    files: Mapping[str, bytes],
    fetch: FetchSteps,
) -> dict[str, bytes]:
    """How to restore by hand, in clear as far as decrypting goes, and the files of the engine under neutral names."""
    suffix = encryption.cipher.suffix
    names = {f"f{number:04d}": name for number, name in enumerate(files, 1)}
    opened = msgspec.structs.replace(manifest, streams=[_opened(stream, suffix) for stream in manifest.streams])
    private = opened_instructions(opened, codec, steps, names)
    return {
        **{f"{neutral}{suffix}": encryption.key.seal(files[name]) for neutral, name in names.items()},
        f"INSTRUCTIONS.md{suffix}": encryption.key.seal(private.encode()),
        INSTRUCTIONS: decrypting_instructions(manifest, encryption.cipher, fetch).encode(),
    }


def _opened(stream: StreamRecord, suffix: str) -> StreamRecord:
    blob = msgspec.structs.replace(stream.blob, path=stream.blob.path.removesuffix(suffix))
    return msgspec.structs.replace(stream, blob=blob)


def sealed_manifest(
    encryption: Encryption, manifest: Manifest, hashers: Mapping[str, HasherFactory]
) -> tuple[dict[str, bytes], bytes]:
    """The sealed manifest as a file, and what stands in clear of it."""
    path = f"manifest{encryption.cipher.suffix}"
    data = encryption.key.seal(encode(manifest))
    running = {name: start() for name, start in hashers.items()}
    for hasher in running.values():
        hasher.update(data)
    digests = {name: hasher.hexdigest() for name, hasher in running.items()}
    record = BlobRecord(path=path, size=len(data), digests=digests)
    return {path: data}, encode_stub(stub_of(manifest, record))


def new_key_files(encryption: Encryption) -> dict[str, bytes]:
    """The key of the backup, sealed to each recipient."""
    key = encryption.key
    return dict(new_key_file(key.cipher, key.secret, recipient) for recipient in encryption.recipients)
