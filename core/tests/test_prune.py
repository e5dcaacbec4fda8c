"""Pruning, pinning, tagging and deleting in a store: what stays, what goes, and what is said about it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import Component, DatabaseURL, Engine, Facts, Kind, Storage, Stream
from holdfast.cli import run
from holdfast.errors import NotFoundError, UnsafeError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.databases import databases
from holdfast.operations.delete import delete
from holdfast.operations.labels import pin, tag
from holdfast.operations.listing import overdue
from holdfast.operations.prune import PruneResult, prune
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy
from holdfast.setup import Parts
from holdfast.store import findings, labels
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import Depth
from holdfast.store.labels import Act
from holdfast.store.removal import remove_backup

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Words(Engine):
    """An engine whose database is its own URL."""

    name = "words"
    capabilities: frozenset[Any] = frozenset()

    def dump(self, request: Any) -> Any:
        from contextlib import nullcontext

        class Session:
            streams = (Stream(name="words"),)

            def read(self, stream: Stream) -> list[bytes]:
                return [request.url.encode()]

            def proof(self) -> None:
                return None

            def facts(self) -> Facts:
                return Facts()

        return nullcontext(Session())

    def restore(self, request: Any) -> Any:
        raise NotImplementedError


class Shelf:
    """A store that is filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.registry = Registry()
        self.storage: Storage = self.registry.storage(str(folder))
        self.catalog = Catalog(self.storage)

    def add(self, name: str = "app", days: float = 0, *, state: str = "complete", tags: tuple[str, ...] = ()) -> str:
        plan = BackupPlan(source=f"words:///{name}", name=name, codec="none", tags=tags)
        parts = Parts(engine=Words(), storage=self.storage)
        record = backup(plan, registry=self.registry, parts=parts, at=NOW - timedelta(days=days))
        folder = f"{name}/{record.id}"
        if state == "proven":
            findings.record(self.storage, folder, depth=Depth.DRILL, problems=[], detail={})
        elif state == "damaged":
            findings.record(self.storage, folder, depth=Depth.STORED, problems=["bad"], detail={})
        return record.id

    def ids(self, name: str | None = None) -> list[str]:
        return [entry.id for entry in self.catalog.listing(name).entries]

    def find(self, backup_id: str) -> Entry:
        return self.catalog.find(backup_id)

    def prune(self, policy: Policy, **more: Any) -> PruneResult:
        return prune(policy, store=self.storage, registry=self.registry, **more)

    def delete(self, backup_id: str, **more: Any) -> None:
        delete(backup_id, store=self.storage, registry=self.registry, **more)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "holdfast", *arguments, "--store", str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "store")


def test_each_source_is_pruned_by_itself_and_the_newest_good_and_proven_stay(shelf: Shelf) -> None:
    proven = shelf.add("app", 40, state="proven")
    for days in (30, 20):
        shelf.add("app", days)
    newest = shelf.add("app", 10)
    broken = shelf.add("app", 5, state="damaged")
    alone = shelf.add("web", 400)
    result = shelf.prune(Policy(max_age_days=7), now=NOW)
    assert shelf.ids("app") == [proven, newest, broken]
    assert shelf.ids("web") == [alone]
    assert len(result.deleted) == 2
    assert [text.split(",")[0] for text in result.warnings] == [f"kept app/{newest}", f"kept web/{alone}"]
    # Until the next drill it is so every night, and nothing has to be done about it.
    assert [text.split(",")[0] for text in result.notes] == [f"kept app/{proven}"]
    assert shelf.prune(Policy(max_age_days=7), now=NOW).deleted == ()
    shelf.prune(Policy(max_age_days=7), names=["web"], allow_last=True, now=NOW)
    assert (shelf.ids("web"), len(shelf.ids("app"))) == ([], 3)
    assert not (shelf.path / "web").exists()


def test_a_dry_run_says_the_same_and_deletes_nothing(shelf: Shelf) -> None:
    for days in range(5):
        shelf.add("app", days)
    before = shelf.ids()
    planned = shelf.prune(Policy(keep_last=2), now=NOW, dry_run=True)
    assert shelf.ids() == before
    done = shelf.prune(Policy(keep_last=2), now=NOW)
    assert planned.choices == done.choices
    assert shelf.ids() == before[-2:]


