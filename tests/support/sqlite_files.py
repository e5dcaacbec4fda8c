"""SQLite files as targets: made, read, held open, and restored into by the command line."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import holdfast


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def make(path: Path, word: str, *pragmas: str, mode: str = "delete", rows: int = 300) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("synchronous=OFF", *pragmas, f"journal_mode={mode}"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{word} {number}",) for number in range(rows)])
        connection.execute("COMMIT")


def words(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0].split()[0] for row in connection.execute("SELECT x FROM t")}


def read_pragma(path: Path, name: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def crash(path: Path, statement: str) -> None:
    """Leave a log or a journal, as a killed program does."""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA wal_autocheckpoint=0'); c.execute('PRAGMA cache_size=1'); c.executescript(sys.argv[2]);"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path), statement], check=True)


@contextmanager
def opened(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that has read a database and keeps it open; it answers SELECTs."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('SELECT count(*) FROM t').fetchall(); print('ready', flush=True)\n"
        "for line in sys.stdin: print(c.execute(line).fetchall(), flush=True)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.communicate()


def powerless() -> tuple[str, ...]:
    """What a command begins with for which root is an ordinary user, as in many containers."""
    powers = "-dac_override,-dac_read_search,-fowner,-chown,-fsetid"
    return ("setpriv", "--bounding-set", powers, "--inh-caps", powers) if os.geteuid() == 0 else ()


class Restoring:
    """Restores by the command line, under another command or none."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def run(
        self, record: holdfast.Backup, target: Path | str, *options: str, under: tuple[str, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "holdfast", "restore", record.id, f"sqlite:///{target}", *options]
        return subprocess.run(
            [*under, *command, "--store", str(self.store)], capture_output=True, text=True, check=False
        )
