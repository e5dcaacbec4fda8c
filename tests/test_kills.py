"""Killed at any moment, prune, delete and drill leave every listed backup restorable and nothing for ever behind."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import holdfast

# Forks a child for each moment: its n-th event that touches the system is its last. Imports are made once.
RUNNER = """
import json, os, shutil, signal, sys
from holdfast.cli import run
import holdfast.cli.delete, holdfast.cli.drill, holdfast.cli.prune, holdfast.functions, holdfast.policy, holdfast.proof
import holdfast.cli.copy, holdfast.operations.copy
import holdfast.operations.delete, holdfast.operations.drill, holdfast.operations.prune
import holdfast_sqlite.restore, holdfast_sqlite.scratch
holdfast.functions.installed()

template, work, stride, arguments = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
EVENTS = ("open", "os.", "shutil.", "fcntl.", "tempfile.", "sqlite3.", "pathlib.")
ended, moment, stores = None, 1, []
while ended is None:
    store = f"{work}/store-{moment}"
    shutil.copytree(template, store)
    child = os.fork()
    if child == 0:
        count = 0
        def hook(event, _arguments):
            global count
            if event.startswith(EVENTS):
                count += 1
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        os.environ["TMPDIR"] = f"{work}/tmp-{moment}"
        os.mkdir(os.environ["TMPDIR"])
        sys.addaudithook(hook)
        own = [store if word == "STORE" else word for word in arguments]
        os._exit(run(own if store in own else [*own, "--store", store]))
    status = os.waitpid(child, 0)[1]
    stores.append(store)
    if os.WIFEXITED(status):
        ended = os.WEXITSTATUS(status)
    moment += stride
print(json.dumps({"exit": ended, "stores": stores}))
"""


def content(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.execute("SELECT 'rows', count(*) FROM t"))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A store with three backups, of which the second is proven; every one holds a row more than the one before."""
    for _ in range(3):
        with closing(sqlite3.connect(tmp_path / "app.db")) as db:
            db.execute("CREATE TABLE IF NOT EXISTS t (x)")
            db.execute("INSERT INTO t VALUES (1)")
            db.commit()
        holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=str(tmp_path / "template"))
    second = holdfast.list_backups(str(tmp_path / "template"))[1]
    assert holdfast.drill(second, store=str(tmp_path / "template")).passed
    return tmp_path / "template"


@pytest.mark.sweep(2)
@pytest.mark.parametrize(
    ("command", "stride", "left"),
    [
        (("prune", "--max-age-days", "0"), 2, {1, 2}),  # the newest good and the newest proven one
        (("prune", "--max-age-days", "0", "--allow-last"), 3, set()),
        (("delete", "FIRST"), 2, {1, 2}),
        (("drill", "latest"), 3, {0, 1, 2}),
    ],
    ids=["prune", "prune --allow-last", "delete", "drill"],
)
def test_killed_at_any_moment_the_store_holds_only_backups_that_can_be_restored(
    template: Path, tmp_path: Path, command: tuple[str, ...], stride: int, left: set[int]
) -> None:
    ids = [record.id for record in holdfast.list_backups(str(template))]
    arguments = [ids[0] if word == "FIRST" else word for word in command]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(template), str(tmp_path), str(stride), *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["exit"] == 0
    assert len(report["stores"]) > 10
    seen = set()
    for number, store in enumerate(report["stores"]):
        records = holdfast.list_backups(store)
        seen.add(len(records))
        for record in records:
            assert record.state != "damaged"
            target = tmp_path / f"copy-{number}-{record.id}.db"
            holdfast.restore(record, f"sqlite:///{target}", store=store)
            assert content(target) == [("rows", ids.index(record.id) + 1)]
        assert {ids.index(record.id) for record in records} >= left
        # The next run finishes what was left undone.
        if command[0] == "drill":
            temporary = Path(store.replace("store-", "tmp-"))
            environment = {**os.environ, "TMPDIR": str(temporary)}
            if number % 5 == 0:
                subprocess.run([sys.executable, "-m", "holdfast", "-q", "drill", "latest", "--store", store],
                               check=True, env=environment, capture_output=True)  # fmt: skip
                assert list(temporary.iterdir()) == []
        else:
            holdfast.prune(store, keep_last=99)
            folders = {path.name for path in Path(store).glob("app/*") if path.is_dir()}
            assert folders == {record.id for record in records}
            assert list(Path(store).glob("app/*")) or not Path(store, "app").exists()
        shutil.rmtree(store)
    assert min(seen) == len(left)
    assert max(seen) == 3


def test_a_copy_that_is_killed_at_any_moment_lists_whole_backups_and_is_gone_on_with(
    template: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(tmp_path / "empty"), str(tmp_path), "4", "copy", str(template), "STORE"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["exit"] == 0
    assert len(report["stores"]) > 20
    whole = {record.id: record.stored_bytes for record in holdfast.list_backups(str(template))}
    resumed = set()
    for store in report["stores"]:
        records = holdfast.list_backups(store) if Path(store, "holdfast.json").exists() else []
        for record in records:
            left, right = (Path(place, "app", record.id) for place in (template, store))
            assert all((right / path.relative_to(left)).read_bytes() == path.read_bytes() for path in _travelling(left))
        again = holdfast.copy(store=str(template), to=store)
        again.raise_for_failures()
        assert {copy.id for copy in again.copies if not copy.copied} == {record.id for record in records}
        resumed |= {copy.stored_bytes < whole[copy.id] for copy in again.copies if copy.copied}
        assert [result.passed for result in holdfast.verify(store=store)] == [True] * 3
        before = {record.id for record in records}
        assert {path.parts[-2] for path in Path(store).glob("app/2*/.*")} <= before  # the rest of its manifest's writer
        assert holdfast.list_backups(store)[1].state == "proven"
        shutil.rmtree(store)
    assert resumed == {True, False}  # what had arrived of a backup was not copied again


def _travelling(folder: Path) -> list[Path]:
    """The files of a backup that a copy has too: all but what checks of the disk found."""
    return [path for path in folder.rglob("*") if path.is_file() and "-stored-" not in path.name]
