"""What goes wrong in a plugin names that plugin, and what is missing is named with what brings it."""

from collections.abc import Generator
from typing import Any

import pytest
from support.installing import Install, codec, look

import holdfast
from holdfast.api import Capability, Component, Forwarding, Kind, Proof, hookimpl
from holdfast.errors import HoldfastError, PluginError
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.testing import MemoryEngine, MemoryStorage, memory_registry
from holdfast.testing.memory import TARGET, URL, MemoryScratch


class Owner:
    error: Exception | None = None

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.CODEC, name="plain")]

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        if self.error:
            raise self.error
        return NoCodec() if codec == "plain" else None


class Wrapper:
    @hookimpl(wrapper=True)
    def holdfast_compress(self) -> Generator[None, Any, Any]:
        result = yield
        return self.around(result)

    def around(self, result: Any) -> Any:
        return result


class Breaking(Wrapper):
    def around(self, result: Any) -> Any:
        raise KeyError("of the wrapper")


def test_a_wrapper_is_blamed_for_what_it_raises_itself() -> None:
    registry = Registry(plugins=[Owner(), Breaking()], discover=False, environ={})
    with pytest.raises(HoldfastError) as caught:
        registry.codec("plain")
    said = "plugin 'Breaking-1' of Breaking-1, which wraps codec 'plain' of Owner-0, failed: KeyError: 'of the wrapper'"
    assert caught.value.message == said


class Withholding(Wrapper):
    def around(self, result: Any) -> Any:
        del result  # and no `return`, as it is easily forgotten


def test_a_wrapper_that_returns_nothing_is_blamed_and_not_the_owner() -> None:
    registry = Registry(plugins=[Owner(), Wrapper(), Withholding()], discover=False, environ={})
    with pytest.raises(PluginError) as caught:
        registry.codec("plain")
    said = "plugin 'Withholding-2' of Withholding-2, which wraps codec 'plain' of Owner-0, breaks its contract"
    assert caught.value.message == f"{said}: it returned None in the place of what that returned or raised"


def test_an_owner_is_blamed_for_what_it_raises_and_its_wrappers_are_told() -> None:
    owner = Owner()
    owner.error = ValueError("of the owner")
    registry = Registry(plugins=[owner, Wrapper()], discover=False, environ={})
    with pytest.raises(HoldfastError) as caught:
        registry.codec("plain")
    said = "codec 'plain' of Owner-0 (wrapped by plugin 'Wrapper-1' of Wrapper-1) failed: ValueError: of the owner"
    assert caught.value.message == said


class Around(Wrapper):
    def around(self, result: Any) -> Any:
        return Forwarding(result)


class BadCodec(NoCodec):
    def encode(self, block: Any) -> Any:
        raise ValueError("of the codec")


def test_a_wrapper_that_hands_on_what_it_got_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Owner, "holdfast_compress", hookimpl(lambda self, codec: BadCodec()))
    plugins: list[Any] = [Owner(), Wrapper()]
    with pytest.raises(HoldfastError) as caught:
        Registry(plugins=plugins, discover=False, environ={}).codec("plain").encode(b"")
    assert caught.value.message == "codec 'plain' of Owner-0 failed in encode(): ValueError: of the codec"
    plugins += [Around(), Wrapper()]
    with pytest.raises(HoldfastError) as caught:
        Registry(plugins=plugins, discover=False, environ={}).codec("plain").encode(b"")
    said = "codec 'plain' of Owner-0 (wrapped by plugin 'Around-2' of Around-2) failed in encode()"
    assert caught.value.message == f"{said}: ValueError: of the codec"


class Numbering(Wrapper):
    def around(self, result: Any) -> Any:
        return 5


