"""A database whose content can be told to be whole, and a process that never lets it rest.

`python -m soak.busy PATH RATE [vacuum]` writes until its standard input ends, then prints its figures as JSON.
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

ACCOUNTS = 10_000
TOTAL = ACCOUNTS * 1000


def make(path: Path, *, mode: str, megabytes: int) -> None:
    """Make accounts with a constant sum, a log with its count, documents with a full-text index, and ballast."""
    rng = random.Random(7)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.executescript(
            """
            PRAGMA synchronous=OFF;
            BEGIN;
            CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
            CREATE TABLE log(id INTEGER PRIMARY KEY, what TEXT);
            CREATE TABLE count(id INTEGER PRIMARY KEY, n INTEGER);
            CREATE TABLE blob(id INTEGER PRIMARY KEY, d BLOB);
            CREATE TABLE document(id INTEGER PRIMARY KEY, title TEXT, body TEXT);
            CREATE TABLE ballast(id INTEGER PRIMARY KEY, d TEXT);
            CREATE VIRTUAL TABLE document_fts USING fts5(title, body, content='document', content_rowid='id');
            CREATE TRIGGER document_new AFTER INSERT ON document BEGIN
                INSERT INTO document_fts(rowid, title, body) VALUES (new.id, new.title, new.body);
            END;
            INSERT INTO count VALUES (1, 0);
            """
        )
        connection.executemany("INSERT INTO account VALUES (?, 1000)", ((number,) for number in range(ACCOUNTS)))
        while os.path.getsize(path) < megabytes * 1_000_000:
            rows = [(rng.randbytes(2000).hex(),) for _ in range(250)]
            connection.executemany("INSERT INTO ballast(d) VALUES (?)", rows)
            connection.execute("COMMIT")
            connection.execute("BEGIN")
        connection.execute("COMMIT")


def problems(path: Path) -> list[str]:
    """What is wrong with a copy of such a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        total = connection.execute("SELECT sum(balance) FROM account").fetchone()[0]
        if total != TOTAL:
            problems.append(f"the accounts hold {total}, expected {TOTAL}")
        lines, told = connection.execute("SELECT (SELECT count(*) FROM log), (SELECT n FROM count)").fetchone()
        if lines != told:
            problems.append(f"the log has {lines} lines, its count is {told}")
        try:
            connection.execute("INSERT INTO document_fts(document_fts) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            problems.append(f"the full-text index: {error}")
        return problems


class Writer:
    """What a writing process told about itself; filled when it has ended."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}


@contextmanager
def writing(path: Path, rate: float, *, vacuum: bool = True) -> Iterator[Writer]:
    """Have another process write `rate` transactions a second, as long as the block lasts.

    A VACUUM beside a reader leaves the whole database in the log, and some later transaction copies it back, which
    takes long without anybody having held it up: for timing it can be left out.
    """
    command = [sys.executable, "-m", "soak.busy", str(path), str(rate), *(["vacuum"] if vacuum else [])]
    folder = Path(__file__).parent.parent
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    writer = Writer()
    try:
        if process.stdout is not None and not process.stdout.readline():
            raise RuntimeError(f"the writer has failed: {process.communicate()[1]}")
        yield writer
        output, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the writer has failed: {errors}")
        writer.figures = json.loads(output)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


class _Work:
    """Transfers with their log, checkpoints of every kind, vacuums; each transaction timed by itself."""

    def __init__(self, path: str, *, vacuum: bool) -> None:
        self._vacuum = vacuum
        self._rng = random.Random()
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(f"PRAGMA wal_autocheckpoint={self._rng.choice([20, 60, 1000, 4000])}")
        # Checkpoints that wait for readers would hold the writer up by its own wish: they give way at once here.
        self._checkpointer = sqlite3.connect(path, isolation_level=None, timeout=0)
        self.times: list[float] = []

    def step(self, number: int) -> None:
        started = time.perf_counter()
        self._transaction(number)
        self.times.append(time.perf_counter() - started)
        if number % 700 == 699:
            with suppress(sqlite3.OperationalError):
                kind = self._rng.choice(["TRUNCATE", "RESTART", "FULL", "PASSIVE"])
                self._checkpointer.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()
        if self._vacuum and number % 3000 == 2999:
            self._connection.execute("VACUUM")

    def _transaction(self, number: int) -> None:
        run, rng = self._connection.execute, self._rng
        run("BEGIN IMMEDIATE")
        amount = rng.randrange(100)
        run("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, rng.randrange(ACCOUNTS)))
        run("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, rng.randrange(ACCOUNTS)))
        run("INSERT INTO log(what) VALUES (?)", ("w" * rng.randrange(200),))
        run("UPDATE count SET n = n + 1")
        if number % 5 == 0:
            run("INSERT INTO document(title, body) VALUES (?, ?)", (str(number), f"word{number} " * 50))
        if number % 50 == 0:
            size = rng.randrange(1, 400_000)
            run("INSERT OR REPLACE INTO blob VALUES (?, ?)", (rng.randrange(20), rng.randbytes(size)))
        run("COMMIT")


def _main(path: str, rate: float, *flags: str) -> None:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    with suppress(PermissionError):
        os.nice(-10)  # a loaded machine's scheduler is not what is measured
    work = _Work(path, vacuum="vacuum" in flags)
    print("begun", flush=True)
    started = due = time.perf_counter()
    number = 0
    while not ended.is_set():
        work.step(number)
        number += 1
        due = max(due + 1 / rate, time.perf_counter() - 0.02)
        time.sleep(max(0.0, due - time.perf_counter()))
    times = sorted(work.times)
    figures = {
        "transactions": number,
        "rate": round(number / (time.perf_counter() - started), 1),
        "median_ms": round(times[number // 2] * 1e3, 2),
        "p99_ms": round(times[number * 99 // 100] * 1e3, 2),
        "longest_ms": round(times[-1] * 1e3, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
