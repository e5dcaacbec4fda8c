"""Backup: what is published is whole, and a failure anywhere leaves nothing behind that looks like a backup."""

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from holdfast.api import Capability, Component, Event, Facts, Kind, ObjectProof, Proof, Stream, hookimpl
from holdfast.errors import HoldfastError, IntegrityError, PluginError, UnsafeError, UsageError
from holdfast.operations.backup import backup, preview
from holdfast.plan import BackupPlan
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.record import Backup, place
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
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


# --- what is published ---


def test_a_backup_holds_its_streams_its_sums_its_guide_and_its_manifest() -> None:
    storage = MemoryStorage()
    record = run(storage=storage)
    folder = f"app/{record.id}"
    assert set(storage.objects) == {
        "holdfast.json",
        "app/source.json",
        *(f"{folder}/{name}" for name in ("data.txt", "RESTORE.md", "SHA256SUMS", "backup_manifest.json")),
    }
    assert storage.objects[f"{folder}/data.txt"] == b"hello world"
    assert record.checksum == hashlib.sha256(storage.objects[f"{folder}/backup_manifest.json"]).hexdigest()
    assert (record.state, record.size_bytes, record.stored_bytes) == ("complete", 11, 11)


def test_the_manifest_is_written_last_between_two_barriers() -> None:
    storage = MemoryStorage()
    run(storage=storage)
    assert storage.trace[-3:] == ["barrier", "wrote backup_manifest.json", "barrier"]


def test_the_source_is_freed_before_the_store_is_synced() -> None:
    engine, storage = MemoryEngine(), MemoryStorage()
    engine.trace = storage.trace
    run(engine, storage)
    assert storage.trace.index("leave") < storage.trace.index("barrier")


def test_sums_name_every_file_but_themselves_with_its_digest() -> None:
    storage = MemoryStorage()
    record = run(MemoryEngine(facts=Facts(files={"decoder.py": b"print()"})), storage)
    folder = f"app/{record.id}/"
    lines = storage.objects[f"{folder}SHA256SUMS"].decode().splitlines()
    named = {line.split("  ")[1]: line.split("  ")[0] for line in lines}
    files = {path.removeprefix(folder): data for path, data in storage.objects.items() if path.startswith(folder)}
    del files["SHA256SUMS"]
    assert named == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_what_the_engine_tells_is_in_the_manifest() -> None:
    storage = MemoryStorage()
    facts = Facts(
        server_version="9.1",
        consistency_point={"lsn": "0/1"},
        warnings=("slow",),
        programs={"dumper": "2"},
        hints={"a": 1},
        damage=("page 3",),
    )
    proof = Proof(method="m", objects=(ObjectProof(kind="table", name="t", rows=3, digest="ab"),))
    engine = MemoryEngine(facts=facts, proof=proof, capabilities=frozenset({Capability.PROOF}))
    events: list[Event] = []
    record = run(engine, storage, on_event=events.append, tags=("nightly",))
    document = json.loads(storage.objects[f"app/{record.id}/backup_manifest.json"])
    assert document["consistency_point"] == {"lsn": "0/1"}
    assert document["tool"]["programs"] == {"dumper": "2"}
    assert document["proof"]["objects"] == [{"kind": "table", "name": "t", "rows": 3, "digest": "ab"}]
    assert (document["damage"], document["warnings"], document["tags"]) == (["page 3"], ["slow"], ["nightly"])
    assert [event.message for event in events if event.type == "warning"] == ["slow", "page 3"]
    assert record.state == "damaged"


def test_a_run_tells_its_beginning_its_streams_and_its_end() -> None:
    events: list[Event] = []
    record = run(MemoryEngine(streams={"a": [b"1"], "b": []}), on_event=events.append)
    kinds = [(event.type, event.stream) for event in events if event.type != "progress"]
    assert kinds == [("started", None), ("stream", "a"), ("stream", "b"), ("finished", None)]
    assert {event.id for event in events} == {record.id}
    assert events[-1].detail["path"] == record.path


def test_further_checksums_are_recorded_beside_sha256() -> None:
    storage = MemoryStorage()
    record = run(storage=storage, checksums={"blake2b": hashlib.blake2b})
    (stream,) = json.loads(storage.objects[f"app/{record.id}/backup_manifest.json"])["streams"]
    assert stream["digests"]["blake2b"] == hashlib.blake2b(b"hello world").hexdigest()
    assert stream["blob"]["digests"]["sha256"] == hashlib.sha256(b"hello world").hexdigest()


class Aliased:
    """A codec and a checksum that may be asked for by a second name."""

    __name__ = "aliased"

    @hookimpl
    def holdfast_components(self) -> Iterator[Component]:
        yield Component(kind=Kind.CODEC, name="plain", aliases=("pl",))
        yield Component(kind=Kind.CHECKSUM, name="blake2b", aliases=("b2",))

    @hookimpl
    def holdfast_compress(self, codec: str) -> NoCodec | None:
        return NoCodec() if codec == "plain" else None

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return hashlib.blake2b() if algorithm == "blake2b" else None


def test_the_manifest_records_names_and_not_aliases_and_every_plugin_involved() -> None:
    """A check of the backup looks for the component, and an alias may go away."""
    storage, registry = MemoryStorage(), memory_registry(Aliased())
    plan = BackupPlan(source=URL, codec="pl", checksums=("b2", "blake2b"))
    record = backup(plan, registry=registry, parts=Parts(storage=storage))
    document = json.loads(storage.objects[f"app/{record.id}/backup_manifest.json"])
    assert document["codec"] == {"name": "plain", "spec": "pl"}
    assert document["checksums"] == ["sha256", "blake2b"]
    assert set(document["tool"]["plugins"]) == {"aliased", "MemoryPlugin-0"}


