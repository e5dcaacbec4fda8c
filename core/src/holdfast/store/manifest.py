"""The manifest: what a backup is, as published last and never changed (docs/format.md specifies it)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from holdfast.api import ObjectProof, Proof
from holdfast.command_text import command_text
from holdfast.decodable import decodable
from holdfast.errors import IntegrityError, lower_first, quote_name
from holdfast.host import Host
from holdfast.store.names import ID, MARKER, check_blob_path, is_source_name, is_suffix

FORMAT_VERSION = 1
SEALED_VERSION = 2  # of a backup that is encrypted; see `holdfast.store.stub`
MAX_SIZE = 256 << 20  # bytes; 100 000 streams make about 60 MB
_LARGEST = (1 << 63) - 1  # bytes of a file (off_t)
_SHA256 = re.compile("[0-9a-f]{64}")
_Record = TypeVar("_Record")
_LONG = 16  # entries of a hint that a listing keeps


class BlobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as stored: path relative to the backup's folder, bytes, digests of the stored bytes."""

    path: str
    size: int
    digests: dict[str, str]


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of the dump: plain bytes, digests of the plain bytes, and its blob."""

    name: str
    suffix: str
    size: int
    digests: dict[str, str]
    blob: BlobRecord


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where the backup is from: `url` without secrets, `identity` a digest that tells sources apart.

    `host` is there where the identity holds on one host only; `address` and `position` are those of a server, whose
    copies have its identity.
    """

    name: str
    url: str
    engine: str
    identity: str
    server_version: str = ""
    host: Host | None = None
    address: str = ""
    position: list[int] = []


class CodecRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The codec by name, and as it was asked for (`zstd:3`)."""

    name: str
    spec: str


class CipherRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The cipher by name; `content` and `part` are equal where those of two backups of one source are, and say nothing.

    `manifest` is the sealed manifest, where this is what stands in clear beside it.
    """

    name: str
    content: str = ""
    part: str = ""
    manifest: BlobRecord | None = None


# Options of engines that leave rows or definitions out, by these names in each.
_PARTIAL = ("schema_only", "data_only")


class ProofRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the dump's own snapshot held; see `holdfast.api.Proof`."""

    method: str
    objects: list[ObjectProof]
    settings: dict[str, Any] = {}

    @classmethod
    def of(cls, proof: Proof | None, streams: Sequence[StreamRecord]) -> "ProofRecord | None":
        """Record a proof, with the digests of streams that it leaves to the core filled in."""
        if proof is None:
            return None
        digests = {stream.name: stream.digests["sha256"] for stream in streams}
        objects = [
            replace(record, digest=record.digest or digests.get(record.name, "")) if record.kind == "stream" else record
            for record in proof.objects
        ]
        return cls(method=proof.method, objects=objects, settings=dict(proof.settings))

    def proof(self) -> Proof:
        """The proof as engines know it."""
        return Proof(method=self.method, objects=tuple(self.objects), settings=self.settings)


class ToolRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What made the backup: versions by distribution, and of client programs."""

    holdfast: str
    python: str
    plugins: dict[str, str]
    programs: dict[str, str] = {}
    wrappers: dict[str, str] = {}  # those that have made something else of the codec


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. Times are UTC, sizes bytes, digests lowercase hexadecimal by algorithm."""

    format_version: int
    id: str
    created_at: datetime
    duration_seconds: float
    source: SourceRecord
    codec: CodecRecord
    checksums: list[str]
    streams: list[StreamRecord]
    tool: ToolRecord
    cipher: CipherRecord | None = None
    consistency_point: dict[str, Any] = {}
    options: dict[str, Any] = {}
    selection: dict[str, list[str]] = {}
    proof: ProofRecord | None = None
    damage: list[str] = []
    warnings: list[str] = []
    tags: list[str] = []
    shrunk_from: str = ""
    run: str = ""
    hints: dict[str, Any] = {}

    @property
    def is_sealed(self) -> bool:
        """Whether this is only what stands in clear of an encrypted backup: neither its streams nor its source."""
        return self.cipher is not None and self.cipher.manifest is not None

    @property
    def size(self) -> int:
        """Plain bytes of all streams; 0 where they are sealed."""
        return sum(stream.size for stream in self.streams)

    @property
    def content(self) -> str:
        """What was taken and in which format: the sizes of two backups can be compared where this is the same."""
        return self.cipher.content if self.cipher else content_of(self.source.engine, self.options, self.selection)

    @property
    def part(self) -> str:
        """Which part of its source it holds, by what selected it; empty for all of it."""
        return self.cipher.part if self.cipher else self.selected

    @property
    def selected(self) -> str:
        """The same in words, of a backup that is open."""
        return part_of(self.options, self.selection)

    @property
    def stored_size(self) -> int:
        """Stored bytes of all blobs."""
        return sum(stream.blob.size for stream in self.streams)


