"""Everything that a plugin imports, and all that it sees of Holdfast.

A plugin is a distribution with an entry point in the group `holdfast`. The entry point names a module (or an
object) with functions called after the hooks of `holdfast.plugins.hookspecs`, marked with `hookimpl`. It lists what it
offers as `Component` data and does the work in the operation hooks.

Vocabulary (all of it is in `docs/glossary.md`): an *engine* dumps and restores one kind of database, a *codec*
compresses, a *checksum* digests, a *storage* keeps. A *stream* is one named sequence of bytes of a dump; a *blob* is
a stream as stored.

Hooks are called once a run or once a stream, never per chunk. Sizes are bytes and times are UTC throughout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import pluggy

from holdfast.changes import Change, Preview, preview_objects, refuse_replacing
from holdfast.chunks import file_chunks, gather_chunks, split_lines
from holdfast.error_meanings import Meaning, map_errors
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
from holdfast.field_docs import explain_fields
from holdfast.file_scratch import FileScratch
from holdfast.file_urls import file_path, file_url
from holdfast.filesystem import file_kind, give_name, sync_path
from holdfast.forwarding import Forwarding
from holdfast.frame_decoder import FrameDecoder
from holdfast.kinds import ObjectKind
from holdfast.lease_keeper import LeaseKeeper
from holdfast.part_writer import PartWriter
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
    "Chunk",
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
    "Failure",
    "FileScratch",
    "Forwarding",
    "FrameDecoder",
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
    "Operation",
    "PartWriter",
    "PluginError",
    "Preview",
    "Proof",
    "RestoreRequest",
    "RestoreSession",
    "RowReader",
    "Scratch",
    "ScratchRequest",
    "Source",
    "Staging",
    "Stat",
    "Step",
    "Storage",
    "Stream",
    "SupportsDeleteMany",
    "SupportsFailures",
    "SupportsFaults",
    "SupportsFolder",
    "SupportsFrameSearch",
    "SupportsPreview",
    "SupportsRename",
    "SupportsSelection",
    "SupportsSharedLease",
    "SupportsShellDecode",
    "SupportsShellFetch",
    "SupportsSource",
    "SupportsStreaming",
    "SupportsWalk",
    "SupportsWarnings",
    "TableDigest",
    "UnreachableError",
    "UnsafeError",
    "UsageError",
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

# Lines that begin with `#:` document the name below them, or on their line: the reference shows them.

#: The version of this interface; it changes only together with the major version of Holdfast.
API_VERSION = 1

#: Marks a function as the specification of a hook; only the core needs it.
hookspec = pluggy.HookspecMarker("holdfast")
#: Marks a function as the implementation of a hook, with pluggy's options such as `wrapper=True`.
hookimpl = pluggy.HookimplMarker("holdfast")

#: Which of the engine's own checks to run: False none, True the quick one, `full` that of `Capability.FULL_CHECK`.
Check = bool | Literal["full"]
#: A piece of a stream, 256 KiB to 4 MiB where the source allows, never one row. Who hands it over does not change it.
Chunk = bytes | bytearray | memoryview
#: What an error means: the class that is raised in its place, or a function that is given the error and returns such a
#: class, or the very exception to raise (which may have a `hint`), or None for an error that stays what it is.
ErrorMeaning = Meaning


class Kind(StrEnum):
    """What a component is."""

    ENGINE = "engine"  #: dumps and restores one kind of database
    CODEC = "codec"  #: compresses
    CHECKSUM = "checksum"  #: computes digests
    STORAGE = "storage"  #: keeps backups


class Capability(StrEnum):
    """What an engine can do beyond dumping and restoring; the core refuses options that need a missing one."""

    SNAPSHOT = "snapshot"  #: the dump shows one moment, while others write
    PARALLEL_DUMP = "parallel-dump"  #: `DumpSession.read` may run in several threads at once
    PARALLEL_RESTORE = "parallel-restore"  #: `RestoreSession.load` may run in several threads at once
    SELECT = "select"  #: it honours `select` and `exclude`
    PROOF = "proof"  #: `DumpSession.proof` says what the snapshot held
    ATOMIC_RESTORE = "atomic-restore"  #: a failed restore leaves the target as it was
    CHECK = "check"  #: it has a test of soundness of its own, at backup and at restore
    FULL_CHECK = "full-check"  #: it has a deeper one besides, which compares indexes with their tables
    LIVE = "live"  #: it restores into a database that others have open


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that a plugin offers, as plain data.

    Options are recorded in the manifest as they were given, so none is a secret: those are in the URL, in the
    environment or in a file. A `ValueError` from `__post_init__` of the options is shown to the user as the reason
    why a value is refused.
    """

    #: What it is.
    kind: Kind
    #: The URL scheme of an engine or storage, the name of a codec, the algorithm of a checksum.
    name: str
    #: Further names for the same thing.
    aliases: tuple[str, ...] = ()
    #: A few words for lists.
    summary: str = ""
    #: What an engine can do beyond dumping and restoring.
    capabilities: frozenset[Capability] = frozenset()
    #: A frozen dataclass whose fields, each with a default, become `-o KEY=VALUE` and a JSON Schema;
    #: `metadata={"help": …}` documents one, `"operations": ("backup",)` in it says where an engine's may be given, and
    #: the first is the one that `--codec NAME:VALUE` sets.
    options: type | None = None
    #: The kinds of objects that an engine can leave out, such as those of `ObjectKind`.
    kinds: frozenset[str] = frozenset()
    #: Parameters in the query of its URLs, in lowercase, whose values say how to connect and never who may: those are
    #: shown, and the values of all others are hidden everywhere.
    harmless_parameters: frozenset[str] = frozenset()
    #: The version of this interface that the component is made for.
    api_version: int = 1  # not API_VERSION: what says nothing is made for the first one, under any later core too


