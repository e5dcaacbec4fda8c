"""What `holdfast plugins doctor` finds wrong with a plugin, and that it finds nothing wrong with a sound one."""

import hashlib
from collections.abc import Generator
from typing import Any

import pytest
from support.installing import plugin

from holdfast.api import Capability, Component, EngineHooks, Kind, hookimpl
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.doctor import problems
from holdfast.plugins.registry import Registry


class Offering:
    """Lists a component and serves a part for it, whatever its kind."""

    def __init__(self, component: Component, part: Any) -> None:
        self.component, self.part = component, part

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        return [self.component]

    @hookimpl
    def holdfast_compress(self) -> Any:
        return self.part

    @hookimpl
    def holdfast_checksum(self) -> Any:
        return self.part()


class Garbling(NoCodec):
    def encode(self, block: Any) -> bytes:
        return bytes(block)[::-1] + b"x"


class Lacking(NoCodec):
    suffix = "gz"
    command = "no-such-program -d"


class Uppercase:
    def update(self, data: Any) -> None:
        pass

    def hexdigest(self) -> str:
        return "AB"


def leaving() -> None:
    raise SystemExit(0)


def codec(part: Any) -> Offering:
    return Offering(Component(kind=Kind.CODEC, name="x"), part)


def engine(*capabilities: Capability) -> Offering:
    return Offering(Component(kind=Kind.ENGINE, name="x", capabilities=frozenset(capabilities)), None)


@pytest.mark.parametrize(
    ("offering", "words"),
    [
        (codec(Garbling()), ["does not decode to itself"]),
        (codec(Lacking()), ["its suffix is 'gz'", "'no-such-program -d'"]),
        (codec(None), ["does not serve it"]),
        (Offering(Component(kind=Kind.CHECKSUM, name="x"), Uppercase), ["lowercase hexadecimal"]),
        (Offering(Component(kind=Kind.CHECKSUM, name="x"), leaving), ["it ended by SystemExit: 0"]),
        (engine(), ["no hook holdfast_dump and no holdfast_restore"]),
        (Offering(Component(kind=Kind.STORAGE, name="x"), None), ["no hook holdfast_storage"]),
    ],
)
def test_each_fault_is_named(offering: Offering, words: list[str]) -> None:
    registry = Registry(plugins=[offering], discover=False, environ={})
    text = "\n".join(problems(registry, plugin(registry, "Offering-0")))
    assert text.startswith(f"{offering.component.kind} 'x': ")
    for word in words:
        assert word in text


def test_a_proof_without_scratch_databases_and_a_conflict_are_faults() -> None:
    class Engine(Offering):
        holdfast_dump = holdfast_restore = hookimpl(lambda self, scheme, request: None)

    listed = Component(kind=Kind.ENGINE, name="x", capabilities=frozenset({Capability.PROOF}))
    registry = Registry(plugins=[Engine(listed, None)], discover=False, environ={})
    assert "holdfast_scratch" in problems(registry, plugin(registry, "Engine-0"))[0]
    registry = Registry(plugins=[codec(NoCodec()), codec(NoCodec())], discover=False, environ={})
    assert "claimed by Offering-0 and Offering-1" in problems(registry, plugin(registry, "Offering-0"))[0]


def test_sound_plugins_have_no_faults() -> None:
    sha = Offering(Component(kind=Kind.CHECKSUM, name="other"), hashlib.sha512)
    registry = Registry(plugins=[codec(NoCodec()), sha], environ={})
    assert {each.distribution: problems(registry, each) for each in registry.plugins if each.status == "active"} == {
        each.distribution: [] for each in registry.plugins
    }


class Withholding:
    @hookimpl(wrapper=True)
    def holdfast_storage(self) -> Generator[None, Any, None]:
        yield

    @hookimpl(wrapper=True)
    def holdfast_compress(self) -> Generator[None, Any, Any]:
        return (yield)


def test_a_wrapper_that_returns_nothing_is_told() -> None:
    registry = Registry(plugins=[Withholding()], discover=False, environ={})
    (problem,) = problems(registry, registry.plugins[-1])
    assert problem.startswith(
        "storage 'file' cannot be used with it: plugin 'Withholding-0' of Withholding-0, which wraps"
    )


def test_the_parts_of_an_engine_are_imported() -> None:
    component = Component(kind=Kind.ENGINE, name="x", capabilities=frozenset({Capability.PROOF}))
    hooks = EngineHooks(
        component, dump="no_such_driver:dump", restore="json:restore", databases="json:__doc__", moment="json:dumps"
    )
    registry = Registry(plugins=[hooks], discover=False, environ={})
    assert problems(registry, registry.plugins[-1]) == [
        "engine 'x': its part dump, no_such_driver:dump, cannot be imported: No module named 'no_such_driver'",
        "engine 'x': its part restore, json:restore, cannot be imported: module 'json' has no attribute 'restore'",
        "engine 'x': it lists PROOF, and has no part `scratch`, which a drill needs",
        "engine 'x': its part databases, json:__doc__, is no function",
    ]
