"""A pipeline assembled in a program: parts by name or as objects, the same machinery either way."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import holdfast
from holdfast.api import Event
from holdfast.errors import UsageError
from holdfast.pipeline import Pipeline
from holdfast.plugins.builtin import NoCodec
from holdfast.store.catalog import Catalog
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry


class Reversing(NoCodec):
    """Reverses a blob, which is of one frame here."""

    suffix = ".rev"

    def encode(self, block: Any) -> bytes:
        return bytes(block)[::-1]

    def decoder(self) -> Any:
        return self

    def decode(self, data: Any) -> Iterator[bytes]:
        yield bytes(data)[::-1]

    def finish(self) -> None:
        pass


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
        pipeline._plan = pipeline.plan.replace(jobs=3)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        pipeline.jobs = 3  # type: ignore[attr-defined]
    assert (pipeline.replace(jobs=8).plan.jobs, pipeline.plan.jobs) == (8, 2)


def test_replace_changes_a_part_from_a_name_to_an_object_and_back() -> None:
    storage, engine = MemoryStorage(), MemoryEngine()
    named = Pipeline(source=URL, codec="none", checksums=["sha256"], store="./b", jobs=2)
    objects = named.replace(codec=Reversing(), checksums=[hashlib.blake2b], store=storage, engine=engine)
    with pytest.raises(UsageError, match=r"engine \(M.*\), codec \(R.*\), store \(M.*\), checksums \(blake2b\)"):
        _ = objects.plan
    assert objects.replace(tags=["x"], registry=memory_registry()).run().tags == ("x",)
    again = objects.replace(codec="none", checksums=["sha256"], store="./b", engine=None)
    assert (again, again.plan) == (named, named.plan)


def test_a_pipeline_of_a_plan_has_that_plan() -> None:
    plan = holdfast.BackupPlan(source=URL, tags=["x"], options={"a": 1})
    assert Pipeline.of(plan).plan == plan


@pytest.mark.parametrize("keyword", ["sauce", "jbos"])
def test_a_misspelt_keyword_is_refused_and_told_which_there_are(keyword: str) -> None:
    misspelt: Any = {keyword: 1}
    for make in (partial(Pipeline, source=URL), Pipeline(source=URL).replace):
        with pytest.raises(
            UsageError, match=rf"no option '{keyword}' \(there are: source, store, store_options, name, .*registry"
        ):
            make(**misspelt)


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


def test_a_pipeline_is_shown_as_it_was_made_without_secrets() -> None:
    pipeline = Pipeline(source="mysql://me:SECRET@h/db", jobs=2, codec=NoCodec(), checksums=["x", hashlib.blake2b])
    assert repr(pipeline) == (
        "Pipeline(source='mysql://me:***@h/db', checksums=('x',), jobs=2, codec=NoCodec, checksums=blake2b)"
    )


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
    with pytest.raises(UsageError, match=f"{part} is (an object of type .*, which has no |the class dict, expected)"):
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
