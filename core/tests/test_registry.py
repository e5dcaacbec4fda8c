"""The registry: what plugins offer, who owns a name, and how hooks are called."""

import hashlib
import importlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.installing import Install, codec, look, origin, plugin

from holdfast.api import Component, Event, Kind, hookimpl
from holdfast.errors import PluginError, UsageError
from holdfast.plugins.doctor import problems
from holdfast.plugins.registry import Registry
from holdfast.testing.memory import MemoryPlugin, memory_registry

# --- what is there ---


def test_a_module_of_plain_functions_is_a_plugin(install: Install) -> None:
    install("extra", codec("extra"))
    registry = look()
    assert plugin(registry, "extra").status == "active"
    assert origin(registry.codec("extra")) == "extra"


def test_a_class_named_by_an_entry_point_is_instantiated(install: Install) -> None:
    source = codec("extra").replace("def holdfast_", "def _").splitlines()
    source += [
        "class Plugin:",
        "    def holdfast_components(self): return _components()",
        "    def holdfast_compress(self, codec): return _compress(codec, None)",
    ]
    install("extra", "\n".join(source), points="extra = plugin_extra:Plugin")
    assert origin(look().codec("extra")) == "extra"


def test_the_core_offers_the_codec_none_and_the_folder_storage_as_a_plugin() -> None:
    registry = Registry(discover=False, environ={})
    assert registry.names(Kind.CODEC) == ["none"]
    assert registry.names(Kind.STORAGE) == ["file"]
    assert [plugin.name for plugin in registry.plugins] == ["holdfast"]


def test_a_component_is_found_by_its_aliases_and_served_by_its_name() -> None:
    class Aliased:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.CHECKSUM, name="blake2b", aliases=("b2",))]

        @hookimpl
        def holdfast_checksum(self, algorithm: str) -> Any:
            return hashlib.blake2b() if algorithm == "blake2b" else None

    assert memory_registry(Aliased()).hasher("b2").hexdigest() == hashlib.blake2b().hexdigest()


def test_a_missing_component_is_an_error_that_says_what_is_installed_and_what_to_install() -> None:
    registry = memory_registry()
    with pytest.raises(PluginError) as engine:
        registry.engine("postgresql")
    assert engine.value.message == "no engine for 'postgresql' (installed: memory)"
    assert engine.value.hint == "pip install 'holdfast-postgres[binary]'"
    with pytest.raises(PluginError) as codec:
        registry.codec("brotli")
    assert (codec.value.message, codec.value.hint) == ("no codec 'brotli' (installed: none)", None)


def test_a_missing_component_whose_plugin_was_refused_says_so(install: Install) -> None:
    install("extra", "import no_such_module_at_all")
    with pytest.raises(PluginError, match="no codec 'extra'") as refused:
        look().codec("extra")
    assert refused.value.hint == (
        "the plugin 'extra' of extra 1.0 is refused: cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module_at_all'"
    )
    with pytest.raises(PluginError) as disabled:
        look(HOLDFAST_DISABLE_PLUGINS="extra").codec("extra")
    assert disabled.value.hint == (
        "the plugin 'extra' of extra 1.0 is disabled: switched off by HOLDFAST_DISABLE_PLUGINS"
    )


# --- conflicts ---


def test_two_claimants_of_a_name_are_an_error_that_names_both_and_all_else_works(install: Install) -> None:
    install("one", codec("same"))
    install("two", codec("same"), version="2.5")
    registry = look()
    with pytest.raises(
        PluginError, match=r"^codec 'same' is claimed by (one 1\.0 and two 2\.5|two 2\.5 and one 1\.0)$"
    ) as caught:
        registry.codec("same")
    assert "HOLDFAST_DISABLE_PLUGINS=" in (caught.value.hint or "")
    assert registry.codec("none").suffix == ""
    assert [plugin(registry, name).status for name in ("one", "two")] == ["active", "active"]
    assert origin(look(HOLDFAST_DISABLE_PLUGINS="one").codec("same")) == "same"


def test_an_alias_conflicts_with_a_name(install: Install) -> None:
    install("one", codec("same"))
    install("two", codec("two").replace("name='two'", "name='two', aliases=('same',)"))
    registry = look()
    with pytest.raises(PluginError, match="claimed by"):
        registry.codec("same")
    assert origin(registry.codec("two")) == "two"


def test_one_name_may_be_an_engine_and_a_codec(install: Install) -> None:
    install("one", codec("same"))
    install(
        "two",
        codec("same")
        .replace("CODEC", "CHECKSUM")
        .replace("compress(codec, options)", "checksum(algorithm)")
        .replace("codec ==", "algorithm =="),
    )
    assert origin(look().codec("same")) == "same"
    assert origin(look().hasher("same")) == "same"


def test_two_distributions_may_name_their_entry_point_alike(install: Install) -> None:
    install("one", codec("one"), points="plugin = plugin_one")
    install("two", codec("two"), points="plugin = plugin_two")
    registry = look()
    assert (origin(registry.codec("one")), origin(registry.codec("two"))) == ("one", "two")


