"""Plugins of which any call can be made to do what no plugin should, and what that is."""

import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.api import Capability, Component, Kind, hookimpl

KINDS = ("engine", "codec", "checksum", "storage")
NAMES = {"engine": "shelf", "codec": "plain", "checksum": "sha256", "storage": "kept"}
CAPABILITIES = frozenset({Capability.PROOF, Capability.ATOMIC_RESTORE})


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise type(error)(*error.args)

    return act


def skip() -> None:
    """Does nothing, in the place of what was to be done."""


def leave_to_child() -> None:
    """Leaves the work to a child, which ends well without having done it."""
    if not (child := _fork()):
        os._exit(0)
    os.waitpid(child, 0)


def let_child_raise(value: Any) -> Any:
    """Returns what it should, after a child has gone on into whoever called, as if it were the program."""
    if not (child := _fork()):
        raise SystemExit(0)
    os.waitpid(child, 0)
    return value


def let_child_return(value: Any) -> Any:
    """The same, of a child that returns."""
    if child := _fork():
        os.waitpid(child, 0)
    return value


def _fork() -> int:
    with warnings.catch_warnings(action="ignore"):  # of the threads that the child has not
        return os.fork()


_OF_VALUES = (let_child_raise, let_child_return)
ACTS: dict[str, Callable[..., Any]] = {
    "exit": raising(SystemExit(0)),
    "raise": raising(RuntimeError("0")),
    "garbage": object,
    "skip": skip,
}
MORE: dict[str, Callable[..., Any]] = {
    "generator exit": raising(GeneratorExit()),
    "interrupt": raising(KeyboardInterrupt()),
    "stop iteration": raising(StopIteration()),
    "none": lambda: None,
    "text": lambda: "text",
    "child": leave_to_child,
    "child raises": let_child_raise,
    "child returns": let_child_return,
}


class Sabotage:
    """Which call of which part is disturbed, and how; `points` are all that were come by."""

    def __init__(self, point: str = "", act: Callable[..., Any] | None = None, *, after: int = 0) -> None:
        self.points: list[str] = []
        self.reached = threading.Event()
        self._point, self._act, self._after = point, act, after

    def skips(self, point: str) -> bool:
        """Whether a call is to do nothing and return None."""
        return point == self._point and self._act is skip

    def pass_by(self, point: str, value: Any) -> Any:
        """Go by a point with what a sound plugin would return."""
        if point not in self.points:
            self.points.append(point)
        if point != self._point or self._act is None:
            return value
        if self._after:
            self._after -= 1
            return value
        self.reached.set()
        return self._act(value) if self._act in _OF_VALUES else self._act()


class Part:
    """A part of a plugin whose attributes and calls, and those of what they return, can be disturbed."""

    def __init__(self, inner: Any, label: str, sabotage: Sabotage) -> None:
        vars(self).update(_inner=inner, _label=label, _sabotage=sabotage)

    def __getattr__(self, name: str) -> Any:
        value, point = getattr(self._inner, name), f"{self._label}.{name}"
        if not callable(value):
            return self._sabotage.pass_by(point, value)

        def call(*arguments: Any, **more: Any) -> Any:
            if self._sabotage.skips(point):
                return None
            return self._sabotage.pass_by(point, wrapped(value(*arguments, **more), point, self._sabotage))

        return call


def wrapped(value: Any, point: str, sabotage: Sabotage) -> Any:
    """Put a part around what can be called further."""
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    if hasattr(value, "__enter__"):
        return _entered(value, point, sabotage)
    if isinstance(value, Iterator):
        return _iterated(value, point, sabotage)
    return Part(value, point, sabotage) if hasattr(value, "finish") else value


@contextmanager
def _entered(context: Any, point: str, sabotage: Sabotage) -> Iterator[Any]:
    with context as value:
        inner = value if value is None else Part(value, point, sabotage)
        yield sabotage.pass_by(f"{point} enter", inner)
        sabotage.pass_by(f"{point} leave", None)


def _iterated(items: Iterator[Any], point: str, sabotage: Sabotage) -> Iterator[Any]:
    for item in items:
        yield sabotage.pass_by(f"{point} next", item)
    sabotage.pass_by(f"{point} end", None)


class Saboteur:
    """A plugin of one kind."""

    def __init__(self, kind: str, inner: Any, sabotage: Sabotage) -> None:
        self.kind, self._inner, self._sabotage = kind, inner, sabotage

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        capabilities = CAPABILITIES if self.kind == "engine" else frozenset()
        components = [Component(kind=Kind(self.kind), name=NAMES[self.kind], capabilities=capabilities)]
        return list(self._sabotage.pass_by(f"{self.kind}: components", components))

    def _serve(self, hook: str, name: str, part: Callable[[], Any]) -> Any:
        return self._sabotage.pass_by(f"{self.kind}: {hook}", part()) if name == NAMES[self.kind] else None

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        return self._serve("hook", codec, lambda: Part(self._inner, self.kind, self._sabotage))

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return self._serve("hook", algorithm, lambda: Part(hashlib.sha256(), self.kind, self._sabotage))

    @hookimpl
    def holdfast_storage(self, scheme: str, url: str) -> Any:
        def part() -> Part:
            return Part(self._inner(url) if callable(self._inner) else self._inner, self.kind, self._sabotage)

        return self._serve("hook", scheme, part)

    @hookimpl
    def holdfast_dump(self, scheme: str, request: Any) -> Any:
        return self._serve("dump", scheme, lambda: wrapped(self._inner.dump(request), "dump", self._sabotage))

    @hookimpl
    def holdfast_restore(self, scheme: str, request: Any) -> Any:
        return self._serve("restore", scheme, lambda: wrapped(self._inner.restore(request), "restore", self._sabotage))

    @hookimpl
    def holdfast_scratch(self, scheme: str, request: Any) -> Any:
        return self._serve("scratch", scheme, lambda: wrapped(self._inner.scratch(request), "scratch", self._sabotage))

    @hookimpl
    def holdfast_databases(self, scheme: str, url: str) -> Any:
        return self._serve("databases", scheme, lambda: self._inner.databases(url))
