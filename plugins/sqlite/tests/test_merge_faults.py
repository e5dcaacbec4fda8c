"""Whatever ends a merge, the target is as it was before it or as it is after it, and nothing else."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from support.disks import small_disk

import holdfast

_ROWS = 6_000
_NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_ROWS})"


def fill(path: Path, word: str, *, mode: str = "delete") -> None:
    """A large table of that word, one that stays, and one that refers to the large one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"""
            PRAGMA journal_mode={mode}; CREATE TABLE big(id INTEGER PRIMARY KEY, word TEXT, filling BLOB);
            CREATE INDEX big_word ON big(word, id); CREATE TABLE stays(x REFERENCES big ON DELETE CASCADE);
            INSERT INTO stays VALUES (1), (2);
            {_NUMBERS} INSERT INTO big SELECT i, '{word}', randomblob(200) FROM n;""")


def state(path: Path) -> tuple[str, int, int]:
    """The one word of the large table with its rows, and the rows of the other."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (big,) = connection.execute("SELECT min(word), count(*) FROM big WHERE word = (SELECT max(word) FROM big)")
        return (*big, connection.execute("SELECT count(*) FROM stays").fetchone()[0])


def command(record: holdfast.Backup, target: Path, store: Path) -> list[str]:
    return [sys.executable, "-m", "holdfast", "restore", record.id, f"sqlite:///{target}", "--store", str(store),
            "--select", "big", "--replace"]  # fmt: skip


def written(target: Path, before: int) -> int:
    """Bytes that a transaction has put into the file, its log and its journal."""
    sizes = -before
    for suffix in ("", "-wal", "-journal"):
        with suppress(FileNotFoundError):
            sizes += os.stat(f"{target}{suffix}").st_size
    return sizes


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a run and its child process in the middle of whatever they do."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [*map(int, children), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_killed_at_any_moment_the_target_is_as_before_or_as_after(mode: str, tmp_path: Path, backups: Any) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    fill(source, "new")
    record = backups.make(source)
    seen = set()
    for threshold in (1, 100_000, 700_000, 1_500_000, 1 << 40):
        for path in tmp_path.glob("target.db*"):
            path.unlink()
        fill(target, "old", mode=mode)
        before = target.stat().st_size
        process = subprocess.Popen(command(record, target, backups.store), stderr=subprocess.DEVNULL)
        while process.poll() is None and written(target, before) < threshold:
            os.sched_yield()
        if process.returncode is None:
            kill(process)
        word, rows, stay = state(target)
        assert (rows, stay) == (_ROWS, 2)
        assert word in ("old", "new")
        seen.add(word)
    assert seen == {"old", "new"}


def test_a_full_disk_leaves_the_target_as_it_was(tmp_path: Path, backups: Any) -> None:
    source, disk = tmp_path / "app.db", tmp_path / "disk"
    fill(source, "new")
    record = backups.make(source)
    disk.mkdir()
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript("CREATE TABLE stays(x); INSERT INTO stays VALUES (1);")
    with small_disk(disk, "1m") as enter:
        subprocess.run([*enter, "cp", old, disk / "target.db"], check=True)
        restore = [*enter, *command(record, disk / "target.db", backups.store)]
        done = subprocess.run(restore, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert re.search(r"database or disk is full \(\d+ bytes are needed, \d+ bytes are free\)", done.stderr), (
            done.stderr
        )
        assert "Traceback" not in done.stderr
        subprocess.run([*enter, "cp", disk / "target.db", tmp_path / "after.db"], check=True)
        left = subprocess.run([*enter, "ls", "-A", disk], capture_output=True, text=True, check=True).stdout.split()
    assert left == ["target.db"]
    assert (tmp_path / "after.db").read_bytes() == old.read_bytes()


_DYING = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN"); db.execute("DELETE FROM stays"); db.execute("INSERT INTO big(filling) VALUES (zeroblob(100000))")
os._exit(0)
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_merge_that_is_refused_half_way_leaves_nothing_beside_the_target(
    mode: str, tmp_path: Path, backups: Any
) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    for path in (source, target):
        fill(path, path.stem, mode=mode)
    with closing(sqlite3.connect(source)) as connection:
        connection.create_collation("unicase", lambda left, right: (left > right) - (left < right))
        connection.execute("CREATE INDEX big_unicase ON big(word COLLATE unicase)")
    record = backups.make(source)
    before, files = target.read_bytes(), sorted(os.listdir(tmp_path))

    with pytest.raises(holdfast.HoldfastError, match="no such collation sequence: unicase"):
        backups.restore(record, target, select=["big"], replace=True)

    assert (sorted(os.listdir(tmp_path)), state(target)) == (files, ("target", _ROWS, 2))
    if mode == "delete":
        assert target.read_bytes() == before


def test_a_transaction_that_a_crash_has_left_is_rolled_back_before_and_not_by_a_dry_run(
    tmp_path: Path, backups: Any
) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    fill(source, "new")
    fill(target, "old")
    record = backups.make(source)
    subprocess.run([sys.executable, "-c", _DYING, target], check=True)
    journal = Path(f"{target}-journal")
    before = target.read_bytes(), journal.read_bytes()
    looked = subprocess.run(
        [*command(record, target, backups.store), "-n"], capture_output=True, text=True, check=False
    )
    assert looked.returncode == 1
    assert "which a dry run does not roll back" in looked.stderr
    assert (target.read_bytes(), journal.read_bytes()) == before
    subprocess.run(command(record, target, backups.store), check=True, capture_output=True)
    assert state(target) == ("new", _ROWS, 2)
