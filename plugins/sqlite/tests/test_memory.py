"""Where there is not enough memory, it is said for what: the table, its column, and the size of the value."""

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
    done = subprocess.run(
        [*command, "--proof"], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_ROOM, _ROOM)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "memory for the rows of table big, whose column payload has a value of 160000000 bytes" in done.stderr
    assert "without --proof" in done.stderr
    assert holdfast.list_backups(str(backups.store)) == []
