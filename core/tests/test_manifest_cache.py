"""The cache of manifests: it saves reading them, is believed nowhere where it matters, and costs nobody anything."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdfast
from holdfast.api import Component, Kind
from holdfast.errors import PluginError, UsageError
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.record import Backup
from holdfast.setup import Parts
from holdfast.store import lookup
from holdfast.store.catalog import Catalog
from holdfast.store.folder import FolderStorage
from holdfast.store.manifest_cache import cache_folder
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

MANIFEST = "backup_manifest.json"


def make(storage: Any, *, identity: str = "app", **plan: Any) -> Backup:
    parts = Parts(engine=MemoryEngine(identity=identity), storage=storage)
    return backup(BackupPlan(source=URL, codec="none", **plan), registry=memory_registry(), parts=parts)


class Counting(FolderStorage):
    """Tells which manifests were read, and which folders were listed."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.manifests: list[str] = []
        self.listed: list[str] = []

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        if path.endswith(MANIFEST):
            self.manifests.append(path.split("/")[1])
        return super().read(path, offset, length)

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Any:
        self.listed.append(prefix)
        return super().walk(prefix, enter)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HOLDFAST_CACHE", str(folder))
    return folder


@pytest.fixture
def storage(tmp_path: Path, cache: Path) -> Counting:
    del cache
    return Counting(str(tmp_path / "store"))


def ids(storage: Any) -> list[str]:
    return [record.id for record in holdfast.list_backups(storage, registry=memory_registry())]


def test_a_manifest_is_read_once_however_often_it_is_listed(storage: Counting, cache: Path) -> None:
    made = [make(storage).id for _ in range(3)]
    first = holdfast.list_backups(storage, registry=memory_registry())
    storage.manifests.clear()
    assert holdfast.list_backups(Counting(storage.root), registry=memory_registry()) == first
    assert (ids(storage), storage.manifests) == (made, [])
    made.append(make(storage).id)
    storage.manifests.clear()
    assert (ids(storage), storage.manifests) == (made, made[-1:])
    assert {path.stat().st_mode & 0o777 for path in (cache, *cache.iterdir())} == {0o700, 0o600}


def test_what_is_wrong_with_a_backup_is_seen_all_the_same(storage: Counting) -> None:
    lacking, changed, sound = (make(storage) for _ in range(3))
    ids(storage)
    Path(lacking.path, "data.txt").unlink()
    text = Path(changed.path, MANIFEST).read_text()
    Path(changed.path, MANIFEST).write_text(text.replace('"format_version": 1', '"format_version": 0'))
    states = {each.id: each.state for each in holdfast.list_backups(storage, registry=memory_registry())}
    assert states == {lacking.id: "damaged", changed.id: "damaged", sound.id: "complete"}


def test_what_is_deleted_is_forgotten(storage: Counting, cache: Path) -> None:
    gone, stays = make(storage), make(storage)
    ids(storage)
    shutil.rmtree(gone.path)
    assert ids(storage) == [stays.id]
    with sqlite3.connect(next(cache.iterdir())) as database:
        assert database.execute("SELECT id FROM manifests").fetchall() == [(stays.id,)]
    database.close()


def test_prune_and_find_read_what_they_act_upon(storage: Counting) -> None:
    made = [make(storage).id for _ in range(3)]
    ids(storage)
    storage.manifests.clear()
    holdfast.prune(store=storage, keep_last=1, registry=memory_registry(), dry_run=True)
    assert sorted({*storage.manifests}) == made
    for reference, chosen in (("latest", made[2]), ("app/latest", made[2]), (made[1], made[1])):
        storage.manifests.clear()
        entry = Catalog(storage).find(reference)
        assert (entry.id, entry.outlined, storage.manifests) == (chosen, False, [chosen])


def test_the_newest_of_many_is_found_without_looking_into_the_others(storage: Counting) -> None:
    made = [make(storage).id for _ in range(lookup.FEW + 2)]
    assert Catalog(storage).find("app/latest").id == made[-1]  # nothing is known: all are read
    assert storage.listed
    made.append(make(storage).id)
    storage.listed.clear()
    storage.manifests.clear()
    assert Catalog(storage).find("app/latest").id == made[-1]
    assert ({*storage.listed}, storage.manifests) == ({f"app/{made[-1]}"}, [made[-1]])
    shutil.rmtree(Path(storage.root, "app", made.pop()))
    os.unlink(Path(storage.root, "app", made[-1], MANIFEST))  # is being deleted, or was never finished
    assert Catalog(storage).find("app/latest").id == made[-2]


