"""Backup: whatever fails, and wherever, nothing is left behind; and memory stays flat."""

import itertools
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.alive import our_threads

from holdfast.api import Capability, Event
from holdfast.errors import HoldfastError, IntegrityError, UnsafeError
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.streaming.blocks import BLOCK
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry


class Boom(Exception):  # noqa: N818 (what a foreign part raises is called anything)
    pass


def run(
    engine: MemoryEngine | None = None,
    storage: MemoryStorage | None = None,
    *,
    codec: Any = None,
    registry: Registry | None = None,
    on_event: Any = None,
    checksums: Any = None,
    **plan: Any,
) -> Backup:
    parts = Parts(engine=engine, storage=storage or MemoryStorage(), codec=codec, checksums=checksums or {})
    spec = {} if codec else {"codec": "none"}
    return backup(
        BackupPlan(source=URL, **{**spec, **plan}),
        registry=registry or memory_registry(engine=engine),
        parts=parts,
        on_event=on_event,
    )


def assert_nothing_left(storage: MemoryStorage) -> None:
    """No object but the mark of the store, nothing unfinished, no lease, and nothing is listed."""
    assert set(storage.objects) <= {"holdfast.json"}
    assert storage.partial == set()
    assert storage.leases == set()
    if storage.objects:
        listing = Catalog(storage).listing()
        assert (listing.entries, listing.leftovers) == ((), ())


def reader_that_fails(after: int) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        for _ in range(after):
            yield bytes(BLOCK)
        raise Boom("reader")

    return chunks


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(BLOCK)


@pytest.mark.parametrize("after", [0, 1, 12])
@pytest.mark.parametrize("others", [0, 3])
def test_a_reader_that_fails_ends_the_run_with_its_error(after: int, others: int) -> None:
    streams = {**{f"s{number}": endless for number in range(others)}, "bad": reader_that_fails(after)}
    engine = MemoryEngine(streams=streams, capabilities=frozenset({Capability.PARALLEL_DUMP}))
    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match=r"^cannot read bad of memory://host/app: Boom: reader$") as caught:
        run(engine, storage, jobs=4)
    assert isinstance(caught.value.__cause__, Boom)
    assert_nothing_left(storage)


def test_a_read_that_waits_for_its_source_is_ended_by_leaving_the_session() -> None:
    engine = MemoryEngine(capabilities=frozenset({Capability.PARALLEL_DUMP}))

    def hangs() -> Iterator[bytes]:
        yield from ()
        engine.left.wait(30)
        raise Boom("the session was left")

    engine.contents["app"] = {"hangs": hangs, "bad": reader_that_fails(0)}
    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match="cannot read bad"):
        run(engine, storage, jobs=2)
    assert our_threads() == set()
    assert_nothing_left(storage)


def test_a_reader_is_closed_before_its_session_is_left_when_another_part_fails() -> None:
    engine, storage = MemoryEngine(streams={"data": endless}), MemoryStorage()

    def full(path: str, content: bytearray, data: Any) -> None:
        if path.endswith("data.txt"):
            raise OSError(28, "No space left on device")
        content += data

    storage.write = full  # type: ignore[method-assign]
    with pytest.raises(HoldfastError, match="no space left on the device"):
        run(engine, storage)
    assert engine.trace == ["enter", "read data", "closed data", "leave"]


class FailingCodec(NoCodec):
    def __init__(self, after: int) -> None:
        self.calls, self.after = itertools.count(), after

    def encode(self, block: Any) -> Any:
        if next(self.calls) >= self.after:
            raise Boom("codec")
        return block


class FailingHasher:
    def __init__(self, where: str) -> None:
        self.where = where
        if where == "start":
            raise Boom("hasher")

    def update(self, data: Any) -> None:
        if self.where == "update":
            raise Boom("hasher")

    def hexdigest(self) -> str:
        raise Boom("hasher")


