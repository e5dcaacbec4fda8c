"""The contract of a plugin whose hooks wrap those of others, as tests."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import (
    Capability,
    Component,
    DumpRequest,
    HoldfastError,
    IntegrityError,
    Kind,
    LockedError,
    ScratchRequest,
    UnreachableError,
    hookimpl,
)
from holdfast.plugins.registry import Registry
from holdfast.testing.able import AbleCodec, AbleStorage
from holdfast.testing.contract import Configured, assert_same, states
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryPlugin
from holdfast.testing.wrapper_abilities import AbilityTests

_CONTENT = {"books": [b"theory of kelp\n" * 100_000], "empty": [b""]}


class _Wrapped:
    """What stands below the wrapper: a codec and a storage in memory, which note how they are called."""

    def __init__(self) -> None:
        self.codecs = 0
        self.storage = AbleStorage("memory")
        self.error: Exception | None = None

    @hookimpl
    def holdfast_components(self) -> Iterator[Component]:
        yield Component(kind=Kind.CODEC, name="plain")
        yield Component(kind=Kind.STORAGE, name="kept")
        yield Component(kind=Kind.ENGINE, name="silent")

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        if self.error:
            raise self.error
        self.codecs += codec == "plain"
        return AbleCodec() if codec == "plain" else None

    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        if self.error:
            raise self.error
        return self.storage if scheme == "kept" else None


class WrapperSuite(AbilityTests, Configured):
    """Override `plugin`: what the entry point names, with hooks that are wrappers, around anything."""

    @pytest.fixture
    def plugin(self) -> Any:
        """The plugin under test: a module, a class or an object."""
        raise NotImplementedError("override the fixture `plugin`")

    @pytest.fixture
    def wrapped(self) -> _Wrapped:
        """What is wrapped."""
        return _Wrapped()

    @pytest.fixture
    def engine(self) -> MemoryEngine:
        """The engine that is wrapped."""
        return MemoryEngine(streams=_CONTENT, capabilities=frozenset({Capability.PROOF}), identity="the-one")

    @pytest.fixture
    def registry(self, plugin: Any, wrapped: _Wrapped, engine: MemoryEngine) -> Registry:
        """A registry of the plugin and of what it wraps."""
        parts = [MemoryPlugin(engine), wrapped, plugin]
        registry = Registry(plugins=parts, discover=False, environ={"HOLDFAST_STRICT_PLUGINS": "1"})
        assert registry.plugins[-1].status == "active"
        return registry

    @states("wrapper 1")
    def test_what_is_wrapped_is_called_once(self, registry: Registry, wrapped: _Wrapped, engine: MemoryEngine) -> None:
        """Neither left out nor called again."""
        registry.codec("plain")
        assert wrapped.codecs == 1
        holdfast.backup(URL, store="kept://here", codec="plain", registry=registry)
        assert wrapped.codecs == 2
        assert engine.trace.count("enter") == engine.trace.count("leave") == 1

    @states("wrapper 2")
    def test_runs_do_what_they_did(self, registry: Registry, wrapped: _Wrapped, engine: MemoryEngine) -> None:
        """What is backed up, restored and drilled through it is the same."""
        record = holdfast.backup(URL, store="kept://here", codec="plain", registry=registry)
        holdfast.restore(record.id, TARGET, store="kept://here", registry=registry)
        assert engine.content(TARGET) == engine.content(URL)
        assert holdfast.drill(record.id, store="kept://here", registry=registry).state == "proven"
        direct = Registry(plugins=[MemoryPlugin(engine), wrapped], discover=False, environ={})
        assert holdfast.verify(record.id, store="kept://here", registry=direct, read_data=True)[0].passed

    @states("wrapper 2")
    def test_parts_of_objects_and_of_streams_are_the_same(self, registry: Registry, wrapped: _Wrapped) -> None:
        """At any offset, however they are cut."""
        storage, codec = registry.storage("kept://here"), registry.codec("plain")
        data = bytes(range(256)) * 10_000
        with storage.writer("a/object") as writer:
            for at in range(0, len(data), 100_000):
                writer.write(memoryview(data)[at : at + 100_000])
        assert_same(wrapped.storage.objects["a/object"], data)
        assert_same(storage.read("a/object", 1000, 70_000), data[1000:71_000])
        assert_same(storage.read("a/object"), data)
        assert [stat.size for stat in storage.list("a")] == [len(data)]
        decoder = codec.decoder()
        assert_same(b"".join(decoder.decode(bytes(codec.encode(data)))), data)
        decoder.finish()

    @states("wrapper 2")
    def test_what_is_written_and_listed_is_the_same(self, registry: Registry) -> None:
        """The memory of a chunk may be used again, and nothing that was listed is remembered."""
        storage, chunk = registry.storage("kept://here"), bytearray(b"first ")
        assert list(storage.list()) == []
        with storage.writer("a/object") as writer:
            writer.write(chunk)
            chunk[:] = b"second"
            writer.write(memoryview(chunk))
            chunk[:] = b"wrong!"
        assert storage.read("a/object") == b"first second"
        for prefix in ("", "a"):
            assert [(stat.path, stat.size) for stat in storage.list(prefix)] == [("a/object", 12)]
        assert storage.stat("a/object").size == 12
        storage.delete("a/object")
        assert list(storage.list()) == list(storage.list("a")) == []
        with pytest.raises(FileNotFoundError):
            storage.stat("a/object")

    @states("wrapper 3")
    def test_what_is_not_served_stays_so(self, registry: Registry, tmp_path: Path) -> None:
        """None stays None, so that the core says what is missing, of whom."""
        silent = registry.find(Kind.ENGINE, "silent")
        request = DumpRequest(url="silent://here", scratch=tmp_path)
        scratch = ScratchRequest(id="20261129T000000Z-abc123", scratch=tmp_path)
        assert registry.ask("holdfast_dump", silent, scheme="silent", request=request) is None
        assert registry.ask("holdfast_scratch", silent, scheme="silent", request=scratch) is None
        assert registry.ask("holdfast_databases", silent, scheme="silent", url="silent://here") is None

    @states("wrapper 4")
    @pytest.mark.parametrize("error", [LockedError("held"), UnreachableError("away"), FileNotFoundError(2, "missing")])
    def test_errors_pass_as_they_are(self, registry: Registry, wrapped: _Wrapped, error: Exception) -> None:
        """Their class decides what is done next, and the exit code."""
        wrapped.error = error
        with pytest.raises(HoldfastError if isinstance(error, OSError) else type(error)):  # a codec touches no files
            registry.codec("plain")
        with pytest.raises(type(error)):
            registry.storage("kept://here")

    @states("wrapper 4")
    def test_errors_of_what_was_opened_pass_as_they_are(self, registry: Registry, tmp_path: Path) -> None:
        """A missing object, an existing one, a lease that is held, a source that is not there."""
        storage = registry.storage("kept://here")
        with pytest.raises(FileNotFoundError):
            storage.read("a/missing")
        with storage.writer("a/object") as writer:
            writer.write(b"x")
        with pytest.raises(FileExistsError), storage.writer("a/object") as writer:
            writer.write(b"y")
        with storage.lease("name"), pytest.raises(LockedError), storage.lease("name"):
            pass
        request = DumpRequest(url="memory://host/missing", scratch=tmp_path)
        with pytest.raises(UnreachableError), registry.engine("memory").dump(request):
            pass

    @states("wrapper 5")
    @pytest.mark.parametrize("error", [None, IntegrityError, KeyboardInterrupt])
    def test_contexts_are_left_once_and_keep_no_error(
        self, registry: Registry, engine: MemoryEngine, tmp_path: Path, error: type[BaseException] | None
    ) -> None:
        """What was entered is left, however the block ends, and what was raised in it comes out."""
        request = DumpRequest(url=URL, scratch=tmp_path)
        raised = pytest.raises(error) if error else contextlib.nullcontext()
        # As the hook returns it: the core lets no context of a plugin keep an error.
        owned = registry.find(Kind.ENGINE, "memory")
        dump = registry.ask("holdfast_dump", owned, scheme="memory", request=request).context
        with raised, dump as session:
            next(iter(session.read(session.streams[0])))
            if error:
                raise error("by the test")
        assert [word for word in engine.trace if word in ("enter", "leave")] == ["enter", "leave"]

    @states("wrapper 5")
    @pytest.mark.parametrize("error", [IntegrityError, KeyboardInterrupt])
    def test_writers_and_leases_are_left_with_the_error(
        self, registry: Registry, wrapped: _Wrapped, error: type[BaseException]
    ) -> None:
        """A writer that is left without it publishes half an object, and a lease that is not left stays."""
        storage = registry.storage("kept://here")
        raised = pytest.raises(error)
        with raised, storage.lease("name"), storage.writer("a/object") as writer:
            writer.write(b"half")
            raise error("by the test")
        assert (wrapped.storage.objects, wrapped.storage.leases, wrapped.storage.partial) == ({}, set(), set())

    @states("wrapper 7")
    def test_digests_are_the_same(self, registry: Registry) -> None:
        """And of whatever bytes they are given."""
        hasher = registry.hasher("sha256")
        hasher.update(b"hold")
        hasher.update(memoryview(b"fast"))
        assert hasher.hexdigest() == hashlib.sha256(b"holdfast").hexdigest()
