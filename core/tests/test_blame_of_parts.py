"""Whatever is read or returned through a plugin and its wrappers: the error names all of these, and nobody else."""

from collections.abc import Generator
from typing import Any

import pytest

import holdfast
from holdfast.api import Component, Forwarding, Kind, hookimpl
from holdfast.errors import IntegrityError, PluginError
from holdfast.plugins.registry import Registry
from holdfast.testing import MemoryStorage, memory_registry
from holdfast.testing.memory import URL

WRAPPED = "storage 'kept' of Keeping-1 (wrapped by plugin 'Around-2' of Around-2)"


class Keeping:
    def __init__(self) -> None:
        self.storage = MemoryStorage()

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.STORAGE, name="kept")]

    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        return self.storage if scheme == "kept" else None


class Around:
    """Wraps storages in objects of a class."""

    kind: Any = Forwarding

    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        return self.kind((yield))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00\xff", b"{}"])
def test_a_garbled_file_of_a_store_names_the_storage_that_it_was_read_through(content: bytes) -> None:
    keeping = Keeping()
    registry = memory_registry(keeping, Around())
    holdfast.backup(URL, store="kept://x", codec="none", registry=registry)
    kept = dict(keeping.storage.objects)
    for path, said in (
        ("holdfast.json", "holdfast.json of the store at memory"),
        ("app/source.json", "app/source.json"),
    ):
        keeping.storage.objects = kept | {path: content}
        with pytest.raises(IntegrityError) as caught:
            holdfast.backup(URL, store="kept://x", codec="none", registry=registry)
        assert caught.value.message.startswith(said or path)
        assert f"as {WRAPPED} reads it" in caught.value.message


class Twice(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        result = yield
        yield
        return result


class TwiceAfterErrors(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        try:
            return (yield)
        except PluginError:
            yield
            raise


class Never(Around):
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        if self.kind is None:
            yield


class OldTwice(Around):
    @hookimpl(hookwrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, Any]:
        yield
        yield


class Refusing(Keeping):
    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        raise PluginError("the service is not configured")


@pytest.mark.filterwarnings("ignore::pluggy.PluggyTeardownRaisedWarning")
@pytest.mark.parametrize(
    ("wrapper", "keeping", "what"),
    [
        (Twice, Keeping, "yields a second time"),
        (TwiceAfterErrors, Refusing, "yields a second time"),
        (Never, Keeping, "does not yield"),
        (OldTwice, Keeping, "yields a second time"),
    ],
)
def test_a_wrapper_that_does_not_yield_once_is_blamed_itself(wrapper: Any, keeping: Any, what: str) -> None:
    registry = Registry(plugins=[keeping(), wrapper(), Around()], discover=False, environ={})
    with pytest.raises(PluginError) as caught:
        registry.storage("kept://x")
    name, owner = f"{wrapper.__name__}-1", keeping.__name__
    said = f"plugin '{name}' of {name}, which wraps storage 'kept' of {owner}-0, breaks its contract"
    assert caught.value.message == f"{said}: it {what}, and a wrapper yields once"
