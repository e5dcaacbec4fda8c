"""A pipeline assembled in a program: parts by name or as objects, the same machinery either way."""

import hashlib
import json
from typing import Any

import pytest
from memory import URL, MemoryEngine, MemoryStorage, memory_registry

import holdfast
from holdfast.api import Event
from holdfast.errors import UsageError
from holdfast.pipeline import Pipeline
from holdfast.plugins.builtin import NoCodec
from holdfast.store.catalog import Catalog


class Reversing(NoCodec):
    suffix = ".rev"

    def encode(self, block: Any) -> bytes:
        return bytes(block)[::-1]


def test_every_part_can_be_an_object() -> None:
    storage = MemoryStorage()
    events: list[Event] = []
    pipeline = Pipeline(
        source=URL,
        engine=MemoryEngine(),
        codec=Reversing(),
        checksums=[hashlib.blake2b],
        store=storage,
        registry=memory_registry(),
    )
    record = pipeline.run(on_event=events.append)
    assert storage.objects[f"app/{record.id}/data.txt.rev"] == b"dlrow olleh"
    manifest = json.loads(storage.objects[f"app/{record.id}/backup_manifest.json"])
    assert manifest["checksums"] == ["sha256", "blake2b"]
    assert manifest["codec"] == {"name": "reversing", "spec": "reversing"}
    assert events[-1].type == "finished"


def test_a_pipeline_is_frozen_and_replace_gives_another() -> None:
    pipeline = Pipeline(source=URL, jobs=2)
    with pytest.raises(AttributeError):
        pipeline.jobs = 3  # type: ignore[misc]
    assert (pipeline.replace(jobs=8).jobs, pipeline.jobs) == (8, 2)


def test_a_pipeline_of_names_is_a_plan() -> None:
    pipeline = Pipeline(source=URL, codec="none", checksums=["x"], store="./b", select=("a",), options={"k": "v"})
    plan = pipeline.plan
    assert (plan.codec, plan.checksums, plan.store, plan.select, plan.options) == (
        "none",
        ("x",),
        "./b",
        ("a",),
        {"k": "v"},
    )
    assert holdfast.BackupPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("part", "value", "name"),
    [
        ("engine", MemoryEngine(), "engine (MemoryEngine)"),
        ("codec", NoCodec(), "codec (NoCodec)"),
        ("store", MemoryStorage(), "store (MemoryStorage)"),
        ("checksums", ["sha256", hashlib.blake2b], "checksums (builtin_function_or_method)"),
    ],
)
def test_a_pipeline_with_an_object_is_not_portable_and_says_which(part: str, value: Any, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = Pipeline(source=URL, **{part: value}).plan
    assert name.split(" (", maxsplit=1)[0] + " (" in caught.value.message


def test_a_pipeline_is_shown_without_its_source() -> None:
    assert "SECRET" not in repr(Pipeline(source="mysql://me:SECRET@h/db"))


def test_a_preview_writes_nothing() -> None:
    storage = MemoryStorage()
    pipeline = Pipeline(source=URL, engine=MemoryEngine(), codec="none", store=storage, registry=memory_registry())
    assert [stream.name for stream in pipeline.preview().streams] == ["data"]
    assert storage.objects == {}


def test_parts_by_name_are_looked_up_in_the_registry() -> None:
    storage, engine = MemoryStorage(), MemoryEngine()
    record = Pipeline(source=URL, codec="none", store=storage, registry=memory_registry(engine=engine)).run()
    assert [entry.id for entry in Catalog(storage).listing().entries] == [record.id]
    assert engine.trace[0] == "enter"


@pytest.mark.parametrize("part", ["engine", "codec", "store"])
@pytest.mark.parametrize("value", [5, object(), b"x", dict])
def test_an_object_that_cannot_be_the_part_is_refused_and_told_what_it_lacks(part: str, value: Any) -> None:
    storage = MemoryStorage()
    parts: dict[str, Any] = {"engine": MemoryEngine(), "store": storage, part: value}
    with pytest.raises(UsageError, match=f"{part} is an object of type .*, which has no "):
        Pipeline(source=URL, registry=memory_registry(), **parts).run()
    assert storage.objects == {}


@pytest.mark.parametrize("checksums", ["sha256", None, 5, [5], [lambda: None]])
def test_what_starts_no_digest_is_no_checksum(checksums: Any) -> None:
    with pytest.raises(UsageError, match="checksum"):
        Pipeline(
            source=URL, engine=MemoryEngine(), checksums=checksums, store=MemoryStorage(), registry=memory_registry()
        ).run()


def test_an_object_does_not_stand_in_for_the_sha_256_that_every_backup_records() -> None:
    class Bogus:
        name = "sha256"

        def update(self, data: Any) -> None:
            pass

        def hexdigest(self) -> str:
            return "00"

    storage = MemoryStorage()
    pipeline = Pipeline(
        source=URL, engine=MemoryEngine(), checksums=[Bogus], store=storage, codec="none", registry=memory_registry()
    )
    pipeline.run()
    (entry,) = Catalog(storage).listing().entries
    assert (entry.good, entry.problem) == (True, "")
