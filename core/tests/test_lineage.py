"""Backups of two databases that somebody has put under one name, and those of a wrong clock: none hides another."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.api import DumpRequest, Event, EventType, Source
from holdfast.errors import OverdueError, UnsafeError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.delete import delete
from holdfast.operations.listing import list_store
from holdfast.operations.prune import prune
from holdfast.operations.restore import restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.policy import Policy
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.folder import FolderStorage
from holdfast.testing.memory import URL, MemoryDump, MemoryEngine, memory_registry

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


class FileEngine(MemoryEngine):
    """An engine whose databases are files of a host."""

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[MemoryDump]:
        """Open a dump of a file at `identity`."""
        with super().dump(request) as session:
            session.source = Source(name="app", identity=self.identity, local=True)
            yield session


def make(
    store: Path, host: str, days: float, *, path: str = "/srv/app.db", at: datetime | None = None, **more: Any
) -> str:
    parts = Parts(engine=FileEngine(identity=path), storage=FolderStorage(str(store)))
    plan = BackupPlan(source=URL, codec="none", host=host, **more)
    return backup(plan, registry=memory_registry(), parts=parts, at=at or NOW - days * DAY).id


def pruned(store: Path, **rules: Any) -> tuple[set[str], tuple[str, ...]]:
    done = prune(Policy(**rules), store=str(store), registry=memory_registry())
    return {choice.id for choice in done.deleted}, done.warnings


def ids(store: Path) -> list[str]:
    return [entry.id for entry in Catalog(FolderStorage(str(store))).listing().entries]


@pytest.fixture
def gathered(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A store into which those of two hosts were copied, and the backups of either, oldest first."""
    first = [make(tmp_path / "1", "one", days) for days in (6, 4, 2)]
    second = [make(tmp_path / "2", "two", days) for days in (5, 3, 1)]
    for number in ("1", "2"):
        shutil.copytree(tmp_path / number, tmp_path / "both", dirs_exist_ok=True)
    return tmp_path / "both", first, second


def test_neither_host_loses_its_newest_backups_to_the_other(gathered: tuple[Path, list[str], list[str]]) -> None:
    store, first, second = gathered
    deleted, warnings = pruned(store, keep_last=1)
    assert deleted == {*first[:2], *second[:2]}
    assert "'app' holds backups of 2 databases" in warnings[0]
    assert "on host 'one'" in warnings[0]
    for last in (first[-1], second[-1]):
        with pytest.raises(UnsafeError, match="the newest good backup"):
            delete(last, store=str(store), registry=memory_registry())


def test_the_latest_of_the_other_host_is_taken_for_none(gathered: tuple[Path, list[str], list[str]]) -> None:
    store, first, second = gathered
    for reference in ("latest", "app/latest"):
        with pytest.raises(UsageError, match=f"{first[-1]} of .* on host 'one'; {second[-1]} of .* on host 'two'"):
            Catalog(FolderStorage(str(store))).find(reference)
    assert Catalog(FolderStorage(str(store))).find(first[0]).good


def test_a_host_that_has_stopped_is_not_hidden_by_the_other(gathered: tuple[Path, list[str], list[str]]) -> None:
    store, _, _ = gathered
    listed = list_store(store=str(store), registry=memory_registry(), older_than=1.5 * DAY)
    assert [source.name for source in listed.overdue] == ["app"]
    assert "on host 'two'" in listed.warnings[0]
    assert not list_store(store=str(store), registry=memory_registry(), older_than=3 * DAY).overdue


def test_two_hosts_one_after_the_other_are_two_all_the_same(tmp_path: Path) -> None:
    old, new = make(tmp_path / "1", "one", 9), make(tmp_path / "2", "two", 1)
    for number in ("1", "2"):
        shutil.copytree(tmp_path / number, tmp_path / "both", dirs_exist_ok=True)
    assert pruned(tmp_path / "both", keep_last=1)[0] == set()
    with pytest.raises(UsageError, match=f"{old} of .*{new} of "):
        Catalog(FolderStorage(str(tmp_path / "both"))).find("latest")


class ServerEngine(MemoryEngine):
    """An engine whose databases are those of a server, as `place` says: its address and how far its history is."""

    place: tuple[str, tuple[int, ...]] = ("", ())

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[MemoryDump]:
        """Open a dump."""
        with super().dump(request) as session:
            address, position = self.place
            session.source = Source(name="app", identity="system 1", address=address, position=position)
            yield session


def serve(store: Path, days: float, address: str, *position: int, host: str = "one") -> str:
    engine = ServerEngine()
    engine.place = address, position
    plan = BackupPlan(source=URL, codec="none", host=host)
    parts = Parts(engine=engine, storage=FolderStorage(str(store)))
    return backup(plan, registry=memory_registry(), parts=parts, at=NOW - days * DAY).id


def test_a_copy_of_a_server_that_goes_on_by_itself_takes_no_backup_from_the_original(tmp_path: Path) -> None:
    """As a test system made from the files of production, whose identity is the same."""
    ours = [serve(tmp_path, 6, "db1:5432", 1, 100), serve(tmp_path, 4, "db1:5432", 1, 120)]
    copies = [serve(tmp_path, 5, "test:5432", 2, 90), serve(tmp_path, 3, "test:5432", 2, 130)]
    with pytest.raises(UsageError, match=f"'latest' is ambiguous.*{ours[1]} of .* at db1:5432; {copies[1]} of"):
        Catalog(FolderStorage(str(tmp_path))).find("latest")
    deleted, warnings = pruned(tmp_path, keep_last=1)
    assert deleted == {ours[0], copies[0]}
    assert "one server is a copy of another" in warnings[0]


