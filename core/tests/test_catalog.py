"""The catalog: what a store holds, how backups are found, and that concurrent runs do not disturb each other."""

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdfast
from holdfast.api import Capability, Source, Stat
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, UsageError
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.record import Backup
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.findings import Depth, State, record
from holdfast.store.folder import FolderStorage
from holdfast.store.lookup import newest_good
from holdfast.store.removal import abandoned
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

APP = Source(name="app", identity="app")

OTHER = Source(name="app", identity="other")


def make(storage: Any, *, identity: str = "app", **plan: Any) -> Backup:
    engine = MemoryEngine(identity=identity)
    parts = Parts(engine=engine, storage=storage)
    return backup(BackupPlan(source=URL, codec="none", **plan), registry=memory_registry(), parts=parts)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(str(tmp_path / "store"))


@pytest.fixture
def catalog(storage: FolderStorage) -> Catalog:
    return Catalog(storage)


# --- the store ---


def test_only_manifests_that_could_be_meant_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may hold hundreds: neither the next backup nor a restore of one of them opens more than one."""
    storage = MemoryStorage()
    records = [make(storage) for _ in range(3)]
    read: list[str] = []
    real = storage.read

    def reading(path: str, offset: int = 0, length: int | None = None) -> bytes:
        read.append(path)
        return real(path, offset, length)

    monkeypatch.setattr(storage, "read", reading)
    assert Catalog(storage).find(records[1].id).id == records[1].id
    assert read == [f"app/{records[1].id}/backup_manifest.json"]
    read.clear()
    make(storage)
    manifests = [path for path in read if path.endswith("backup_manifest.json")]
    assert manifests == [f"app/{records[2].id}/backup_manifest.json"]  # the one before, for its size


def test_of_several_manifests_only_outlines_are_kept_until_one_is_chosen(
    catalog: Catalog, storage: FolderStorage
) -> None:
    """A proof has an object for each table."""
    catalog.open_or_create()
    engine = MemoryEngine(capabilities=frozenset({Capability.PROOF}))
    plan = BackupPlan(source=URL, codec="none", proof=True)
    parts = Parts(engine=engine, storage=storage)
    records = [backup(plan, registry=memory_registry(), parts=parts) for _ in range(2)]
    for entry in catalog.listing().entries:
        assert entry.manifest is not None
        assert entry.manifest.proof is not None
        assert (entry.manifest.proof.objects, entry.manifest.hints) == ([], {})
        assert entry.manifest.streams != []
    for reference in ("latest", records[0].id, records[0].id[:-1]):
        chosen = catalog.find(reference).manifest
        assert chosen is not None
        assert chosen.proof is not None
        assert chosen.proof.objects != []


def test_a_missing_store_is_not_found_and_not_made(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match="no store at"):
        catalog.open()
    assert not os.path.exists(catalog.storage.location)


def test_a_store_is_made_once(catalog: Catalog) -> None:
    assert catalog.open_or_create()
    assert not catalog.open_or_create()
    catalog.open()


def test_a_store_of_a_newer_format_is_neither_read_nor_written(catalog: Catalog, storage: FolderStorage) -> None:
    os.makedirs(storage.root)
    Path(storage.root, "holdfast.json").write_text('{"format_version": 2}')
    for call in (catalog.open, catalog.open_or_create):
        with pytest.raises(IntegrityError, match="format version 2"):
            call()


def test_a_folder_that_cannot_be_a_store_is_an_error_for_a_backup(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(HoldfastError, match="a part of its path is not a folder"):
        make(FolderStorage(str(tmp_path / "file" / "store")))


# --- finding ---


def test_a_backup_is_found_by_id_prefix_and_latest(catalog: Catalog, storage: FolderStorage) -> None:
    first, second = make(storage), make(storage)
    for reference in (first.id, f"app/{first.id}", first.id[:-1] if first.id[:-1] != second.id[:-1] else first.id):
        assert catalog.find(reference).id == first.id
    assert catalog.find("latest").id == catalog.find("app/latest").id == second.id
    with pytest.raises(UsageError, match="could be any of 2 backups"):
        catalog.find(first.id[:4])


@pytest.mark.parametrize("reference", ["", "x", "app/x", "../app/latest", "other/latest", "app/", "/latest", "a/b/c"])
def test_an_unknown_reference_is_not_found(reference: str, catalog: Catalog, storage: FolderStorage) -> None:
    make(storage)
    with pytest.raises(NotFoundError):
        catalog.find(reference)


def test_latest_of_several_sources_must_be_named(catalog: Catalog, storage: FolderStorage) -> None:
    first, second = make(storage, name="one"), make(storage, identity="b", name="two")
    with pytest.raises(UsageError, match="one/latest, two/latest"):
        catalog.find("latest")
    assert (catalog.find("one/latest").id, catalog.find("two/latest").id) == (first.id, second.id)


def test_a_damaged_newest_backup_is_not_skipped(catalog: Catalog, storage: FolderStorage) -> None:
    good, bad = make(storage), make(storage)
    record(storage, f"app/{bad.id}", depth=Depth.STORED, problems=["flipped"], detail={})
    with pytest.raises(IntegrityError) as caught:
        catalog.readable("latest")
    assert caught.value.hint == f"use {good.id}, the newest good backup"
    assert catalog.readable("latest", allow_damaged=True)[0].id == bad.id


# --- hostile and half-deleted backups ---


def entry(catalog: Catalog, made: Backup) -> Any:
    (match,) = [entry for entry in catalog.listing().entries if entry.id == made.id]
    return match


def blob(made: Backup) -> str:
    return f"{made.path}/data.txt"


def swap_for_link(path: str) -> None:
    os.rename(path, f"{path}.elsewhere")
    os.symlink(f"{path}.elsewhere", path)


def swap_for_fifo(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


def swap_for_folder(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


HARMS = {
    "missing": os.unlink,
    "longer": lambda path: os.truncate(path, 999),
    "empty": lambda path: os.truncate(path, 0),
    "a link": swap_for_link,
    "a FIFO": swap_for_fifo,
    "a folder": swap_for_folder,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_backup_without_its_blob_is_damaged_and_the_list_goes_on(
    harm: str, catalog: Catalog, storage: FolderStorage
) -> None:
    good, bad = make(storage), make(storage)
    HARMS[harm](blob(bad))
    listed = entry(catalog, bad)
    assert (listed.state, entry(catalog, good).state) == (State.DAMAGED, State.COMPLETE)
    assert "data.txt" in listed.problem
    with pytest.raises(IntegrityError):
        catalog.readable(bad.id)


@pytest.mark.parametrize("harm", ["longer", "empty", "a link", "a FIFO"])
def test_a_backup_without_a_sound_manifest_is_damaged_and_the_list_goes_on(
    harm: str, catalog: Catalog, storage: FolderStorage
) -> None:
    good, bad = make(storage), make(storage)
    HARMS[harm](f"{bad.path}/backup_manifest.json")
    listed = entry(catalog, bad)
    assert (listed.state, listed.manifest) == (State.DAMAGED, None)
    assert listed.created_at.strftime("%Y%m%dT%H%M%SZ") == bad.id[:16]
    assert newest_good(catalog, "app").id == good.id  # type: ignore[union-attr]


def test_a_backup_that_was_moved_elsewhere_is_not_judged(catalog: Catalog, storage: FolderStorage) -> None:
    made = make(storage)
    os.rename(made.path, f"{storage.root}/app/20200101T000000Z-aaaaaa")
    (listed,) = catalog.listing().entries
    assert "but lies in app/20200101T000000Z-aaaaaa" in listed.problem
    assert listed.state is State.UNKNOWN
    assert "give it back its name" in (listed.hint or "")


def test_a_source_that_was_damaged_is_never_cleared(catalog: Catalog, storage: FolderStorage) -> None:
    made = make(storage)
    record(storage, f"app/{made.id}", depth=Depth.DRILL, problems=[], detail={})
    (listed,) = catalog.listing().entries
    assert listed.manifest is not None
    damaged = msgspec.structs.replace(
        listed, manifest=msgspec.structs.replace(listed.manifest, damage=("page 3 is torn",))
    )
    assert (listed.state, damaged.state) == (State.PROVEN, State.DAMAGED)


def test_a_program_is_told_of_a_source_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage()
    made = make(storage)
    real = storage.list
    closed = Stat(path="shop/", size=0, regular=False, problem="permission denied")
    monkeypatch.setattr(storage, "list", lambda prefix="": [*real(prefix), closed])
    with caplog.at_level("WARNING", logger="holdfast"):
        listed = holdfast.list_backups(storage, registry=memory_registry())
    assert [backup.id for backup in listed] == [made.id]
    assert "the folder shop cannot be read" in caplog.text


@pytest.mark.parametrize("gone", ["backup_manifest.json", "blob"])
def test_a_backup_that_is_deleted_while_the_store_is_read_is_not_there(gone: str, monkeypatch: Any) -> None:
    """Its manifest goes first, then its blobs: what lacks a blob and has no manifest any more is no damage."""
    storage = MemoryStorage()
    first, second = make(storage), make(storage)
    real = storage.list

    def listing(prefix: str = "") -> list[Any]:
        stats = list(real(prefix))
        if gone == "blob":
            stats = [stat for stat in stats if first.id not in stat.path or stat.path.endswith("manifest.json")]
            monkeypatch.setattr(storage, "stat", stat_without)
        else:
            for path in [path for path in storage.objects if first.id in path]:
                del storage.objects[path]
        return stats

    def stat_without(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(storage, "list", listing)
    assert [listed.id for listed in Catalog(storage).listing().entries] == [second.id]


def test_a_manifest_that_the_system_does_not_hand_out_is_unreadable_and_not_judged(
    catalog: Catalog, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(storage)
    real = storage.read

    def read(path: str, *more: Any) -> bytes:
        if path.endswith("backup_manifest.json"):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *more)

    monkeypatch.setattr(storage, "read", read)
    assert entry(catalog, made).unreadable
    with pytest.raises(NotFoundError, match="input/output error"):
        catalog.readable(made.id)


def test_what_is_no_backup_is_left_alone(catalog: Catalog, storage: FolderStorage) -> None:
    make(storage)
    for path in ("notes.txt", "app/notes.txt", "app/not-an-id/backup_manifest.json", "UPPER/x/backup_manifest.json"):
        os.makedirs(os.path.dirname(f"{storage.root}/{path}"), exist_ok=True)
        Path(storage.root, path).write_text("x")
    listing = catalog.listing()
    assert (len(listing.entries), listing.leftovers) == (1, ())


def test_a_folder_without_a_manifest_is_a_leftover(catalog: Catalog, storage: FolderStorage) -> None:
    made = make(storage)
    os.unlink(f"{made.path}/backup_manifest.json")
    assert catalog.listing().leftovers == (f"app/{made.id}",)
    assert abandoned(storage, (f"app/{made.id}",)) == [f"app/{made.id}"]
    with storage.lease(made.id):
        assert abandoned(storage, (f"app/{made.id}",)) == []
