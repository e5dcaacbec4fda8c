"""An object around another can all that this can, when it is asked for it, and does otherwise what its class says."""

from typing import Any

from holdfast.api import (
    Forwarding,
    SupportsFailures,
    SupportsRename,
    SupportsSource,
    SupportsWalk,
    SupportsWarnings,
)
from holdfast.testing import MemoryStorage


class Loud(Forwarding):
    def __init__(self, wrapped: Any) -> None:
        super().__init__(wrapped)
        self.told: list[str] = []

    def delete(self, path: str) -> None:
        self.told.append(path)
        self.wrapped.delete(path)


class Session:
    def __init__(self) -> None:
        self._warnings: list[str] = []

    @property
    def warnings(self) -> list[str]:
        return list(self._warnings)

    def walk(self, prefix: str, enter: Any) -> Any:
        return [prefix, enter]

    def commit(self) -> None:
        self._warnings.append("one index is missing")


def test_what_the_class_does_not_have_is_that_of_the_wrapped_object() -> None:
    storage = MemoryStorage()
    loud = Loud(storage)
    with loud.writer("a/object") as writer:
        writer.write(b"hello")
    assert loud.read("a/object", 1, 3) == b"ell"
    assert [stat.path for stat in loud.list()] == ["a/object"]
    loud.delete("a/object")
    assert (loud.told, storage.objects, loud.location) == (["a/object"], {}, storage.location)


def test_it_says_of_its_abilities_what_the_wrapped_object_says() -> None:
    session, storage = Loud(Session()), Loud(MemoryStorage())
    assert isinstance(session, SupportsWarnings)
    assert isinstance(session, SupportsWalk)
    assert not isinstance(session, SupportsSource)
    assert not isinstance(session, SupportsFailures)
    assert not isinstance(storage, SupportsWalk)
    assert not isinstance(storage, SupportsRename)


def test_a_property_is_asked_when_it_is_asked_for() -> None:
    session = Loud(Session())
    assert session.warnings == []
    session.commit()
    assert session.warnings == ["one index is missing"]


def test_objects_may_lie_around_objects() -> None:
    inner = Loud(MemoryStorage())
    outer = Loud(inner)
    outer.delete("a/object")
    assert inner.told == ["a/object"]
    assert outer.told == ["a/object"]


def test_what_is_set_comes_first() -> None:
    loud = Loud(MemoryStorage())
    vars(loud)["location"] = "elsewhere"
    assert (loud.location, loud.wrapped.location) == ("elsewhere", "memory")
