"""Drills of backups of a database that is being written to: `PYTHONPATH=tests python -m soak.drills [--drills N]`.

Half of the drills are clean and must prove the backup; before the other half one random byte of the restored file, or
one random row by SQL, is changed, and the drill must fail. `--database` drills backups of a file of one's own as well.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import holdfast
from holdfast.legacy.manager import sqlite_url
from holdfast.testing.drills import drill_mutated
from holdfast_sqlite.location.path import database_path
from soak import busy


def main(arguments: list[str]) -> int:
    """Drill in both modes; 1 if there was a false alarm, or a change that was missed."""
    parser = argparse.ArgumentParser(prog="soak.drills")
    parser.add_argument("--drills", type=int, default=100, help="clean ones, and as many with a change, of each mode")
    parser.add_argument("--size", type=int, default=5, help="MB")
    parser.add_argument("--rate", type=float, default=200, help="transactions a second")
    parser.add_argument("--database", type=Path, help="a database to drill backups of, at rest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    wrong = 0
    for mode in ("wal", "delete"):
        with tempfile.TemporaryDirectory(prefix="holdfast-soak-", dir="/var/tmp") as name:
            source = Path(name, "busy.db")
            busy.make(source, mode=mode, megabytes=options.size)
            with busy.writing(source, options.rate):
                wrong += _drills(source, Path(name), options.drills, chance, f"written to, {mode}")
    if options.database:
        with tempfile.TemporaryDirectory(prefix="holdfast-soak-", dir="/var/tmp") as name:
            wrong += _drills(options.database, Path(name), options.drills, chance, options.database.name)
    print("every drill was right" if not wrong else f"{wrong} drills were wrong")
    return 1 if wrong else 0


def _apply(change: Callable[[Path, random.Random], None], chance: random.Random, url: str) -> None:
    change(Path(database_path(url)), chance)


def _drills(source: Path, folder: Path, count: int, chance: random.Random, title: str) -> int:
    store = str(folder / "store")
    alarms, missed, seconds = [], [], 0.0
    for _ in range(count):
        record = holdfast.backup(sqlite_url(source), store=store)
        started = time.perf_counter()
        clean = holdfast.drill(record, store=store)
        seconds += time.perf_counter() - started
        if not clean.passed or clean.state != "proven":
            alarms.append(clean.problems)
        change = chance.choice([_one_byte, _one_row])
        result = drill_mutated(record.id, store, partial(_apply, change, chance))
        if result.passed or not result.problems:
            missed.append(change.__name__)
        holdfast.prune(store, keep_last=1, allow_last=True)
    print(
        f"{title}: {count} clean drills, {len(alarms)} false alarms {alarms[:3]}; {count} changed ones, "
        f"{len(missed)} missed {missed[:3]}; {seconds / count:.2f} s a drill",
        flush=True,
    )
    return len(alarms) + len(missed)


def _one_byte(path: Path, chance: random.Random) -> None:
    with open(path, "r+b") as file:
        at = chance.randrange(path.stat().st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def _one_row(path: Path, chance: random.Random) -> None:
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
            " AND sql NOT LIKE '%WITHOUT ROWID%'"
        )
        names = [name for (name,) in tables if not name.startswith("sqlite_")]
        counts = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
        name = chance.choice([name for name in names if counts[name]])
        db.execute(f'DELETE FROM "{name}" WHERE rowid IN (SELECT rowid FROM "{name}" LIMIT 1)')
        db.commit()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
