"""Deleting: the newest good and the newest proven backup of a source are never deleted by accident."""

import errno
import os

import pytest

from holdfast.errors import HoldfastError, UnsafeError
from holdfast.operations.backup import backup
from holdfast.operations.delete import delete
from holdfast.plan import BackupPlan
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.findings import Depth, record
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry


@pytest.fixture
def catalog() -> Catalog:
    """Three backups of one source, oldest first."""
    storage = MemoryStorage()
    for _ in range(3):
        parts = Parts(engine=MemoryEngine(), storage=storage)
        backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    return Catalog(storage)


def add_finding(catalog: Catalog, number: int, depth: Depth, *problems: str) -> None:
    entry = catalog.listing().entries[number]
    record(catalog.storage, entry.folder, depth=depth, problems=problems, detail={})


def kept(catalog: Catalog) -> list[str]:
    """Why each backup, oldest first, is kept."""
    why = []
    for entry in catalog.listing().entries:
        with pytest.raises(HoldfastError) as caught:
            delete(entry.id, store=Frozen(catalog.storage), registry=memory_registry())  # type: ignore[arg-type]
        if isinstance(caught.value, UnsafeError):
            why.append(caught.value.message.split(" is the ")[1].split(" of ")[0])
        else:
            assert "read-only" in caught.value.message.lower()
            why.append("")
    return why


class Frozen:
    """A storage that deletes nothing."""

    def __init__(self, storage: object) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    def delete(self, path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


def test_the_newest_good_one_is_kept(catalog: Catalog) -> None:
    assert kept(catalog) == ["", "", "newest good backup"]


def test_a_damaged_one_is_no_reason_to_lose_the_newest_good_one(catalog: Catalog) -> None:
    add_finding(catalog, 2, Depth.STORED, "flipped")
    assert kept(catalog) == ["", "newest good backup", ""]


def test_the_newest_proven_one_is_kept_besides(catalog: Catalog) -> None:
    add_finding(catalog, 0, Depth.DRILL)
    assert kept(catalog) == ["newest proven backup", "", "newest good backup"]


def test_force_deletes_it_all_the_same(catalog: Catalog) -> None:
    newest = catalog.listing().entries[-1]
    with pytest.raises(UnsafeError) as caught:
        delete(newest.id, store=catalog.storage, registry=memory_registry())
    assert "--allow-last" in (caught.value.hint or "")
    delete(newest.id, store=catalog.storage, registry=memory_registry(), allow_last=True)
    assert newest.id not in {entry.id for entry in catalog.listing().entries}