# --- dump ---------------------------------------------------------------------------------------------------


def _say_nothing(_: str, /) -> None:
    """What is reported where nobody listens."""


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Stream:
    """A named sequence of bytes of a dump."""

    #: Unique in the dump, of any characters (`data/public.orders`); the core makes the file name.
    name: str
    #: What the plain bytes are, as the ending of a file name (".sql").
    suffix: str = ""
    #: Plain bytes: a hint for progress and planning at dump, of which nothing follows, exact at restore.
    size: int | None = None
    #: Whether `size` is known at dump, as that of a file is: then a read that yields more or less has lost something.
    exact: bool = False


@explain_fields
@dataclass(frozen=True, kw_only=True)
class DumpRequest:
    """What to dump, and how."""

    #: The source's URL in full, with its secrets.
    url: str = field(repr=False)
    #: A private empty folder, which the core removes.
    scratch: Path
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None
    #: The number of threads that may read at once.
    jobs: int = 1
    #: Patterns of the objects to dump; empty means all of them.
    select: tuple[str, ...] = ()
    #: Patterns of objects to leave out.
    exclude: tuple[str, ...] = ()
    #: Kinds of objects to leave out, of those that the component lists.
    exclude_kinds: tuple[str, ...] = ()
    #: Whether to record a proof; None is the engine's default: where it costs less than a third of the dump's time.
    proof: bool | None = None
    #: Whether to run the engine's own test of the source, `full` the deeper one of FULL_CHECK.
    check: Check = True
    #: Whether to go on and report `Facts.damage` when that test fails.
    allow_damaged: bool = False
    #: The moment that this engine holds for this database and others of the same run, or None.
    moment: Moment | None = field(default=None, repr=False)
    #: Called with what the engine is at, where it may take long before its streams are known: it waits for a lock, or
    #: counts rows. People see it while there is nothing else to show, observers as `preparing`. What is reported in
    #: another thread than that which opens the dump is told once it is open.
    report: Callable[[str], object] = field(default=_say_nothing, repr=False)


