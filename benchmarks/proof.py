"""What recording a proof costs: a backup with it against the same backup with `--no-proof`, and the drill.

The design allows a third of the dump's time by default.
"""

import argparse
import random
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.measure import Contender, compare, workplace


def make(path: Path, megabytes: int, *, narrow: bool) -> None:
    """A database of narrow rows, or of documents of 3 kB."""
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL)")
        count = megabytes * (25_000 if narrow else 330)
        rows = ((n, n * 7 % 1000, f"name-{n}" if narrow else chance.randbytes(1500).hex(), n / 3) for n in range(count))
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        db.execute("CREATE INDEX t_a ON t (a)")
        db.commit()


def main(arguments: list[str]) -> None:
    """Measure both kinds of rows at a size above and one below the bound for digests of rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks proof")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    with workplace() as place:
        for narrow in (True, False):
            for size in (1, options.megabytes):
                path, store = place / f"{size}-{narrow}.db", place / "store"
                make(path, size, narrow=narrow)
                command = [sys.executable, "-m", "holdfast", "-q", "backup", f"sqlite:///{path}", "--store", str(store)]

                def ours(name: str, *flags: str, command: list[str] = command, store: Path = store) -> Contender:
                    empty = lambda: shutil.rmtree(store, ignore_errors=True)  # noqa: E731
                    return Contender(name=name, command=[*command, *flags], prepare=empty)

                kind = "narrow rows" if narrow else "documents"
                compare(
                    f"{kind}, {path.stat().st_size / 1e6:.0f} MB",
                    ours("--no-proof --no-check", "--no-proof", "--no-check"),
                    [ours("the default proof, --no-check", "--no-check"), ours("--no-proof", "--no-proof"),
                     ours("the default proof"), ours("--proof --no-check", "--proof", "--no-check")],
                    runs=options.runs,
                )  # fmt: skip
