"""Memory stays flat, and where it does not suffice it is said for what: the table, its column, and its size."""

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import holdfast

_ROOM = 350_000_000


def test_a_value_that_memory_cannot_hold_is_named(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE big(id INTEGER PRIMARY KEY, small TEXT, payload BLOB)")
        connection.execute("INSERT INTO big VALUES (1, 'x', zeroblob(160000000))")
        connection.commit()
    command = [sys.executable, "-m", "holdfast", "backup", f"sqlite:///{source}", "--store", str(backups.store)]
    done = _run_with_little([*command, "--proof"])
    assert done.returncode == 1
    assert "memory for the rows of table big, whose column payload has a value of 160000000 bytes" in done.stderr
    assert "without --proof" in done.stderr
    assert holdfast.list_backups(str(backups.store)) == []


def test_a_table_of_very_many_indexes_is_replaced_with_little_memory(tmp_path: Path, backups: Any) -> None:
    """DROP TABLE would take as much as there is."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        columns = [f"c{number}" for number in range(64)]
        connection.execute(f"CREATE TABLE wide({', '.join(columns)})")
        for number in range(64 * 64):
            connection.execute(f"CREATE INDEX i{number} ON wide(c{number % 64}, c{number // 64})")
        connection.commit()
    backups.make(source)
    command = [sys.executable, "-m", "holdfast", "restore", "app/latest", f"sqlite:///{source}"]
    done = _run_with_little([*command, "--store", str(backups.store), "--select", "wide", "--replace", "-q"])
    assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(source)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchall() == [(64 * 64 + 1,)]


def _run_with_little(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_ROOM, _ROOM)),
    )  # fmt: skip
