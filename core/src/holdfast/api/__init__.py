"""Everything that a plugin imports, and all that it sees of Holdfast.

A plugin is a distribution with an entry point in the group `holdfast`. The entry point names a module (or an
object) with functions called after the hooks of `holdfast.plugins.hookspecs`, marked with `hookimpl`. It lists what it
offers as `Component` data and does the work in the operation hooks.

Vocabulary (all of it is in `docs/glossary.md`): an *engine* dumps and restores one kind of database, a *codec*
compresses, a *checksum* digests, a *cipher* encrypts, a *storage* keeps. A *stream* is one named sequence of bytes of
a dump; a *blob* is a stream as stored.

Hooks are called once a run or once a stream, never per chunk. Sizes are bytes and times are UTC throughout.
"""

from holdfast.api.aliases import Check, Chunk, ErrorMeaning
from holdfast.api.checksum import Hasher
from holdfast.api.checksum import HasherFactory as HasherFactory  # of programs, not of plugins
from holdfast.api.cipher import Cipher, Opener, Sealer, SupportsIdentities
from holdfast.api.codec import Codec, Decoder, SupportsFrameSearch, SupportsShellDecode
from holdfast.api.component import API_VERSION, Capability, Component, Kind, hookimpl, hookspec
from holdfast.api.databases import Databases, Moment, MomentRequest
from holdfast.api.dump import DumpRequest, DumpSession, Facts, Source, Stream, SupportsSource
from holdfast.api.engine import Engine, EngineHooks, options_of
from holdfast.api.events import Event, EventType, Operation
from holdfast.api.events import Watcher as Watcher
from holdfast.api.proof import ObjectProof, Proof
from holdfast.api.requirement import CheckRequest, Requirement
from holdfast.api.requirement import RequirementState as RequirementState
from holdfast.api.restore import (
    Blob,
    RestoreRequest,
    RestoreSession,
    Step,
    SupportsFailures,
    SupportsPreview,
    SupportsSelection,
    SupportsWarnings,
)
from holdfast.api.retention import Retention, RetentionMode, SupportsRetention, SupportsVersions, Version
from holdfast.api.scratch import Scratch, ScratchRequest, SupportsFaults
from holdfast.api.storage import (
    Guarantee,
    Stat,
    Storage,
    SupportsAge,
    SupportsDeleteMany,
    SupportsFingerprint,
    SupportsFolder,
    SupportsGuarantees,
    SupportsNames,
    SupportsRename,
    SupportsSharedLease,
    SupportsShellFetch,
    SupportsStreaming,
    SupportsWalk,
    Writer,
)
from holdfast.changes import Change, Preview, preview_objects, refuse_replacing
from holdfast.chunks import file_chunks, gather_chunks, split_lines
from holdfast.error_meanings import map_errors
from holdfast.errors import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    LockedError,
    NotFoundError,
    PluginError,
    UnreachableError,
    UnsafeError,
    UsageError,
    add_cleanup_failure,
    os_error_text,
    quote_name,
)
from holdfast.failure import Failure
from holdfast.file_scratch import FileScratch
from holdfast.file_urls import file_path, file_url
from holdfast.filesystem import file_kind, give_name, sync_path
from holdfast.forwarding import Forwarding
from holdfast.frame_decoder import FrameDecoder
from holdfast.kinds import ObjectKind
from holdfast.lease_keeper import LeaseKeeper
from holdfast.part_writer import PartWriter
from holdfast.retries import FailedTry, Retries
from holdfast.selection import choose_names
from holdfast.service_leases import Leases
from holdfast.staging import Staging, check_folder, write_refusal
from holdfast.table_digest import TableDigest, table_proof
from holdfast.table_rows import RowReader, decode_rows, encode_rows
from holdfast.temporary_names import temporary_path
from holdfast.url import DatabaseURL, redact

__all__ = [
    "API_VERSION",
    "Blob",
    "Capability",
    "Change",
    "Check",
    "CheckRequest",
    "Chunk",
    "Cipher",
    "Codec",
    "Component",
    "CredentialsError",
    "DatabaseURL",
    "Databases",
    "Decoder",
    "DumpRequest",
    "DumpSession",
    "Engine",
    "EngineHooks",
    "ErrorMeaning",
    "Event",
    "EventType",
    "Facts",
    "FailedTry",
    "Failure",
    "FileScratch",
    "Forwarding",
    "FrameDecoder",
    "Guarantee",
    "Hasher",
    "HoldfastError",
    "IntegrityError",
    "Kind",
    "LeaseKeeper",
    "Leases",
    "LockedError",
    "Moment",
    "MomentRequest",
    "NotFoundError",
    "ObjectKind",
    "ObjectProof",
    "Opener",
    "Operation",
    "PartWriter",
    "PluginError",
    "Preview",
    "Proof",
    "Requirement",
    "RestoreRequest",
    "RestoreSession",
    "Retention",
    "RetentionMode",
    "Retries",
    "RowReader",
    "Scratch",
    "ScratchRequest",
    "Sealer",
    "Source",
    "Staging",
    "Stat",
    "Step",
    "Storage",
    "Stream",
    "SupportsAge",
    "SupportsDeleteMany",
    "SupportsFailures",
    "SupportsFaults",
    "SupportsFingerprint",
    "SupportsFolder",
    "SupportsFrameSearch",
    "SupportsGuarantees",
    "SupportsIdentities",
    "SupportsNames",
    "SupportsPreview",
    "SupportsRename",
    "SupportsRetention",
    "SupportsSelection",
    "SupportsSharedLease",
    "SupportsShellDecode",
    "SupportsShellFetch",
    "SupportsSource",
    "SupportsStreaming",
    "SupportsVersions",
    "SupportsWalk",
    "SupportsWarnings",
    "TableDigest",
    "UnreachableError",
    "UnsafeError",
    "UsageError",
    "Version",
    "Writer",
    "add_cleanup_failure",
    "check_folder",
    "choose_names",
    "decode_rows",
    "encode_rows",
    "file_chunks",
    "file_kind",
    "file_path",
    "file_url",
    "gather_chunks",
    "give_name",
    "hookimpl",
    "hookspec",
    "map_errors",
    "options_of",
    "os_error_text",
    "preview_objects",
    "quote_name",
    "redact",
    "refuse_replacing",
    "split_lines",
    "sync_path",
    "table_proof",
    "temporary_path",
    "write_refusal",
]
