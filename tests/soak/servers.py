"""Drills of databases that differ by a seed: `PYTHONPATH=tests python -m soak.servers postgres|mariadb [--drills N]`.

Each database is backed up at rest, or while it is written to, and drilled as it was restored, and once more after a
change of what is no content: settings, places of rows, statistics. None of these drills may fail.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

from support import mysql_seeded, postgres_seeded
from support.servers.mariadb import running_mariadb
from support.servers.postgres import running

import holdfast
from holdfast.testing.drills import drill_mutated


def main(arguments: list[str]) -> int:
    """Drill; 1 if there was a false alarm."""
    parser = argparse.ArgumentParser(prog="soak.servers")
    parser.add_argument("engine", choices=["postgres", "mariadb"])
    parser.add_argument("--drills", type=int, default=100, help="databases: each is drilled twice")
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    options = parser.parse_args(arguments)
    alarms = 0
    started = time.perf_counter()
    with _server(options.engine) as (server, seeded):
        for seed in range(options.seed, options.seed + options.drills):
            try:
                reported = clean(server, seeded, seed)
            except holdfast.HoldfastError as error:
                reported = [("could not be carried out", (str(error),))]
            alarms += len(reported)
            for alarm in reported:
                print(f"seed {seed}: FALSE ALARM {alarm}", flush=True)
    seconds = time.perf_counter() - started
    last = options.seed + options.drills - 1
    done = f"{2 * options.drills} clean drills, {alarms} false alarms, {seconds:.0f} s"
    print(f"{options.engine}, seeds {options.seed} to {last}: {done}")
    return 1 if alarms else 0


@contextmanager
def _server(engine: str) -> Iterator[tuple[Any, ModuleType]]:
    if engine == "postgres":
        with running() as server:
            yield server, postgres_seeded
    else:
        with running_mariadb("--event-scheduler=OFF", "--local-infile=ON", "--skip-ssl") as server:
            yield server, mysql_seeded


def clean(server: Any, seeded: ModuleType, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Drill one database twice; what was said though nothing was changed, with the drill that said it."""
    alarms = []
    with tempfile.TemporaryDirectory(prefix="holdfast-soak-") as store, seeded.database(server, seed) as name:
        with seeded.writing(server, name) if seed % 2 else nullcontext():
            record = holdfast.backup(seeded.url(server, name), store=store, proof=True)

        def rearrange(url: str) -> None:
            seeded.rearrange(server, url.partition("?")[0].rpartition("/")[2], seed)

        ways: dict[str, Callable[[str], None]] = {"as restored": lambda _url: None, "rearranged": rearrange}
        for number, (way, apply) in enumerate(ways.items()):
            with seeded.set_server(server, seed + number):
                result = drill_mutated(record.id, store, apply, into=seeded.url(server, ""))
            if not result.passed or result.state != "proven" or not result.compared:
                alarms.append((way, result.problems))
    return alarms


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