def test_pins_and_tags_keep_a_backup_whatever_the_maxima(shelf: Shelf) -> None:
    pinned, tagged, later, plain = (
        shelf.add(days=9), shelf.add(days=8, tags=("gold",)), shelf.add(days=7), shelf.add(days=6)
    )  # fmt: skip
    newest = shelf.add(days=1)
    manifest = shelf.path / "app" / pinned / "backup_manifest.json"
    before = manifest.read_bytes()
    assert pin(shelf.catalog, shelf.find(pinned))
    assert not pin(shelf.catalog, shelf.find(pinned))
    assert tag(shelf.catalog, shelf.find(later), ["gold", "a b ü"]) == ("gold", "a b ü")
    policy = Policy(max_backups=1, keep_tags=("gold",))
    shelf.prune(policy, now=NOW)
    assert shelf.ids() == [pinned, tagged, later, newest]
    assert plain not in shelf.ids()
    assert manifest.read_bytes() == before
    with pytest.raises(UnsafeError, match="pinned"):
        shelf.delete(pinned, allow_last=True)
    assert pin(shelf.catalog, shelf.find(pinned), pinned=False)
    assert tag(shelf.catalog, shelf.find(tagged), ["gold"], remove=True) == ()
    shelf.prune(policy, now=NOW)
    assert shelf.ids() == [later, newest]


def test_the_newest_label_holds_also_when_the_clock_was_set_back(shelf: Shelf) -> None:
    entry = shelf.find(shelf.add())
    future = datetime.now(UTC) + timedelta(days=365)
    name = future.strftime("%Y%m%dT%H%M%S.%fZ") + "-pin.json"
    folder = shelf.path / entry.folder / "labels"
    folder.mkdir()
    (folder / name).write_text("{}")
    assert shelf.find(entry.id).pinned
    pin(shelf.catalog, shelf.find(entry.id), pinned=False)
    assert not shelf.find(entry.id).pinned


def test_files_that_are_no_labels_and_impossible_tags_are_left_aside(shelf: Shelf) -> None:
    entry = shelf.find(shelf.add())
    folder = shelf.path / entry.folder / "labels"
    folder.mkdir()
    for name in ("pin", "20261123T120000.000000Z-tag.json", "20261123T120000.000000Z-tag-zz.json",
                 "20261123T120000.000000Z-pin-61.json", "20261199T120000.000000Z-pin.json",
                 "20261123T120000.000000Z-tag-ff.json"):  # fmt: skip
        (folder / name).write_text("{}")
    assert (shelf.find(entry.id).pinned, shelf.find(entry.id).tags) == (False, ())
    for bad in ("", " x", "a\nb", "x" * 81):
        with pytest.raises(UsageError, match="not a tag"):
            tag(shelf.catalog, entry, [bad])


def test_a_label_for_a_backup_that_is_gone_leaves_nothing_behind(shelf: Shelf) -> None:
    entry = shelf.find(shelf.add())
    remove_backup(shelf.catalog, entry)
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        labels.record(shelf.storage, entry.folder, Act.PIN)
    assert not (shelf.path / entry.folder).exists()


