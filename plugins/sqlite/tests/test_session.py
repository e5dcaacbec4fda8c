"""Child processes load little, end with their parents, and leave no lock behind."""

import os
import select
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
import holdfast_sqlite
from holdfast_sqlite import session
from holdfast_sqlite.session import Child

# What a child may load for its tasks, besides the modules of this package: all of it is loaded by Python's start, or
# by sqlite3, json, queue and threading. `typing` alone would take a tenth of the time in which a child starts.
HEAVY = {"typing", "dataclasses", "inspect", "logging", "subprocess", "hashlib", "msgspec", "pluggy", "contextlib"}


@pytest.mark.parametrize("module", ["main", "dump", "target", "selection"])
def test_a_child_process_loads_the_standard_library_alone_and_little_of_it(module: str) -> None:
    root = Path(holdfast_sqlite.__file__).parent.parent
    code = f"import sys; sys.path.append({str(root)!r}); import holdfast_sqlite.child.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {name for name in loaded if name.startswith("holdfast.")}
    assert not loaded & HEAVY
    allowed = {"catalog", "files", "header", "holders", "layers", "lending", "mounts"}
    allowed |= {"location", "location.uri", "tokens", "trial"}
    rooms = ("child", "snapshot", "selection", "virtual_tables")
    ours = {name.partition(".")[2] for name in loaded if name.startswith("holdfast_sqlite.")}
    assert {name for name in ours if name.partition(".")[0] in rooms or name in allowed} == ours


def test_no_module_but_those_of_child_processes_reaches_for_sources() -> None:
    """Whoever opens a source in the caller's process drops the caller's locks on it when it closes it."""
    folder = Path(holdfast_sqlite.__file__).parent
    importing = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "from holdfast_sqlite.snapshot" in path.read_text()
    }
    rooms = {name for name in importing if name.partition("/")[0] not in ("child", "snapshot")}
    assert rooms == {"merge/look.py"}  # which a child process runs


def test_a_dump_that_is_aborted_leaves_no_process_and_no_lock(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"

    class EnoughError(Exception):
        pass

    def stop(event: Any) -> None:
        if event.type == "started":
            raise EnoughError

    with closing(sqlite3.connect(source, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t AS SELECT randomblob(1000000) AS x")
        assert os.path.getsize(f"{source}-wal") > 1_000_000
        with pytest.raises((EnoughError, holdfast.HoldfastError)):
            backups.make(source, on_event=stop)
        children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()
        running = [pid for pid in children if "holdfast_sqlite" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert not running
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert os.path.getsize(f"{source}-wal") == 0


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t(x)")
    code = (
        "import sys, os, pathlib\n"
        "from holdfast_sqlite.session import Child\n"
        "from holdfast_sqlite.location.uri import sqlite_uri\n"
        "child = Child('dump', scratch=pathlib.Path(sys.argv[2]), path=sys.argv[1], uri=sqlite_uri(sys.argv[1], 'ro'),"
        " lock_timeout=1, method='auto', format='image', load_extension=(), select=(), exclude=(), check=True,"
        " proof=None, allow_damaged=False, copied=False)\n"
        "child.receive(); print(child.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    pid = int(result.stdout)
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # it has ended already
    with open(process, "rb"):
        assert select.select([process], [], [], 10)[0], "the child still runs"


def test_pipes_that_the_process_has_made_non_blocking_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gevent's `subprocess` does."""

    class Patched(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            assert self.stdout is not None
            os.set_blocking(self.stdout.fileno(), False)

    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE t AS SELECT randomblob(8000000) AS x")
        db.commit()
    monkeypatch.setattr(subprocess, "Popen", Patched)
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=str(tmp_path / "store"))
    assert record.size_bytes > 8_000_000


def test_a_command_to_a_child_that_has_ended_is_lost_also_under_eventlet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose `os.write` of 0.41 does not return while a pipe is broken."""
    monkeypatch.setattr(os, "write", lambda descriptor, data: pytest.fail("written for ever"))
    with Child("probe", scratch=tmp_path, path=str(tmp_path / "none.db"), uri="file:none.db", lock_timeout=0) as child:
        child.end()
        child._process.wait()
        child.send("read")


def test_a_command_waits_for_a_pipe_that_is_full(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with ThreadPoolExecutor() as pool, os.fdopen(reader, "rb") as file:
        taken = pool.submit(file.read)
        session._write(writer, bytes(1 << 20))
        os.close(writer)
        assert len(taken.result(10)) == 1 << 20
