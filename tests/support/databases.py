"""Small SQLite databases of the tests' own, and how to compare them."""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


def make_database(path: Path, *, rows: int = 200, noise: int = 0, seed: int = 1) -> Path:
    """Make a database with odd values; `noise` adds that many bytes which no codec makes smaller."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            """
            PRAGMA synchronous = OFF;
            CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, balance REAL, photo BLOB);
            CREATE TABLE "odd ""table"" ß ünï" ("a column" TEXT, n NUMERIC);
            CREATE INDEX by_name ON people (name);
            CREATE VIEW rich AS SELECT name FROM people WHERE balance > 500;
            CREATE TABLE noise (bytes BLOB);
            """
        )
        connection.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?)",
            [(n, f"name '{n}'\nß", chance.random() * 1000, chance.randbytes(20)) for n in range(rows)],
        )
        connection.execute('INSERT INTO "odd ""table"" ß ünï" VALUES (\'line\nbreak\', NULL), (\'\', 1.0), (NULL, 1)')
        for _ in range(0, noise, 1 << 20):
            connection.execute("INSERT INTO noise VALUES (?)", (chance.randbytes(min(noise, 1 << 20)),))
    return path


def add_row(path: Path, name: str = "another") -> None:
    """Change a database a little."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO people (name) VALUES (?)", (name,))


def dump(path: Path) -> str:
    """All of a database as the sqlite3 shell writes it."""
    # The child of a restore that was just killed holds its lock for the moment that it takes to notice.
    command = ["sqlite3", "-readonly", "-cmd", ".timeout 10000", str(path), ".dump"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.rstrip().endswith("COMMIT;"), done.stderr
    return done.stdout


def fingerprint(path: Path) -> tuple[str, int, int]:
    """What a command that must not touch a file leaves as it was: its bytes, its inode and its mode."""
    stat = os.stat(path)
    return hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_ino, stat.st_mode


@contextmanager
def held_by_another_process(path: Path, *statements: str) -> Iterator[None]:
    """Let another process hold a database after these statements (in this one, reading the file drops its locks)."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path, *statements], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"ready\n"
        yield
    finally:
        holder.stdin.close()
        holder.wait(30)
        holder.stdout.close()


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""