@pytest.mark.parametrize("after", [0, 5])
def test_a_codec_that_fails_ends_the_run_with_its_error(after: int) -> None:
    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match=r"^backup failed: Boom: codec$"):
        run(MemoryEngine(streams={"data": endless}), storage, codec=FailingCodec(after))
    assert_nothing_left(storage)


@pytest.mark.parametrize("where", ["start", "update", "hexdigest"])
def test_a_hasher_that_fails_ends_the_run_with_its_error(where: str) -> None:
    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match=r"^backup failed: Boom: hasher$"):
        run(MemoryEngine(), storage, checksums={"bad": lambda: FailingHasher(where)})
    assert_nothing_left(storage)


@pytest.mark.parametrize("part", ["data.txt", "RESTORE.md", "SHA256SUMS", "backup_manifest.json", "source.json"])
def test_a_store_that_is_full_ends_the_run_at_whichever_file_that_is(part: str) -> None:
    storage = MemoryStorage()

    def full(path: str, content: bytearray, data: Any) -> None:
        if path.endswith(part):
            raise OSError(28, "No space left on device")
        content += data

    storage.write = full  # type: ignore[method-assign]
    with pytest.raises(HoldfastError, match=r"^cannot write to the store at memory: no space left on the device$"):
        run(MemoryEngine(), storage)
    assert_nothing_left(storage)


@pytest.mark.parametrize("number", [0, 1])
def test_a_barrier_that_fails_is_no_success(number: int) -> None:
    storage = MemoryStorage()
    calls = itertools.count()

    def barrier() -> None:
        if next(calls) == number:
            raise OSError(5, "Input/output error")

    storage.barrier = barrier  # type: ignore[method-assign]
    with pytest.raises(HoldfastError, match="input/output error"):
        run(MemoryEngine(), storage)
    assert_nothing_left(storage)


@pytest.mark.parametrize("part", ["proof", "facts"])
def test_a_session_that_fails_after_the_last_read_ends_the_run_with_its_error(part: str) -> None:
    class Failing(MemoryEngine):
        @contextmanager
        def dump(self, request: Any) -> Iterator[Any]:
            with super().dump(request) as session:

                def fail() -> None:
                    raise Boom(part)

                setattr(session, part, fail)
                yield session

    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match=rf"^cannot read memory://host/app: Boom: {part}$"):
        run(Failing(), storage)
    assert_nothing_left(storage)


@pytest.mark.parametrize("where", ["enter", "leave"])
def test_a_session_that_cannot_be_entered_or_left_is_no_success(where: str) -> None:
    class Failing(MemoryEngine):
        @contextmanager
        def dump(self, request: Any) -> Iterator[Any]:
            if where == "enter":
                raise IntegrityError("not a database")
            with super().dump(request) as session:
                yield session
            raise IntegrityError("the server died")

    storage = MemoryStorage()
    with pytest.raises(IntegrityError):
        run(Failing(), storage)
    assert_nothing_left(storage)
    assert (storage.objects == {}) == (where == "enter")  # a missing source makes no store


@pytest.mark.parametrize("kind", ["started", "progress", "stream"])
@pytest.mark.parametrize("error", [Boom("watcher"), KeyboardInterrupt(), BrokenPipeError()])
def test_a_watcher_that_fails_ends_the_run(kind: str, error: BaseException) -> None:
    def watch(event: Event) -> None:
        if event.type == kind:
            raise error

    storage = MemoryStorage()
    with pytest.raises((HoldfastError, KeyboardInterrupt)) as caught:
        run(MemoryEngine(), storage, on_event=watch)
    assert error in (caught.value, caught.value.__cause__)
    assert_nothing_left(storage)


def test_a_watcher_that_fails_at_the_end_does_not_undo_a_published_backup() -> None:
    def watch(event: Event) -> None:
        if event.type == "finished":
            raise Boom("watcher")

    storage = MemoryStorage()
    record = run(MemoryEngine(), storage, on_event=watch)
    assert [entry.id for entry in Catalog(storage).listing().entries] == [record.id]


