"""After a restore the engine is asked whether its target holds data, where the proof says that there has to be some."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import (
    Capability,
    Failure,
    ObjectProof,
    Proof,
    RestoreRequest,
    Stream,
    UnreachableError,
)
from holdfast.errors import PluginError
from holdfast.testing import MemoryEngine, MemoryStorage, memory_registry
from holdfast.testing.memory import TARGET, URL, MemoryRestore

SAID = f"engine 'memory' of MemoryPlugin-0 has committed a restore into {TARGET}, and says that it holds no data"


def engine_of(*objects: ObjectProof, streams: Any = None) -> MemoryEngine:
    proof = Proof(method="memory", objects=objects) if objects else None
    return MemoryEngine(capabilities=frozenset({Capability.PROOF}), proof=proof, streams=streams)


def restore(engine: MemoryEngine, **fields: Any) -> holdfast.RestoreResult:
    registry, storage = memory_registry(engine=engine), MemoryStorage()
    record = holdfast.backup(URL, store=storage, codec="none", registry=registry, proof=True)
    return holdfast.restore(record.id, TARGET, store=storage, registry=registry, **fields)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit does nothing."""
    monkeypatch.setattr(MemoryRestore, "commit", lambda _: None)


TABLE = ObjectProof(kind="table", name="books", rows=3)
FILE = ObjectProof(kind="file", name="books.csv", digest="00")


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(("objects", "said"), [((), "11 rows"), ((TABLE, FILE), "3 rows"), ((FILE,), "1 files")])
def test_a_commit_that_does_nothing_is_a_failure_of_the_engine(objects: tuple[ObjectProof, ...], said: str) -> None:
    told: list[holdfast.Event] = []
    with pytest.raises(PluginError) as caught:
        restore(engine_of(*objects), on_event=told.append)
    assert caught.value.message == f"{SAID}: the proof of the backup has {said}"
    assert [event.type for event in told if event.type in ("finished", "failed")] == ["failed"]


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(
    "objects",
    [
        (ObjectProof(kind="table", name="books", rows=0),),
        (ObjectProof(kind="comments", name="database", rows=5),),
        (ObjectProof(kind="stream", name="data"),),
    ],
)
def test_where_nothing_says_that_there_is_data_nothing_is_said(objects: tuple[ObjectProof, ...]) -> None:
    assert restore(engine_of(*objects)).failures == ()


def test_a_target_that_cannot_be_asked_is_restored_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a scratch disk that is full by then nor one whose files somebody removed makes a failure of it."""
    mkdir = Path.mkdir

    def full(self: Path, *arguments: Any, **options: Any) -> None:
        if self.name == "asked":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", full)
    assert restore(engine_of(TABLE)).failures == ()


def test_a_sound_restore_is_asked_once_and_changes_nothing_more() -> None:
    engine = engine_of()
    restore(engine)
    requests = [request for request in engine.requests if isinstance(request, RestoreRequest)]
    assert [(request.dry_run, request.replace) for request in requests] == [(False, False), (True, False)]
    assert requests[0].scratch != requests[1].scratch
    assert engine.trace.count("commit") == 1
    assert engine.content(TARGET) == engine.content(URL)


@pytest.mark.usefixtures("idle")
def test_what_is_restored_in_part_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Failure(kind="table", name="books", message="it is gone")
    monkeypatch.setattr(MemoryRestore, "failures", [failure], raising=False)
    assert restore(engine_of()).failures == (failure,)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("error", [UnreachableError("away"), OSError("away"), ZeroDivisionError("of the engine")])
def test_a_target_that_cannot_be_asked_tells_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    engine = engine_of()
    whole: Callable[..., Any] = engine.restore

    @contextmanager
    def once(request: RestoreRequest) -> Iterator[Any]:
        if request.dry_run:
            raise error
        with whole(request) as session:
            yield session

    monkeypatch.setattr(engine, "restore", once)
    assert restore(engine).failures == ()


# --- sizes that are known ---


def backup(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Back up 11 bytes as this stream; the warnings."""
    engine = MemoryEngine()
    whole: Callable[..., Any] = engine.dump

    @contextmanager
    def dump(request: Any) -> Iterator[Any]:
        with whole(request) as session:
            session.streams = (stream,)
            yield session

    monkeypatch.setattr(engine, "dump", dump)
    told: list[holdfast.Event] = []
    registry = memory_registry(engine=engine)
    holdfast.backup(URL, store=MemoryStorage(), codec="none", registry=registry, on_event=told.append)
    return [event.message for event in told if event.type == "warning"]


@pytest.mark.parametrize("size", [12, 10, 0])
def test_a_stream_of_an_exact_size_has_that_many_bytes(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    with pytest.raises(PluginError) as caught:
        backup(Stream(name="data", size=size, exact=True), monkeypatch)
    said = f"engine 'memory' of MemoryPlugin-0 said that stream data has {size} bytes, and 11 came"
    assert caught.value.message == said


@pytest.mark.parametrize("stream", [Stream(name="data", size=11, exact=True), Stream(name="data", size=10**9)])
def test_an_estimate_is_no_promise(monkeypatch: pytest.MonkeyPatch, stream: Stream) -> None:
    assert backup(stream, monkeypatch) == []


def test_a_size_that_is_not_told_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginError, match="exact"):
        backup(Stream(name="data", exact=True), monkeypatch)
