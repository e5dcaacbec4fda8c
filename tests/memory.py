"""An engine, a checksum and a storage in memory: real parts, small enough to fail wherever a test wants them to."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from holdfast.api import Capability, Component, Facts, Kind, LockedError, Proof, Source, Stat, Step, Stream, hookimpl
from holdfast.plugins.registry import Registry

URL = "memory://host/app"
Chunks = Iterable[bytes] | Callable[[], Iterator[bytes]]


@dataclass(kw_only=True)
class MemoryEngine:
    """Dumps `streams` and restores into `target`; `trace` says what was called, in its order."""

    streams: Mapping[str, Chunks] = field(default_factory=lambda: {"data": [b"hello ", b"world"]})
    name: str = "memory"
    capabilities: frozenset[Capability] = frozenset()
    identity: str = "app"
    suffix: str = ".txt"
    facts: Facts = field(default_factory=Facts)
    proof: Proof | None = None
    trace: list[str] = field(default_factory=list)
    target: dict[str, bytes] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    on_load: Callable[[bytes], None] = lambda _piece: None

    def __post_init__(self) -> None:
        self.left = threading.Event()
        self.requests: list[Any] = []

    @contextmanager
    def dump(self, request: Any) -> Iterator["MemoryDump"]:
        self.requests.append(request)
        self.left.clear()
        self.trace.append("enter")
        try:
            yield MemoryDump(self)
        finally:
            self.left.set()
            self.trace.append("leave")

    @contextmanager
    def restore(self, request: Any) -> Iterator["MemoryRestore"]:
        self.requests.append(request)
        self.trace.append("enter")
        try:
            yield MemoryRestore(self, request)
        finally:
            self.left.set()
            self.trace.append("leave")


class MemoryDump:
    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.streams = tuple(Stream(name=name, suffix=engine.suffix) for name in engine.streams)
        self.source = Source(name="app", identity=engine.identity)

    def read(self, stream: Stream) -> Iterator[bytes]:
        self._engine.trace.append(f"read {stream.name}")
        chunks = self._engine.streams[stream.name]
        try:
            yield from chunks() if callable(chunks) else chunks
        finally:
            self._engine.trace.append(f"closed {stream.name}")

    def proof(self) -> Proof | None:
        return self._engine.proof

    def facts(self) -> Facts:
        return self._engine.facts


class MemoryRestore:
    def __init__(self, engine: MemoryEngine, request: Any) -> None:
        self._engine = engine
        self._loaded: dict[str, bytes] = {}
        self.steps = engine.steps or tuple(Step(stream=stream.name) for stream in request.streams)

    def load(self, step: Step, blob: Any) -> None:
        self._engine.trace.append(f"load {step.stream}")
        pieces = []
        for piece in blob.chunks():
            self._engine.on_load(piece)
            pieces.append(bytes(piece))
        self._loaded[step.stream] = b"".join(pieces)

    def commit(self) -> None:
        self._engine.trace.append("commit")
        self._engine.target.update(self._loaded)


class MemoryStorage:
    """Objects in a dictionary; each method can be replaced on an instance to make it fail."""

    location = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.partial: set[str] = set()
        self.leases: set[str] = set()
        self.trace: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def writer(self, path: str) -> Iterator["MemoryWriter"]:
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

    def write(self, path: str, content: bytearray, data: Any) -> None:
        """What a writer does with data; a test may replace it."""
        content += data

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path][offset : None if length is None else offset + length]

    def list(self, prefix: str = "") -> Iterator[Stat]:
        for path, content in list(self.objects.items()):
            if not prefix or path.startswith(f"{prefix}/"):
                yield Stat(path=path, size=len(content))

    def stat(self, path: str) -> Stat:
        return Stat(path=path, size=len(self.read(path)))

    def delete(self, path: str) -> None:
        self.trace.append(f"deleted {path.rpartition('/')[2]}")
        self.objects.pop(path, None)

    def barrier(self) -> None:
        self.trace.append("barrier")

    @contextmanager
    def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:
        with self._lock:
            if name in self.leases:
                raise LockedError(f"another process is at work on {name}")
            self.leases.add(name)
        try:
            yield
        finally:
            self.leases.discard(name)


class MemoryWriter:
    def __init__(self, storage: MemoryStorage, path: str) -> None:
        self.content = bytearray()
        self._storage, self._path = storage, path

    def write(self, data: Any) -> None:
        self._storage.write(self._path, self.content, data)


class MemoryPlugin:
    """The same as a plugin, with the SHA-256 that the format needs."""

    def __init__(self, engine: MemoryEngine | None = None) -> None:
        self.engine = engine or MemoryEngine()

    @hookimpl
    def holdfast_components(self) -> Iterator[Component]:
        yield Component(kind=Kind.ENGINE, name="memory", capabilities=self.engine.capabilities)
        yield Component(kind=Kind.CHECKSUM, name="sha256")

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return hashlib.sha256() if algorithm == "sha256" else None

    @hookimpl
    def holdfast_dump(self, scheme: str, request: Any) -> Any:
        return self.engine.dump(request) if scheme == "memory" else None

    @hookimpl
    def holdfast_restore(self, scheme: str, request: Any) -> Any:
        return self.engine.restore(request) if scheme == "memory" else None


def memory_registry(*plugins: Any, engine: MemoryEngine | None = None) -> Registry:
    """A registry of the core, the memory plugin and these, and nothing that happens to be installed."""
    return Registry(plugins=[MemoryPlugin(engine), *plugins], discover=False, environ={})


def our_threads() -> set[threading.Thread]:
    """The threads of Holdfast that are alive."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("holdfast-")}


def children() -> set[int]:
    """The child processes of this process."""
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as file:
            found |= {int(pid) for pid in file.read().split()}
    return found
