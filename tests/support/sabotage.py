"""A codec, a checksum, a storage and an engine of which any call can be made to do what no plugin should."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.api import Component, Kind, hookimpl
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.testing import MemoryEngine, MemoryStorage

KINDS = ("engine", "codec", "checksum", "storage")


class Sabotage:
    """Which call of which part is disturbed, and how; `points` are all that were come by."""

    def __init__(self, point: str = "", act: Callable[[], Any] | None = None, *, after: int = 0) -> None:
        self.points: list[str] = []
        self.reached = threading.Event()
        self._point, self._act, self._after = point, act, after

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
        return self._act()


class Part:
    """A part of a plugin whose attributes and calls, and those of what they return, can be disturbed."""

    def __init__(self, inner: Any, label: str, sabotage: Sabotage) -> None:
        vars(self).update(_inner=inner, _label=label, _sabotage=sabotage)

    def __getattr__(self, name: str) -> Any:
        value, point = getattr(self._inner, name), f"{self._label}.{name}"
        if not callable(value):
            return self._sabotage.pass_by(point, value)

        def call(*arguments: Any, **more: Any) -> Any:
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


class Plugin:
    """A plugin of one kind."""

    def __init__(self, kind: str, inner: Any, sabotage: Sabotage) -> None:
        self.kind, self._inner, self._sabotage = kind, inner, sabotage
        self.__name__ = f"{kind}-plugin"  # what the registry calls it

    @hookimpl
    def holdfast_components(self) -> list[Component]:
        components = [Component(kind=Kind(self.kind), name=NAMES[self.kind])]
        return list(self._sabotage.pass_by(f"{self.kind}: components", components))

    def _serve(self, hook: str, name: str, part: Any) -> Any:
        return self._sabotage.pass_by(f"{self.kind}: {hook}", part) if name == NAMES[self.kind] else None

    @hookimpl
    def holdfast_compress(self, codec: str) -> Any:
        return self._serve("hook", codec, Part(self._inner, self.kind, self._sabotage))

    @hookimpl
    def holdfast_checksum(self, algorithm: str) -> Any:
        return self._serve("hook", algorithm, Part(hashlib.sha256(), self.kind, self._sabotage))

    @hookimpl
    def holdfast_storage(self, scheme: str) -> Any:
        return self._serve("hook", scheme, Part(self._inner, self.kind, self._sabotage))

    @hookimpl
    def holdfast_dump(self, scheme: str, request: Any) -> Any:
        if scheme != NAMES[self.kind]:
            return None
        return self._serve("hook", scheme, wrapped(self._inner.dump(request), "engine", self._sabotage))


NAMES = {"engine": "shelf", "codec": "plain", "checksum": "sha256", "storage": "kept"}
URL = "shelf://host/app"
STORE = "kept://here"


def plugins(storage: MemoryStorage, sabotage: Sabotage, *, kinds: tuple[str, ...] = KINDS) -> list[Plugin]:
    """One plugin of each kind; those not of `kinds` are disturbed by nothing."""
    engine = MemoryEngine(name="shelf", streams={"books": [b"x" * 3_000_000], "empty": []})
    inner = {"engine": engine, "codec": NoCodec(), "checksum": None, "storage": storage}
    return [Plugin(kind, inner[kind], sabotage if kind in kinds else Sabotage()) for kind in KINDS]


def registry_of(parts: list[Plugin]) -> Registry:
    return Registry(plugins=parts, discover=False, environ={})
