"""Which wrappers put something around what a hook returned: one that handed it on as it was is no part of it."""

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
            if each.plugin is plugin and each.wrapper:
                each.function = _watched(each.function, plugin)


def code_of(function: Any) -> CodeType | None:
    """The code of a hook's function, watched or not."""
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def _watched(function: Callable[..., Any], plugin: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def watched(*arguments: Any) -> Any:
        around = function(*arguments)
        return _Watched(around, plugin) if hasattr(around, "send") else around

    return watched


class _Watched:
    """A wrapper at work, as pluggy calls it: a generator, of which the end is looked at."""

    def __init__(self, around: "Generator[Any, Any, Any]", plugin: Any) -> None:
        self._around = around
        self._plugin = plugin

    def __next__(self) -> Any:
        return next(self._around)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._around, name)  # `throw`, `close` and `gi_code`

    def send(self, value: Any) -> Any:
        try:
            return self._around.send(value)
        except StopIteration as ended:
            if ended.value is value and hasattr(_last, "idle"):
                _last.idle.add(id(self._plugin))
            raise