@explain_fields
@dataclass(frozen=True, kw_only=True)
class ObjectProof:
    """What was recorded of one object; `kind` and `name` together are unique in a proof.

    An object of kind `stream` with an empty digest stands for the plain SHA-256 of the stream of that name: the core,
    which computes it anyway, fills it in.
    """

    #: What it is, such as `table`.
    kind: str
    #: Which it is, such as `public.orders`.
    name: str
    #: The number of its rows, or None where that says nothing.
    rows: int | None = None
    #: A digest of its content in lowercase hexadecimal.
    digest: str = ""


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the dump's own snapshot held."""

    #: The name of the way in which it was computed, so that this can be repeated.
    method: str
    #: What was recorded of each object.
    objects: tuple[ObjectProof, ...] = ()
    #: What repeating it takes, such as ranges of keys: plain data that JSON can hold.
    settings: Mapping[str, Any] = field(default_factory=dict)


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an engine tells about a finished dump; all of it goes into the manifest, so it holds no secret."""

    #: The version of the server or library that the dump was made from.
    server_version: str = ""
    #: Which moment the dump shows: LSN, binlog position, change counter.
    consistency_point: Mapping[str, Any] = field(default_factory=dict)
    #: What the user has to know, one line each.
    warnings: tuple[str, ...] = ()
    #: The client programs that were used, with their versions.
    programs: Mapping[str, str] = field(default_factory=dict)
    #: The lines of shell that restore by hand: `{decode:NAME}` stands for a command that writes the plain stream NAME
    #: to standard output, TARGET_DB for the database to make.
    restore_steps: tuple[str, ...] = ()
    #: Further small files for the backup's folder, such as a decoder.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: Plain data that comes back in `RestoreRequest.facts`.
    hints: Mapping[str, Any] = field(default_factory=dict)
    #: What was wrong with the source, so that content may be lost; such a backup is `damaged` from the start. Neither
    #: what could not be checked nor an index that can be built anew is damage: those are warnings.
    damage: tuple[str, ...] = ()
    #: Why `proof` returned none, of an engine that computes them: the backup is complete without, and says so.
    unproven: str = ""


class DumpSession(Protocol):
    """One running dump.

    Leaving its context frees every lock, transaction and process, also after an error, which need not be passed
    to it, and also while a `read` is still running in another thread: that read must then end, with whatever error.
    """

    @property
    def streams(self) -> Sequence[Stream]:
        """The streams of the dump, known before the first read."""
        ...

    def read(self, stream: Stream, /) -> Iterator[Chunk]:
        """Yield the plain bytes of a stream; called once for each, in up to `jobs` threads (PARALLEL_DUMP)."""
        ...

    def proof(self) -> Proof | None:
        """What the snapshot held, or None; called after the last read."""
        ...

    def facts(self) -> Facts:
        """Tell about the dump; called once, after the last read."""
        ...


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Source:
    """Which database a URL led to."""

    #: Its name, for people; the name of the source in the store is made from it.
    name: str
    #: What tells it from every other database, and is the same for every way to write its URL.
    identity: str
    #: Whether that holds on one host only, as a path of a file does: another host's is another database then.
    local: bool = False
    #: Which server that was: where it was reached, such as `db1:5432`, or `:5432` on this host, or an id of its own;
    #: empty where that does not matter.
    address: str = ""
    #: How far its history has come, in numbers that grow as long as it is one and the same, the most important first.
    #: A copy of a server has the identity of the original: whose position is behind at another address is another one.
    position: tuple[int, ...] = ()

    @classmethod
    def of_path(cls, path: str | os.PathLike[str]) -> Self:
        """That of a database that is a file or folder: named as this is, without the ending of a file."""
        real = os.path.realpath(path)
        name = os.path.basename(real)
        return cls(name=name if os.path.isdir(real) else os.path.splitext(name)[0], identity=real, local=True)


@runtime_checkable
class SupportsSource(Protocol):
    """A dump session that knows which database it reads; without this, the redacted URL stands for it."""

    @property
    def source(self) -> Source:
        """The database that this session reads."""
        ...


# --- several databases ----------------------------------------------------------------------------------------


class Databases(tuple[str, ...]):
    """URLs of databases, as a listing returns them that knows more of them than a list of texts can say."""

    #: A name for each, which `--select` and `--exclude` are compared with; empty means the paths of the URLs.
    names: tuple[str, ...]
    #: What the user has to know, one line each: what was left out, and why.
    warnings: tuple[str, ...]
    #: What else was found, one line each.
    notes: tuple[str, ...]

    def __new__(
        cls, urls: Iterable[str], *, names: Iterable[str] = (), warnings: Iterable[str] = (), notes: Iterable[str] = ()
    ) -> Self:
        """Make one of all at once."""
        self = super().__new__(cls, tuple(urls))
        self.names, self.warnings, self.notes = tuple(names), tuple(warnings), tuple(notes)
        if self.names and len(self.names) != len(self):
            raise ValueError(f"{len(self.names)} names for {len(self)} databases")
        return self


@explain_fields
@dataclass(frozen=True, kw_only=True)
class MomentRequest:
    """Which databases to hold at one moment, and how."""

    #: What the moment is called in the manifests of the backups that show it: the tag that they have in common.
    name: str
    #: The URLs of the databases in full, with their secrets.
    urls: tuple[str, ...] = field(repr=False)
    #: A private empty folder, which the core removes once the moment is over.
    scratch: Path
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None


class Moment(Protocol):
    """One moment of several databases, held while each is dumped; leaving its context frees all of them.

    It is handed to each dump as `DumpRequest.moment`, one after another; what more the engine needs of it is its own
    affair. A dump of a database that it does not cover goes its ordinary way and says so in its facts. An error from
    leaving the context ends the run, whose backups are made by then: whatever is no worse than that is for the log.
    """

    @property
    def missing(self) -> Mapping[str, str]:
        """By URL of the request, why the dump of that database will not show this moment."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What else the user has to know, one line each."""
        ...


