"""A restore never writes into the store that it reads from, however its target is written."""

import os
from pathlib import Path

import pytest

from holdfast.errors import UnsafeError
from holdfast.operations.backup import backup
from holdfast.operations.restore import restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.record import place
from holdfast.setup import Parts
from holdfast.store.folder import FolderStorage
from holdfast.store.overlap import check_outside
from holdfast.store.ownership import check_owner
from holdfast.testing.memory import MemoryEngine, MemoryStorage, memory_registry


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStorage:
    """A store `backups` in the current folder, with a backup named `app`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("backups")
    storage = FolderStorage("backups")
    parts = Parts(engine=MemoryEngine(), storage=storage)
    backup(BackupPlan(source="memory:///app", codec="none"), registry=memory_registry(), parts=parts)
    (tmp_path / "marker.db").symlink_to("backups/holdfast.json")
    return storage


@pytest.mark.parametrize(
    "path",
    [
        *("/backups/holdfast.json", "/backups/new.db", "/backups/app/source.json", "/./backups/deep/er/new.db"),
        *("/elsewhere/../backups/new.db", "/link/holdfast.json", "/%62ackups/new.db", "/backups/", "/marker.db"),
        *("{here}/backups/holdfast.json", "/{here}/backups/holdfast.json", "/{here}/link/new.db"),
    ],
)
def test_a_target_in_the_store_is_refused_and_the_engine_never_asked(
    path: str, storage: FolderStorage, tmp_path: Path
) -> None:
    engine = MemoryEngine()
    plan = RestorePlan(backup="latest", target=f"memory://{path.format(here=tmp_path)}", replace=True)
    with pytest.raises(UnsafeError, match=r"lies in the store .*/backups, where a restore would damage it"):
        restore(plan, registry=memory_registry(), storage=storage, engine=engine)
    assert engine.requests == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "memory:///new.db",
            "memory:///backups2/new.db",
            "memory:////elsewhere/new.db",
            "memory:///backups/../new.db",
        ),
        *("memory://host/backups/holdfast.json", "memory:///", "memory://", "memory:///a%00b"),
    ],
)
def test_any_other_target_is_left_to_the_engine(url: str, storage: FolderStorage) -> None:
    check_outside(storage, url)


def test_the_name_of_a_database_is_no_path_though_the_store_has_a_folder_of_that_name(storage: FolderStorage) -> None:
    os.chdir("backups")
    check_outside(storage, "memory:///app")
    check_outside(storage, "memory:///other")
    with pytest.raises(UnsafeError):
        check_outside(storage, "memory:///holdfast.json")


def test_a_store_that_is_no_folder_has_no_inside() -> None:
    check_outside(MemoryStorage(), "memory:///memory/new.db")


def test_what_looks_like_the_path_of_a_folder_is_none_unless_the_storage_says_so(
    storage: FolderStorage, tmp_path: Path
) -> None:
    """A storage may call itself what it likes: `/backups` may be a bucket, and `nas:backups` a folder."""
    check_outside(MemoryStorage(location=str(tmp_path)), f"memory:///{tmp_path}/new.db")
    check_owner(MemoryStorage(location=storage.root))

    class Named(FolderStorage):
        location = "nas:backups"

    with pytest.raises(UnsafeError, match="lies in the store"):
        check_outside(Named("backups"), "memory:///backups/new.db")
    assert place(Named("backups"), "app/id") == f"{tmp_path}/backups/app/id"