def test_two_servers_behind_a_tunnel_in_turn_are_told_apart_before_either_loses_a_backup(tmp_path: Path) -> None:
    """As MySQL tells them, by an id of the server and how many transactions it has seen."""
    ours = [serve(tmp_path, 6, "server a", 1000)]
    theirs = [serve(tmp_path, 5, "server b", 20)]
    assert pruned(tmp_path, keep_last=1)[0] == set()
    ours.append(serve(tmp_path, 4, "server a", 1010))
    theirs.append(serve(tmp_path, 3, "server b", 2000))
    deleted, warnings = pruned(tmp_path, keep_last=1)
    assert deleted == {ours[0], theirs[0]}
    assert "at server a" in warnings[0]


def test_copies_on_two_hosts_are_told_by_the_host_where_their_urls_name_none(tmp_path: Path) -> None:
    ours = [serve(tmp_path, 3, ":5432", 1, 100), serve(tmp_path, 1, ":5432", 1, 120)]
    copy = serve(tmp_path, 2, ":5432", 1, 150, host="two")
    assert pruned(tmp_path, keep_last=1)[0] == {ours[0]}
    assert copy in ids(tmp_path)


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(("db2:5432", 2, 130), id="failover"),
        pytest.param(("db2:5432",), id="standby"),
        pytest.param(("db1:5432", 1, 80), id="restored in place"),
        pytest.param(("db2:5432", 1, 130), id="moved"),
    ],
)
def test_a_server_that_goes_on_elsewhere_is_the_same(tmp_path: Path, last: tuple[Any, ...]) -> None:
    old = [serve(tmp_path, 4, "db1:5432", 1, 100), serve(tmp_path, 3, "db1:5432", 1, 120)]
    new = [serve(tmp_path, 2, *last), serve(tmp_path, 1, *last)]
    assert pruned(tmp_path, keep_last=1) == ({*old, new[0]}, ())


def test_an_adopted_database_is_one_with_its_successor(tmp_path: Path) -> None:
    old = make(tmp_path, "one", 3)
    middle = make(tmp_path, "two", 2, name="app", adopt=True)
    new = make(tmp_path, "two", 1, path="/new/app.db", name="app", adopt=True)
    assert Catalog(FolderStorage(str(tmp_path))).find("latest").id == new
    assert pruned(tmp_path, keep_last=1) == ({old, middle}, ())


def test_what_is_beside_each_other_becomes_one_by_adoption(gathered: tuple[Path, list[str], list[str]]) -> None:
    store, first, second = gathered
    last = make(store, "two", 0, name="app", adopt=True)
    assert Catalog(FolderStorage(str(store))).find("latest").id == last
    assert pruned(store, keep_last=1) == ({*first, *second}, ())


def test_an_adoption_of_an_older_version_keeps_more_and_is_still_the_latest(tmp_path: Path) -> None:
    """It wrote down only who the owner is."""
    old = make(tmp_path, "one", 2)
    new = make(tmp_path, "one", 1, path="/new/app.db", name="app", adopt=True)
    claim = tmp_path / "app" / "source.json"
    known = msgspec.json.decode(claim.read_bytes())
    del known["adopted"]
    claim.write_bytes(msgspec.json.encode(known))
    assert Catalog(FolderStorage(str(tmp_path))).find("latest").id == new
    deleted, warnings = pruned(tmp_path, keep_last=1)
    assert deleted == set()
    assert "--name app --adopt" in warnings[0]
    make(tmp_path, "one", 0, path="/new/app.db", name="app", adopt=True)
    assert pruned(tmp_path, keep_last=1) == ({old, new}, ())


def test_a_backup_of_a_clock_that_was_ahead_is_said_and_hides_no_other(tmp_path: Path) -> None:
    ahead = make(tmp_path, "one", 0, at=NOW.replace(year=NOW.year + 20))
    heard: list[str] = []

    def hear(event: Event) -> None:
        if event.type is EventType.WARNING:
            heard.append(event.message)

    engine = FileEngine(identity="/srv/app.db")
    parts = Parts(engine=engine, storage=FolderStorage(str(tmp_path)))
    made = backup(
        BackupPlan(source=URL, codec="none", host="one"), registry=memory_registry(), parts=parts, on_event=hear
    )
    assert f"{ahead}, the newest backup until now, is later than this clock" in heard[-1]
    restore(
        RestorePlan(backup="latest", target=URL, store=str(tmp_path), replace=True),
        registry=memory_registry(),
        engine=engine,
        on_event=hear,
    )
    assert f"app/{ahead}, the latest, is later than this clock" in heard[-1]
    deleted, warnings = pruned(tmp_path, keep_within="30d")
    assert deleted == set()
    assert f"kept app/{ahead}, which is later than this clock" in warnings[0]
    assert made.id in ids(tmp_path)


def test_a_time_that_is_still_to_come_is_no_proof_of_a_recent_backup(tmp_path: Path) -> None:
    make(tmp_path, "one", 0, at=NOW.replace(year=2099))
    listed = list_store(store=str(tmp_path), registry=memory_registry(), older_than=DAY)
    with pytest.raises(OverdueError, match=r"app \(2099-.*, which is later than this clock\)"):
        listed.raise_for_overdue("1d")
    make(tmp_path, "one", 0.5)
    assert not list_store(store=str(tmp_path), registry=memory_registry(), older_than=DAY).overdue
