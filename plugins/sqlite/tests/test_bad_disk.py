"""A disk that does not work is told as one: it is no damage of a source, and of no backup that is drilled on it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import bad_disk

import holdfast


def on_bad_disk(store: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, bad_disk.__file__, sys.executable, "-m", "holdfast", *map(str, arguments)]
    return subprocess.run([*command, "--store", str(store)], capture_output=True, text=True, check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size=4096")
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,) for _ in range(2000)])
        connection.commit()
    assert path.stat().st_size > bad_disk.SECTOR + 4096
    return path


@pytest.mark.sweep(3)
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("options", [(), ("-o", "method=backup"), ("--check", "full")], ids=" ".join)
def test_a_source_that_cannot_be_read_is_not_called_damaged(
    source: Path, backups: Any, mode: str, options: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    done = on_bad_disk(backups.store, "backup", f"sqlite:///{source}", *options)
    assert done.returncode == 1, done.stderr
    assert "nput/output error" in done.stderr or "I/O error" in done.stderr
    assert "damaged" not in done.stderr
    assert holdfast.list_backups(str(backups.store)) == []


def test_a_drill_on_a_bad_disk_says_nothing_of_the_backup(source: Path, backups: Any) -> None:
    record = backups.make(source)
    done = on_bad_disk(backups.store, "drill", record.id)
    assert done.returncode == 1, done.stderr
    assert "could not be checked" in done.stderr
    assert "TMPDIR" in done.stderr
    assert holdfast.list_backups(str(backups.store))[0].state == record.state
    assert holdfast.drill(record, store=str(backups.store)).passed


def test_a_restore_to_a_bad_disk_leaves_the_target_and_blames_no_backup(source: Path, backups: Any) -> None:
    record = backups.make(source)
    target = source.parent / "target" / "app.db"
    target.parent.mkdir()
    target.write_bytes(b"")
    done = on_bad_disk(backups.store, "restore", record.id, f"sqlite:///{target}", "--replace")
    assert done.returncode == 1, done.stderr
    assert "nput/output error" in done.stderr
    assert [path.name for path in target.parent.iterdir()] == ["app.db"]
    assert target.read_bytes() == b""