def test_one_module_named_by_two_entry_points_is_used_once_and_goes_on_working(install: Install) -> None:
    install("twice", codec("twice"), points="a = plugin_twice\nb = plugin_twice")
    registry = look()
    assert origin(registry.codec("twice")) == "twice"
    assert sorted((half.name, half.status) for half in registry.plugins if half.distribution == "twice") == [
        ("a", "active"),
        ("b", "duplicate"),
    ]
    assert plugin(registry, "b").reason == "it is the same as plugin 'a', which is used"


@pytest.mark.parametrize("kind", ["module", "class", "object"])
def test_what_is_installed_and_given_besides_is_used_once_and_nobody_is_blamed(
    install: Install, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """As the tests of an author do, whose plugin is installed: it is no fault, also where plugins are strict."""
    methods = codec("twice").replace("holdfast_components()", "holdfast_components(self)")
    methods = methods.replace("(codec, options)", "(self, codec, options)")
    indented = "\n".join(f"    {line}" for line in methods.splitlines()[1:])
    source = f"from holdfast.api import Component, Kind\nclass Plugin:\n{indented}\nobject = Plugin()\n"
    source = source.replace("Codec() if", "self.Codec() if")
    attribute = {"module": "", "class": ":Plugin", "object": ":object"}[kind]
    install("twice", source if attribute else codec("twice"), points=f"twice = plugin_twice{attribute}")
    module = importlib.import_module("plugin_twice")
    given = getattr(module, attribute[1:]) if attribute else module
    registry = Registry(plugins=[given], environ={"HOLDFAST_STRICT_PLUGINS": "1"})
    assert origin(registry.codec("twice")) == "twice"
    assert plugin(registry, "twice").status == "duplicate"
    assert plugin(registry, "twice").reason.startswith("it is the same as plugin '")
    assert caplog.text == ""
    assert problems(registry, plugin(registry, "twice")) == []


# --- calling ---


@pytest.mark.parametrize(("option", "named"), [("wrapper", False), ("hookwrapper", False), ("wrapper", True)])
def test_a_wrapper_of_observe_is_refused_because_nothing_would_run_it(option: str, named: bool) -> None:
    def watch(self: Any, event: Event) -> Iterator[None]:
        yield

    flags: dict[str, Any] = {option: True, **({"specname": "holdfast_observe"} if named else {})}
    name = "watch" if named else "holdfast_observe"
    plugin = type("Watching", (), {name: hookimpl(**flags)(watch)})()
    (watcher,) = [loaded for loaded in memory_registry(plugin).plugins if loaded.name.startswith("Watching")]
    assert watcher.status == "refused"
    assert watcher.reason == f"its hook '{name}' is a wrapper, which nothing would run: every plugin observes by itself"


def test_a_wrapper_sees_the_calls_of_other_plugins() -> None:
    class Shouting:
        @hookimpl(wrapper=True)
        def holdfast_checksum(self, algorithm: str) -> Iterator[None]:
            seen.append(algorithm)
            return (yield)

    seen: list[str] = []
    memory_registry(Shouting()).hasher("sha256")
    assert set(seen) == {"sha256"}  # it is asked for once more, to be compared with a known digest


def test_only_the_owner_of_a_name_is_called() -> None:
    class Nosy:
        @hookimpl(tryfirst=True)
        def holdfast_checksum(self, algorithm: str) -> Any:
            raise AssertionError(algorithm)

    assert memory_registry(Nosy()).hasher("sha256").hexdigest() == hashlib.sha256().hexdigest()


def test_a_watcher_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Watching:
        def __init__(self, *, fails: bool) -> None:
            self.fails = fails

        @hookimpl
        def holdfast_observe(self, event: Event) -> None:
            if self.fails:
                raise RuntimeError("boom")
            seen.append(event.type)

    seen: list[str] = []
    registry = memory_registry(Watching(fails=True), Watching(fails=False), Watching(fails=True))
    with caplog.at_level(logging.ERROR, "holdfast"):
        registry.observe(Event(type="started", operation="backup", id="x", time=None))  # type: ignore[arg-type]
    assert seen == ["started"]
    assert len(caplog.records) == 2


def test_an_unknown_storage_scheme_and_a_malformed_codec_are_told_apart() -> None:
    registry = memory_registry()
    with pytest.raises(PluginError, match=r"no storage 's3' \(installed: file\)"):
        registry.storage("s3://bucket/x")
    with pytest.raises(UsageError):
        registry.codec("none:3")
    assert registry.storage("some/folder").location.endswith("/some/folder")


def test_components_are_listed_by_kind_and_name() -> None:
    kinds = [(owned.component.kind, owned.component.name) for owned in memory_registry().components()]
    assert kinds == [
        (Kind.ENGINE, "memory"),
        (Kind.CODEC, "none"),
        (Kind.CHECKSUM, "sha256"),
        (Kind.STORAGE, "file"),
        (Kind.EXECUTOR, "threads"),
    ]


@dataclass
class Unhashable(MemoryPlugin):
    engine: Any = field(default=None)


def test_a_plugin_object_that_cannot_be_hashed_is_refused_like_any_other() -> None:
    registry = Registry(plugins=[Unhashable()], discover=False, environ={})
    assert re.match("TypeError: .*unhashable type: 'Unhashable'", registry.plugins[-1].reason or "")
    assert registry.codec("none").suffix == ""