def part_of(options: Mapping[str, Any], selection: Mapping[str, Sequence[str]]) -> str:
    """What `Manifest.selected` is for a backup with these options and this selection."""
    if not (selection or options):
        return ""
    chosen = [f"{key} {' '.join(values)}" for key, values in sorted(selection.items()) if values]
    return ", ".join([*chosen, *(key for key in _PARTIAL if str(options.get(key)).lower() == "true")])


def content_of(engine: str, options: Mapping[str, Any], selection: Mapping[str, Sequence[str]]) -> str:
    """What `Manifest.content` is for a backup with these options and this selection."""
    return repr((engine, sorted(options.items()), sorted(selection.items())))


#: All that a manifest consists of.
RECORDS = (Manifest, SourceRecord, CodecRecord, CipherRecord, StreamRecord, BlobRecord, ProofRecord, ToolRecord, Host)


class UnusableManifest(IntegrityError):  # noqa: N818 (nothing is known to be wrong with the backup)
    """The manifest is well, and not for us as it lies: of a newer format, encrypted, or of another place.

    `source` is what it says of its source, where it lies among the backups of another one.
    """

    source: SourceRecord | None = None


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as indented JSON, for eyes and `jq`."""
    return write_json(manifest)


def write_json(record: msgspec.Struct) -> bytes:
    """Write a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode(data: bytes, *, name: str, backup_id: str, was_called: Callable[[str], bool] = lambda _: False) -> Manifest:
    """Read a manifest that lies in the folder `name/backup_id` and believe nothing of it; else `IntegrityError`.

    `was_called` tells whether the source has had a name, which its older manifests have still.
    """
    version = _format_version(data, "the manifest")
    if version not in (FORMAT_VERSION, SEALED_VERSION):
        newer = version > SEALED_VERSION
        raise (UnusableManifest if newer else IntegrityError)(
            f"the manifest has format version {version}, this Holdfast reads {FORMAT_VERSION} and {SEALED_VERSION}",
            hint="use a newer Holdfast" if newer else None,
        )
    if version == SEALED_VERSION:
        from holdfast.store.stub import Stub, outline_of

        manifest = outline_of(read_json(data, Stub))
    else:
        manifest = read_json(data, Manifest)
        if manifest.cipher is not None:
            raise UnusableManifest(
                f"the backup is encrypted, which format version {FORMAT_VERSION} has no word for",
                hint="use a newer Holdfast",
            )
    check_place(manifest, name, backup_id, was_called)
    check_document(manifest)
    if not manifest.is_sealed:
        check_codec(manifest.codec.name)
    return manifest


def read_json(data: bytes, kind: type[_Record]) -> _Record:
    """Read a manifest or a part of one, of which nothing is believed."""
    try:
        return msgspec.json.decode(data, type=decodable(kind))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IntegrityError(f"the manifest is not valid: {_line(error)}") from error


def check_place(manifest: Manifest, name: str, backup_id: str, was_called: Callable[[str], bool]) -> None:
    """Refuse the manifest of another backup than that in whose place it lies."""
    if manifest.id != backup_id or not (manifest.source.name == name or was_called(manifest.source.name)):
        misplaced = UnusableManifest(
            f"the manifest is of {quote_name(manifest.source.name[:80])}/{quote_name(manifest.id[:80])}, "
            f"but lies in {name}/{backup_id}",
            hint=_place_hint(manifest, name, backup_id),
        )
        misplaced.source = manifest.source if manifest.id == backup_id else None
        raise misplaced


