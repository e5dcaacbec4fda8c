"""Claims: ids that nobody else has, and names that stay with their source."""

import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import Event, EventType, Source
from holdfast.errors import IntegrityError, LockedError, UnsafeError, UsageError
from holdfast.host import Host, this_host
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.record import Backup
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.claims import claim_name, new_backup
from holdfast.store.folder import FolderStorage
from holdfast.store.origin import Origin
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

HERE = Host(name="here", id="1")
APP = Origin.of(Source(name="app", identity="app"), HERE)
OTHER = Origin.of(Source(name="app", identity="other"), HERE)
FILE = Source(name="app", identity="/srv/app.db", local=True)


def make(storage: Any, *, identity: str = "app", warnings: list[str] | None = None, **plan: Any) -> Backup:
    engine = MemoryEngine(identity=identity)
    parts = Parts(engine=engine, storage=storage)

    def watch(event: Event) -> None:
        if event.type == EventType.WARNING and warnings is not None:
            warnings.append(event.message)

    return backup(BackupPlan(source=URL, codec="none", **plan), registry=memory_registry(), parts=parts, on_event=watch)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(str(tmp_path / "store"))


@pytest.fixture
def catalog(storage: FolderStorage) -> Catalog:
    return Catalog(storage)


def claim(catalog: Catalog, origin: Origin, name: str = "app", **more: bool) -> str:
    return claim_name(catalog, origin, name=name, **{"explicit": False, "adopt": False, **more}).name


def on(name: str, machine: str = "") -> Origin:
    """The file as another host has it, with the same path."""
    return Origin.of(FILE, Host(name=name, id=machine))


@pytest.fixture
def memory() -> Catalog:
    return Catalog(MemoryStorage())


def test_a_source_keeps_its_name(memory: Catalog) -> None:
    assert claim(memory, APP) == claim(memory, APP) == claim(memory, APP, explicit=True) == "app"


def test_a_name_that_differs_from_the_derived_one_is_told_once(storage: FolderStorage) -> None:
    """A database that was moved, or is in a container now, looks like another one."""
    make(storage)
    warnings: list[str] = []
    name = make(storage, identity="moved", warnings=warnings).name
    (told,) = warnings
    assert f"get the name '{name}'" in told
    assert told.endswith("use --name app --adopt")
    assert make(storage, identity="moved", warnings=warnings).name == name
    assert make(storage, identity="moved", warnings=warnings, name="app", adopt=True).name == "app"
    assert warnings == [told]


def test_a_derived_name_of_another_source_gets_six_digits(memory: Catalog) -> None:
    claim(memory, APP)
    other = claim(memory, OTHER)
    assert other.startswith("app-")
    assert len(other) == len("app-") + 6
    assert claim(memory, OTHER) == other


def test_an_explicit_name_of_another_source_is_refused_unless_it_is_adopted(memory: Catalog) -> None:
    claim(memory, APP, explicit=True)
    with pytest.raises(UnsafeError, match="belongs to the backups of another database") as caught:
        claim(memory, OTHER, explicit=True)
    assert "--adopt" in (caught.value.hint or "")
    assert claim(memory, OTHER, explicit=True, adopt=True) == "app"
    with pytest.raises(UnsafeError):
        claim(memory, APP, explicit=True)


def test_a_name_without_a_claim_belongs_to_its_newest_backup(memory: Catalog) -> None:
    make(memory.storage)
    memory.storage.delete("app/source.json")
    assert claim(memory, OTHER) != "app"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"identity"', b"{}"])
def test_a_damaged_claim_is_an_integrity_error(memory: Catalog, data: bytes) -> None:
    memory.storage.objects["app/source.json"] = data  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match=r"app/source\.json"):
        claim(memory, APP)


def numbered(number: int) -> Origin:
    return Origin.of(Source(name="app", identity=str(number)), HERE)


def test_of_many_sources_that_claim_a_name_at_once_each_gets_its_own(storage: FolderStorage) -> None:
    start = threading.Barrier(6)
    names: dict[int, str] = {}

    def work(number: int) -> None:
        start.wait()
        names[number] = claim(Catalog(FolderStorage(storage.root)), numbered(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names.values())) == 6
    assert "app" in names.values()
    again = {number: claim(Catalog(storage), numbered(number)) for number in range(6)}
    assert again == names


# --- hosts ---


def test_files_of_the_same_path_on_two_hosts_are_two_sources(memory: Catalog) -> None:
    assert claim(memory, on("one")) == "app"
    assert claim(memory, on("two")) == "app-two"
    assert [claim(memory, on(name)) for name in ("one", "two", "one")] == ["app", "app-two", "app"]
    assert json.loads(memory.storage.read("app-two/source.json"))["host"] == {"name": "two", "id": ""}


def test_two_machines_of_one_name_are_two_hosts(memory: Catalog) -> None:
    assert claim(memory, on("debian", "a" * 16)) == "app"
    other = claim(memory, on("debian", "b" * 16))
    assert other != "app"
    assert claim(memory, on("debian", "b" * 16)) == other
    assert claim(memory, on("debian", "a" * 16)) == "app"


def test_a_host_that_is_named_later_is_the_one_it_was(memory: Catalog) -> None:
    claim(memory, on("web1", "a" * 16))
    assert claim(memory, on("web1")) == "app"


