"""Backups of an SQLite database under a heavy writer: `PYTHONPATH=tests python -m soak.sqlite [--backups N]`.

Every backup is restored and must be whole: integrity_check, sums, counts, full-text index. The longest transaction of
the writer, with and without backups beside it, shows how long it was held up.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import holdfast
from soak import busy


def main(arguments: list[str]) -> int:
    """Run both modes; 1 if any backup was not whole."""
    parser = argparse.ArgumentParser(prog="soak.sqlite")
    parser.add_argument("--backups", type=int, default=200, help="of each mode, on a database of --size")
    parser.add_argument("--size", type=int, default=20, help="MB")
    parser.add_argument("--large", type=int, default=279, help="MB of the database on which the writer is timed")
    parser.add_argument("--large-backups", type=int, default=20)
    parser.add_argument("--rate", type=float, default=400, help="transactions a second")
    parser.add_argument("--folder", default="/var/tmp", help="of the database; in memory, no disk holds its writer up")
    options = parser.parse_args(arguments)
    bad = 0
    for mode in ("wal", "delete"):
        for trial in (_correct, _held_up):
            with _folder(options.folder) as source, _folder("/var/tmp") as store:
                bad += trial(source / "busy.db", store, mode, options)
    print("all backups were whole" if not bad else f"{bad} backups were not whole")
    return 1 if bad else 0


@contextmanager
def _folder(parent: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-soak-", dir=parent) as name:
        yield Path(name)


def _correct(source: Path, folder: Path, mode: str, options: argparse.Namespace) -> int:
    copy = folder / "copy.db"
    busy.make(source, mode=mode, megabytes=options.size)
    bad: list[str] = []
    ways: Counter[str] = Counter()
    seconds: list[float] = []
    with busy.writing(source, options.rate) as writer:
        for _ in range(options.backups):
            started = time.perf_counter()
            record = holdfast.backup(f"sqlite:///{source}", store=str(folder / "store"), codec="zstd:1")
            seconds.append(time.perf_counter() - started)
            ways[_way(Path(record.path))] += 1
            holdfast.restore(record.id, f"sqlite:///{copy}", store=str(folder / "store"))
            bad += busy.problems(copy)
            copy.unlink()
            shutil.rmtree(folder / "store")
    print(
        f"{mode}: {options.backups} backups of {source.stat().st_size / 1e6:.0f} MB, {len(bad)} problems {bad[:3]}, "
        f"ways {dict(ways)}, median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s\n"
        f"  writer: {writer.figures}",
        flush=True,
    )
    return len(bad)


def _held_up(source: Path, folder: Path, mode: str, options: argparse.Namespace) -> int:
    busy.make(source, mode=mode, megabytes=options.large)
    with busy.writing(source, options.rate, vacuum=False) as alone:
        time.sleep(20)
    seconds = []
    with busy.writing(source, options.rate, vacuum=False) as writer:
        for _ in range(options.large_backups):
            started = time.perf_counter()
            holdfast.backup(f"sqlite:///{source}", store=str(folder / "store"), codec="zstd:1")
            seconds.append(time.perf_counter() - started)
            shutil.rmtree(folder / "store")
    print(
        f"{mode}, {options.large} MB: writer alone {alone.figures}\n"
        f"  beside {options.large_backups} backups of {statistics.median(seconds):.2f} s each: {writer.figures}",
        flush=True,
    )
    return 0


def _way(path: Path) -> str:
    manifest = json.loads((path / "backup_manifest.json").read_text())
    return str(manifest["hints"]["method"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
