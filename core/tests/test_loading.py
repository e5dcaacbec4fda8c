"""Loading: a plugin that is broken or switched off is told with its reason, and all else works."""

import sys
from pathlib import Path
from typing import Any

import pytest
from support.installing import Install, codec, look, origin, plugin

from holdfast.api import Component, DumpRequest, Kind, hookimpl
from holdfast.errors import PluginError
from holdfast.plugins.components import check_components
from holdfast.plugins.registry import Registry

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
    "a hook that is a coroutine function": (
        codec("x").replace("def holdfast_compress", "async def holdfast_compress"),
        "its hook 'holdfast_compress' is a coroutine function (async def), expected a plain one",
    ),
    "components that are a coroutine": (
        codec("x").replace("def holdfast_components", "async def holdfast_components"),
        "its hook 'holdfast_components' is a coroutine function (async def), expected a plain one",
    ),
    "a hook that is no function": (
        f"{codec('x')}\nholdfast_components = holdfast_components()",
        "its 'holdfast_components' is list, expected a function",
    ),
    "a class that cannot be made": (
        f"{codec('x')}\nclass P:\n    def __init__(self, config): ...\nimport sys\nsys.modules[__name__] = P",
        "missing 1 required positional argument: 'config'",
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
    "an option of an operation that is none": (
        "from dataclasses import dataclass, field\n@dataclass\nclass O:\n"
        "    level: int = field(default=1, metadata={'operations': ('dump',)})\n"
        + codec("x").replace("name='x'", "name='x', options=O"),
        "an option of codec 'x' is for the operation 'dump', expected backup or restore",
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


def test_damaged_metadata_of_one_distribution_hide_no_other_plugin(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("points", "headers", "sound"):
        install(name, codec(name))
    (tmp_path / "points-1.0.dist-info" / "entry_points.txt").write_bytes(b"[holdfast]\nx\n\xff\xfe = = x\n")
    (tmp_path / "headers-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe")
    registry = look()
    assert origin(registry.codec("sound")) == "sound"
    assert origin(registry.codec("headers")) == "headers"
    assert plugin(registry, "headers").title == "headers 1.0"
    (said,) = [each.getMessage() for each in caplog.records]
    assert said.startswith("plugins of points-1.0 cannot be found: its entry_points.txt is damaged: ")


def test_a_group_that_is_none_is_told_with_the_one_that_was_meant(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, group in (("typo", "holdfast.plugins"), ("other", "holdfast_dashboard.widgets")):
        install(name, codec(name))
        path = tmp_path / f"{name}-1.0.dist-info" / "entry_points.txt"
        path.write_text(path.read_text().replace("[holdfast]", f"[{group}]"))
    look()
    (said,) = [each.getMessage() for each in caplog.records]
    assert said == "'typo' of typo 1.0 is in the group 'holdfast.plugins' of entry points: plugins are in 'holdfast'"


def test_a_class_in_the_place_of_an_object_is_told_as_that(install: Install) -> None:
    install("kind", codec("kind").replace("return Codec() if", "return Codec if"))
    with pytest.raises(
        PluginError, match=r"kind 1\.0 breaks its contract: its codec is the class Codec, expected an object"
    ):
        look().codec("kind")


def test_a_class_of_static_methods_is_as_good_as_an_object(install: Install) -> None:
    static = "encode = decoder = staticmethod(lambda *block: b'')"
    source = codec("kind").replace("encode = decoder = update = hexdigest = lambda self, *block: self", static)
    install("kind", source.replace("return Codec() if", "return Codec if"))
    assert origin(look().codec("kind")) == "kind"


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


def test_an_engine_hook_that_returns_no_context_manager_is_blamed(tmp_path: Path) -> None:
    class Odd:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.ENGINE, name="odd")]

        @hookimpl
        def holdfast_dump(self, scheme: str) -> Any:
            return [scheme]

    request = DumpRequest(url="odd://x", scratch=tmp_path)
    with pytest.raises(PluginError, match="of Odd-0 breaks its contract: holdfast_dump returned no context manager"):
        Registry(plugins=[Odd()], discover=False, environ={}).engine("odd").dump(request)


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
