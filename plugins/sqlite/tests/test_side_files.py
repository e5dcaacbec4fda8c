"""Whatever ends a backup, nothing that it has made stays beside its source."""

import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import crash, powerless

import holdfast
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.session import Child

# Opens the source, says so with the process id of the child, and waits.
_PARENT = """
import pathlib, sys
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.session import Child
task, path, scratch = sys.argv[1:]
options = {"uri": sqlite_uri(path, "ro"), "lock_timeout": 1}
if task == "dump":
    options |= {"path": path, "method": "auto", "format": "image", "load_extension": (), "select": (), "exclude": ()}
    options |= {"check": True, "proof": None, "allow_damaged": False, "copied": False}
elif task == "hold":
    options |= {"path": path, "uri": sqlite_uri(path, "rw")}
else:
    options |= {"paths": [path], "uris": [options["uri"]]}
child = Child(task, scratch=pathlib.Path(scratch), **options)
child.receive()
print(child.pid, flush=True)
sys.stdin.read()
"""

# Backs up as the first process of a container may: one that whatever is left behind falls to, and that waits for none.
_FIRST_PROCESS = """
import ctypes, os, sys, holdfast
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
url, store = sys.argv[1:]
holdfast.backup(url, store=store)
holdfast.restore("latest", f"{url}.copy", store=store)
holdfast.restore("latest", f"{url}.copy", store=store, replace=True)
try:
    print("left:", os.waitpid(-1, 0))
except ChildProcessError:
    print("none")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    path = tmp_path / "place" / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t AS SELECT randomblob(1000000) AS x")
    return path


def names(source: Path) -> list[str]:
    return sorted(path.name for path in source.parent.iterdir())


def wait_until_alone(source: Path) -> None:
    """Wait until nobody has the source open and nothing lies beside it; ten seconds at most."""
    deadline = time.monotonic() + 10
    while names(source) != ["app.db"] and time.monotonic() < deadline:
        os.sched_yield()
    assert names(source) == ["app.db"]


@contextmanager
def parent(task: str, source: Path, scratch: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A backup that has opened its source, and its child process."""
    command = [sys.executable, "-c", _PARENT, task, str(source), str(scratch)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process, child
        process.kill()


@contextmanager
def wait_for_watcher(child: int) -> Iterator[int]:
    """The process that watches over the files of a child, whose end is waited for: ten seconds at most."""
    (number,) = map(int, Path(f"/proc/{child}/task/{child}/children").read_text().split())
    with open(os.pidfd_open(number), "rb") as watcher:
        yield number
        assert select.select([watcher], [], [], 10)[0]


@pytest.mark.parametrize("task", ["dump", "moment"])
@pytest.mark.parametrize("victims", ["parent", "child", "child and parent", "parent and child"])
def test_a_backup_that_is_killed_leaves_nothing_beside_its_source(
    source: Path, tmp_path: Path, task: str, victims: str
) -> None:
    with parent(task, source, tmp_path) as (process, child):
        assert names(source) == ["app.db", "app.db-shm", "app.db-wal"]
        for victim in victims.split(" and "):
            os.kill(child if victim == "child" else process.pid, signal.SIGKILL)
        wait_until_alone(source)


@pytest.mark.parametrize("last", ["first", "second"])
@pytest.mark.parametrize("ended", ["backup", "killed parent", "killed child"])
def test_of_two_backups_at_once_the_last_leaves_nothing_beside_their_source(
    source: Path, tmp_path: Path, last: str, ended: str
) -> None:
    with parent("dump", source, tmp_path) as first, parent("dump", source, tmp_path) as second:
        pair = (first, second) if last == "second" else (second, first)
        for process, child in pair:
            assert names(source) == ["app.db", "app.db-shm", "app.db-wal"]
            with wait_for_watcher(child):
                if ended == "killed child":
                    os.kill(child, signal.SIGKILL)
                elif ended == "killed parent":
                    process.kill()
                else:
                    process.communicate("")
        wait_until_alone(source)


def test_a_second_backup_leaves_what_a_program_has_left_as_it_is(source: Path, backups: Any) -> None:
    """An empty log that stays (SQLITE_FCNTL_PERSIST_WAL) lets users read who may not write."""
    Path(f"{source}-wal").touch()
    Path(f"{source}-shm").touch()
    for _ in range(2):
        backups.make(source)
        assert names(source) == ["app.db", "app.db-shm", "app.db-wal"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_target_that_is_held_goes_back_into_wal_mode_where_its_restore_is_killed(
    source: Path, tmp_path: Path, renamed: bool
) -> None:
    image = tmp_path / "new.db"
    with closing(sqlite3.connect(image)) as connection:
        connection.execute("CREATE TABLE t(x)")
    new = image.read_bytes()
    with parent("hold", source, tmp_path) as (process, child), open(os.pidfd_open(child), "rb") as ended:
        assert source.read_bytes()[18:20] == b"\1\1"
        if renamed:
            image.rename(source)
        process.kill()
        assert select.select([ended], [], [], 10)[0]
        assert names(source) == ["app.db"]
        assert source.read_bytes() == new if renamed else source.read_bytes()[18:20] == b"\2\2"


def test_signals_to_the_processes_of_a_backup_reach_its_watcher_in_vain(source: Path, tmp_path: Path) -> None:
    with parent("dump", source, tmp_path) as (process, child):
        children = Path(f"/proc/{child}/task/{child}/children").read_text().split()
        assert len(children) == 1
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(int(children[0]), number)
        os.killpg(child, signal.SIGKILL)
        process.kill()
        wait_until_alone(source)


def test_what_somebody_uses_by_then_stays(source: Path, tmp_path: Path) -> None:
    with parent("dump", source, tmp_path) as (process, child), closing(sqlite3.connect(source)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
        with wait_for_watcher(child):
            process.kill()
        connection.execute("INSERT INTO t VALUES (2)")
        connection.commit()
        assert names(source) == ["app.db", "app.db-shm", "app.db-wal"]
        with closing(sqlite3.connect(source)) as other:
            assert other.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_a_log_that_somebody_has_left_stays_and_only_its_index_goes(source: Path, backups: Any) -> None:
    crash(source, "INSERT INTO t VALUES (2)")
    Path(f"{source}-shm").unlink()
    log = Path(f"{source}-wal").read_bytes()
    assert log
    record = backups.make(source)
    assert names(source) == ["app.db", "app.db-wal"]
    assert Path(f"{source}-wal").read_bytes() == log
    target = backups.restore(record, source.parent.parent / "copy.db")
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_a_backup_whose_child_is_killed_says_by_what_and_publishes_nothing(source: Path, backups: Any) -> None:
    def kill(event: Any) -> None:
        if event.type == "started":
            (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1:]
            os.kill(int(child), signal.SIGKILL)

    with pytest.raises(holdfast.HoldfastError, match="child process was ended by SIGKILL") as caught:
        backups.make(source, on_event=kill)
    assert caught.value.exit_code == 1
    assert "memory" in str(caught.value.hint)
    assert names(source) == ["app.db"]
    assert holdfast.list_backups(str(backups.store)) == []


def test_whoever_has_asked_a_database_that_is_a_target_leaves_nothing_beside_it(source: Path, tmp_path: Path) -> None:
    uri = sqlite_uri(str(source), "ro")
    with Child("probe", scratch=tmp_path, path=str(source), uri=uri, lock_timeout=1) as child:
        assert child.receive() == {"event": "probed", "data": True}
    assert names(source) == ["app.db"]


def test_a_user_who_may_only_read_makes_no_log_that_would_keep_the_owner_out(source: Path, backups: Any) -> None:
    source.chmod(0o444)
    if os.geteuid() == 0:
        os.chown(source, 65534, 65534)
    source.parent.chmod(0o777)
    command = [*powerless(), sys.executable, "-m", "holdfast", "backup", f"sqlite:///{source}"]
    done = subprocess.run([*command, "--store", str(backups.store)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert names(source) == ["app.db"]
    (record,) = holdfast.list_backups(str(backups.store))
    target = backups.restore(record, source.parent.parent / "copy.db")
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_no_process_is_left_to_be_waited_for(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FIRST_PROCESS, f"sqlite:///{source}", str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"