# --- restore ------------------------------------------------------------------------------------------------


@explain_fields
@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore, where to, and how."""

    #: The target's URL in full, with its secrets.
    url: str = field(repr=False)
    #: A private empty folder, which the core removes.
    scratch: Path
    #: The streams of the backup, with their exact sizes.
    streams: tuple[Stream, ...]
    #: The `hints` that the dump left.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: An instance of the component's `options` class, or None where it has none.
    options: Any = None
    #: The number of threads that may load at once.
    jobs: int = 1
    #: Whether a target that holds data may be replaced; otherwise it is refused with `UnsafeError`, untouched.
    replace: bool = False
    #: Whether to restore into a database that others have open.
    live: bool = False
    #: Whether to run the engine's own test of what was restored, before it becomes visible, `full` the deeper one.
    check: Check = True
    #: Whether to restore a damaged backup as far as possible.
    allow_damaged: bool = False
    #: Patterns of the objects to restore; empty means all of them.
    select: tuple[str, ...] = ()
    #: Patterns of objects to leave out.
    exclude: tuple[str, ...] = ()
    #: Kinds of objects to leave out, of those that the component lists, also those that the backup was to be without.
    exclude_kinds: tuple[str, ...] = ()
    #: Whether the backup itself was made of a selection, and holds only a part of its source.
    partial: bool = False
    #: Whether the target is a scratch database: what acts by itself (events, jobs, subscriptions) stays off, and
    #: accounts and other objects of the whole server are not made, whatever the options say.
    drill: bool = False
    #: Whether nothing will be loaded: a session may say what it would do to the target (`SupportsPreview`).
    dry_run: bool = False

    @property
    def selective(self) -> bool:
        """Whether only some objects are restored: then whatever else the target holds stays, `replace` or not.

        So it is with `select` and `exclude`, and with a backup that was made of a selection.
        """
        return bool(self.select or self.exclude or self.partial)


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of a restore."""

    #: The name of the stream to load; a stream may occur in several steps.
    stream: str
    #: Phases run in ascending order.
    phase: int = 0
    #: Whether it may run at the same time as the other parallel steps of its phase; the largest begin first.
    parallel: bool = False


class Blob(Protocol):
    """A stored stream, as a restore step sees it: plain bytes, compared with the manifest as they pass."""

    @property
    def stream(self) -> Stream:
        """The stream, with its exact size."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Yield the plain bytes from the start; may be called anew.

        Raises `IntegrityError` as soon as more comes than was recorded, or at the end when size or digest
        differ: nothing may be made visible before the iterator has ended. Of a damaged backup with `allow_damaged` it
        ends where the damage is instead, and the core tells of what is missing.
        """
        ...

    def spool(self) -> Path:
        """Return a private file in the request's scratch folder that holds the plain, verified bytes."""
        ...


class RestoreSession(Protocol):
    """One running restore: leaving its context without `commit` undoes it, or says what is left.

    An engine without ATOMIC_RESTORE removes every object it made, so that an empty target is empty again. Whether
    `commit` was called decides, not whether an exception is passed to the context: after a failure it may be left
    without one, and while a `load` is still running in another thread, which must then end, with whatever error.
    """

    @property
    def steps(self) -> Sequence[Step]:
        """What to load, in which order."""
        ...

    def load(self, step: Step, blob: Blob, /) -> None:
        """Load one stream; called in up to `jobs` threads for parallel steps."""
        ...

    def commit(self) -> None:
        """Make the result visible; called once, after every digest has agreed."""
        ...


@runtime_checkable
class SupportsWarnings(Protocol):
    """A restore session that can tell what it restored in another form, or a scratch database what it cannot check."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user has to know, one line each; read once, after `commit` or after the proof."""
        ...


@runtime_checkable
class SupportsFailures(Protocol):
    """A restore session that can go on after errors: then all else stays, and the command line returns 3.

    It does so where its options say it (`on_error=continue`), of a damaged backup with `allow_damaged`, and in a drill,
    which records each failure as damage.
    """

    @property
    def failures(self) -> Sequence[Failure]:
        """The objects that were not restored, or not as they were; read once, after `commit`."""
        ...


