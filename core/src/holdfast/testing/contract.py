"""Which sentences of the contract the tests of a suite state, and the configurations that a suite runs with."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import pytest

from holdfast.plugins.registry import Registry

_Test = TypeVar("_Test", bound=Callable[..., None])


def states(*sentences: str) -> Callable[[_Test], _Test]:
    """Say which sentences of `docs/contract.md` a test states, such as `codec 3`."""

    def mark(test: _Test) -> _Test:
        test.__dict__["sentences"] = sentences
        return test

    return mark


def assert_same(actual: bytes | bytearray, expected: bytes) -> None:
    """Compare bytes that may be long, and say in one line where they begin to differ."""
    if actual != expected:
        begin, end = 0, min(len(actual), len(expected))
        while begin < end:
            middle = (begin + end + 1) // 2
            begin, end = (middle, end) if actual[begin:middle] == expected[begin:middle] else (begin, middle - 1)
        raise AssertionError(f"{len(actual)} bytes where {len(expected)} are expected, different from byte {begin} on")


def registry_of(plugins: Iterable[str]) -> Registry:
    """What is installed, and plugins that are not, each named as by an entry point: `module` or `module:object`."""
    modules = tuple(map(loaded, plugins))
    return _made_once(modules) if all(isinstance(module, Hashable) for module in modules) else Registry(plugins=modules)


@cache
def _made_once(modules: tuple[Any, ...]) -> Registry:
    """What is installed is looked for once: a suite asks for it at every call."""
    return Registry(plugins=modules)


def loaded(name: str) -> Any:
    """A plugin that is named as an entry point names it."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute) if attribute else import_module(module)


def skip_unless_overridden(suite: object, owner: type, name: str, reason: str) -> None:
    """Skip a test that can tell nothing unless whoever wrote the suite has overridden a member of its `owner`."""
    kinds = type(suite).__mro__
    if not any(name in vars(kind) for kind in kinds[: kinds.index(owner)]):
        pytest.skip(f"{reason}: override `{name}`")


class Configured:
    """A suite that runs once with each of its `configurations`, or once without.

    What a configuration is belongs to whoever writes the tests: fixtures and methods of theirs read `configuration`.
    """

    plugins: Sequence[str] = ()  #: plugins that are not installed, such as that under test: `module` or `module:object`
    configurations: Sequence[Any] = ()  #: the configurations to run every test with
    configuration: Any = None  #: the configuration of the test that runs

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have pytest run each test once with each configuration."""
        if self.configurations:
            metafunc.parametrize("_configured", self.configurations, indirect=True, ids=str)

    @pytest.fixture(autouse=True)
    def _configured(self, request: pytest.FixtureRequest) -> None:
        if hasattr(request, "param"):
            self.configuration = request.param
