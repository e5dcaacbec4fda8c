"""Restore: only what agrees with the manifest is committed, and a failure anywhere undoes what was begun."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.alive import our_threads

from holdfast.api import Blob, Capability, Chunk, Event, Facts, Step
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PluginError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.restore import RestoreResult, restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.plugins.builtin import NoCodec
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.removal import remove_backup
from holdfast.streaming.blocks import BLOCK
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryStorage, memory_registry

STREAMS = {"one": [b"hello"], "two": [b"world" * 100]}

ATOMIC = frozenset({Capability.ATOMIC_RESTORE})

PARALLEL = ATOMIC | {Capability.PARALLEL_RESTORE}


class Boom(Exception):  # noqa: N818 (what a foreign part raises is called anything)
    pass


def stored(streams: Any = None, *, facts: Facts | None = None) -> MemoryStorage:
    storage = MemoryStorage()
    engine = MemoryEngine(streams=streams or STREAMS, facts=facts or Facts())
    parts = Parts(engine=engine, storage=storage)
    backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    return storage


def run(engine: MemoryEngine, storage: MemoryStorage | None = None, **more: Any) -> RestoreResult:
    given = {key: more.pop(key) for key in ("on_event", "dry_run", "codec") if key in more}
    plan = RestorePlan(**{"backup": "latest", "target": TARGET, **more})
    return restore(plan, registry=memory_registry(), storage=storage or stored(), engine=engine, **given)


def flip(storage: MemoryStorage, name: str) -> None:
    (path,) = [path for path in storage.objects if path.endswith(name)]
    content = bytearray(storage.objects[path])
    content[-1] ^= 1
    storage.objects[path] = bytes(content)


def test_every_stream_is_loaded_and_then_committed() -> None:
    engine = MemoryEngine(capabilities=ATOMIC)
    events: list[Event] = []
    result = run(engine, on_event=events.append)
    assert engine.content(TARGET) == {"one": b"hello", "two": b"world" * 100}
    assert engine.trace == ["enter", "load one", "load two", "commit", "leave"]
    assert (result.size_bytes, result.steps, result.dry_run) == (505, ("one", "two"), False)
    assert [event.type for event in events if event.type != "progress"] == ["started", "finished"]
    assert (events[-1].done, events[-1].total) == (505, 505)


def test_progress_counts_what_is_checked_before_as_well_and_ends_at_its_total() -> None:
    events: list[Event] = []
    run(MemoryEngine(), on_event=events.append)
    assert events[0].type == "started"
    assert (events[-1].done, events[-1].total) == (2 * 505, 2 * 505)


def test_a_dry_run_enters_the_session_and_loads_nothing() -> None:
    engine = MemoryEngine()
    assert run(engine, dry_run=True).dry_run
    assert engine.trace == ["enter", "leave"]
    assert engine.content(TARGET) is None


def test_the_request_carries_what_the_dump_and_the_user_said() -> None:
    engine = MemoryEngine(capabilities=ATOMIC)
    run(engine, stored(facts=Facts(hints={"format": 7})), replace=True, allow_damaged=True, jobs=3)
    (request,) = engine.requests
    assert request.facts == {"format": 7}
    assert (request.replace, request.allow_damaged, request.jobs, request.check) == (True, True, 3, True)
    assert [(stream.name, stream.suffix, stream.size) for stream in request.streams] == [
        ("one", ".txt", 5),
        ("two", ".txt", 500),
    ]


def test_phases_run_in_order_and_parallel_steps_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)
    steps = (
        Step(stream="two", phase=2),
        Step(stream="one", phase=1, parallel=True),
        Step(stream="two", phase=1, parallel=True),
        Step(stream="one", phase=0),
    )
    engine = MemoryEngine(capabilities=PARALLEL, steps=steps)
    loads = itertools.count()

    def meet(_piece: Chunk) -> None:
        if 1 <= next(loads) <= 2:
            meeting.wait()

    engine.on_load = meet
    run(engine, jobs=2)
    assert (engine.trace[1], engine.trace[-3]) == ("load one", "load two")
    assert sorted(engine.trace[2:4]) == ["load one", "load two"]


def test_of_the_steps_that_may_run_at_the_same_time_the_largest_begins_first() -> None:
    steps = (Step(stream="one", parallel=True), Step(stream="two", parallel=True))
    engine = MemoryEngine(capabilities=PARALLEL, steps=steps)
    result = run(engine, jobs=1)
    assert [event for event in engine.trace if event.startswith("load")] == ["load two", "load one"]
    assert result.steps == ("two", "one")


def test_a_step_for_a_stream_that_the_backup_has_not_is_blamed_on_the_engine() -> None:
    engine = MemoryEngine(steps=(Step(stream="three"),))
    with pytest.raises(PluginError, match="engine 'memory' wants to load three, which the backup has not"):
        run(engine)
    assert engine.trace == ["enter", "leave"]


def test_a_stream_that_a_selection_leaves_out_is_not_read() -> None:
    """Which that is the session may know only from the streams before: the damage of the other is none of its own."""

    class Choosy(MemoryEngine):
        @contextmanager
        def restore(self, request: Any) -> Iterator[Any]:
            with super().restore(request) as plain:
                session: Any = plain
                session.skipped_streams = ("two",)
                load = session.load
                session.load = lambda step, blob: load(step, blob) if step.stream == "one" else None
                yield session

    storage = stored()
    flip(storage, "two.txt")
    engine, events = Choosy(capabilities=ATOMIC), list[Event]()
    run(engine, storage, on_event=events.append)
    assert engine.content(TARGET) == {"one": b"hello"}
    assert (events[-1].done, events[-1].total) == (5, 5)


def test_an_engine_that_does_not_read_to_the_end_is_read_to_the_end_for_it() -> None:
    def begin(step: Step, blob: Blob) -> None:
        next(iter(blob.chunks()))

    class Lazy(MemoryEngine):
        @contextmanager
        def restore(self, request: Any) -> Iterator[Any]:
            with super().restore(request) as session:
                session.load = begin  # type: ignore[method-assign]
                yield session

    storage = stored()
    run(Lazy(capabilities=ATOMIC), storage)
    flip(storage, "two.txt")
    lazy = Lazy(capabilities=ATOMIC)
    with pytest.raises(IntegrityError, match="stream two is not what was stored"):
        run(lazy, storage)
    assert "commit" not in lazy.trace


def test_an_engine_that_returns_before_it_has_taken_all_of_a_stream_has_not_restored_it() -> None:
    def begin(step: Step, blob: Blob) -> None:
        next(iter(blob.chunks()))

    class Hasty(MemoryEngine):
        @contextmanager
        def restore(self, request: Any) -> Iterator[Any]:
            with super().restore(request) as session:
                session.load = begin  # type: ignore[method-assign]
                yield session

    storage = stored({"one": [bytes(BLOCK)] * 9})
    hasty = Hasty(capabilities=ATOMIC)
    with pytest.raises(PluginError, match="stream one: it returned from its step without reading it to its end"):
        run(hasty, storage)
    assert "commit" not in hasty.trace


@pytest.mark.parametrize("atomic", [True, False])
def test_a_flipped_bit_is_found_before_anything_is_committed(atomic: bool) -> None:
    storage = stored()
    flip(storage, "two.txt")
    engine = MemoryEngine(capabilities=ATOMIC if atomic else frozenset())
    with pytest.raises(IntegrityError, match="is not what was stored: its sha256 differs"):
        run(engine, storage)
    assert engine.content(TARGET) is None
    # What cannot be undone does not even begin.
    assert engine.trace == (["enter", "load one", "load two", "leave"] if atomic else ["enter", "leave"])


def test_a_damaged_backup_is_restored_as_far_as_it_goes_where_that_is_allowed() -> None:
    storage = stored()
    flip(storage, "two.txt")
    for capabilities in (ATOMIC, frozenset[Capability]()):
        engine = MemoryEngine(capabilities=capabilities)
        told: list[tuple[str, int]] = []
        result = run(
            engine,
            storage,
            allow_damaged=True,
            on_event=lambda event, told=told: told.append((event.type, threading.get_ident())),
        )
        assert (engine.content(TARGET) or {})["two"][:10] == b"worldworld"
        assert "is not what was stored" in result.warnings[0]
        assert [kind for kind, _ in told].count("warning") == len(result.warnings)
        assert {thread for _, thread in told} == {threading.get_ident()}


def test_a_source_that_was_damaged_is_restored_only_where_that_is_allowed() -> None:
    storage = stored(facts=Facts(damage=("page 3",)))
    with pytest.raises(IntegrityError, match="is damaged: page 3"):
        run(MemoryEngine(), storage)
    assert run(MemoryEngine(), storage, allow_damaged=True).size_bytes == 505


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("parallel", [True, False])
def test_a_load_that_fails_undoes_the_restore_with_its_error(after: int, parallel: bool) -> None:
    loads = itertools.count()

    def fail(_piece: Chunk) -> None:
        if next(loads) >= after:
            raise Boom("load")

    steps = tuple(Step(stream=name, parallel=parallel) for name in ("one", "two"))
    engine = MemoryEngine(capabilities=PARALLEL, steps=steps, on_load=fail)
    with pytest.raises(HoldfastError, match=r"^restore into memory://host/copy failed: Boom: load$"):
        run(engine, stored({"one": [bytes(BLOCK)] * 9, "two": [bytes(BLOCK)] * 9}))
    assert engine.content(TARGET) is None
    assert engine.trace[-1] == "leave"
    assert our_threads() == set()


def test_a_load_that_waits_for_its_target_is_ended_by_leaving_the_session() -> None:
    engine = MemoryEngine(capabilities=PARALLEL, steps=tuple(Step(stream=name, parallel=True) for name in STREAMS))

    def load(piece: Chunk) -> None:
        if piece == b"hello":
            raise Boom("load")
        engine.left.wait(30)

    engine.on_load = load
    started = time.monotonic()
    with pytest.raises(HoldfastError, match="Boom: load"):
        run(engine, jobs=2)
    assert time.monotonic() - started < 10
    assert engine.trace.count("leave") == 1


@pytest.mark.parametrize("where", ["enter", "commit", "leave"])
def test_a_session_that_fails_is_no_success(where: str) -> None:
    class Failing(MemoryEngine):
        @contextmanager
        def restore(self, request: Any) -> Iterator[Any]:
            if where == "enter":
                raise Boom(where)
            with super().restore(request) as session:
                if where == "commit":
                    session.commit = fail  # type: ignore[method-assign]
                yield session
            if where == "leave":
                raise Boom(where)

    def fail() -> None:
        raise Boom(where)

    with pytest.raises(HoldfastError, match=f"Boom: {where}"):
        run(Failing(capabilities=ATOMIC))


@pytest.mark.parametrize("kind", ["started", "progress"])
def test_a_watcher_that_fails_undoes_the_restore(kind: str) -> None:
    def watch(event: Event) -> None:
        if event.type == kind:
            raise KeyboardInterrupt

    engine = MemoryEngine(capabilities=ATOMIC)
    with pytest.raises(KeyboardInterrupt):
        run(engine, on_event=watch)
    assert engine.content(TARGET) is None
    assert engine.trace[-1] == "leave"


def test_a_store_that_fails_in_the_middle_undoes_the_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = stored({"one": [bytes(BLOCK)] * 5})
    real = storage.read

    def read(path: str, offset: int = 0, length: int | None = None) -> bytes:
        if path.endswith("one.txt") and offset >= 2 * BLOCK:
            raise OSError(5, "Input/output error")
        return real(path, offset, length)

    monkeypatch.setattr(storage, "read", read)
    engine = MemoryEngine(capabilities=ATOMIC)
    with pytest.raises(HoldfastError, match=r"cannot read blob one\.txt: the device reports") as caught:
        run(engine, storage)
    assert type(caught.value) is HoldfastError
    assert engine.content(TARGET) is None


def test_a_decoder_that_hangs_is_left_behind_when_another_part_fails() -> None:
    forever = threading.Event()

    class Hanging(NoCodec):
        def decode(self, data: Any) -> Iterator[bytes]:
            if len(data) > 100:
                forever.wait(30)
            yield bytes(data)

        def decoder(self) -> "Hanging":
            return self

    def fail(_piece: Chunk) -> None:
        raise Boom("load")

    steps = tuple(Step(stream=name, parallel=True) for name in STREAMS)
    engine = MemoryEngine(capabilities=PARALLEL, steps=steps, on_load=fail)
    started = time.monotonic()
    try:
        with pytest.raises(HoldfastError, match="Boom: load"):
            run(engine, codec=Hanging(), jobs=2)
        assert time.monotonic() - started < 10
    finally:
        forever.set()


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ({"backup": "20200101"}, NotFoundError),
        ({"live": True}, UsageError),
        ({"check": True}, UsageError),
        ({"select": ("a",)}, UsageError),
    ],
)
def test_a_restore_that_cannot_work_is_refused_before_the_target_is_opened(
    plan: dict[str, Any], error: type[HoldfastError]
) -> None:
    engine = MemoryEngine()
    with pytest.raises(error):
        run(engine, **plan)
    assert engine.trace == []


def test_a_backup_of_another_engine_is_refused() -> None:
    engine = MemoryEngine(name="other")
    storage = MemoryStorage()
    parts = Parts(engine=engine, storage=storage)
    backup(BackupPlan(source="other://h/app", codec="none"), registry=memory_registry(), parts=parts)
    with pytest.raises(UsageError, match="the backup is of engine 'other', the target memory://host/copy of 'memory'"):
        restore(RestorePlan(backup="latest", target=TARGET), registry=memory_registry(), storage=storage)


def test_a_missing_store_is_not_made_by_a_restore() -> None:
    storage = MemoryStorage()
    with pytest.raises(NotFoundError, match="no store at memory"):
        run(MemoryEngine(), storage)
    assert storage.objects == {}


def test_a_backup_that_is_deleted_while_it_is_restored_is_gone_and_not_damaged() -> None:
    storage = stored()
    entry = Catalog(storage).listing().entries[0]

    def watch(event: Event) -> None:
        if event.type == "started":
            remove_backup(Catalog(storage), entry)

    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        run(MemoryEngine(capabilities=ATOMIC), storage, on_event=watch)