def _place_hint(manifest: Manifest, name: str, backup_id: str) -> str:
    if manifest.id != backup_id or not is_source_name(manifest.source.name):
        return "a folder of a store cannot be renamed: give it back its name"
    finish = command_text("holdfast", "rename", manifest.source.name, name)
    return f"a folder of a store cannot be renamed by hand: give it back its name, or finish what was begun: {finish}"


def outline(manifest: Manifest) -> Manifest:
    """A manifest without what its proof holds and without long hints, which grow with the number of tables."""
    proof = manifest.proof and msgspec.structs.replace(manifest.proof, objects=[], settings={})
    hints = {key: value for key, value in manifest.hints.items() if not _is_long(value)}
    return msgspec.structs.replace(manifest, proof=proof, hints=hints)


def _is_long(value: Any) -> bool:
    return isinstance(value, list | dict) and len(value) > _LONG


class _Head(msgspec.Struct):
    """What every version of a manifest and marker has."""

    format_version: int


def _format_version(data: bytes, what: str) -> int:
    try:
        return msgspec.json.decode(data, type=decodable(_Head)).format_version
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IntegrityError(f"{what} is not valid: {_line(error)}") from error


def check_document(manifest: Manifest) -> None:
    """Refuse what is well-formed but could not have been written by a backup."""
    if not ID.fullmatch(manifest.id) or not is_source_name(manifest.source.name):
        raise IntegrityError("the manifest has an impossible id or source name")
    if manifest.created_at.utcoffset() != timedelta(0):
        raise IntegrityError("the manifest's created_at is not in UTC")
    names: set[str] = set()
    paths: set[str] = set()
    for stream in manifest.streams:
        check_blob_path(stream.blob.path)
        if not stream.name or stream.name in names or stream.blob.path.lower() in paths:
            raise IntegrityError(
                f"the manifest names {quote_name(stream.name)} or its blob more than once, or not at all"
            )
        if not is_suffix(stream.suffix):
            raise IntegrityError(f"the manifest records an impossible suffix for stream {quote_name(stream.name)}")
        names.add(stream.name)
        paths.add(stream.blob.path.lower())
        _check_amounts(stream)
    if not manifest.streams:
        raise IntegrityError("the manifest names no stream")


def _check_amounts(stream: StreamRecord) -> None:
    """Refuse sizes and digests that no stream could have."""
    for size in (stream.size, stream.blob.size):
        if not 0 <= size <= _LARGEST:
            kind = "a negative" if size < 0 else "an impossible"
            raise IntegrityError(f"the manifest records {kind} size for stream {quote_name(stream.name)}")
    for digests in (stream.digests, stream.blob.digests):
        if not _is_sha256(digests.get("sha256", "")):
            raise IntegrityError(f"the manifest has no SHA-256 for stream {quote_name(stream.name)}")


def check_codec(name: str) -> None:
    """Refuse what is not only a name: options in there would be taken for those of whoever restores."""
    if set(name) & set(":,=") or not name.strip():
        raise IntegrityError(f"the manifest names a codec {quote_name(name[:80])}, which is no name")


def _is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return "it is nested too deeply" if isinstance(error, RecursionError) else lower_first(text)


def schema() -> dict[str, Any]:
    """JSON Schema of the manifest."""
    return msgspec.json.schema(Manifest)


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """`holdfast.json` at the root of a store."""

    format_version: int
    about: str = "a Holdfast store: backups of databases; see RESTORE.md in each"


def check_marker(data: bytes, where: str, reader: str) -> None:
    """Refuse a store of a newer format; `where` it is and who its `reader` is are told of one that is not valid."""
    version = _format_version(data, f"{MARKER} of the store at {where}, as {reader} reads it,")
    if version != FORMAT_VERSION:
        raise IntegrityError(
            f"the store has format version {version}, this Holdfast reads {FORMAT_VERSION}",
            hint="use a newer Holdfast" if version > FORMAT_VERSION else None,
        )
