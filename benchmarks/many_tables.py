"""PostgreSQL with very many small objects: how each operation's time and memory grow with their number.

Beside the native tools in the same run: pg_dump for backups, pg_restore for restores.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.measure import PROGRAM, Contender, Sample, run, workplace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.postgres import PostgresServer, running

_BIN = "/usr/lib/postgresql/15/bin"
_BATCH = 500  # objects made in one transaction, each of which holds a lock
# What one object of each kind is made by; {n} is its number.
_MAKE = {
    "tables": "CREATE TABLE tenant_table_{n} (id serial PRIMARY KEY, t text);"
    "INSERT INTO tenant_table_{n} (t) VALUES ('a');",
    "sequences": "CREATE SEQUENCE tenant_sequence_{n};",
    "schemas": "CREATE SCHEMA tenant_{n}; CREATE TABLE tenant_{n}.orders (id int, t text);",
    "objects": "SELECT lo_from_bytea(0, '\\x{n:08x}');",
    "partitions": "CREATE TABLE part_{n} PARTITION OF parts FOR VALUES IN ({n});",
    "functions": "CREATE FUNCTION f_{n}(a int) RETURNS int LANGUAGE sql AS 'SELECT a + {n}';",
    "views": "CREATE VIEW v_{n} AS SELECT id, t FROM base WHERE id > {n};",
    # To each a tenth of 2,000 roles.
    "roles": "CREATE TABLE shared_{n} (id int); "
    "DO $$ BEGIN EXECUTE (SELECT format('GRANT SELECT ON shared_{n} TO %s', string_agg('reader_' || r, ', ')) "
    "FROM generate_series({n} % 10, 1999, 10) r); END $$;",
    "grants": "CREATE TABLE granted_{n} (id int); "
    + "".join(f"GRANT SELECT ON granted_{{n}} TO member_{role};" for role in range(10)),
}
_FIRST = {
    "partitions": ["CREATE TABLE parts (id int, t text) PARTITION BY LIST (id)"],
    "views": ["CREATE TABLE base (id int, t text)"],
    "roles": ["DO $$ BEGIN FOR r IN 0..1999 LOOP EXECUTE 'CREATE ROLE reader_' || r; END LOOP; END $$"],
    "grants": [f"CREATE ROLE member_{role}" for role in range(10)],
}
_SIZES = {
    "tables": [1000, 5000, 20000],
    "sequences": [10000, 40000],
    "schemas": [1000, 5000],
    "objects": [25000, 100000],
    "partitions": [2500, 10000],
    "functions": [2500, 10000],
    "views": [2500, 10000],
    "roles": [250, 1000],
    "grants": [1250, 5000],
}
# Tables, by kind of database: one of them, and half of them.
_ONE = {"tables": ["tenant_table_1"]}
_HALF = {"tables": [f"tenant_table_*{digit}" for digit in range(0, 10, 2)]}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One database of many objects, and where things are."""

    server: PostgresServer
    folder: Path
    kind: str
    number: int

    @property
    def database(self) -> str:
        """The name of the database."""
        return f"{self.kind}_{self.number}"

    def fill(self) -> None:
        """Make the objects."""
        self.server.create(self.database)
        with self.server.connect(self.database) as connection:
            for statement in _FIRST.get(self.kind, []):
                with contextlib.suppress(psycopg.errors.DuplicateObject):  # roles, of the size before
                    connection.execute(statement)
            for start in range(0, self.number, _BATCH):
                numbers = range(start, min(start + _BATCH, self.number))
                connection.execute("".join(_MAKE[self.kind].format(n=number) for number in numbers))
            connection.execute("CHECKPOINT")

    def ours(self, *words: str, prepare: Callable[[], object] = lambda: None) -> Sample:
        """Run Holdfast once."""
        command = [PROGRAM, words[0], "-q", *words[1:], "--store", str(self.folder / "store")]
        return run(Contender(name=" ".join(words), command=command, prepare=prepare))

    def make_target(self) -> None:
        """Make the target anew, empty."""
        self.server.drop("target")
        self.server.create("target")