@runtime_checkable
class SupportsPreview(Protocol):
    """A restore session that can tell what it would do to its target, object by object."""

    def preview(self, blobs: Mapping[str, Blob], /) -> Preview:
        """Say what `commit` would change in the target; called in a dry run, where nothing is loaded.

        `blobs` are the stored streams by name: a session reads those that it has to, and touches nothing.
        """
        ...


@runtime_checkable
class SupportsSelection(Protocol):
    """A restore session that learns only from the streams themselves which of them a selection needs."""

    @property
    def skipped_streams(self) -> Collection[str]:
        """Streams with a step that had nothing to load from them; asked after the last step, they are not read."""
        ...


@explain_fields
@dataclass(frozen=True, kw_only=True)
class ScratchRequest:
    """Where a drill may restore to, and what."""

    #: The id of the backup.
    id: str
    #: A private empty folder, which the core removes.
    scratch: Path
    #: The URL of a server, with its secrets, or None for a place of the engine's own choice.
    into: str | None = field(default=None, repr=False)
    #: The engine's options, as for a restore.
    options: Any = None
    #: The number of threads that may work on `Scratch.check` and `Scratch.proof`.
    jobs: int = 1
    #: The plain bytes of the backup.
    size: int = 0
    #: The version of the server or library that the backup was made from.
    server_version: str = ""
    #: The `hints` that the dump left.
    facts: Mapping[str, Any] = field(default_factory=dict)


class Scratch(Protocol):
    """A database made for one drill; leaving its context drops it, whatever has happened.

    Errors tell that a drill could not be carried out; what is wrong with the backup is what `check` returns and
    how `proof` differs.
    """

    @property
    def url(self) -> str:
        """Where to restore to."""
        ...

    @property
    def server_version(self) -> str:
        """The version of the server or library that runs the drill; it is recorded with the result."""
        ...

    def check(self) -> Sequence[str]:
        """Run the engine's own check; each problem is one line, none is well.

        A problem is damage. What could not be checked is a warning (`SupportsWarnings`), and what was so in the source
        and can be put right there a fault (`SupportsFaults`).
        """
        ...

    def proof(self, recorded: Proof, /) -> Proof:
        """Compute what was recorded anew, by the same method and settings.

        Objects of kind `stream` may be left out, unless their digest can be taken from the restored database.
        """
        ...


@runtime_checkable
class SupportsFaults(Protocol):
    """A scratch database whose check tells what was wrong in the source from what is wrong with the backup."""

    @property
    def faults(self) -> Sequence[str]:
        """What the backup holds as its source had it and what to do about it there, a line each.

        An index that does not agree with its table, a row against its declaration. Asked once, after the proof.
        """
        ...


class Engine(Protocol):
    """An engine as an object, for programs that bring their own: all that an engine plugin does.

    `name`, `capabilities`, `dump` and `restore` are what a backup and a restore take. The rest is for whoever inherits
    from this class: it has no aliases and no options, and says that it can neither drill nor list databases.
    """

    @property
    def name(self) -> str:
        """The URL scheme, and what manifests record."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Further URL schemes that mean the same."""
        return ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of objects that it can leave out."""
        return frozenset()

    def options(self, values: Mapping[str, Any], /) -> Any:
        """Check options and return what requests carry as `options`; `UsageError` for those that it does not have.

        `options_of` makes them of a frozen dataclass.
        """
        return options_of(self.name, None, values)

    def dump(self, request: DumpRequest, /) -> AbstractContextManager[DumpSession]:
        """Open a dump, as `holdfast_dump` does."""
        ...

    def restore(self, request: RestoreRequest, /) -> AbstractContextManager[RestoreSession]:
        """Open a restore, as `holdfast_restore` does."""
        ...

    def scratch(self, request: ScratchRequest, /) -> AbstractContextManager[Scratch]:
        """Make a database for a drill, as `holdfast_scratch` does."""
        del request
        raise UsageError(f"engine '{self.name}' makes no scratch databases, which a drill needs")

    def databases(self, url: str, /) -> Sequence[str]:
        """The URLs of every database of the server at `url`, as `holdfast_databases` does."""
        del url
        raise UsageError(f"engine '{self.name}' cannot list databases", hint="name each database by its URL")

    def moment(self, request: MomentRequest, /) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment, as `holdfast_moment` does; None where that cannot be done."""
        del request
        return None


