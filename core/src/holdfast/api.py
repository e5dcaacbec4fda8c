"""Everything that a plugin imports, and all that it sees of Holdfast.

A plugin is a distribution with an entry point in the group `holdfast`. The entry point names a module (or an
object) with functions called after the hooks of `holdfast.plugins.hookspecs`, marked with `hookimpl`. It lists what it
offers as `Component` data and does the work in the operation hooks.

Vocabulary: an *engine* dumps and restores one kind of database, a *codec* compresses, a *checksum* digests, a
*storage* keeps. A *stream* is one named sequence of bytes of a dump; a *blob* is a stream as stored.

Calls of hooks are made once a run or once a stream, never per chunk. Sizes are bytes and times are UTC
throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pluggy

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
    os_error_text,
    quote_name,
)
from holdfast.url import DatabaseURL, redact

__all__ = [
    "API_VERSION",
    "Blob",
    "Capability",
    "Chunk",
    "Codec",
    "Component",
    "CredentialsError",
    "DatabaseURL",
    "Decoder",
    "DumpRequest",
    "DumpSession",
    "Engine",
    "EngineHooks",
    "Event",
    "Facts",
    "Hasher",
    "HoldfastError",
    "IntegrityError",
    "Kind",
    "LockedError",
    "NotFoundError",
    "ObjectProof",
    "PluginError",
    "Proof",
    "RestoreRequest",
    "RestoreSession",
    "Scratch",
    "ScratchRequest",
    "Source",
    "Stat",
    "Step",
    "Storage",
    "Stream",
    "SupportsSelection",
    "SupportsShellDecode",
    "SupportsSource",
    "SupportsWarnings",
    "UnreachableError",
    "UnsafeError",
    "UsageError",
    "Writer",
    "hookimpl",
    "hookspec",
    "os_error_text",
    "quote_name",
    "redact",
]

API_VERSION = 1

hookspec = pluggy.HookspecMarker("holdfast")
hookimpl = pluggy.HookimplMarker("holdfast")

Chunk = bytes | bytearray | memoryview
"""A piece of a stream, 256 KiB to 4 MiB where the source allows, never one row.

Whoever hands a chunk over does not touch it again."""


class Kind(StrEnum):
    """What a component is."""

    ENGINE = "engine"
    CODEC = "codec"
    CHECKSUM = "checksum"
    STORAGE = "storage"


class Capability(StrEnum):
    """What an engine can do beyond dumping and restoring; the core refuses options that need a missing one."""

    SNAPSHOT = "snapshot"  # the dump shows one moment, while others write
    PARALLEL_DUMP = "parallel-dump"  # read() may run in several threads at once
    PARALLEL_RESTORE = "parallel-restore"  # load() may run in several threads at once
    SELECT = "select"  # --select and --exclude
    PROOF = "proof"  # proof() says what the snapshot held
    ATOMIC_RESTORE = "atomic-restore"  # a failed restore leaves the target as it was
    CHECK = "check"  # --check: the engine's own test of soundness, at backup and at restore
    LIVE = "live"  # --live: restores into a database that others have open


@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that a plugin offers, as plain data.

    `name` is the URL scheme of an engine or storage, the name of a codec or the algorithm of a checksum;
    `aliases` are further names for the same thing. `options` is a frozen dataclass whose fields (with defaults;
    `metadata={"help": …}` documents one) become `-o KEY=VALUE`, TOML keys and a JSON Schema. A `ValueError`
    from its `__post_init__` is shown to the user as the reason why a value is refused. The first field is the
    one that `--codec name:VALUE` sets. Options are recorded in the manifest as they were given, so none is a
    secret: those are in the URL, in the environment or in a file. `api_version` is the version of this API that
    the component is made for.
    """

    kind: Kind
    name: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    capabilities: frozenset[Capability] = frozenset()
    options: type | None = None
    api_version: int = 1  # not API_VERSION: what says nothing is made for the first one, under any later core too