def test_a_name_that_another_host_has_chosen_is_refused_unless_it_is_adopted(memory: Catalog) -> None:
    claim(memory, on("one"), explicit=True)
    with pytest.raises(UnsafeError, match="this path on host 'one', and this is host 'two'") as caught:
        claim(memory, on("two"), explicit=True)
    assert "HOLDFAST_HOST" in (caught.value.hint or "")
    assert claim(memory, on("two"), explicit=True, adopt=True) == "app"
    assert claim(memory, on("two")) == "app"
    assert claim(memory, on("one")) != "app"


@pytest.mark.parametrize("name", ["3f2a9c0d11be", "nightly-7d9f8c6b5d-x8x2z"])
def test_a_container_that_has_another_name_now_is_told_instead_of_getting_a_new_source(
    memory: Catalog, name: str
) -> None:
    """Night after night a new source would hold one backup each, and no policy would ever delete any."""
    claim(memory, on("0123456789ab"))
    with pytest.raises(UnsafeError, match="on host '0123456789ab'"):
        claim(memory, on(name))
    assert claim(memory, on("web1"), adopt=True) == claim(memory, on("web1")) == "app"


def test_a_claim_of_an_older_store_goes_to_the_first_host_that_comes(memory: Catalog) -> None:
    digest = on("one").identity
    memory.storage.objects["app/source.json"] = b'{"identity": "%s"}\n' % digest.encode()  # type: ignore[attr-defined]
    assert claim(memory, on("0123456789ab")) == "app"  # a name that passes binds nothing
    assert claim(memory, on("one")) == "app"
    assert claim(memory, on("two")) == "app-two"
    assert claim(memory, on("one")) == "app"


def test_a_database_of_a_server_is_the_same_from_everywhere(memory: Catalog) -> None:
    source = Source(name="app", identity="10.0.0.5:5432/app")
    assert {claim(memory, Origin.of(source, Host(name=name))) for name in ("one", "two")} == {"app"}
    assert list(json.loads(memory.storage.read("app/source.json"))) == ["identity"]


def test_a_host_is_what_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOST", "web2")
    assert this_host("web1") == Host(name="web1")
    assert this_host() == Host(name="web2")
    monkeypatch.delenv("HOLDFAST_HOST")
    assert this_host().name == socket.gethostname()
    monkeypatch.setenv("HOLDFAST_HOST", "")
    assert this_host().name == socket.gethostname()
    for wrong in ("web 1", ""):
        with pytest.raises(UsageError, match="not a name of a host"):
            this_host(wrong)


# --- beginning, deleting, sweeping ---


def test_ids_begun_at_once_are_distinct_and_leased(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["20261124T200000Z-aaaaaa"] * 3 + ["20261124T200000Z-bbbbbb"])
    monkeypatch.setattr("holdfast.store.claims.new_id", lambda _moment: (next(ids), None))
    with new_backup(catalog) as (first, _), new_backup(catalog) as (second, _):
        assert (first, second) == ("20261124T200000Z-aaaaaa", "20261124T200000Z-bbbbbb")
        with pytest.raises(LockedError), catalog.storage.lease(first):
            pass


def test_of_one_moment_of_the_past_there_may_be_many_backups(catalog: Catalog) -> None:
    """As of files of another system, whose times are full seconds: an id has two digits of chance."""
    at = datetime(2020, 1, 1, tzinfo=UTC)
    storage = catalog.storage
    for first in "0123456789abcdefghijklmnopqrstuvwxyz":
        for second in "0123456789abcdefghijklmnopqrstuvwx":  # all but two of each 36
            with storage.writer(f"app/20200101T000000Z-0000{first}{second}/data") as writer:
                writer.write(b"")
    for _ in range(30):
        with new_backup(catalog, at) as (backup_id, created_at):
            assert backup_id[-1] in "yz"
            assert created_at == at


def test_a_claim_says_nothing_but_a_digest(storage: FolderStorage) -> None:
    make(storage, identity="/secret/path")
    data = json.loads(storage.read("app/source.json"))
    assert list(data) == ["identity"]
    assert len(data["identity"]) == 64


def test_a_source_that_got_another_name_keeps_it_when_the_wanted_name_is_free_again(catalog: Catalog) -> None:
    """Else its backups would lie under two names, each with retention of its own."""
    make(catalog.storage, identity="first")
    name = make(catalog.storage, identity="second").name
    assert name != "app"
    catalog.storage.rename("app", "shop")  # type: ignore[attr-defined]
    assert make(catalog.storage, identity="second").name == name
    claim(catalog, on("one"), "file")
    assert claim(catalog, on("two"), "file") == "file-two"
    catalog.storage.delete("file/source.json")
    assert claim(catalog, on("two"), "file") == "file-two"
    assert claim(catalog, on("three"), "file") == "file"


def test_who_has_another_name_is_found_without_a_look_through_the_store(
    memory: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every night, and of an object store a look at all that it holds."""
    claim(memory, APP)
    name = claim(memory, OTHER)
    looked: list[str] = []
    real = memory.storage.list

    def listed(prefix: str = "") -> Any:
        looked.append(prefix)
        return real(prefix)

    monkeypatch.setattr(memory.storage, "list", listed)
    assert claim(memory, OTHER) == name
    assert "" not in looked
