"""A storage that does not list what it has is at fault: no store is empty by it, and no backup damaged."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import holdfast
from holdfast.api import Stat
from holdfast.errors import NotFoundError, PluginError
from holdfast.testing import MemoryEngine, MemoryStorage, memory_registry
from holdfast.testing.memory import TARGET, URL


class Forgetful(MemoryStorage):
    """A storage that leaves out of its lists what `forgets` says of a path."""

    location = "forgetful"
    forgets: Any = None
    lists = 0

    def list(self, prefix: str = "") -> Iterator[Stat]:
        self.lists += 1
        stats = [stat for stat in super().list(prefix) if not (self.forgets and self.forgets(stat.path))]
        return iter(stats)


@pytest.fixture
def kept() -> Forgetful:
    storage = Forgetful()
    holdfast.backup(URL, store=storage, codec="none", registry=memory_registry(), engine=MemoryEngine())
    return storage


PARTS: Any = {"registry": memory_registry()}
CALLS: dict[str, Callable[[Forgetful, str], object]] = {
    "list": lambda storage, _: holdfast.list_backups(storage, **PARTS),
    "list of a source": lambda storage, _: holdfast.list_backups(storage, name="app", **PARTS),
    "verify": lambda storage, _: holdfast.verify(store=storage, **PARTS),
    "prune": lambda storage, _: holdfast.prune(storage, keep_last=1, **PARTS),
    "delete": lambda storage, backup: holdfast.delete(backup, store=storage, **PARTS),
    "restore": lambda storage, _: holdfast.restore("latest", TARGET, store=storage, engine=MemoryEngine(), **PARTS),
    "restore of an id": lambda storage, backup: holdfast.restore(
        backup, TARGET, store=storage, engine=MemoryEngine(), **PARTS
    ),
    "copy": lambda storage, _: holdfast.copy(to=MemoryStorage("other"), store=storage, **PARTS),
    "check": lambda storage, _: holdfast.check_store(storage, **PARTS).raise_for_failure(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_whose_storage_lists_nothing_does_not_look_empty(kept: Forgetful, call: str) -> None:
    (record,) = holdfast.list_backups(kept, **PARTS)
    before = dict(kept.objects)
    kept.forgets = lambda _path: True
    with pytest.raises(PluginError, match=r"the Forgetful of this program does not list .*json'?, which is there"):
        CALLS[call](kept, record.id)
    assert kept.objects == before


def test_a_blob_that_is_there_and_not_listed_is_no_damage(kept: Forgetful) -> None:
    kept.forgets = lambda path: "data" in path
    assert any("data" in path for path in kept.objects)
    with pytest.raises(PluginError, match="does not list"):
        holdfast.list_backups(kept, **PARTS)
    for path in [path for path in kept.objects if "data" in path]:
        del kept.objects[path]
    assert [record.state for record in holdfast.list_backups(kept, **PARTS)] == ["damaged"]


def test_what_is_written_while_it_is_listed_is_no_fault(kept: Forgetful) -> None:
    """The next listing has it: so has a store whose listings are a moment behind."""
    asked = kept.lists
    kept.forgets = lambda _path: kept.lists == asked + 1
    assert holdfast.list_backups(kept, **PARTS) == []
    assert len(holdfast.list_backups(kept, **PARTS)) == 1


def test_a_store_that_is_listed_is_listed_once_and_one_that_is_not_there_is_none(kept: Forgetful) -> None:
    before = kept.lists
    assert len(holdfast.list_backups(kept, **PARTS)) == 1
    assert kept.lists == before + 1
    with pytest.raises(NotFoundError, match="no store"):
        holdfast.list_backups(MemoryStorage(), **PARTS)
