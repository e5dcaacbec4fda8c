"""Removal: what goes with a backup, what a killed run left, and that concurrent runs do not disturb each other."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import Source
from holdfast.host import Host
from holdfast.operations.backup import backup
from holdfast.operations.prune import prune
from holdfast.plan import BackupPlan
from holdfast.policy import Policy
from holdfast.record import Backup
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.claims import claim_name
from holdfast.store.findings import Depth, State, record
from holdfast.store.folder import FolderStorage
from holdfast.store.origin import Origin
from holdfast.store.removal import remove_backup, sweep
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

OTHER = Origin.of(Source(name="app", identity="other"), Host(name="here"))


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


def test_deleting_removes_the_manifest_first_and_everything_with_it() -> None:
    storage = MemoryStorage()
    made = make(storage)
    record(storage, f"app/{made.id}", depth=Depth.STORED, problems=[], detail={})
    storage.trace.clear()
    remove_backup(Catalog(storage), Catalog(storage).find(made.id))
    assert storage.trace[:2] == ["deleted backup_manifest.json", "barrier"]
    assert (storage.trace.count("barrier"), storage.trace[-1]) == (2, "barrier")
    assert set(storage.objects) == {"holdfast.json"}


def test_deleting_one_of_two_keeps_the_other_and_the_name(catalog: Catalog, storage: FolderStorage) -> None:
    first, second = make(storage), make(storage)
    remove_backup(catalog, catalog.find(first.id))
    assert [entry.id for entry in catalog.listing().entries] == [second.id]
    assert claim_name(catalog, OTHER, name="app", explicit=False, adopt=False).name != "app"


def test_a_sweep_leaves_running_backups_and_whole_ones_alone(catalog: Catalog, storage: FolderStorage) -> None:
    whole, running, killed = make(storage), make(storage), make(storage)
    for made in (running, killed):
        os.unlink(f"{made.path}/backup_manifest.json")
    with storage.lease(running.id):
        assert sweep(catalog, "app") == [f"app/{killed.id}"]
    assert {entry.id for entry in catalog.listing().entries} == {whole.id}
    assert catalog.listing().leftovers == (f"app/{running.id}",)


def test_a_leftover_that_cannot_be_removed_does_not_stop_the_next_backup(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = MemoryStorage()
    killed = make(storage)
    del storage.objects[f"app/{killed.id}/backup_manifest.json"]

    def delete(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(storage, "delete", delete)
    made = make(storage)
    assert "could not remove unfinished" in caplog.text
    assert [entry.id for entry in Catalog(storage).listing().entries] == [made.id]


# --- processes ---


PROCESS = """
import sys
from holdfast.testing.memory import MemoryEngine, URL, memory_registry
from holdfast.operations.backup import backup
from holdfast.setup import Parts
from holdfast.host import Host
from holdfast.operations.prune import prune
from holdfast.plan import BackupPlan
from holdfast.policy import Policy

store, identity, behaviour = sys.argv[1:]

def chunks():
    print("reading", flush=True)
    if behaviour != "at once":
        sys.stdin.readline()
    yield b"x" * 3_000_000

engine = MemoryEngine(streams={"data": chunks}, identity=identity)
plan = BackupPlan(source=URL, store=store, codec="none")
print(backup(plan, registry=memory_registry(), parts=Parts(engine=engine)).id, flush=True)
"""


def start(storage: FolderStorage, identity: str, behaviour: str) -> "subprocess.Popen[str]":
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(os.path.isdir, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, storage.root, identity, behaviour],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_back_up_at_the_same_time_do_not_disturb_each_other(
    catalog: Catalog, storage: FolderStorage
) -> None:
    processes = [start(storage, identity, "wait") for identity in ("one", "one", "two")]
    assert [said(process) for process in processes] == ["reading"] * 3
    assert make(storage, identity="one").name in ("app", catalog.listing().entries[0].name)  # sweeps beside them
    ids = {process.communicate("go\n")[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    listing = catalog.listing()
    assert ids < {entry.id for entry in listing.entries}
    assert listing.leftovers == ()
    assert all(entry.state is State.COMPLETE for entry in listing.entries)
    owners = {(entry.name, entry.manifest.source.identity) for entry in listing.entries if entry.manifest}
    assert len(owners) == len(dict(owners)) == 2


def test_what_a_killed_process_leaves_is_no_backup_and_is_removed_by_the_next_one(
    catalog: Catalog, storage: FolderStorage
) -> None:
    process = start(storage, "app", "wait")
    assert said(process) == "reading"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (leftover,) = catalog.listing().leftovers
    assert catalog.listing().entries == ()
    made = make(storage)
    assert catalog.listing().leftovers == ()
    assert [entry.id for entry in catalog.listing().entries] == [made.id]
    assert not os.path.exists(f"{storage.root}/{leftover}")


def test_what_a_killed_run_was_writing_goes_wherever_it_lies(storage: FolderStorage) -> None:
    """Of the mark of the store, a claim, a finding; not of a source that another prune is for, nor while it is held."""
    first, second = make(storage), make(storage)
    other = make(storage, identity="b", name="b")
    dead = [".partial-1", "app/.partial-2", f"app/{first.id}/findings/.partial-3", f"app/{first.id}/.partial-4"]
    busy = [f"app/{second.id}/.partial-5", "b/.partial-6", "unknown/.partial-7"]
    root = Path(storage.root)
    for path in (*dead, *busy):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"half")

    def left(**more: Any) -> list[str]:
        prune(Policy(keep_last=5), store=storage, registry=memory_registry(), **more)
        return [path for path in (*dead, *busy) if (root / path).exists()]

    with FolderStorage(storage.root).lease(second.id):
        assert left(names=["app"], dry_run=True) == [*dead, *busy]
        assert left(names=["app"]) == busy
    assert left() == busy[2:]
    assert {entry.id for entry in Catalog(storage).listing().entries} == {first.id, second.id, other.id}
