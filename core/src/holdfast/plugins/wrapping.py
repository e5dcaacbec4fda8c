"""Which wrappers put something around what a hook returned: one that handed it on as it was is no part of it."""

import contextlib
import functools
import threading
from collections.abc import Callable, Generator
from types import CodeType
from typing import Any

_last = threading.local()


def forget_idle() -> None:
    """Begin to note which wrappers change nothing in the next call of a hook, in this thread."""
    _last.idle = set()


def was_idle(plugin: Any) -> bool:
    """Whether the wrapper of a plugin has handed on what it got in the last call."""
    return id(plugin) in getattr(_last, "idle", ())


def watch_wrappers(callers: Any, plugin: Any) -> None:
    """Have what a plugin's wrappers of these hooks return compared with what they got."""
    for hook in callers or ():
        for each in hook.get_hookimpls():
            if each.plugin is plugin and (each.wrapper or each.hookwrapper):
                each.function = _watched(each.function, plugin)


def code_of(function: Any) -> CodeType | None:
    """The code of a hook's function, watched or not."""
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def _watched(function: Callable[..., Any], plugin: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def watched(*arguments: Any, **more: Any) -> Any:
        around = function(*arguments, **more)
        return _Watched(around, plugin) if hasattr(around, "send") else around

    return watched


class WrapperError(RuntimeError):
    """A wrapper does not yield once, which nothing in its traceback would tell: pluggy finds it out, and is none."""

    def __init__(self, what: str, code: CodeType | None) -> None:
        super().__init__(f"it {what}, and a wrapper yields once")
        self.code = code  #: of the wrapper's function


class _Watched:
    """A wrapper at work, as pluggy calls it: a generator, of which each step is looked at."""

    def __init__(self, around: "Generator[Any, Any, Any]", plugin: Any) -> None:
        self._around = around
        self._plugin = plugin

    def __next__(self) -> Any:
        try:
            return next(self._around)
        except StopIteration:
            raise self._error("does not yield") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._around, name)  # `close` and `gi_code`

    def send(self, value: Any) -> Any:
        """Go on behind the `yield`, to the end."""
        try:
            self._around.send(value)
        except StopIteration as ended:
            if ended.value is value and hasattr(_last, "idle"):
                _last.idle.add(id(self._plugin))
            raise
        raise self._error("yields a second time")

    def throw(self, error: BaseException) -> Any:
        """The same with an error."""
        self._around.throw(error)
        raise self._error("yields a second time") from error

    def _error(self, what: str) -> WrapperError:
        with contextlib.suppress(Exception):  # it may go on for ever
            self._around.close()
        return WrapperError(what, getattr(self._around, "gi_code", None))
