"""The registry: what plugins offer, and that a broken one breaks nothing but itself."""

import hashlib
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import Component, Event, Kind, hookimpl
from holdfast.errors import PluginError, UsageError
from holdfast.plugins.components import check_components
from holdfast.plugins.loading import Plugin
from holdfast.plugins.registry import Registry
from holdfast.testing.memory import MemoryPlugin, memory_registry

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution made of one module, and see nothing that is really installed."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(distribution: str, source: str, *, points: str = "", version: str = "1.0", metadata: bool = True) -> None:
        module = f"plugin_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[holdfast]\n{points or f'{distribution} = {module}'}\n")
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")

    yield add
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def codec(name: str, *more: str) -> str:
    """The source of a plugin of plain functions that offers a codec."""
    return "\n".join(
        [
            "from holdfast.api import Component, Kind",
            "class Codec:",
            "    suffix = '.x'",
            f"    origin = '{name}'",
            "def holdfast_components():",
            f"    return [Component(kind=Kind.CODEC, name='{name}')]",
            "def holdfast_compress(codec, options):",
            f"    return Codec() if codec == '{name}' else None",
            *more,
        ]
    )


def look(**environ: str) -> Registry:
    return Registry(environ=environ)


def origin(part: object) -> str:
    """The plugin that a part is from, as the test's plugins say in it."""
    return str(vars(type(part))["origin"])


def plugin(registry: Registry, name: str) -> Plugin:
    (match,) = [plugin for plugin in registry.plugins if plugin.name == name]
    return match


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


# --- broken ones ---