def test_latest_stays_ambiguous_where_two_databases_lie_under_a_name(storage: Counting, tmp_path: Path) -> None:
    other = Counting(str(tmp_path / "other"))
    made = [make(each, identity=identity) for each, identity in ((storage, "one"), (other, "two"), (storage, "one"))]
    shutil.copytree(made[1].path, Path(storage.root, "app", made[1].id))
    for _ in range(2):  # the second time, all of them are known
        with pytest.raises(UsageError, match="holds backups of 2 databases"):
            Catalog(storage).find("app/latest")
        ids(storage)


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(b""),
        lambda path: os.truncate(path, 4096),
        lambda path: os.makedirs(path.rename(path.parent / "moved").parent / path.name),
        lambda path: path.chmod(0o000),
        lambda path: path.parent.chmod(0o777),
        lambda path: path.parent.chmod(0o500),
        lambda path: path.parent.rename(path.parent.parent / "away").parent.joinpath("cache").write_text("a file"),
    ],
    ids=["garbage", "empty", "cut", "folder", "unreadable", "for everybody", "no writing", "no folder"],
)
def test_a_cache_that_cannot_be_used_changes_nothing(storage: Counting, cache: Path, harm: Any) -> None:
    made = [make(storage).id for _ in range(2)]
    assert ids(storage) == made
    harm(next(cache.iterdir()))
    made.append(make(storage).id)
    for _ in range(2):
        assert ids(storage) == made
        assert Catalog(storage).find("app/latest").id == made[-1]


def test_outlines_of_another_version_and_what_is_no_outline_are_not_taken(storage: Counting, cache: Path) -> None:
    made = [make(storage).id for _ in range(2)]
    for change in ("PRAGMA user_version = 7", "UPDATE manifests SET outline = x'00'"):
        assert ids(storage) == made
        database = sqlite3.connect(next(cache.iterdir()), isolation_level=None)
        database.execute(change)
        database.close()
        storage.manifests.clear()
        assert (ids(storage), sorted(storage.manifests)) == (made, made)


def test_another_process_that_writes_is_not_waited_for(storage: Counting, cache: Path) -> None:
    made = [make(storage).id]
    ids(storage)
    database = sqlite3.connect(next(cache.iterdir()), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    made.append(make(storage).id)
    assert ids(storage) == made
    database.close()


def test_what_nobody_lists_any_more_is_removed(storage: Counting, cache: Path, tmp_path: Path) -> None:
    make(storage)
    ids(storage)
    (old,) = cache.iterdir()
    os.utime(old, (0, 0))
    other = Counting(str(tmp_path / "other"))
    make(other)
    ids(other)
    assert [path for path in cache.iterdir() if path == old] == []


def test_nothing_is_cached_of_what_is_nowhere_or_where_nobody_wants_it(
    storage: Counting, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryStorage()
    make(memory)
    assert len(ids(memory)) == 1
    monkeypatch.setenv("HOLDFAST_CACHE", "none")
    make(storage)
    assert len(ids(storage)) == 1
    assert not cache.exists()


def test_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOLDFAST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == str(tmp_path / "xdg" / "holdfast")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == str(tmp_path / ".cache" / "holdfast")
    # Of a user without a home, as some containers have them, nothing is kept in the current folder.
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: os.path.join("~/.cache", name))
    assert cache_folder() == ""
    monkeypatch.setenv("HOLDFAST_CACHE", "somewhere/else")
    assert cache_folder() == os.path.abspath("somewhere/else")


def test_an_outline_is_what_a_listing_holds(storage: Counting) -> None:
    make(storage, tags=("ä", "b"))
    make(storage)
    read = [entry.manifest for entry in Catalog(storage).listing(cached=True).entries]
    known = [entry.manifest for entry in Catalog(storage).listing(cached=True).entries]
    assert storage.manifests
    assert known == read
    assert msgspec.to_builtins(known) == msgspec.to_builtins(read)


class Service(MemoryStorage):
    """Can list names, with a request for each folder."""

    def __init__(self) -> None:
        super().__init__("memory://here")
        self.asked: list[str] = []

    def names(self, folder: str) -> list[str]:
        self.asked.append(folder)
        paths = [stat.path.removeprefix(f"{folder}/" if folder else "") for stat in self.list(folder)]
        return [*dict.fromkeys(path.partition("/")[0] for path in paths if "/" in path)]


def test_names_are_asked_for_only_where_that_takes_fewer_requests(cache: Path) -> None:
    del cache
    storage = Service()
    made = [make(storage, name=f"s{number}", identity=str(number)) for number in range(lookup.FEW)]
    assert Catalog(storage).find(made[3].id).id == made[3].id
    assert len(storage.asked) == 1 + len(made)
    made.append(make(storage, name="last", identity="last"))
    storage.asked.clear()
    assert Catalog(storage).find(made[3].id).id == made[3].id
    assert storage.asked == [""]


class Named:
    """A plugin with a service whose names are whatever a test says."""

    def __init__(self, names: object) -> None:
        self.storage = Service()
        self.storage.names = lambda _: names  # type: ignore[method-assign, assignment, return-value]

    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.STORAGE, name="named")]

    def holdfast_storage(self, scheme: str) -> object:
        return self.storage if scheme == "named" else None


