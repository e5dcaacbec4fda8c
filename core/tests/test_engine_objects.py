"""An engine given as an object can do all that an installed one can, or says what it cannot."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Capability, Component, DumpRequest, Engine, EngineHooks, Kind, RestoreRequest, options_of
from holdfast.testing import MemoryEngine
from holdfast.testing.memory import TARGET, URL, MemoryDump, MemoryScratch


@dataclass(frozen=True, kw_only=True)
class Depth:
    depth: int = 1


class Diver(MemoryEngine):
    """An engine with an alias and an option."""

    aliases = ("dive",)

    def options(self, values: Mapping[str, Any]) -> Any:
        return options_of(self.name, Depth, values)


class Plain:
    """What a program wrote that needs no more: it does not inherit from `Engine`."""

    name = "memory"
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self) -> None:
        self.memory = MemoryEngine()

    def dump(self, request: DumpRequest) -> Any:
        return self.memory.dump(request)

    def restore(self, request: RestoreRequest) -> Any:
        return self.memory.restore(request)


def proving() -> Diver:
    return Diver(capabilities=frozenset({Capability.PROOF, Capability.ATOMIC_RESTORE}))


def test_it_backs_up_restores_and_drills(tmp_path: Path) -> None:
    engine = proving()
    record = holdfast.backup(URL, engine=engine, store=tmp_path, proof=True)
    holdfast.restore(record, TARGET, engine=engine, store=tmp_path)
    assert engine.content(TARGET) == engine.content(URL)
    result = holdfast.drill(record, engine=engine, store=tmp_path)
    assert (result.passed, result.state, result.compared) == (True, "proven", 1)
    assert sorted(engine.contents) == ["app", "copy"]


def test_a_drill_with_it_finds_what_is_not_as_recorded(tmp_path: Path) -> None:
    engine = proving()
    record = holdfast.backup(URL, engine=engine, store=tmp_path, proof=True)
    worse = proving()
    worse.scratch = _emptied(worse)  # type: ignore[method-assign]
    result = holdfast.drill(record, engine=worse, store=tmp_path)
    assert (result.passed, result.state) == (False, "damaged")
    assert "content data: is missing" in result.problems


class LosingScratch(MemoryScratch):
    """It has other content by the time that it is checked."""

    def check(self) -> list[str]:
        self._engine.contents["lost"] = {"other": [b"content"]}
        return []


def _emptied(engine: MemoryEngine) -> Any:
    """Scratch databases that lose what is restored into them."""

    @contextmanager
    def scratch(request: Any) -> Any:
        yield LosingScratch(engine, "memory://host/lost")

    return scratch


def test_its_options_are_checked_and_reach_it(tmp_path: Path) -> None:
    engine = proving()
    holdfast.backup(URL, engine=engine, store=tmp_path, options={"depth": "3"})
    assert engine.requests[-1].options == Depth(depth=3)
    with pytest.raises(holdfast.UsageError, match=r"engine 'memory' has no option 'dept' \(it has: depth\)"):
        holdfast.backup(URL, engine=engine, store=tmp_path, options={"dept": 3})
    with pytest.raises(holdfast.UsageError, match="option 'depth' 'deep'"):
        holdfast.restore("latest", TARGET, engine=engine, store=tmp_path, options={"depth": "deep"})


def test_it_lists_its_databases() -> None:
    engine = proving()
    engine.contents.update(shop={}, ship={})
    assert holdfast.list_databases("memory://host", engine=engine) == [
        "memory://host/app",
        "memory://host/ship",
        "memory://host/shop",
    ]
    assert holdfast.list_databases("memory://host", engine=engine, select=["sh*"], exclude=["*op"]) == [
        "memory://host/ship"
    ]


def test_a_server_of_another_engine_is_no_place_for_its_drills(tmp_path: Path) -> None:
    engine = proving()
    record = holdfast.backup(URL, engine=engine, store=tmp_path)
    assert holdfast.drill(record, engine=engine, store=tmp_path, into="dive://host/").passed
    with pytest.raises(holdfast.UsageError, match=r"is of engine 'memory', but sqlite:///x\.db is of 'sqlite'"):
        holdfast.drill(record, engine=engine, store=tmp_path, into="sqlite:///x.db")


def test_an_object_that_lacks_what_only_some_verbs_need_says_so_there(tmp_path: Path) -> None:
    engine: Engine = Plain()  # type: ignore[assignment]  # a checker says so before
    record = holdfast.backup(URL, engine=engine, store=tmp_path)
    holdfast.restore(record, TARGET, engine=engine, store=tmp_path)
    with pytest.raises(holdfast.UsageError, match="engine 'memory' makes no scratch databases"):
        holdfast.drill(record, engine=engine, store=tmp_path)
    with pytest.raises(holdfast.UsageError, match="engine 'memory' cannot list databases"):
        holdfast.list_databases("memory://host", engine=engine)
    with pytest.raises(holdfast.UsageError, match=r"engine 'memory' has no option 'depth' \(it has: none\)"):
        holdfast.backup(URL, engine=engine, store=tmp_path, options={"depth": 1})
    assert holdfast.list_backups(tmp_path)[0].state == "complete"


def test_what_is_no_engine_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    for call in (
        lambda: holdfast.backup(URL, engine="memory", store=tmp_path),  # type: ignore[arg-type]
        lambda: holdfast.list_databases(URL, engine=object()),  # type: ignore[arg-type]
    ):
        with pytest.raises(holdfast.UsageError, match=r"engine is an object of type .*, which has no name"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_an_installed_engine_says_alike_what_it_cannot() -> None:
    plugin = EngineHooks(Component(kind=Kind.ENGINE, name="x"), dump="a:b", restore="a:b")
    registry = holdfast.Registry(plugins=[plugin])
    with pytest.raises(holdfast.UsageError, match="engine 'x' cannot list databases"):
        holdfast.list_databases("x://host", registry=registry)


class Forgetful(Diver):
    """Its methods return what is no context manager, as those do that nobody decorated."""

    def dump(self, request: DumpRequest) -> Any:
        yield MemoryDump(self, request)

    def restore(self, request: RestoreRequest) -> Any:
        return None


def test_what_is_no_context_manager_is_blamed_on_the_engine_by_name(tmp_path: Path) -> None:
    with pytest.raises(holdfast.PluginError, match=r"engine 'memory': dump\(\) returned generator") as caught:
        holdfast.backup(URL, engine=Forgetful(), store=tmp_path)
    assert caught.value.hint == "decorate it with contextlib.contextmanager"
    record = holdfast.backup(URL, engine=MemoryEngine(), store=tmp_path)
    with pytest.raises(holdfast.PluginError, match=r"engine 'memory': restore\(\) returned NoneType"):
        holdfast.restore(record, TARGET, engine=Forgetful(), store=tmp_path)


def test_a_class_is_no_engine_and_a_name_needs_none(tmp_path: Path) -> None:
    with pytest.raises(holdfast.UsageError, match="engine is the class MemoryEngine, expected an object of it"):
        holdfast.backup(URL, engine=MemoryEngine, store=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(holdfast.UsageError, match="engine is an object of type str") as caught:
        holdfast.backup(URL, engine="memory", store=tmp_path)  # type: ignore[arg-type]
    assert str(caught.value.hint).startswith("leave it out, since the URL names the engine")


def test_an_engine_among_the_plugins_of_a_registry_is_refused_with_what_to_do() -> None:
    refused = holdfast.Registry(plugins=[MemoryEngine(), object()]).plugins[1:3]
    assert [plugin.status for plugin in refused] == ["refused", "refused"]
    assert "it has no hook" in refused[1].reason
    assert "an engine given as an object goes to `engine=`" in refused[0].reason


def test_a_part_of_engine_hooks_is_named_with_its_module() -> None:
    component = Component(kind=Kind.ENGINE, name="x")
    for wrong in ("module", ":function", "module:"):
        with pytest.raises(ValueError, match="expected 'module:function'"):
            EngineHooks(component, dump="module:dump", restore=wrong)


def test_a_restore_without_a_target_and_a_text_that_is_no_url_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(holdfast.UsageError, match="a restore needs a target, the URL of a database"):
        holdfast.restore("latest", store=tmp_path)
    with pytest.raises(holdfast.UsageError, match=r"^not a database URL: 'nope'$"):
        holdfast.list_databases("nope")