def test_a_wrapper_that_returns_something_else_is_blamed_and_neither_the_owner_nor_others() -> None:
    plugins = [Owner(), Wrapper(), Around(), Numbering(), Wrapper()]
    with pytest.raises(PluginError) as caught:
        Registry(plugins=plugins, discover=False, environ={}).codec("plain")
    said = "plugin 'Numbering-3' of Numbering-3, which wraps codec 'plain' of Owner-0, breaks its contract"
    assert caught.value.message.startswith(f"{said}: its codec is int, which has no ")


def test_it_is_known_what_a_plugin_wraps() -> None:
    registry = Registry(plugins=[Owner(), Wrapper()], discover=False, environ={})
    assert {plugin.name: registry.wraps(plugin) for plugin in registry.plugins} == {
        "holdfast": [],
        "Owner-0": [],
        "Wrapper-1": ["holdfast_compress"],
    }


def test_a_name_in_the_list_of_plugins_that_fits_nothing_is_told(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("some-codec", codec("some"))
    look(HOLDFAST_PLUGINS="some-codec, Some_Codec")
    assert caplog.text == ""
    assert "some" in look(HOLDFAST_PLUGINS="some-codec,sone-codec").names(Kind.CODEC)
    assert "HOLDFAST_PLUGINS names 'sone-codec', which is no plugin that is installed" in caplog.text


@pytest.mark.parametrize("variable", ["HOLDFAST_PLUGINS", "HOLDFAST_DISABLE_PLUGINS"])
@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("some", "codec 'some' of some-codec"),
        ("file", "storage 'file' of holdfast"),
        ("postgresql", "engine 'postgresql' of holdfast-postgres"),  # which a list switches off
    ],
)
def test_a_component_among_the_names_of_plugins_is_told_with_its_plugin(
    install: Install, caplog: pytest.LogCaptureFixture, variable: str, name: str, whose: str
) -> None:
    install("some-codec", codec("some"))
    names = f"some-codec,{name}" if variable == "HOLDFAST_PLUGINS" else name
    assert "some" in look(**{variable: names}).names(Kind.CODEC)
    assert f"{variable} names '{name}', which is no plugin but the " in caplog.text
    assert f"the {whose}" in caplog.text
    assert ": it takes the names of plugins and of distributions (holdfast, " in caplog.text


def test_what_a_backup_needs_and_is_gone_is_to_be_had_from_what_its_manifest_names() -> None:
    registry = Registry(discover=False, environ={})
    made_with = {"acme-holdfast": "3.2.1", "--index-url=evil": "1", "holdfast": "0.1"}
    with pytest.raises(PluginError) as caught, registry.needed_for(made_with):
        registry.codec("bzip2")
    assert caught.value.hint == "pip install acme-holdfast (the backup was made with acme-holdfast 3.2.1)"
    with pytest.raises(PluginError) as caught, registry.needed_for(made_with):
        registry.codec("zstd")
    assert caught.value.hint == "pip install holdfast-zstd"


def test_a_restore_names_what_is_to_be_installed() -> None:
    engine, storage = MemoryEngine(), MemoryStorage()
    record = holdfast.backup(URL, store=storage, codec="plain", registry=memory_registry(Owner(), engine=engine))
    with pytest.raises(PluginError) as caught:
        holdfast.restore(record.id, TARGET, store=storage, registry=memory_registry(engine=engine))
    assert caught.value.hint == "pip install Owner-1 (the backup was made with Owner-1)"


def test_a_proof_of_nothing_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Proof(method="memory")
    monkeypatch.setattr(MemoryScratch, "proof", lambda *_: nothing)
    engine, storage = MemoryEngine(capabilities=frozenset({Capability.PROOF}), proof=nothing), MemoryStorage()
    registry = memory_registry(engine=engine)
    record = holdfast.backup(URL, store=storage, codec="none", registry=registry, proof=True)
    result = holdfast.drill(record.id, store=storage, registry=registry)
    assert (result.passed, result.state, result.depth, result.compared) == (True, "verified", "restore", 0)
    assert any("holds no objects" in warning for warning in result.warnings)
