"""What wrappers make of what a hook returned: each gets it guarded as whose it is, and is blamed for its own alone.

One that hands on what it got is no part of it, and nobody names it.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, TypeAlias

_running = threading.local()

Guarding: TypeAlias = Callable[[Any, str], Any]


class Callers:
    """What calls hooks of one plugin with the wrappers around it, each made once: every stream has new digests."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._made: dict[tuple[str, int], Any] = {}

    def of(self, hook: str, owner: Any, around: Iterable[Any]) -> Any:
        """Call a hook of the owner; `around` are the wrappers."""
        key = (hook, id(owner))
        if key not in self._made:
            others = self._manager.get_plugins() - {each.plugin for each in around} - {owner}
            self._made[key] = self._manager.subset_hook_caller(hook, others)
        return self._made[key]


class Layers:
    """What one call of a hook returned, and what each wrapper has put around it.

    `guard` is given a value and the title of the wrapper that returned it, which is empty for the owner of the hook. It
    returns what the next wrapper is to see, and in the end the caller.
    """

    def __init__(self, guard: Guarding, titles: dict[int, str]) -> None:
        self.around: list[str] = []  #: the titles of the wrappers that did not hand on what they got, innermost first
        self._guard = guard
        self._titles = titles

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Guard what the wrappers see that run in this block, in this thread; one may call hooks in its turn."""
        outer = getattr(_running, "layers", None)
        _running.layers = self
        try:
            yield
        finally:
            _running.layers = outer

    def guarded(self, value: Any) -> Any:
        """What was returned last, as whoever comes next is to see it; None stays None."""
        return None if value is None else self._guard(value, self.around[-1] if self.around else "")

    def add(self, plugin: Any) -> None:
        """Note that the wrapper of a plugin has returned something else than it got."""
        self.around.append(self._titles.get(id(plugin), ""))


def watch_wrappers(callers: Any, plugin: Any) -> None:
    """Have what a plugin's wrappers of these hooks return compared with what they got."""
    for hook in callers or ():
        for each in hook.get_hookimpls():
            if each.plugin is plugin and (each.wrapper or each.hookwrapper):
                each.function = _watched(each.function, plugin, is_old=each.hookwrapper)


def code_of(function: Any) -> CodeType | None:
    """The code of a hook's function, watched or not."""
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def _watched(function: Callable[..., Any], plugin: Any, *, is_old: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def watched(*arguments: Any, **more: Any) -> Any:
        around = function(*arguments, **more)
        return _Watched(around, plugin, is_old) if hasattr(around, "send") else around

    return watched


class WrapperError(RuntimeError):
    """A wrapper does not yield once, which nothing in its traceback would tell: pluggy finds it out, and is none."""

    def __init__(self, what: str, code: CodeType | None) -> None:
        super().__init__(f"it {what}, and a wrapper yields once")
        self.code = code  #: of the wrapper's function


class _Watched:
    """A wrapper at work, as pluggy calls it: a generator, of which each step is looked at."""

    def __init__(self, around: "Generator[Any, Any, Any]", plugin: Any, is_old: bool) -> None:
        self._around = around
        self._plugin = plugin
        self._is_old = is_old

    def __next__(self) -> Any:
        try:
            return next(self._around)
        except StopIteration:
            raise self._error("does not yield") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._around, name)  # `close` and `gi_code`

    def send(self, value: Any) -> Any:
        """Go on behind the `yield`, to the end; a wrapper of the older kind gets pluggy's object around the result."""
        layers: Layers | None = getattr(_running, "layers", None)
        given = _result(value) if self._is_old else value
        try:
            given = layers.guarded(given) if layers else given
        except Exception as error:  # noqa: BLE001 (of what this one wraps, which has raised it for all that it sees)
            return self.throw(error)
        if self._is_old and given is not None:
            value.force_result(given)
        try:
            self._around.send(value if self._is_old else given)
        except StopIteration as ended:
            made = _result(value) if self._is_old else ended.value
            if layers and made is not given:
                layers.add(self._plugin)
            raise
        raise self._error("yields a second time")

    def throw(self, error: BaseException) -> Any:
        """The same with an error."""
        try:
            self._around.throw(error)
        except StopIteration:
            if layers := getattr(_running, "layers", None):
                layers.add(self._plugin)
            raise
        raise self._error("yields a second time") from error

    def _error(self, what: str) -> WrapperError:
        with contextlib.suppress(Exception):  # it may go on for ever
            self._around.close()
        return WrapperError(what, getattr(self._around, "gi_code", None))


def _result(outcome: Any) -> Any:
    """What a hook returned, of the object that an older wrapper gets; None where it raised."""
    return None if outcome.exception else outcome.get_result()