def test_a_watcher_that_fails_on_a_failure_does_not_hide_it() -> None:
    def watch(event: Event) -> None:
        if event.type == "failed":
            raise Boom("watcher")

    with pytest.raises(HoldfastError, match="Boom: codec"):
        run(MemoryEngine(), codec=FailingCodec(0), on_event=watch)


def test_a_backup_that_could_not_be_removed_says_why_it_failed_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()

    def stuck(path: str) -> None:
        raise HoldfastError("the bucket is locked")

    storage.delete = stuck  # type: ignore[method-assign]
    with pytest.raises(HoldfastError, match="Boom: reader"):
        run(MemoryEngine(streams={"a": [b"x"], "bad": reader_that_fails(0)}), storage)
    assert "could not remove the unfinished" in caplog.text
    assert Catalog(storage).listing().entries == ()


def test_the_next_backup_removes_what_a_killed_one_left_and_keeps_its_claim() -> None:
    storage = MemoryStorage()
    first = run(storage=storage)
    left = f"app/{first.id}"
    del storage.objects[f"{left}/backup_manifest.json"]  # as if it had been killed before
    second = run(storage=storage)
    assert not [path for path in storage.objects if path.startswith(left)]
    assert "app/source.json" in storage.objects
    assert [entry.id for entry in Catalog(storage).listing().entries] == [second.id]


def test_a_name_that_is_taken_away_during_the_run_is_found_out_before_publication() -> None:
    storage = MemoryStorage()

    def chunks() -> Iterator[bytes]:
        storage.objects["app/source.json"] = b'{"identity": "of another database"}'
        yield b"x"

    with pytest.raises(UnsafeError, match="'app' belongs to the backups of another database"):
        run(MemoryEngine(streams={"data": chunks}), storage)
    assert Catalog(storage).listing().entries == ()
    del storage.objects["app/source.json"]
    assert_nothing_left(storage)


# --- memory ---


class Zipped(NoCodec):
    """One frame of zlib for each block; a decoder that is given whole frames alone."""

    def encode(self, block: Any) -> bytes:
        return zlib.compress(block, 1)

    def decoder(self) -> Any:
        return self

    def decode(self, data: Any) -> Iterator[bytes]:
        yield zlib.decompress(data)

    def finish(self) -> None:
        pass


@pytest.mark.parametrize(("streams", "jobs"), [(1, 1), (1, 4), (8, 4)])
def test_blocks_under_way_do_not_grow_with_the_size_of_the_database(streams: int, jobs: int) -> None:
    storage = MemoryStorage()
    lock = threading.Lock()
    under_way = most = 0

    def chunks() -> Iterator[bytes]:
        nonlocal under_way, most
        for _ in range(40):
            with lock:
                under_way += 1
                most = max(most, under_way)
            yield bytes(BLOCK)

    def write(path: str, content: bytearray, data: Any) -> None:
        nonlocal under_way
        with lock:
            under_way -= 1
        content += data

    storage.write = write  # type: ignore[method-assign]
    engine = MemoryEngine(
        streams={f"s{number}": chunks for number in range(streams)},
        capabilities=frozenset({Capability.PARALLEL_DUMP}),
    )
    run(engine, storage, jobs=jobs, codec=Zipped())
    readers = min(jobs, streams)
    writers = readers + 1 if readers > 1 else 1  # one stream more may be at its end, which is only written
    # Each reader holds a block that has no room yet. On a busy machine all is written before more is read.
    assert 0 < most <= writers * (2 + 3 * jobs // readers) + readers


def test_a_lease_that_cannot_be_released_does_not_make_a_failure_of_a_published_backup(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stuck(MemoryStorage):
        @contextmanager
        def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:
            with super().lease(name, ttl):
                yield
            raise OSError(5, "Input/output error")

    events: list[Event] = []
    record = run(MemoryEngine(), Stuck(), on_event=events.append)
    assert record.state == "complete"
    assert [event.type for event in events][-1] == "finished"
    assert f"could not release the lease of {record.id}" in caplog.text
