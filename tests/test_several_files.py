"""`backup --all-databases` of a folder: a backup of each SQLite file, with one tag, of one moment where that can be."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
from support.commandline import PLAIN_USER, Shell

import holdfast
from holdfast.errors import PartialError, UsageError
from holdfast.tasks import backup_all_task, drill_task, verify_task

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield
        process.kill()


def make(path: Path, mode: str = "DELETE") -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t AS SELECT 1 AS x, hex(randomblob(3000)) AS y")


def test_one_bad_file_stops_no_other_and_is_named(shell: Shell) -> None:
    folder = shell.folder / "d"
    for name in ("a.db", "b.db", "broken.db", "secret.db"):
        make(folder / name)
    data = bytearray((folder / "broken.db").read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (folder / "broken.db").write_bytes(data)
    (folder / "secret.db").chmod(0)
    (folder / "gone.db").symlink_to("nowhere.db")
    (folder / "mail.db").write_bytes(b"Berkeley")
    (folder / "notes.txt").write_text("x")
    shell = Shell(folder=shell.folder, under=PLAIN_USER)
    ran = shell.run("backup", "sqlite:///d", "--all-databases", code=3)
    assert len(ran.stdout.split()) == 2
    for name, reason in (("broken", "damaged"), ("secret", "permission denied"), ("gone", "does not exist")):
        assert any(
            line.startswith("error: ") and f"{name}.db" in line and reason in line for line in ran.stderr.splitlines()
        )
    assert "warning: not backed up: d/mail.db (no SQLite database" in ran.stderr
    assert "5 SQLite databases in d/, and 1 other file" in ran.stderr
    assert "error: 3 of 5 backups failed" in ran.stderr
    assert {record["name"] for record in shell.listing()} == {"a", "b"}


def test_names_stay_the_same_from_run_to_run(shell: Shell) -> None:
    folder = shell.folder / "d"
    for name in ("app.db", "app.sqlite", "App.db"):
        make(folder / name)
    make(folder / "sub" / "app.db")
    for _ in range(2):
        shell.run("backup", "sqlite:///d/**", "--all-databases")
    names = [record["name"] for record in shell.listing()]
    assert len(set(names)) == 4
    assert all(names.count(name) == 2 for name in names)
    ran = shell.run("prune", "--keep-last", "1")
    assert len(shell.listing()) == 4, ran.stderr


def test_a_dry_run_lists_all_and_writes_nothing(shell: Shell) -> None:
    for name in ("a.db", "b.db"):
        make(shell.folder / "d" / name)
    ran = shell.run("backup", "sqlite:///d", "--all-databases", "-n", "--exclude", "b*")
    assert "as 'a'" in ran.stdout
    assert "as 'b'" not in ran.stdout
    assert not shell.store.exists()
    shell.fails(2, "backup", "sqlite:///d", "--all-databases", "--name", "x")
    shell.fails(10, "backup", "sqlite:///d", "--all-databases", "--select", "c*")
    shell.fails(15, "backup", "sqlite:///e", "--all-databases")


def test_the_manifests_say_which_backups_are_of_one_moment(shell: Shell) -> None:
    (shell.folder / "d").mkdir()
    paths = [shell.folder / "d" / name for name in ("app.db", "stock.sqlite", "busy.db")]
    for path, mode in zip(paths, ("WAL", "DELETE", "DELETE"), strict=True):
        make(path, mode)
    ran = shell.run("backup", "--all-databases", "sqlite:///d/", "--tag", "nightly")
    assert ran.stderr.splitlines()[-1].endswith(", all of one moment")
    assert "warning" not in ran.stderr
    tags = {tag for record in shell.listing() for tag in record["tags"]}
    assert len(tags) == 2
    (own,) = tags - {"nightly"}
    assert {point.get("moment") for point in points(shell)} == {own}
    assert {record["id"] for record in shell.run("list", "--tag", own, "--json").data} == set(ran.stdout.split())
    assert shell.run("list", "--tag", "set-none", "--json").data == []

    with locked(paths[2]):
        ran = shell.run("backup", "--all-databases", "sqlite:///d", "-o", "lock_timeout=0.3", "--json", code=3)
    warnings = [line["message"] for line in ran.lines if line["type"] == "warning"]
    assert warnings == [
        "1 of 3 databases are not of one moment with the others: sqlite:///d/busy.db (database is locked)"
    ]
    (error,) = [line for line in ran.lines if line["type"] == "error" and line["exit_code"] == 11]
    assert "busy.db" in error["message"]
    assert next(line["name"] for line in ran.lines if line["type"] == "backup") == "app"

    ran = shell.run("backup", "--all-databases", "sqlite:///d", "-o", "one_moment=false")
    assert "3 databases are backed up one after the other: together they are not one snapshot" in ran.stderr
    assert "moment" not in points(shell)[-1]


def points(shell: Shell) -> list[dict[str, object]]:
    manifests = [Path(record["path"]) / "backup_manifest.json" for record in shell.listing()]
    return [json.loads(path.read_text())["consistency_point"] for path in manifests]


def test_scripts_selections_and_drills_of_a_moment_are_as_of_a_single_file(shell: Shell) -> None:
    (shell.folder / "d").mkdir()
    for name, mode in (("a.db", "WAL"), ("b.db", "DELETE")):
        make(shell.folder / "d" / name, mode)
    for options in ([], ["-o", "format=sql"], ["-o", "method=backup"], ["--proof"]):
        ran = shell.run("backup", "--all-databases", "sqlite:///d/", *options)
        assert "all of one moment" in ran.stderr
        for backup in ran.stdout.split():
            assert shell.run("drill", backup).stdout.startswith("proven")
    assert [record.name for record in (shell.folder / "d").iterdir() if record.suffix != ".db"] == []


def test_a_program_gets_the_set_and_what_failed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("a.db", "b.db", "c.db"):
        make(tmp_path / "d" / name)

    def vanish(event: holdfast.Event) -> None:
        if event.type == "finished" and event.name == "a":
            (tmp_path / "d" / "b.db").unlink()

    url = f"sqlite:///{tmp_path}/d"
    options = {"one_moment": False}
    done = holdfast.backup_all(url, store=store, codec="none", tags=["mine"], on_event=vanish, options=options)
    assert [record.name for record in done.backups] == ["a", "c"]
    assert {record.tags for record in done.backups} == {tuple(sorted(("mine", done.tag)))}
    assert [failure.source_url for failure in done.failed] == [f"{url}/b.db"]
    assert not done.one_moment
    with pytest.raises(PartialError, match="1 of 3 backups failed"):
        done.raise_for_failures()

    pipeline = holdfast.Pipeline(source=url, store=store, select=["c*"])
    assert [record.name for record in pipeline.run_all().backups] == ["c"]
    both = holdfast.backup_all([f"{url}/a.db", f"{url}/c.db", f"{url}/a.db"], store=store)
    assert [record.name for record in both.backups] == ["a", "c"]
    assert both.one_moment
    assert both.tag != done.tag
    with pytest.raises(UsageError, match="name goes with one database"):
        holdfast.backup_all(url, store=store, name="x")
    with pytest.raises(UsageError, match="empty list"):
        holdfast.backup_all([], store=store)


def test_a_file_that_vanishes_once_it_is_held_is_backed_up_all_the_same(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        make(tmp_path / "d" / name)

    def vanish(event: holdfast.Event) -> None:
        if event.type == "finished" and event.name == "a":
            (tmp_path / "d" / "b.db").write_bytes(b"")

    done = holdfast.backup_all(f"sqlite:///{tmp_path}/d", store=tmp_path / "store", on_event=vanish)
    assert (len(done.backups), done.failed, done.one_moment) == (2, (), True)
    assert done.backups[1].size_bytes > 4096


def test_a_moment_whose_process_is_killed_leaves_its_backups_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.db", "b.db", "c.db"):
        make(tmp_path / "d" / name, "WAL")

    def kill(event: holdfast.Event) -> None:
        if event.type == "finished" and event.name == "a":
            for pid in Path("/proc/thread-self/children").read_text().split():
                os.kill(int(pid), 9)

    done = holdfast.backup_all(f"sqlite:///{tmp_path}/d", store=tmp_path / "store", on_event=kill)
    assert ([record.name for record in done.backups], done.failed) == (["a", "b", "c"], ())
    assert not done.one_moment
    assert all("not of one moment" in record.warnings[0] for record in done.backups[1:])
    assert "not let go of" in caplog.text
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["a.db", "b.db", "c.db"]


@pytest.mark.filterwarnings("ignore:resource_tracker")  # which an earlier test may have lost
def test_a_task_backs_up_a_folder_in_another_process(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        make(tmp_path / "d" / name)
    url, store = f"sqlite:///{tmp_path}/d/", str(tmp_path / "store")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = pool.submit(backup_all_task, url, store=store, tags=["nightly"]).result()
    assert json.loads(json.dumps(result)) == result
    assert (result["store"], result["one_moment"], result["failed"]) == (store, True, [])
    assert [verify_task(record)["state"] for record in result["backups"]] == ["verified", "verified"]
    assert drill_task(result["backups"][0])["passed"]
    os.truncate(tmp_path / "d" / "a.db", 100)
    with pytest.raises(PartialError, match=r"1 of 2 backups failed: .*a\.db") as raised:
        backup_all_task(url, store=store)
    assert "have the tag set-" in str(raised.value.hint)
