"""Whoever reads a backup keeps it, whoever deletes it has it alone, and a full store gives room all the same."""

import errno
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import LockedError, NotFoundError
from holdfast.operations.backup import backup
from holdfast.operations.delete import delete
from holdfast.operations.prune import PruneResult, prune
from holdfast.plan import BackupPlan
from holdfast.policy import Policy
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.folder import FolderStorage
from holdfast.store.readers import deleting, reading
from holdfast.testing.memory import URL, MemoryEngine, memory_registry


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(str(tmp_path / "store"))


def make(storage: FolderStorage) -> str:
    parts = Parts(engine=MemoryEngine(identity="app"), storage=storage)
    return backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts).id


def find(storage: FolderStorage, backup_id: str) -> Entry:
    return Catalog(storage).find(backup_id)


def prune_to_one(storage: FolderStorage) -> PruneResult:
    return prune(Policy(max_backups=1), store=storage, registry=memory_registry())


def test_a_backup_that_is_being_read_stays_and_is_said(storage: FolderStorage) -> None:
    old, new = make(storage), make(storage)
    with reading(storage, find(storage, old)):
        result = prune_to_one(storage)
        assert [choice.id for choice in result.kept] == [new, old]
        assert f"kept app/{old}, which another process is reading or making" in result.warnings[0]
        with pytest.raises(LockedError, match="another process is reading or making it"):
            delete(old, store=storage, registry=memory_registry())
    with (
        deleting(storage, find(storage, old)),
        pytest.raises(LockedError, match="is being deleted by another process"),
        reading(storage, find(storage, old)),
    ):
        pass
    entry = find(storage, old)
    assert [choice.id for choice in prune_to_one(storage).deleted] == [old]
    with pytest.raises(NotFoundError, match="has been deleted meanwhile"), reading(storage, entry):
        pass


def test_a_store_without_room_for_a_lease_is_pruned_all_the_same(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting is what makes room; nobody could hold a lease there to read."""
    old, new = make(storage), make(storage)

    def lease(name: str, ttl: float = 60.0) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "lease", lease)
    result = prune_to_one(storage)
    assert ([choice.id for choice in result.deleted], result.failed) == ([old], ())
    delete(new, store=storage, registry=memory_registry(), allow_last=True)
    assert Catalog(storage).listing().entries == ()


def test_a_published_backup_is_read_whoever_holds_the_lease_of_its_making(storage: FolderStorage) -> None:
    """On a service, that of a killed process goes on for a minute, and a restore need not wait for it."""
    made = make(storage)
    with storage.lease(made):
        with reading(storage, find(storage, made)):
            pass
        with pytest.raises(LockedError, match="reading or making it"):
            delete(made, store=storage, registry=memory_registry(), allow_last=True)


def test_a_reader_waits_for_a_deletion_that_gives_up(storage: FolderStorage) -> None:
    made = make(storage)
    with ExitStack() as deletion:
        deletion.enter_context(deleting(storage, find(storage, made)))
        timer = threading.Timer(0.2, deletion.close)
        timer.start()
        with reading(storage, find(storage, made)):
            assert find(storage, made).id == made
        timer.join()
