"""What an engine tells of a dump is looked at before it is written down: no manifest is born that none can read."""

from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest

import holdfast
from holdfast.api import Component, Facts, Kind, ObjectProof, Proof, Source, Stream, hookimpl
from holdfast.errors import PluginError
from holdfast.plugins.registry import Registry
from holdfast.testing import MemoryEngine, MemoryStorage
from holdfast.testing.memory import URL


class Telling(MemoryEngine):
    """An engine whose dump session has other members."""

    def __init__(self, **members: Any) -> None:
        super().__init__()
        self.members = members

    @contextmanager
    def dump(self, request: Any) -> Any:
        with super().dump(request) as session:
            for name, value in self.members.items():
                setattr(session, name, value)
            yield session


class Offers:
    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.ENGINE, name="memory")]

    @hookimpl
    def holdfast_dump(self, scheme: str, request: Any) -> Any:
        return self.engine.dump(request) if scheme == "memory" else None

    @hookimpl
    def holdfast_restore(self, scheme: str, request: Any) -> Any:
        return self.engine.restore(request) if scheme == "memory" else None


def backup(*, installed: bool = True, **members: Any) -> tuple[Any, MemoryStorage]:
    engine, storage = Telling(**members), MemoryStorage()
    registry = Registry(plugins=[Offers(engine)] if installed else [], environ={})
    given: dict[str, Any] = {} if installed else {"engine": engine}
    return holdfast.backup(URL, store=storage, registry=registry, **given), storage


def facts(**fields: Any) -> dict[str, Any]:
    return {"facts": lambda: Facts(**fields)}


def proof(*objects: Any, method: Any = "counted", **fields: Any) -> dict[str, Any]:
    return {"proof": lambda: Proof(method=method, objects=objects, **fields)}


def wrong(kind: Any, /, **fields: Any) -> Any:
    """A value with fields of types that the contract does not allow."""
    return kind(**fields)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (facts(server_version=5), "facts() has server_version: expected str, got int"),
        (facts(programs={"a": 1}), "facts() has programs[...]: expected str, got int"),
        (facts(warnings="abc"), "facts() has warnings: expected array, got str"),
        (facts(damage=(5,)), "facts() has damage[0]: expected str, got int"),
        (facts(files={"a.txt": "text"}), "facts() has files['a.txt']: expected bytes, got str"),
        (facts(hints={1: 2}), "facts() has hints: expected str, got int"),
        (facts(hints={"a": {"b": object()}}), "facts() has hints['a']['b']: JSON holds no object"),
        (facts(hints={"a": [{1}]}), "facts() has hints['a'][0]: JSON holds no set"),
        (facts(consistency_point={"a": b"1"}), "facts() has consistency_point['a']: JSON holds no bytes"),
        (facts(consistency_point=5), "facts() has consistency_point: expected object, got int"),
        (proof(1, 2), "proof() has objects[0]: expected object, got int"),
        (proof(wrong(ObjectProof, kind="table", name=5)), "proof() has objects[0].name: expected str, got int"),
        (
            proof(wrong(ObjectProof, kind="table", name="t", rows="5")),
            "proof() has objects[0].rows: expected int | null, got str",
        ),
        (proof(method=5), "proof() has method: expected str, got int"),
        (proof(settings=[1]), "proof() has settings: expected object, got array"),
        ({"source": wrong(Source, name=5, identity="a")}, "source has name: expected str, got int"),
        ({"source": wrong(Source, name="a", identity="")}, "source has identity: it is empty"),
        ({"streams": (wrong(Stream, name="one", suffix=5),)}, "streams has suffix: expected str, got int"),
        ({"streams": (wrong(Stream, name="one", size="big"),)}, "streams has size: expected int | null, got str"),
    ],
)
def test_a_value_of_another_type_is_the_engines_failure(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(PluginError) as caught:
        backup(**members)
    assert f"engine 'memory' of Offers-0 breaks its contract: {problem}" in caught.value.message


@pytest.mark.parametrize(
    "members", [facts(server_version=5), proof(1), {"streams": (wrong(Stream, name="one", size="1"),)}]
)
def test_nor_of_an_engine_that_a_program_brought(members: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="engine 'memory' breaks its contract: "):
        backup(installed=False, **members)


def test_what_is_right_is_written_down() -> None:
    made, storage = backup(
        **facts(
            warnings=["a list"],
            hints=MappingProxyType({"a": (1, None, 2.5, True, {"b": "c"})}),
            programs=MappingProxyType({"dump": "1.0"}),
        ),
        **proof(wrong(ObjectProof, kind="table", name="t", rows=1, digest="0f")),
    )
    assert made.warnings == ("a list",)
    (listed,) = holdfast.list_backups(store=storage, registry=Registry(environ={}))
    assert listed.state == "complete"
