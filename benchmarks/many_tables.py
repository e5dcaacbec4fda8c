"""PostgreSQL with very many small tables: how the time beside pg_dump's grows with their number."""

import argparse
import sys
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, run, workplace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.postgres import PostgresServer, running

_PG_DUMP = "/usr/lib/postgresql/15/bin/pg_dump"
_BATCH = 500  # tables made in one transaction, each of which holds a lock


def _fill(server: PostgresServer, database: str, tables: int) -> None:
    with server.connect(database) as connection:
        for start in range(0, tables, _BATCH):
            numbers = range(start, min(start + _BATCH, tables))
            connection.execute(
                "".join(f"CREATE TABLE tenant_table_{number} (id serial, t text);" for number in numbers)
            )


def _measure(server: PostgresServer, folder: Path, tables: int, runs: int) -> None:
    """Print the medians of one number of tables, and their ratio."""
    database = f"tables_{tables}"
    server.create(database)
    _fill(server, database, tables)
    url = server.url(database)
    peer = Contender(name="pg_dump -Fc", command=[_PG_DUMP, "-Fc", "-f", str(folder / "peer"), "-d", url])
    ours = Contender(
        name="holdfast backup", command=[PROGRAM, "backup", "-q", url, "--store", str(folder / "store"), "--no-proof"]
    )
    samples = [(run(peer), run(ours)) for _ in range(runs)]
    ratio = sorted(mine.wall / other.wall for other, mine in samples)[runs // 2]
    walls = [sorted(pair[side].wall for pair in samples)[runs // 2] for side in (0, 1)]
    memory = [max(pair[side].rss for pair in samples) for side in (0, 1)]
    print(
        f"{tables:6} tables: pg_dump {walls[0]:6.2f} s {memory[0]:4.0f} MB, holdfast {walls[1]:6.2f} s "
        f"{memory[1]:4.0f} MB, ratio {ratio:.2f}",
        flush=True,
    )
    server.drop(database)


def main(arguments: list[str]) -> None:
    """Measure the curve."""
    parser = argparse.ArgumentParser(prog="benchmarks many_tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tables", type=int, nargs="+", default=[1000, 5000, 20000])
    options = parser.parse_args(arguments)
    print("\nmany small tables, each with a sequence (medians)")
    with workplace() as folder, running(settings="max_locks_per_transaction = 2048\n") as server:
        for tables in options.tables:
            _measure(server, folder, tables, options.runs)