def _operations(bench: Bench) -> dict[str, tuple[Contender | None, Callable[[], Sample]]]:
    """What is measured, in this order, each with the native tool for the same."""
    url, target = bench.server.url(bench.database), bench.server.url("target")
    dump, newest = str(bench.folder / "peer"), f"{bench.database}/latest"

    def restore(*words: str, prepare: Callable[[], object] = lambda: None) -> Sample:
        return bench.ours("restore", newest, target, *words, prepare=prepare)

    peer_dump = Contender(name="pg_dump -Fc", command=[f"{_BIN}/pg_dump", "-Fc", "-f", dump, "-d", url])
    peer_restore = Contender(
        name="pg_restore -j2", command=[f"{_BIN}/pg_restore", "-j2", "-d", target, dump], prepare=bench.make_target
    )
    operations: dict[str, tuple[Contender | None, Callable[[], Sample]]] = {
        "backup": (peer_dump, lambda: bench.ours("backup", url, "--no-proof")),
        "backup --proof": (None, lambda: bench.ours("backup", url, "--proof")),
        "list": (None, lambda: bench.ours("list")),
        "verify": (None, lambda: bench.ours("verify", newest)),
        "restore": (peer_restore, lambda: restore(prepare=bench.make_target)),
        "restore -n": (None, lambda: restore("-n", "--replace")),
        "restore --replace": (None, lambda: restore("--replace")),
        "drill": (None, lambda: bench.ours("drill", newest, "--into", bench.server.url(""))),
    }
    for name, patterns in (("one", _ONE), ("half", _HALF)):
        if words := [f"--select={pattern}" for pattern in patterns.get(bench.kind, [])]:
            operations |= {
                f"restore {name}": (None, partial(restore, "--replace", *words)),
                f"restore {name}, new": (None, partial(restore, *words, prepare=bench.make_target)),
                f"backup {name}": (None, partial(bench.ours, "backup", url, "--name", name, *words)),
            }
    return operations


def _measure(bench: Bench, runs: int, wanted: list[str]) -> None:
    """Print one line for each operation: its time, its memory, and the peer's."""
    for name, (peer, ours) in _operations(bench).items():
        if not wanted or name in wanted:
            _print(bench, name, peer, ours, runs)
    bench.server.drop("target")
    bench.server.drop(bench.database)


def _print(bench: Bench, name: str, peer: Contender | None, ours: Callable[[], Sample], runs: int) -> None:
    pairs = [(run(peer) if peer else None, ours()) for _ in range(runs)]
    wall = sorted(mine.wall for _, mine in pairs)[runs // 2]
    line = f"{bench.number:7} {bench.kind:10} {name:22} {wall:7.2f} s {max(mine.rss for _, mine in pairs):5.0f} MB"
    if peer:
        walls = sorted(other.wall for other, _ in pairs if other)[runs // 2]
        memory = max(other.rss for other, _ in pairs if other)
        ratio = sorted(mine.wall / other.wall for other, mine in pairs if other)[runs // 2]
        line += f"   {peer.name} {walls:7.2f} s {memory:5.0f} MB, ratio {ratio:.2f}"
    print(line, flush=True)


def main(arguments: list[str]) -> None:
    """Measure the curves."""
    parser = argparse.ArgumentParser(prog="benchmarks many_tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=_MAKE, default=list(_MAKE))
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of objects instead of the usual ones")
    parser.add_argument("--only", nargs="+", default=[], help="operations, such as backup")
    options = parser.parse_args(arguments)
    print("\nmany small objects (medians)")
    settings = "max_locks_per_transaction = 4096\n"
    with workplace() as folder, running(settings=settings) as server:
        for kind in options.kinds:
            for number in options.sizes or _SIZES[kind]:
                bench = Bench(server=server, folder=folder, kind=kind, number=number)
                bench.fill()
                _measure(bench, options.runs, options.only)
                shutil.rmtree(folder / "store", ignore_errors=True)
