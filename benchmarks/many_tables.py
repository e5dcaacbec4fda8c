"""PostgreSQL with very many small objects: how each operation's time and memory grow with their number.

Beside the native tools in the same run: pg_dump for backups, pg_restore for restores.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, Sample, run, workplace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.postgres import PostgresServer, running

_BIN = "/usr/lib/postgresql/15/bin"
_BATCH = 500  # objects made in one transaction, each of which holds a lock
# What one object of each kind is made by; {n} is its number.
_MAKE = {
    "tables": "CREATE TABLE tenant_table_{n} (id serial PRIMARY KEY, t text); INSERT INTO tenant_table_{n} (t) VALUES ('a');",
    "sequences": "CREATE SEQUENCE tenant_sequence_{n};",
    "schemas": "CREATE SCHEMA tenant_{n}; CREATE TABLE tenant_{n}.orders (id int, t text);",
    "objects": "SELECT lo_from_bytea(0, '\\x{n:08x}');",
    "partitions": "CREATE TABLE part_{n} PARTITION OF parts FOR VALUES IN ({n});",
    "functions": "CREATE FUNCTION f_{n}(a int) RETURNS int LANGUAGE sql AS 'SELECT a + {n}';",
    "grants": "CREATE TABLE granted_{n} (id int); "
    + "".join(f"GRANT SELECT ON granted_{{n}} TO reader_{role};" for role in range(10)),
}
_FIRST = {
    "partitions": ["CREATE TABLE parts (id int, t text) PARTITION BY LIST (id)"],
    "grants": [f"CREATE ROLE reader_{role}" for role in range(10)],
}
_SIZES = {
    "tables": [1000, 5000, 20000],
    "sequences": [10000, 40000],
    "schemas": [1000, 5000],
    "objects": [25000, 100000],
    "partitions": [2500, 10000],
    "functions": [1250, 5000],
    "grants": [1250, 5000],
}
_FOR_SELECTION = {"tables": ("tenant_table_1", "tenant_table_*[13579]")}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One database of many objects, and where things are."""

    server: PostgresServer
    folder: Path
    kind: str
    number: int

    @property
    def database(self) -> str:
        return f"{self.kind}_{self.number}"

    def fill(self) -> None:
        """Make the objects."""
        self.server.create(self.database)
        with self.server.connect(self.database) as connection:
            for statement in _FIRST.get(self.kind, []):
                connection.execute(statement)
            for start in range(0, self.number, _BATCH):
                numbers = range(start, min(start + _BATCH, self.number))
                connection.execute("".join(_MAKE[self.kind].format(n=number) for number in numbers))
            connection.execute("CHECKPOINT")

    def ours(self, *words: str, prepare: Callable[[], object] = lambda: None) -> Sample:
        """Run Holdfast once."""
        command = [PROGRAM, words[0], "-q", *words[1:], "--store", str(self.folder / "store")]
        return run(Contender(name=" ".join(words), command=command, prepare=prepare))

    def target(self) -> str:
        """The URL of a new, empty database."""
        self.server.drop("target")
        self.server.create("target")
        return self.server.url("target")


def _measure(bench: Bench, runs: int, wanted: list[str]) -> None:
    """Print one line for each operation: its time, its memory, and the peer's."""
    url = bench.server.url(bench.database)
    dump = str(bench.folder / "peer")
    fresh = bench.target
    peer_dump = Contender(name="pg_dump -Fc", command=[f"{_BIN}/pg_dump", "-Fc", "-f", dump, "-d", url])
    peer_restore = Contender(
        name="pg_restore -j2",
        command=[f"{_BIN}/pg_restore", "-j2", "-d", bench.server.url("target"), dump],
        prepare=fresh,
    )
    operations: dict[str, tuple[Contender | None, Callable[[], Sample]]] = {
        "backup": (peer_dump, lambda: bench.ours("backup", url, "--no-proof")),
        "backup --proof": (None, lambda: bench.ours("backup", url, "--proof")),
        "list": (None, lambda: bench.ours("list")),
        "show": (None, lambda: bench.ours("show", "latest")),
        "verify": (None, lambda: bench.ours("verify", "latest")),
        "restore": (peer_restore, lambda: bench.ours("restore", "latest", bench.server.url("target"), prepare=fresh)),
        "restore -n": (None, lambda: bench.ours("restore", "latest", bench.server.url("target"), "-n", "--replace")),
        "restore --replace": (
            None, lambda: bench.ours("restore", "latest", bench.server.url("target"), "--replace"),
        ),
        "drill": (None, lambda: bench.ours("drill", "latest", "--into", bench.server.url(""))),
    }  # fmt: skip
    for one, half in filter(None, [_FOR_SELECTION.get(bench.kind)]):
        into = bench.server.url("target")
        operations |= {
            "restore --select one": (
                None, lambda: bench.ours("restore", "latest", into, "--replace", "--select", one)),
            "restore --select half": (
                None, lambda: bench.ours("restore", "latest", into, "--replace", "--select", half.replace("[13579]", "1"))),
            "restore half, empty": (
                None, lambda: bench.ours("restore", "latest", into, "--select", half.replace("[13579]", "1"), prepare=fresh)),
            "backup --select one": (None, lambda: bench.ours("backup", url, "--select", one, "--name", "one")),
            "backup --select half": (
                None, lambda: bench.ours("backup", url, "--select", half.replace("[13579]", "1"), "--name", "half")),
        }  # fmt: skip
    for name, (peer, ours) in operations.items():
        if wanted and name not in wanted:
            continue
        try:
            _print(bench, name, peer, ours, runs)
        except SystemExit as error:
            print(f"{bench.number:7} {bench.kind:10} {name:22} {str(error)[-300:]}", flush=True)
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