BROKEN = {
    "an import that fails": ("import no_such_module_at_all", "cannot be imported: ModuleNotFoundError"),
    "an import that raises anything": ("raise RuntimeError('boom')", "cannot be imported: RuntimeError: boom"),
    "an import that leaves Python": ("import sys; sys.exit('bye')", "cannot be imported: SystemExit"),
    "a syntax error": ("def (", "cannot be imported: SyntaxError"),
    "a mistyped hook": (codec("x", "def holdfast_compres(codec): ..."), "there is no hook 'holdfast_compres'"),
    "a generator hook": (
        codec("x", "def holdfast_dump(scheme, request):", "    yield 1"),
        "its hook 'holdfast_dump' is a generator function, which would claim every name",
    ),
    "a hook with an unknown argument": (codec("x", "def holdfast_checksum(algorithm, size): ..."), "size"),
    "a newer API": (codec("x").replace("name='x'", "name='x', api_version=2"), "made for API version 2"),
    "something that is no component": (
        codec("x").replace("[Component(", "['zstd', Component("),
        "it lists 'zstd', which is not a Component",
    ),
    "one component that is no list": (codec("x").replace("[Component(kind=Kind.CODEC, name='x')]", "7"), "TypeError"),
    "components that fail half way": (
        codec("x").replace("return [Component(kind=Kind.CODEC, name='x')]", "yield 1 / 0"),
        "ZeroDivisionError",
    ),
    "a kind that is none": (codec("x").replace("Kind.CODEC", "'codex'"), "kind"),
    "a name that is none": (codec("x").replace("name='x'", "name=None"), "name"),
    "a name with a space": (codec("x").replace("name='x'", "name='x y'"), "name"),
    "a name that no URL could have": (codec("x").replace("name='x'", "name='X:1'"), "name"),
    "aliases in one string": (codec("x").replace("name='x'", "name='x', aliases='gz'"), "aliases"),
    "capabilities that are none": (codec("x").replace("name='x'", "name='x', capabilities={'fly'}"), "capabilities"),
    "options that are no dataclass": (codec("x").replace("name='x'", "name='x', options=dict"), "not a dataclass"),
    "options of a type that cannot be checked": (
        "from dataclasses import dataclass\nimport threading\n@dataclass\nclass O:\n    lock: threading.Lock = None\n"
        + codec("x").replace("name='x'", "name='x', options=O"),
        "options",
    ),
    "an option without a default": (
        "from dataclasses import dataclass\n@dataclass\nclass O:\n    level: int\n"
        + codec("x").replace("name='x'", "name='x', options=O"),
        "the option 'level' of codec 'x' has no default",
    ),
    "one name twice": (
        codec("x").replace("[Component(", "[Component(kind=Kind.CODEC, name='x'), Component("),
        "it lists codec 'x' twice",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_refused_with_its_reason_and_all_else_works(case: str, install: Install) -> None:
    source, reason = BROKEN[case]
    install("broken", source)
    install("sound", codec("sound"))
    registry = look()
    broken = plugin(registry, "broken")
    assert (broken.status, broken.title) == ("refused", "broken 1.0")
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert origin(registry.codec("sound")) == "sound"
    assert "x" not in registry.names(Kind.CODEC)
    assert registry.components()


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_an_error_where_plugins_are_strict(case: str, install: Install) -> None:
    source, reason = BROKEN[case]
    install("broken", source)
    with pytest.raises(PluginError, match=r"^plugin 'broken' of broken 1\.0 is refused: ") as caught:
        look(HOLDFAST_STRICT_PLUGINS="1")
    assert reason in caught.value.message


def test_a_component_that_says_nothing_is_made_for_the_first_api_under_a_later_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a plugin of today would pass for one of whichever version is installed beside it."""
    monkeypatch.setattr("holdfast.plugins.components.API_VERSION", 2)
    with pytest.raises(PluginError, match="'x' is made for API version 1, this Holdfast has 2"):
        check_components([Component(kind=Kind.CODEC, name="x")])


def test_a_generator_lists_components_like_any_iterable(install: Install) -> None:
    install(
        "lazy",
        codec("lazy").replace(
            "return [Component(kind=Kind.CODEC, name='lazy')]", "yield from [Component(kind=Kind.CODEC, name='lazy')]"
        ),
    )
    assert "lazy" in look().names(Kind.CODEC)


def test_a_distribution_without_metadata_is_no_reason_to_fail(install: Install) -> None:
    install("bare", codec("bare"), metadata=False)
    assert origin(look().codec("bare")) == "bare"


def test_an_entry_point_that_cannot_be_read_is_refused(install: Install) -> None:
    install("odd", codec("odd"), points="odd = not a reference")
    assert plugin(look(), "odd").status == "refused"


def test_a_component_without_its_hook_is_blamed_when_it_is_used(install: Install) -> None:
    install("half", codec("half").split("def holdfast_compress", maxsplit=1)[0])
    with pytest.raises(PluginError, match=r"half 1\.0 lists codec 'half', but its holdfast_compress does not serve it"):
        look().codec("half")


def test_an_error_in_a_hook_names_the_plugin(install: Install) -> None:
    install("bad", codec("bad").replace("return Codec() if codec == 'bad' else None", "raise KeyError('oops')"))
    with pytest.raises(Exception, match=r"codec 'bad' of bad 1\.0 failed: KeyError: 'oops'"):
        look().codec("bad")


def test_an_engine_hook_that_returns_no_context_manager_is_blamed() -> None:
    class Odd:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.ENGINE, name="odd")]

        @hookimpl
        def holdfast_dump(self, scheme: str) -> Any:
            return [scheme]

    with pytest.raises(PluginError, match="holdfast_dump of Odd-0 returned no context manager"):
        Registry(plugins=[Odd()], discover=False, environ={}).engine("odd").dump(None)  # type: ignore[arg-type]


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
        ("b", "refused"),
    ]
    assert "is loaded already" in plugin(registry, "b").reason


# --- switches ---


@pytest.mark.parametrize("name", ["extra-dist", "Extra-Dist", "extra_dist", "short", "other, short ,"])
def test_a_plugin_is_switched_off_by_its_name_or_its_distribution(name: str, install: Install) -> None:
    install("extra-dist", codec("extra"), points="short = plugin_extra_dist")
    registry = look(HOLDFAST_DISABLE_PLUGINS=name)
    disabled = plugin(registry, "short")
    assert (disabled.status, disabled.reason) == ("disabled", "switched off by HOLDFAST_DISABLE_PLUGINS")
    assert "plugin_extra_dist" not in sys.modules
    with pytest.raises(PluginError):
        registry.codec("extra")


def test_only_listed_plugins_are_loaded_where_there_is_a_list(install: Install) -> None:
    install("one", codec("one"))
    install("two", codec("two"))
    registry = look(HOLDFAST_PLUGINS="one")
    assert registry.names(Kind.CODEC) == ["none", "one"]
    assert plugin(registry, "two").reason == "switched off by HOLDFAST_PLUGINS"
    assert "plugin_two" not in sys.modules
    assert look(HOLDFAST_PLUGINS="one,two", HOLDFAST_DISABLE_PLUGINS="two").names(Kind.CODEC) == ["none", "one"]


def test_an_empty_list_switches_nothing_off(install: Install) -> None:
    install("one", codec("one"))
    assert "one" in look(HOLDFAST_PLUGINS="", HOLDFAST_DISABLE_PLUGINS=" ", HOLDFAST_STRICT_PLUGINS="0").names(
        Kind.CODEC
    )


def test_a_plugin_that_is_switched_off_is_no_error_where_plugins_are_strict(install: Install) -> None:
    install("broken", "raise RuntimeError")
    look(HOLDFAST_STRICT_PLUGINS="1", HOLDFAST_DISABLE_PLUGINS="broken")


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
    assert seen == ["sha256"]


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
    ]


@dataclass
class Unhashable(MemoryPlugin):
    engine: Any = field(default=None)


def test_a_plugin_object_that_cannot_be_hashed_is_refused_like_any_other() -> None:
    registry = Registry(plugins=[Unhashable()], discover=False, environ={})
    assert registry.plugins[-1].reason == "TypeError: unhashable type: 'Unhashable'"
    assert registry.codec("none").suffix == ""
