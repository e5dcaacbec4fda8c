"""An engine and a storage in memory: they keep the whole contract, and can be made to fail wherever a test wants."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from typing import Any

from holdfast.api import (
    Blob,
    Capability,
    Chunk,
    Component,
    DatabaseURL,
    DumpRequest,
    Engine,
    Facts,
    Hasher,
    Kind,
    LockedError,
    ObjectProof,
    Proof,
    RestoreRequest,
    Scratch,
    ScratchRequest,
    Source,
    Stat,
    Step,
    Stream,
    UnreachableError,
    UnsafeError,
    hookimpl,
)
from holdfast.plugins.registry import Registry

Content = Iterable[Chunk] | Callable[[], Iterator[Chunk]]
"""What a stream holds: chunks, or a function that yields them and may fail."""

URL = "memory://host/app"
"""The database that a new `MemoryEngine` has."""

TARGET = "memory://host/copy"
"""One that it has not."""


@dataclass(kw_only=True)
class MemoryEngine(Engine):
    """A database server in memory: a database is a dictionary of named contents, each dumped as one stream.

    `memory://host/NAME` is the database NAME of `contents`; `streams` is a short way to say what `app` holds. With
    `Capability.PROOF` it records digests and can be drilled.
    """

    streams: InitVar[Mapping[str, Content] | None] = None  #: what `app` holds, by stream
    contents: dict[str, dict[str, Content]] = field(default_factory=dict)  #: the databases by name
    name: str = "memory"  #: the URL scheme
    capabilities: frozenset[Capability] = frozenset()  #: what it says that it can
    identity: str = ""  #: which database it says that it dumps; the name if empty
    suffix: str = ".txt"  #: of its streams
    facts: Facts = field(default_factory=Facts)  #: what it tells of each dump
    proof: Proof | None = None  #: what each dump records, in the place of digests
    steps: tuple[Step, ...] = ()  #: what restores load; each stream by itself if empty
    trace: list[str] = field(default_factory=list)  #: what was called, in its order
    requests: list[Any] = field(default_factory=list)  #: every request that it was given
    on_load: Callable[[Chunk], object] = lambda _piece: None  #: called with each piece that a restore loads
    left: threading.Event = field(default_factory=threading.Event)  #: set once a session has been left

    def __post_init__(self, streams: Mapping[str, Content] | None) -> None:
        """Fill the database `app`."""
        self.contents.setdefault("app", dict(streams if streams is not None else {"data": [b"hello ", b"world"]}))

    def content(self, url: str) -> dict[str, bytes] | None:
        """All that a database holds, None where there is none."""
        held = self.contents.get(_name(url))
        return None if held is None else {name: b"".join(map(bytes, _chunks(part))) for name, part in held.items()}

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator["MemoryDump"]:
        """Open a dump of what the database holds now."""
        with self._session(request):
            if _name(request.url) not in self.contents:
                raise UnreachableError(f"there is no database {_name(request.url)!r} in memory")
            yield MemoryDump(self, request)

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator["MemoryRestore"]:
        """Open a restore, which changes nothing before its commit."""
        with self._session(request):
            if self.contents.get(_name(request.url)) and not request.replace:
                raise UnsafeError(f"{request.url} holds data", hint="use --replace to overwrite it")
            yield MemoryRestore(self, request)

    @contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Scratch]:
        """Make a database for a drill, and drop it at the end."""
        self.requests.append(request)
        name = f"holdfast_drill_{request.id}_{secrets.token_hex(4)}"
        try:
            yield MemoryScratch(self, f"{self.name}://host/{name}")
        finally:
            self.contents.pop(name, None)

    def databases(self, url: str) -> Sequence[str]:
        """The URLs of all databases."""
        base = url.partition("://")[2].partition("/")[0]
        return [f"{self.name}://{base}/{name}" for name in sorted(self.contents)]

    @contextmanager
    def _session(self, request: DumpRequest | RestoreRequest) -> Iterator[None]:
        self.requests.append(request)
        self.left.clear()
        self.trace.append("enter")
        try:
            yield
        finally:
            self.left.set()
            self.trace.append("leave")


def _name(url: str) -> str:
    return DatabaseURL.parse(url).path.removeprefix("/")


def _chunks(content: Content) -> Iterable[Chunk]:
    return content() if callable(content) else content


def digests(content: Mapping[str, bytes]) -> Proof:
    """The proof of a database in memory."""
    objects = (
        ObjectProof(kind="content", name=name, rows=len(data), digest=hashlib.sha256(data).hexdigest())
        for name, data in content.items()
    )
    return Proof(method="memory", objects=tuple(objects))


class MemoryDump:
    """A dump of a database in memory."""

    def __init__(self, engine: MemoryEngine, request: DumpRequest) -> None:
        name = _name(request.url)
        self._engine = engine
        self._url = request.url
        self._asked = request.proof
        self._held = dict(engine.contents[name])
        self.streams = tuple(Stream(name=name, suffix=engine.suffix) for name in self._held)
        self.source = Source(name=name, identity=engine.identity or name)

    def read(self, stream: Stream) -> Iterator[Chunk]:
        """Yield the chunks of a content."""
        self._engine.trace.append(f"read {stream.name}")
        try:
            yield from _chunks(self._held[stream.name])
        finally:
            self._engine.trace.append(f"closed {stream.name}")

    def proof(self) -> Proof | None:
        """What was set, else digests where the engine says that it proves."""
        if self._engine.proof or Capability.PROOF not in self._engine.capabilities or self._asked is False:
            return self._engine.proof
        return digests({name: b"".join(map(bytes, _chunks(part))) for name, part in self._held.items()})

    def facts(self) -> Facts:
        """What was set."""
        return self._engine.facts


class MemoryRestore:
    """A restore into a database in memory."""

    def __init__(self, engine: MemoryEngine, request: RestoreRequest) -> None:
        self._engine = engine
        self._target = _name(request.url)
        self._loaded: dict[str, Content] = {}
        self.steps = engine.steps or tuple(Step(stream=stream.name) for stream in request.streams)

    def load(self, step: Step, blob: Blob) -> None:
        """Keep the content of a stream for the commit."""
        self._engine.trace.append(f"load {step.stream}")
        pieces = []
        for piece in blob.chunks():
            self._engine.on_load(piece)
            pieces.append(bytes(piece))
        self._loaded[step.stream] = [b"".join(pieces)]

    def commit(self) -> None:
        """Put all of it in the place of what was there."""
        self._engine.trace.append("commit")
        self._engine.contents[self._target] = self._loaded


class MemoryScratch:
    """A database for a drill."""

    server_version = "memory"

    def __init__(self, engine: MemoryEngine, url: str) -> None:
        self.url = url
        self._engine = engine

    def check(self) -> list[str]:
        """Nothing can be wrong with it."""
        return []

    def proof(self, recorded: Proof) -> Proof:
        """Take the digests of what it holds."""
        del recorded
        return digests(self._engine.content(self.url) or {})


class MemoryStorage:
    """Objects in a dictionary; each method can be replaced on an instance to make it fail."""

    def __init__(self, location: str = "memory") -> None:
        self.location = location  #: where it says that it is
        self.objects: dict[str, bytes] = {}  #: what is published, by path
        self.partial: set[str] = set()  #: what is being written
        self.leases: set[str] = set()  #: what is held
        self.trace: list[str] = []  #: what was changed, in its order
        self._lock = threading.Lock()

    @contextmanager
    def writer(self, path: str) -> Iterator["MemoryWriter"]:
        """Create an object."""
        if path in self.objects:
            raise FileExistsError(path)
        self.partial.add(path)
        try:
            writer = MemoryWriter(self, path)
            yield writer
            with self._lock:
                if path in self.objects:
                    raise FileExistsError(path)
                self.objects[path] = bytes(writer.content)
            self.trace.append(f"wrote {path.rpartition('/')[2]}")
        finally:
            self.partial.discard(path)

    def write(self, path: str, content: bytearray, data: Chunk) -> None:
        """What a writer does with data; a test may replace it."""
        del path
        content += data

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """A part of an object."""
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path][offset : None if length is None else offset + length]

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """What lies below a folder."""
        for path, content in list(self.objects.items()):
            if not prefix or path.startswith(f"{prefix}/"):
                yield Stat(path=path, size=len(content))

    def stat(self, path: str) -> Stat:
        """The size of an object."""
        return Stat(path=path, size=len(self.read(path)))

    def delete(self, path: str) -> None:
        """Remove an object."""
        self.trace.append(f"deleted {path.rpartition('/')[2]}")
        self.objects.pop(path, None)

    def barrier(self) -> None:
        """Nothing in memory survives a loss of power, and nobody expects it to."""
        self.trace.append("barrier")

    @contextmanager
    def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:
        """Hold a name, which ends with the process."""
        del ttl
        with self._lock:
            if name in self.leases:
                raise LockedError(f"another process is at work on {name}")
            self.leases.add(name)
        try:
            yield
        finally:
            self.leases.discard(name)


class MemoryWriter:
    """An object being written."""

    def __init__(self, storage: MemoryStorage, path: str) -> None:
        self.content = bytearray()
        self._storage, self._path = storage, path

    def write(self, data: Chunk) -> None:
        """Take bytes."""
        self._storage.write(self._path, self.content, data)


class MemoryPlugin:
    """The engine as a plugin, with the SHA-256 that the store's format needs."""

    def __init__(self, engine: MemoryEngine | None = None) -> None:
        self.engine = engine or MemoryEngine()  #: the engine that it offers

    @hookimpl
    def holdfast_components(self) -> Iterator[Component]:
        """List both."""
        yield Component(kind=Kind.ENGINE, name="memory", capabilities=self.engine.capabilities)
        yield Component(kind=Kind.CHECKSUM, name="sha256")

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Hasher | None:
        """Serve SHA-256."""
        return hashlib.sha256() if algorithm == "sha256" else None

    @hookimpl
    def holdfast_dump(self, scheme: str, request: DumpRequest) -> Any:
        """Open a dump."""
        return self.engine.dump(request) if scheme == "memory" else None

    @hookimpl
    def holdfast_restore(self, scheme: str, request: RestoreRequest) -> Any:
        """Open a restore."""
        return self.engine.restore(request) if scheme == "memory" else None

    @hookimpl
    def holdfast_scratch(self, scheme: str, request: ScratchRequest) -> Any:
        """Make a database for a drill."""
        return self.engine.scratch(request) if scheme == "memory" else None

    @hookimpl
    def holdfast_databases(self, scheme: str, url: str) -> Sequence[str] | None:
        """List databases."""
        return self.engine.databases(url) if scheme == "memory" else None


def memory_registry(*plugins: Any, engine: MemoryEngine | None = None) -> Registry:
    """A registry of the core, `MemoryPlugin` and these, and nothing that happens to be installed."""
    return Registry(plugins=[MemoryPlugin(engine), *plugins], discover=False, environ={})