def options_of(engine: str, options: type[Any] | None, values: Mapping[str, Any]) -> Any:
    """Make an instance of an engine's options, a frozen dataclass, of values given as text or plain data.

    Without a class the result is None. Unknown names and values that do not fit are a `UsageError` that says what fits.
    """
    from holdfast.plugins.options import build_options

    return build_options(Component(kind=Kind.ENGINE, name=engine, options=options), values)


class EngineHooks:
    """The hooks of an engine, for a plugin whose entry point names an object of this class.

    Each part is named as `"module:function"` and imported when it is first called, so that listing what is installed
    imports no driver; a part that an engine has not is left out. `databases` names a function of the URL, the others of
    the request; they do what the hooks of these names do.

    Example::

        plugin = EngineHooks(
            Component(kind=Kind.ENGINE, name="leveldb", options=LevelOptions),
            dump="holdfast_leveldb.dump:open_dump",
            restore="holdfast_leveldb.restore:open_restore",
        )
    """

    def __init__(
        self,
        component: Component,
        *,
        dump: str,
        restore: str,
        scratch: str | None = None,
        databases: str | None = None,
        moment: str | None = None,
    ) -> None:
        self.component = component  #: the engine, as `holdfast_components` lists it
        self.__name__ = component.name  # what a registry calls the plugin that is given the object itself
        for place in filter(None, (dump, restore, scratch, databases, moment)):
            if not all(place.partition(":")[::2]):
                raise ValueError(f"{place!r} names no part of an engine, expected 'module:function'")
        self._parts = {
            "dump": dump,
            "restore": restore,
            "scratch": scratch,
            "databases": databases,
            "moment": moment,
        }

    @hookimpl
    def holdfast_components(self) -> Iterable[Component]:
        """List the engine."""
        return (self.component,)

    @hookimpl
    def holdfast_dump(self, scheme: str, request: DumpRequest) -> AbstractContextManager[DumpSession] | None:
        """Open a dump."""
        session: AbstractContextManager[DumpSession] | None = self._call("dump", scheme, request)
        return session

    @hookimpl
    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> AbstractContextManager[RestoreSession] | None:
        """Open a restore."""
        session: AbstractContextManager[RestoreSession] | None = self._call("restore", scheme, request)
        return session

    @hookimpl
    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> AbstractContextManager[Scratch] | None:
        """Make a database for a drill."""
        scratch: AbstractContextManager[Scratch] | None = self._call("scratch", scheme, request)
        return scratch

    @hookimpl
    def holdfast_databases(self, scheme: str, url: str) -> Sequence[str] | None:
        """List the databases of a server."""
        urls: Sequence[str] | None = self._call("databases", scheme, url)
        return urls

    @hookimpl
    def holdfast_moment(self, scheme: str, request: MomentRequest) -> AbstractContextManager[Moment] | None:
        """Hold several databases at one moment."""
        moment: AbstractContextManager[Moment] | None = self._call("moment", scheme, request)
        return moment

    def problems(self) -> Iterator[str]:
        """What is wrong with the parts, a line each, once all are imported; `holdfast plugins doctor` shows it."""
        for part, place in self._parts.items():
            if place is None:
                if part == "scratch" and Capability.PROOF in self.component.capabilities:
                    yield "it lists PROOF, and has no part `scratch`, which a drill needs"
                continue
            try:
                function = _imported(place)
            except (ImportError, AttributeError) as error:
                yield f"its part {part}, {place}, cannot be imported: {error}"
            else:
                if not callable(function):
                    yield f"its part {part}, {place}, is no function"

    def _call(self, part: str, scheme: str, argument: object) -> Any:
        place = self._parts[part]
        if scheme != self.component.name or place is None:
            return None
        return _imported(place)(argument)