# --- dump ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A named sequence of bytes of a dump.

    `name` is unique in the dump and may hold any characters (`data/public.orders`); the core makes the file
    name. `suffix` (".sql") says what the plain bytes are. `size` is a hint in bytes for progress and planning at
    dump, and exact at restore.
    """

    name: str
    suffix: str = ""
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class DumpRequest:
    """What to dump: `url` in full, with its secrets; `scratch` is a private empty folder that the core removes.

    `options` is an instance of the component's `options` class, or None where it has none. `check` asks for
    the engine's own test of the source; `allow_damaged` to go on and report `Facts.damage` when it fails.
    `proof` True asks for a proof and False for none; None means the engine's default, which is to record one
    where that costs less than a third of the dump's time.
    """

    url: str = field(repr=False)
    scratch: Path
    options: Any = None
    jobs: int = 1
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    proof: bool | None = None
    check: bool = True
    allow_damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class ObjectProof:
    """What was recorded of one object: the number of its rows and a digest of its content, in hexadecimal.

    `kind` and `name` are what a drill says of an object that differs (`table public.orders`); together they are
    unique in a proof. An object of kind `stream` with an empty digest stands for the plain SHA-256 of the stream
    of that name: the core, which computes it anyway, fills it in.
    """

    kind: str
    name: str
    rows: int | None = None
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the dump's own snapshot held.

    `method` names how it was computed, so that it can be repeated, and `settings` is plain data for JSON that
    repeating it takes, such as the ranges of keys by which a table was digested.
    """

    method: str
    objects: tuple[ObjectProof, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an engine tells about a finished dump; all of it goes into the manifest, so it holds no secret.

    `consistency_point` says which moment the dump shows (LSN, binlog position, change counter). `programs` maps
    the client programs used to their versions. `restore_steps` are the lines of shell that
    restore by hand: `{decode:NAME}` stands for a command that writes the plain stream NAME to standard output,
    and TARGET_DB for the database to make. `files` are
    further small files that lie in the backup, such as a decoder. `hints` come back in `RestoreRequest.facts`.
    `damage` lists what was wrong with the source: such a backup is `damaged` from birth.
    """

    server_version: str = ""
    consistency_point: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    restore_steps: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)
    damage: tuple[str, ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which database a URL led to: `identity` is the same for every way to write it, `name` is for people."""

    name: str
    identity: str


@runtime_checkable
class SupportsSource(Protocol):
    """A dump session that knows which database it reads; without this, the redacted URL stands for it."""

    @property
    def source(self) -> Source:
        """The database that this session reads."""
        ...


# --- restore ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore: `streams` as recorded, `facts` the hints that the dump left, `url` the target in full.

    Without `replace` a target that holds data is refused with `UnsafeError` before anything is touched. `drill`
    tells that the target is a scratch database: what acts by itself (events, jobs, subscriptions) stays switched
    off, and accounts and other objects of the whole server are not made, whatever the options say. `dry_run` tells
    that nothing will be loaded: an engine may log what it would do to the target, beyond the names of its steps.
    """

    url: str = field(repr=False)
    scratch: Path
    streams: tuple[Stream, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    options: Any = None
    jobs: int = 1
    replace: bool = False
    live: bool = False
    check: bool = True
    allow_damaged: bool = False
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    drill: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of a restore: phases run in ascending order, the parallel steps of a phase side by side."""

    stream: str
    phase: int = 0
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
        differ: nothing may be made visible before the iterator has ended.
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
    """A restore session that can tell what it restored in another form than it was dumped."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user has to know, one line each; read once, after `commit`."""
        ...


@runtime_checkable
class SupportsSelection(Protocol):
    """A restore session that learns only from the streams themselves which of them a selection needs."""

    @property
    def skipped_streams(self) -> Collection[str]:
        """Streams with a step that had nothing to load from them; asked after the last step, they are not read."""
        ...


@dataclass(frozen=True, kw_only=True)
class ScratchRequest:
    """Where a drill may restore to: `into` is a server's URL, or None for a place of the engine's own choice.

    `id` is the backup's, `size` its plain bytes, `server_version` what it was made from, `facts` the hints that
    the dump left; up to `jobs` threads may work on `check` and `proof`. `options` are the engine's, as for a
    restore.
    """

    id: str
    scratch: Path
    into: str | None = field(default=None, repr=False)
    options: Any = None
    jobs: int = 1
    size: int = 0
    server_version: str = ""
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
        """Run the engine's own check; each problem is one line, none is well."""
        ...

    def proof(self, recorded: Proof, /) -> Proof:
        """Compute what was recorded anew, by the same method and settings.

        Objects of kind `stream` may be left out, unless their digest can be taken from the restored database.
        """
        ...


class Engine(Protocol):
    """An engine as an object: what the two hooks of an engine plugin do, for programs that bring their own."""

    @property
    def name(self) -> str:
        """The URL scheme."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    def dump(self, request: DumpRequest, /) -> AbstractContextManager[DumpSession]:
        """Open a dump, as `holdfast_dump` does."""
        ...

    def restore(self, request: RestoreRequest, /) -> AbstractContextManager[RestoreSession]:
        """Open a restore, as `holdfast_restore` does."""
        ...


class EngineHooks:
    """The hooks of an engine, for a plugin whose entry point names an object of this class.

    Each part is named as `"module:function"` and imported when it is first called, so that listing what is installed
    imports no driver; a part that an engine has not is left out. `dump`, `restore` and `scratch` name functions of the
    request, `databases` one of the URL; they do what the hooks of these names do.

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
    ) -> None:
        self.component = component
        self._parts = {"dump": dump, "restore": restore, "scratch": scratch, "databases": databases}

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

    def _call(self, part: str, scheme: str, argument: object) -> Any:
        place = self._parts[part]
        if scheme != self.component.name or place is None:
            return None
        module, _, function = place.partition(":")
        return getattr(import_module(module), function)(argument)


# --- codec, checksum, storage -------------------------------------------------------------------------------


class Decoder(Protocol):
    """One running decompression over any number of frames."""

    def decode(self, data: Chunk, /) -> Iterator[bytes]:
        """Take stored bytes cut anywhere and yield plain pieces of at most a few MiB.

        Raises `IntegrityError` on bytes that are not of the format.
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


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One object of a storage: `path` relative to its root with `/`, `size` in bytes.

    `regular` is False for what is not plain stored data, such as a link or a FIFO in a folder.
    """

    path: str
    size: int
    regular: bool = True


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
        remove them; leases are not.
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


# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run. Further types and operations may come: ignore those that you do not know.

    `type` is `started`, `progress`, `stream`, `warning`, `finished` or `failed`; `operation` is `backup`,
    `restore` or `verify`; `id` is the backup's. `done` and `total` count the bytes read: plain ones, and
    stored ones where these are checked first; `total` is None while unknown. `detail` is plain data that JSON can hold.
    """

    type: str
    operation: str
    id: str
    time: datetime
    name: str = ""
    stream: str | None = None
    done: int = 0
    total: int | None = None
    message: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


Watcher = Callable[[Event], object]
"""What a program passes as `on_event`: called in the thread that runs the operation; its errors end the run."""

HasherFactory = Callable[[], Hasher]
"""What starts a new digest, such as `hashlib.sha256`."""