def test_a_pin_set_after_the_decision_still_keeps_the_backup(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = shelf.add(days=3), shelf.add(days=1)
    reload = Catalog.reload

    def pinned_meanwhile(catalog: Catalog, entry: Entry) -> Entry | None:
        labels.record(shelf.storage, entry.folder, Act.PIN)
        return reload(catalog, entry)

    monkeypatch.setattr(Catalog, "reload", pinned_meanwhile)
    result = shelf.prune(Policy(max_backups=1), now=NOW)
    assert (result.deleted, shelf.ids()) == ((), [old, new])


@pytest.mark.parametrize("change", [{"format_version": 3}, None])
def test_a_backup_of_which_nothing_can_be_said_stays(
    change: dict[str, Any] | None, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = shelf.add(days=3, state="proven"), shelf.add(days=1)
    path = shelf.path / "app" / old / "backup_manifest.json"
    if change:
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    else:
        read = shelf.storage.read

        def refused(path: str, *where: int) -> bytes:
            if path.endswith(f"{old}/backup_manifest.json"):
                raise PermissionError(13, "Permission denied")
            return read(path, *where)

        monkeypatch.setattr(shelf.catalog.storage, "read", refused)
    result = shelf.prune(Policy(keep_last=1), now=NOW, allow_last=True)
    assert (result.deleted, shelf.ids()) == ((), [old, new])
    assert result.warnings[0].startswith(f"kept app/{old}: ")
    with pytest.raises(UnsafeError, match="it cannot be told whether it is good"):
        shelf.delete(old)
    shelf.delete(old, allow_last=True)
    assert shelf.ids() == [new]


def test_leftovers_are_removed_only_when_no_running_backup_can_own_them(shelf: Shelf) -> None:
    shelf.add()
    owned, left = "20261122T000000Z-aaaaaa", "20261122T000000Z-bbbbbb"
    for backup_id in (owned, left):
        folder = shelf.path / "app" / backup_id
        folder.mkdir()
        (folder / "words").write_text("half")
    with shelf.storage.lease(owned):
        assert shelf.prune(Policy(keep_last=9), dry_run=True).leftovers == (f"app/{left}",)
        assert (shelf.path / "app" / left).exists()
        assert shelf.prune(Policy(keep_last=9)).leftovers == (f"app/{left}",)
        assert (shelf.path / "app" / owned).exists()
        assert not (shelf.path / "app" / left).exists()
    assert shelf.prune(Policy(keep_last=9)).leftovers == (f"app/{owned}",)


def test_what_is_deleted_is_told_before_the_next_one_goes(shelf: Shelf) -> None:
    made = [shelf.add(days=days) for days in (4, 3, 2, 1)]
    told: list[tuple[str, list[str]]] = []
    shelf.prune(Policy(max_backups=2), now=NOW, on_choice=lambda choice: told.append((choice.id, shelf.ids())))
    assert told[0] == (made[0], made[1:])
    assert told[1] == (made[1], made[2:])


def test_a_deletion_that_fails_is_told_and_stops_no_other(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, newest = shelf.add(days=3), shelf.add(days=2), shelf.add(days=1)

    def refuse(catalog: Catalog, entry: Entry, **more: Any) -> None:
        if entry.id == first:
            raise PermissionError(13, "no")
        remove_backup(catalog, entry, **more)

    monkeypatch.setattr("holdfast.operations.prune.removal.remove_backup", refuse)
    result = shelf.prune(Policy(max_backups=1), now=NOW)
    assert [(choice.id, choice.failure) for choice in result.failed] == [(first, "permission denied")]
    assert [choice.id for choice in result.deleted] == [second]
    assert shelf.ids() == [first, newest]


def test_a_damaged_manifest_is_pruned_by_the_time_in_its_id_and_never_counts(shelf: Shelf) -> None:
    hurt, old, new = shelf.add(days=30), shelf.add(days=20), shelf.add(days=1)
    (shelf.path / "app" / hurt / "backup_manifest.json").write_text("{")
    shelf.prune(Policy(keep_last=3), now=NOW)
    assert shelf.ids() == [hurt, old, new]
    shelf.prune(Policy(keep_last=2), now=NOW)
    assert shelf.ids() == [old, new]


def test_an_empty_policy_and_an_unknown_source_are_refused(shelf: Shelf) -> None:
    shelf.add()
    for policy in (Policy(), Policy(keep_tags=("gold",))):
        with pytest.raises(UsageError, match="empty"):
            shelf.prune(policy)
    with pytest.raises(NotFoundError, match="there are: app"):
        shelf.prune(Policy(keep_last=1), names=["nope"])
    assert len(shelf.ids()) == 1


def test_a_source_is_overdue_unless_a_backup_that_is_still_proven_passed_a_drill_in_time(shelf: Shelf) -> None:
    shelf.add("fresh", 3, state="proven")
    never = shelf.add("never", 1)
    fallen = shelf.add("fallen", 2, state="proven")
    findings.record(shelf.storage, f"fallen/{fallen}", depth=Depth.DRILL, problems=["x"], detail={})
    entries = shelf.catalog.listing().entries
    late = overdue(entries, timedelta(days=7))
    newest = [(source.name, source.newest and source.newest.id) for source in late]
    assert newest == [("fallen", fallen), ("never", never)]
    assert len(overdue(entries, timedelta(days=7), now=datetime.now(UTC) + timedelta(days=8))) == 3


def test_the_commands_speak_json_and_exit_as_documented(shelf: Shelf) -> None:
    old, new = shelf.add(days=2), shelf.add(days=1)
    done = shelf.run("prune")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--keep-daily" in done.stderr
    lines = [json.loads(line) for line in shelf.run("prune", "--max-backups", "1", "-n", "--json").stdout.splitlines()]
    assert [(line["type"], line.get("id")) for line in lines] == [("keep", new), ("delete", old), ("plan", None)]
    assert lines[1]["reasons"] == ["beyond the newest 1"]
    assert "delete" in shelf.run("prune", "--max-backups", "1", "--dry-run").stdout
    assert shelf.run("pin", old).returncode == 0
    assert shelf.run("delete", old).returncode == 16
    assert json.loads(shelf.run("list", "--json").stdout)[0]["pinned"] is True
    assert shelf.run("unpin", old).returncode == 0
    done = shelf.run("tag", old, "gold", "--json")
    assert json.loads(done.stdout)["tags"] == ["gold"]
    assert shelf.run("prune", "--max-age-days", "0", "--max-age", "0d").returncode == 2
    done = shelf.run("prune", "--max-age", "0d")
    assert done.returncode == 0
    assert f"kept app/{new}, the newest good backup" in done.stderr
    assert shelf.ids() == [new]
    assert shelf.run("delete", new).returncode == 16
    done = shelf.run("list", "--unproven-for", "7d", "--json")
    assert (done.returncode, [backup["id"] for backup in json.loads(done.stdout)]) == (17, [new])
    findings.record(shelf.storage, f"app/{new}", depth=Depth.DRILL, problems=[], detail={})
    done = shelf.run("list", "--unproven-for", "7d", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert shelf.run("list", "--unproven-for", "soon").returncode == 2
    assert json.loads(shelf.run("list", "--state", "proven", "--json").stdout)[0]["proven_at"].endswith("Z")


def test_a_deletion_that_the_system_refuses_is_exit_3(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_catalog: Catalog, _entry: Entry, **_more: Any) -> None:
        raise PermissionError(13, "no")

    hurt = shelf.add(days=2)
    shelf.add(days=1)
    monkeypatch.setattr("holdfast.operations.prune.removal.remove_backup", refuse)
    assert run(["prune", "--max-backups", "1", "--store", str(shelf.path)]) == 3
    said = capsys.readouterr()
    assert f"FAILED  app/{hurt}  permission denied" in said.out
    assert "1 of 1 backups could not be deleted" in said.err


class Server:
    """An engine that lists databases."""

    def holdfast_components(self) -> list[Component]:
        return [Component(kind=Kind.ENGINE, name="srv")]

    def holdfast_databases(self, scheme: str, url: str) -> list[str]:
        host = DatabaseURL.parse(url).text().rstrip("/")
        return [f"{host}/{name}" for name in ("app", "app_test", "odd%2Fname")]


def test_all_databases_of_a_server_are_chosen_by_name() -> None:
    registry = Registry(plugins=[Server()])
    urls = databases("srv://me@host", registry=registry, exclude=["*_test"])
    assert urls == ["srv://me@host/app", "srv://me@host/odd%2Fname"]
    assert databases("srv://host", registry=registry, select=["odd/*"]) == ["srv://host/odd%2Fname"]
    with pytest.raises(NotFoundError, match="of 3 none fits"):
        databases("srv://me:pw@host", registry=registry, exclude=["*"])


@pytest.mark.parametrize("rules", [{"max_age": "7d"}, {"max_age": "7d", "keep_last": 10}, {"max_age_days": 0}])
def test_by_a_clock_that_is_ahead_of_every_backup_none_is_too_old(shelf: Shelf, rules: dict[str, Any]) -> None:
    """Nobody can tell it from days without a backup, after which nothing has to go either."""
    made = [shelf.add("app", days) for days in (9, 6, 3, 1)] + [shelf.add("web", days) for days in (8, 2)]
    for later in (30, 400):
        result = shelf.prune(Policy(**rules), now=NOW + timedelta(days=later))
        old = {made[0], made[4]} if rules != {"max_age_days": 0} else {*made} - {made[3], made[5]}
        assert {choice.id for choice in result.choices if not choice.keep} <= old
        assert shelf.ids("app")[-1] == made[3]
        assert [text for text in result.warnings if f"the newest backup of all is {later + 1}.0 days old" in text]
    assert shelf.prune(Policy(**rules), now=NOW).warnings == () or rules == {"max_age_days": 0}
    gone = shelf.prune(Policy(**rules), now=NOW + timedelta(days=30), allow_last=True)
    assert shelf.ids() == []
    assert gone.warnings == ()


@pytest.mark.parametrize("days", [-30, 30])
def test_the_clock_of_the_store_is_asked_too(shelf: Shelf, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a server, where the store is a share; whichever is behind makes nothing too old."""
    now = datetime.now(UTC)
    for name in ("app", "web"):
        for age in (9, 6, 3, 0):
            shelf.add(name, age - (now - NOW) / timedelta(days=1))
    told = datetime.now(UTC) + timedelta(days=days)
    fstat, stamp = os.fstat, int(told.timestamp())
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result([*fstat(file)[:8], stamp, stamp]))
    result = shelf.prune(Policy(max_age_days=7))
    said = f"and that of the store {told:%Y-%m-%d %H:%M}"
    assert [text for text in result.warnings if said in text and "see which is wrong" in text]
    assert len(result.deleted) == (0 if days < 0 else 2)
    monkeypatch.undo()
    assert shelf.prune(Policy(max_age_days=7)).warnings == ()
    assert sorted(path.name for path in shelf.path.iterdir() if path.is_file()) == ["holdfast.json"]
