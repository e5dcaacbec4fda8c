"""The pipeline alone: a file through codec, digest and store and back, against the shell's own pipe."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import pages
from benchmarks.measure import Contender, compare, run, workplace


def main(arguments: list[str]) -> None:
    """Compare dump and restore; `--large` shows that memory does not grow with four times the size."""
    parser = argparse.ArgumentParser(prog="benchmarks pipeline")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=1000, help="MB")
    parser.add_argument("--large", action="store_true", help="measure the memory at four times the size as well")
    options = parser.parse_args(arguments)
    with workplace() as folder:
        source = folder / "source.db"
        pages.make(source, options.size)
        for level in (3, 1):
            _dump(folder, source, level, options.runs)
        _load(folder, source, options.runs)
        if options.large:
            _memory(folder, source)


def _dump(folder: Path, source: Path, level: int, runs: int) -> None:
    shell = (
        f"cat {source} | tee >(sha256sum >{folder}/sum) | zstd -q -f -{level} -T2 -o {folder}/peer.zst;"
        f" sync {folder}/peer.zst"
    )
    compare(
        f"dump {os.path.getsize(source) >> 20} MiB of SQLite pages, zstd level {level}, synced to disk",
        _ours(f"holdfast zstd:{level}", "dump", source, folder / "store", f"zstd:{level}", prepare=_forget(folder)),
        [Contender(name=f"cat | tee >(sha256sum) | zstd -{level} -T2", command=shell)],
        runs=runs,
    )


def _load(folder: Path, source: Path, runs: int) -> None:
    restored, theirs = folder / "restored.db", folder / "peer.db"
    shell = f"zstd -q -dc {folder}/peer.zst | tee >(sha256sum >{folder}/sum) >{theirs}; sync {theirs}"
    peers = [Contender(name="zstd -d | tee >(sha256sum)", command=shell, prepare=_remove(theirs))]
    ours = _ours("holdfast", "load", restored, folder / "store", prepare=_remove(restored))
    compare(f"restore {os.path.getsize(source) >> 20} MiB of SQLite pages, synced to disk", ours, peers, runs=runs)
    subprocess.run(["cmp", str(source), str(restored)], check=True)


def _memory(folder: Path, source: Path) -> None:
    large = folder / "large.db"
    with open(large, "wb") as file:
        for _ in range(4):
            with open(source, "rb") as again:
                shutil.copyfileobj(again, file, 1 << 20)
    dumped = run(_ours("holdfast", "dump", large, folder / "store", "zstd:3", prepare=_forget(folder)))
    loaded = run(_ours("holdfast", "load", folder / "restored.db", folder / "store", prepare=lambda: None))
    print(f"\n{os.path.getsize(large) >> 20} MiB: RSS {dumped.rss:.0f} MB at dump, {loaded.rss:.0f} MB at restore")


def _forget(folder: Path) -> Callable[[], object]:
    return lambda: shutil.rmtree(folder / "store", ignore_errors=True)


def _remove(path: Path) -> Callable[[], object]:
    return lambda: path.unlink(missing_ok=True)


def _ours(name: str, *words: str | Path, prepare: Callable[[], object]) -> Contender:
    command = [sys.executable, "-m", "benchmarks.plainfile", *map(str, words)]
    return Contender(name=name, command=command, prepare=prepare)
