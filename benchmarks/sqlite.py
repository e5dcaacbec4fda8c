"""SQLite databases in WAL mode, against what careful people run: `sqlite3 .backup`, then zstd; `.dump | gzip`."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import pages
from benchmarks.measure import PROGRAM, Contender, compare, run, workplace

_BUSY_LIMIT = 30  # times as long as ours, after which the peer counts as never finishing
_WRITER = """
import itertools, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("PRAGMA synchronous=OFF")
connection.execute("CREATE TABLE IF NOT EXISTS busy(id INTEGER PRIMARY KEY, at TEXT)")
print("begun", flush=True)
for number in itertools.count():
    connection.execute("INSERT INTO busy(at) VALUES (?)", (str(number),))
"""


def main(arguments: list[str]) -> None:
    """Compare at levels 3 and 1, both with the peer's level 3, with the check, with `.dump`, and on a busy database."""
    parser = argparse.ArgumentParser(prog="benchmarks sqlite")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=1000, help="MB")
    parser.add_argument("--quick", action="store_true", help="leave out .dump, which takes a minute a GB, and busy")
    options = parser.parse_args(arguments)
    with workplace() as folder:
        source = folder / "source.db"
        pages.make(source, options.size, wal=True)
        with _unmerged(source):
            title = f"{os.path.getsize(source) / 1e6:.0f} MB in WAL mode, {{}}, synced to disk"
            backup = _backup(folder, source)
            for level in (3, 1):
                ours = _ours(folder, source, level, "--no-check")
                compare(title.format(f"zstd level {level}"), ours, [backup], runs=options.runs)
            checked = _ours(folder, source, 1)
            compare(title.format("with quick_check"), checked, [backup], runs=max(1, options.runs // 2))
            if not options.quick:
                dump = Contender(
                    name="sqlite3 .dump | gzip",
                    command=f"sqlite3 {source} .dump | gzip >{folder}/peer.gz; sync {folder}/peer.gz",
                    prepare=_afresh(folder, source),
                )
                compare(title.format("zstd level 1"), _ours(folder, source, 1, "--no-check"), [dump], runs=options.runs)
                _busy(folder, source)


def _ours(folder: Path, source: Path, level: int, *more: str) -> Contender:
    command = [PROGRAM, "-q", "backup", f"sqlite:///{source}", "--no-proof"]
    command += ["--store", str(folder / "store"), "--codec", f"zstd:{level}", *more]
    name = f"holdfast zstd:{level} {' '.join(more)}"
    return Contender(name=name, command=command, prepare=_afresh(folder, source))


def _backup(folder: Path, source: Path) -> Contender:
    copy = folder / "peer.db"
    command = f"sqlite3 {source} '.backup {copy}'; zstd -q -f -3 -T2 {copy} -o {copy}.zst; sync {copy}.zst"
    return Contender(name="sqlite3 .backup; zstd -3 -T2", command=command, prepare=_afresh(folder, source))


def _afresh(folder: Path, source: Path) -> Callable[[], object]:
    """Start without what earlier runs made, and with the database in the page cache, which a minute may empty."""

    def prepare() -> None:
        shutil.rmtree(folder / "store", ignore_errors=True)
        for path in folder.glob("peer.*"):
            path.unlink()
        subprocess.run(["cat", source], stdout=subprocess.DEVNULL, check=True)

    return prepare


@contextmanager
def _unmerged(source: Path) -> Iterator[None]:
    """Keep some 4 MB of changes in the log, as a database in use has them."""
    change = "UPDATE document SET title = 'changed' WHERE id % 100 = 0 AND id <= 100000"
    holder = subprocess.Popen(
        ["sqlite3", "-batch", str(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if holder.stdin is None or holder.stdout is None:
        raise RuntimeError(holder.args)
    holder.stdin.write(f"PRAGMA wal_autocheckpoint=0; {change}; SELECT 'changed';\n")
    holder.stdin.flush()
    while "changed" not in holder.stdout.readline():
        pass
    try:
        yield
    finally:
        holder.communicate(".exit\n")


def _busy(folder: Path, source: Path) -> None:
    """Back up while somebody commits without a pause; the peer begins anew at every commit."""
    quiet = run(_ours(folder, source, 3, "--no-check"))
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(source)], stdout=subprocess.PIPE)
    try:
        if writer.stdout is not None:
            writer.stdout.readline()
        busy = run(_ours(folder, source, 3, "--no-check"))
        limit = max(30.0, _BUSY_LIMIT * busy.wall)
        started = time.monotonic()
        peer = subprocess.Popen(["sqlite3", str(source), f".backup {folder / 'peer.db'}"])
        try:
            peer.wait(limit)
            ended = f"ended after {time.monotonic() - started:.1f} s"
        except subprocess.TimeoutExpired:
            peer.kill()
            peer.wait()
            ended = f"had not ended after {limit:.0f} s"
    finally:
        writer.kill()
        writer.communicate()
    print(f"\nbusy database: holdfast {busy.wall:.2f} s (quiet: {quiet.wall:.2f} s); sqlite3 .backup {ended}")