@pytest.mark.parametrize(("names", "failure"), [("no list", "expected an iterable"), (["nothing", "of that"], "")])
def test_that_a_backup_is_not_there_is_said_only_once_all_was_listed(cache: Path, names: object, failure: str) -> None:
    del cache
    plugin = Named(names)
    made = make(plugin.storage)
    catalog = Catalog(memory_registry(plugin).storage("named://here"))
    for reference in (made.id, "app/latest"):
        if failure:
            with pytest.raises(PluginError, match=failure):
                catalog.find(reference)
        else:
            assert catalog.find(reference).id == made.id


def test_a_backup_whose_folder_is_as_it_was_is_not_looked_into_again(storage: Counting) -> None:
    made = [make(storage) for _ in range(3)]
    ids(storage)
    looked_into = []

    class Watching(Counting):
        def walk(self, prefix: str, enter: Callable[[str], bool]) -> Any:
            def noted(path: str) -> bool:
                looked_into.extend([path] if (is_wanted := enter(path)) else [])
                return is_wanted

            return super().walk(prefix, noted)

    records = holdfast.list_backups(Watching(storage.root), registry=memory_registry())
    assert (records, looked_into) == (made, ["app"])
    holdfast.pin(made[0], store=storage, registry=memory_registry())
    holdfast.tag(made[1], "kept", store=storage, registry=memory_registry())
    Path(made[2].path, "data.txt").chmod(0o600)
    os.truncate(Path(made[2].path, "data.txt"), 1)
    expected = [(True, (), "complete"), (False, ("kept",), "complete"), (False, (), "damaged")]
    for _ in range(3):  # the last one is looked into each time
        looked_into.clear()
        records = holdfast.list_backups(Watching(storage.root), registry=memory_registry())
        assert [(record.pinned, record.tags, record.state) for record in records] == expected
    assert {path.split("/")[1] for path in looked_into if path != "app"} == {made[2].id}


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "data.txt").write_bytes(b"more" * 99),
        lambda folder: (folder / "data.txt").unlink(),
        lambda folder: (folder / "new").touch(),
        lambda folder: (folder / "new").mkdir(),
        lambda folder: (folder / "link").symlink_to("data.txt"),
        lambda folder: os.utime(folder / MANIFEST, ns=(1, 1)),
        shutil.rmtree,
    ],
)
def test_a_folder_has_another_fingerprint_as_soon_as_a_list_tells_anything_else(
    storage: Counting, change: Callable[[Path], object]
) -> None:
    record = make(storage)
    before = storage.fingerprint(f"app/{record.id}")
    assert before
    assert storage.fingerprint(f"app/{record.id}") == before
    change(Path(record.path))
    assert storage.fingerprint(f"app/{record.id}") != before
    assert {storage.fingerprint(path) for path in ("", "app/..", "app/none/x", "none")} == {""}


def test_a_listing_takes_few_calls_for_each_backup_that_is_known(storage: Counting) -> None:
    """Ten thousand of them are to be listed in a second; time would say nothing on a machine that is busy."""
    catalog = Catalog(storage)

    def calls() -> int:
        count = 0

        def count_call(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal count
            count += event == "call"

        catalog.listing(cached=True)
        sys.setprofile(count_call)
        try:
            catalog.listing(cached=True)
        finally:
            sys.setprofile(None)
        return count

    make(storage)
    make(storage)
    few = calls()
    for _ in range(4):
        make(storage)
    assert (calls() - few) / 4 <= 22