def test_a_preview_opens_the_source_and_writes_nothing() -> None:
    engine, storage = MemoryEngine(), MemoryStorage()
    planned = preview(
        BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=Parts(engine=engine, storage=storage)
    )
    assert [stream.name for stream in planned.streams] == ["data"]
    assert engine.trace == ["enter", "leave"]
    assert storage.objects == {}


def test_a_preview_tells_the_name_that_the_backup_would_get() -> None:
    storage, registry = MemoryStorage(), memory_registry()
    run(MemoryEngine(identity="first"), storage)
    parts = Parts(engine=MemoryEngine(identity="second"), storage=storage)
    promised = preview(BackupPlan(source=URL, codec="none"), registry=registry, parts=parts).name
    assert promised.startswith("app-")
    assert run(MemoryEngine(identity="second"), storage).name == promised
    with pytest.raises(UnsafeError, match="belongs to the backups of another"):
        preview(BackupPlan(source=URL, codec="none", name="app"), registry=registry, parts=parts)


# --- what is refused before anything is opened ---


def look(engine: MemoryEngine, storage: MemoryStorage) -> None:
    plan = BackupPlan(source=URL, codec="none")
    preview(plan, registry=memory_registry(), parts=Parts(engine=engine, storage=storage))


@pytest.mark.parametrize("make", [run, look])
@pytest.mark.parametrize(
    ("marker", "error"),
    [
        (b'{"format_version": 2}', IntegrityError),
        (b"something else", IntegrityError),
        (PermissionError(13, "Permission denied"), HoldfastError),
    ],
)
def test_a_store_that_cannot_be_used_is_found_out_before_the_source_is_opened(
    make: Any, marker: Any, error: type[HoldfastError]
) -> None:
    storage = MemoryStorage()
    storage.objects["holdfast.json"] = marker

    def read(path: str, *_more: int) -> bytes:
        if isinstance(marker, OSError):
            raise marker
        return bytes(storage.objects[path])

    storage.read = read  # type: ignore[assignment,method-assign]
    engine = MemoryEngine()
    with pytest.raises(HoldfastError) as caught:
        make(engine, storage)
    assert type(caught.value) is error
    assert engine.trace == []


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ({"codec": "zstd:1"}, PluginError),
        ({"codec": "none:1"}, UsageError),
        ({"checksums": ("md4",)}, PluginError),
        ({"name": "../x"}, UsageError),
        ({"select": ("a",)}, UsageError),
        ({"proof": True}, UsageError),
        ({"check": True}, UsageError),
        ({"allow_damaged": True}, UsageError),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_the_source_is_opened(
    plan: dict[str, Any], error: type[HoldfastError]
) -> None:
    engine, storage = MemoryEngine(), MemoryStorage()
    with pytest.raises(error):
        backup(
            BackupPlan(**{"source": URL, "codec": "none", **plan}),
            registry=memory_registry(),
            parts=Parts(engine=engine, storage=storage),
        )
    assert engine.trace == []
    assert storage.objects == {}


# --- contracts of engines ---


@pytest.mark.parametrize(
    ("names", "fault"),
    [([], "has no stream"), (["a", "a"], "names a stream twice"), ([""], "names a stream twice, or not at all")],
)
def test_an_engine_that_names_its_streams_badly_is_blamed(names: list[str], fault: str) -> None:
    class Odd(MemoryEngine):
        @contextmanager
        def dump(self, request: Any) -> Iterator[Any]:
            with super().dump(request) as session:
                session.streams = tuple(Stream(name=name) for name in names)
                yield session

    storage = MemoryStorage()
    with pytest.raises(PluginError, match=f"engine 'memory' {fault}"):
        run(Odd(), storage)
    assert_nothing_left(storage)


@pytest.mark.parametrize("suffix", ["/../x", " x", "sql", ".", ".a\n", "." + "x" * 60])
def test_a_suffix_that_no_manifest_could_hold_is_refused(suffix: str) -> None:
    storage = MemoryStorage()
    with pytest.raises(PluginError, match="suffix"):
        run(MemoryEngine(suffix=suffix), storage)
    assert_nothing_left(storage)


@pytest.mark.parametrize("name", ["../x", "backup_manifest.json", "SHA256SUMS", "RESTORE.md", "findings/x", "data.txt"])
def test_a_file_of_the_engine_cannot_take_the_place_of_another(name: str) -> None:
    storage = MemoryStorage()
    with pytest.raises(HoldfastError):
        run(MemoryEngine(facts=Facts(files={name: b"x"})), storage)
    assert_nothing_left(storage)


def test_streams_are_read_side_by_side_where_the_engine_can_and_one_by_one_where_it_cannot() -> None:
    def engine(*capabilities: Capability) -> MemoryEngine:
        running = itertools.count(1)

        def chunks() -> Iterator[bytes]:
            side_by_side.append(next(running))
            meeting.wait()
            yield b"x"

        return MemoryEngine(streams={"a": chunks, "b": chunks}, capabilities=frozenset(capabilities))

    side_by_side: list[int] = []
    meeting = threading.Barrier(2, timeout=10)
    run(engine(Capability.PARALLEL_DUMP), jobs=2)  # would fail with BrokenBarrierError if they did not meet
    assert side_by_side == [1, 2]
    meeting = threading.Barrier(1)
    alone = engine()
    run(alone, jobs=2)
    assert alone.trace == ["enter", "read a", "closed a", "read b", "closed b", "leave"]


def test_the_place_of_a_backup_is_part_of_the_path_of_a_url() -> None:
    assert place(MemoryStorage("s3://bucket/team?region=eu"), "app/id") == "s3://bucket/team/app/id?region=eu"
    assert place(MemoryStorage("memory"), "app/id") == "memory/app/id"