def _imported(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


# --- codec, checksum, storage -------------------------------------------------------------------------------


class Decoder(Protocol):
    """One running decompression over any number of frames."""

    def decode(self, data: Chunk, /) -> Iterator[bytes]:
        """Take stored bytes cut anywhere and yield plain pieces of at most a few MiB.

        Raises `IntegrityError` on bytes that are not of the format, after what could be decompressed before them.
        """
        ...

    def finish(self) -> None:
        """Say that no more comes; raises `IntegrityError` if the last frame is not whole."""
        ...


class Codec(Protocol):
    """A way to compress in independent frames."""

    @property
    def suffix(self) -> str:
        """The ending of file names, such as ".zst"."""
        ...

    def encode(self, block: Chunk, /) -> Chunk:
        """Return one whole frame that holds the block, which is about 1 MiB, or empty.

        Called from several threads at once. Frames put one after another are a valid file of the format.
        """
        ...

    def decoder(self) -> Decoder:
        """Start to decompress one blob."""
        ...


@runtime_checkable
class SupportsShellDecode(Protocol):
    """A codec that knows the command which decodes its files without Holdfast; RESTORE.md then shows it."""

    @property
    def command(self) -> str:
        """Shell words that decode the file named after them to standard output: "zstd -dc"."""
        ...


@runtime_checkable
class SupportsFrameSearch(Protocol):
    """A codec whose frames can be found again behind a damaged one: they all begin with the same bytes."""

    @property
    def frame_magic(self) -> bytes:
        """What each frame begins with; it may stand within one too, by chance."""
        ...

    def decoder(self) -> Decoder:
        """Start to decompress one blob."""
        ...


class Hasher(Protocol):
    """A running digest; the objects of `hashlib` fit."""

    def update(self, data: Chunk, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest so far in lowercase hexadecimal."""
        ...


class Writer(Protocol):
    """A blob being written."""

    def write(self, data: Chunk, /) -> None:
        """Take all of the bytes, or raise."""
        ...


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Stat:
    """One object of a storage."""

    #: Its path, relative to the root of the storage, with `/`.
    path: str
    #: Its size in bytes.
    size: int
    #: False for what is not plain stored data, such as a link or a FIFO in a folder.
    regular: bool = True
    #: Of a folder that cannot be read, listed with a slash at its end: why not, else empty. What it holds is unknown.
    problem: str = ""


class Storage(Protocol):
    """A place that keeps objects under relative paths with `/`.

    Its methods may be called from several threads at once, and several objects may be written at once.
    Missing objects raise `FileNotFoundError`, existing ones `FileExistsError`, all else `OSError` or a
    `HoldfastError`.
    """

    @property
    def location(self) -> str:
        """Where this is, for people, without secrets: an absolute path or a URL."""
        ...

    def writer(self, path: str, /) -> AbstractContextManager[Writer]:
        """Create an object; it becomes visible, whole, at a clean exit and never otherwise.

        An object that exists already is never changed: `FileExistsError`.
        """
        ...

    def read(self, path: str, /, offset: int = 0, length: int | None = None) -> bytes:
        """Return up to `length` bytes from `offset`, fewer only at the end."""
        ...

    def list(self, prefix: str = "", /) -> Iterable[Stat]:
        """Every object below a folder (not: with that beginning), in any order, a missing folder being empty.

        Unfinished objects that a dead writer left are included, where they take up space, so that `delete` can
        remove them; leases are not. A folder that cannot be read, other than the root, is listed with its `problem`.
        """
        ...

    def stat(self, path: str, /) -> Stat:
        """Tell about one object."""
        ...

    def delete(self, path: str, /) -> None:
        """Remove an object, and folders that it leaves empty; a missing one is no error."""
        ...

    def barrier(self) -> None:
        """Return once all that was written or deleted so far survives a loss of power; it may raise `OSError`."""
        ...

    def lease(self, name: str, ttl: float = 60.0, /) -> AbstractContextManager[None]:
        """Hold a name that nobody else can hold; `LockedError`, at once, if somebody does.

        The storage renews it by itself for as long as the context is open, which may be days. A dead holder's
        lease ends after `ttl` seconds at the latest. The first lease may be taken before anything is written.
        """
        ...


@runtime_checkable
class SupportsFolder(Protocol):
    """A storage that keeps its objects as files in a folder of this machine.

    Whose the folder is, and whether a target of a restore lies in it, is then looked at; `location` is only for people.
    """

    @property
    def folder(self) -> str:
        """The absolute path of the folder."""
        ...


@runtime_checkable
class SupportsWalk(Protocol):
    """A storage that need not look into every folder to list some."""

    def walk(self, prefix: str, enter: Callable[[str], bool], /) -> Iterable[Stat]:
        """List as `list` does, without the folders whose path `enter` is false for."""
        ...


@runtime_checkable
class SupportsStreaming(Protocol):
    """A storage that can hand out a whole object in one request, instead of one for each piece.

    The core reads on at the byte where a connection broke, and asks once more where an object seems to end too early.
    """

    def stream(self, path: str, offset: int = 0, /) -> Iterator[bytes]:
        """Yield the bytes of an object from `offset` to its end, in pieces of any size; what is missing raises.

        It is a generator, which is closed early where no more is wanted. A connection that breaks raises `OSError`.
        """
        ...


@runtime_checkable
class SupportsDeleteMany(Protocol):
    """A storage that can remove many objects in one request."""

    def delete_many(self, paths: Sequence[str], /) -> None:
        """Remove objects as `delete` does; one that could not be removed raises, once the others are."""
        ...


@runtime_checkable
class SupportsSharedLease(Protocol):
    """A storage whose leases can be held by several readers at once."""

    def shared_lease(self, name: str, ttl: float = 60.0, /) -> AbstractContextManager[None]:
        """Hold a name beside others that share it; `LockedError` if somebody holds it alone, and the reverse."""
        ...


@runtime_checkable
class SupportsShellFetch(Protocol):
    """A storage whose objects can be had with a program of its own, without Holdfast; RESTORE.md then says how."""

    def fetch_steps(self, folder: str, /) -> Sequence[str]:
        """Return lines of shell that copy all that lies below a folder, under the same names, to the current one.

        They hold no secret, and take those from where the program does: `aws s3 cp --recursive s3://bucket/FOLDER .`.
        """
        ...


@runtime_checkable
class SupportsRename(Protocol):
    """A storage that can give a whole folder another name at once."""

    def rename(self, old: str, new: str, /) -> None:
        """Let all that lies below `old` lie below `new`, in one step that is seen whole or not at all.

        `FileExistsError` where something lies below `new`, `FileNotFoundError` where nothing lies below `old`.
        """
        ...


# --- events -------------------------------------------------------------------------------------------------


class EventType(StrEnum):
    """What an event tells; each is equal to its text."""

    #: What the engine is at before its streams are known: `message`. It comes before `started`, or not at all.
    PREPARING = "preparing"
    #: Work begins: everything is found and open. `total` is known now, or never.
    STARTED = "started"
    #: More bytes have been read: `done` of `total`; about ten times a second.
    PROGRESS = "progress"
    #: A stream of a backup is stored; `detail` has `size_bytes` and `stored_bytes`.
    STREAM = "stream"
    #: Something that the user has to know and that does not end the run: `message`.
    WARNING = "warning"
    #: The operation was carried out; `detail` is its whole result, which may say that a backup is damaged.
    FINISHED = "finished"
    #: The operation was not carried out: `message`; `detail` has the class of the `error`, `exit_code` and `hint`.
    FAILED = "failed"


class Operation(StrEnum):
    """What a run does; each is equal to its text."""

    #: Makes one backup.
    BACKUP = "backup"
    #: Restores one backup into a database.
    RESTORE = "restore"
    #: Checks one backup; several are as many runs.
    VERIFY = "verify"
    #: Restores one backup into a scratch database and compares it with what was recorded.
    DRILL = "drill"
    #: Deletes one backup, alone or as a part of a prune.
    DELETE = "delete"
    #: Deletes what a policy does not keep; each deletion is a run of its own in this one.
    PRUNE = "prune"
    #: Gives a source another name.
    RENAME = "rename"
    #: Makes a backup of one file of the earlier BackupManager; several are as many runs.
    IMPORT = "import"
    #: Copies one backup into another store; several are as many runs.
    COPY = "copy"


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run. Further types and operations may come: ignore those that you do not know.

    A run ends with one `finished` or one `failed` and tells nothing afterwards. A failure is told from the first line
    on, so that `failed` may be the only event of a run. A dry run tells of warnings and of a failure alone, in whose
    detail `dry_run` is true.
    """

    #: What happened.
    type: EventType
    #: What is being done.
    operation: Operation
    #: The id of the backup; empty in a run of a whole store, and in one that failed before it was known.
    id: str
    #: When it happened (UTC).
    time: datetime
    #: The name of the backup's source; empty where `id` is.
    name: str = ""
    #: The stream that an event of type `stream` is about.
    stream: str | None = None
    #: Bytes read so far: plain ones, and stored ones where these are checked first.
    done: int = 0
    #: Bytes to read altogether, or None while unknown.
    total: int | None = None
    #: The text of a warning or failure.
    message: str = ""
    #: Further plain data that JSON can hold; with `finished` the whole result, with `failed` its class and exit code.
    detail: Mapping[str, Any] = field(default_factory=dict)


#: What a program passes as `on_event`: called in the thread that runs the operation; its errors end the run.
Watcher = Callable[[Event], object]

#: What starts a new digest, such as `hashlib.sha256`.
HasherFactory = Callable[[], Hasher]
