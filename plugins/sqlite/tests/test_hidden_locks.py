"""Databases whose users lock them where a reader of the file does not look: below an overlay, or by a folder."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.disks import own_mounts
from support.sqlite_users import USER, running

from holdfast.errors import LockedError

# A container's view of its files, on a file system of its own: overlays take not every one for their upper layer.
_OVERLAY = """
mount -t tmpfs none "$1" && cd "$1" && mkdir lower 'up per' work merged || exit 90
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/up per,workdir=$1/work" merged || exit 91
shift && exec "$@"
"""
# Has a database in use by the overlay; backs up and restores by a name of the layer, and by that of the overlay.
_CONTAINER = """
import os, sqlite3, subprocess, sys
mode, store, layer, overlay = sys.argv[1:]
program = sqlite3.connect(f"{overlay}/app.db", isolation_level=None)
for statement in (f"PRAGMA journal_mode={mode}", "CREATE TABLE t(x)", "INSERT INTO t VALUES ('a row')"):
    program.execute(statement)
before = sorted(os.listdir(layer)), os.path.getsize(f"{layer}/{sorted(os.listdir(layer))[-1]}")
def call(*arguments):
    command = [sys.executable, "-m", "holdfast", *arguments, "--store", store]
    ran = subprocess.run(command, capture_output=True, text=True)
    print(ran.returncode, ran.stderr)
call("backup", f"sqlite:///{layer}/app.db")
assert before == (sorted(os.listdir(layer)), os.path.getsize(f"{layer}/{sorted(os.listdir(layer))[-1]}"))
call("backup", f"sqlite:///{overlay}/app.db")
call("restore", "latest", f"sqlite:///{layer}/new.db")
program.execute("INSERT INTO t VALUES ('another')")  # SIGBUS, had somebody truncated the index of the log
print(program.execute("SELECT count(*) FROM t").fetchone())
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_file_of_a_layer_below_an_overlay_is_left_alone(mode: str, tmp_path: Path) -> None:
    overlay = (*own_mounts(), "sh", "-c", _OVERLAY, "sh", str(tmp_path))
    names = (tmp_path / "store", tmp_path / "up per", tmp_path / "merged")
    ran = subprocess.run(
        [*overlay, sys.executable, "-c", _CONTAINER, mode, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    refused, backed_up, not_restored, count = (
        line for line in ran.stdout.splitlines() if line.startswith(("0", "1", "("))
    )
    assert refused.startswith("16 error: ")
    assert f"whoever uses it as {tmp_path}/merged/app.db has locks that do not reach here" in refused
    assert backed_up.startswith("0 ")
    assert not_restored.startswith("16 error: ")
    assert count == "(2,)"


def locked_by_a_folder(path: Path) -> tuple[str | Path, ...]:
    """A transaction that has begun to write to the file, of a program with other locks than SQLite's usual ones."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("before" * 100,)] * 500)
    name = f"file:{path}?vfs=unix-dotfile"
    return name, "PRAGMA cache_size=5", "BEGIN IMMEDIATE", "UPDATE t SET x = 'after' || x"


_FOLDER_USER = USER.replace("connect(sys.argv[1],", "connect(sys.argv[1], uri=True,")


def test_a_transaction_that_is_locked_by_a_folder_is_waited_for(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with running(_FOLDER_USER, *locked_by_a_folder(source)):
        assert (tmp_path / "app.db.lock").is_dir()
        with pytest.raises(LockedError, match=r"app\.db\.lock is the lock of a transaction"):
            backups.make(source, options={"lock_timeout": 0.1})
    assert not (tmp_path / "app.db.lock").exists()
    assert backups.make(source).warnings == ()


def test_a_folder_that_a_killed_program_or_another_one_has_made_hinders_nobody(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with running(
        _FOLDER_USER.replace("sys.stdin.read()", "import os\nos.kill(os.getpid(), 9)"), *locked_by_a_folder(source)
    ):
        pass
    assert sorted(os.listdir(tmp_path)) == ["app.db", "app.db-journal", "app.db.lock"]
    copy = backups.restore(backups.make(source), tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT DISTINCT substr(x, 1, 6) FROM t").fetchall() == [("before",)]
    (tmp_path / "app.db-journal").unlink()
    with running(USER, source, "BEGIN", "SELECT * FROM t"):
        assert backups.make(source).warnings == ()
