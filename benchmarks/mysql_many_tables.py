"""MariaDB with very many small tables: what each operation costs for one, beside mariadb-dump and the stock client."""

import argparse
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, Sample, run, workplace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.servers.mariadb import MariaDB, running_mariadb

_TABLE = (
    "CREATE TABLE tenant_table_{n} (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL,"
    " name VARCHAR(100) NOT NULL DEFAULT '', note TEXT, amount DECIMAL(10,2), at DATETIME NOT NULL"
    " DEFAULT CURRENT_TIMESTAMP, state ENUM('new','done') NOT NULL DEFAULT 'new', KEY customer (customer),"
    " UNIQUE KEY name (name)) ENGINE=InnoDB"
)
_ROWS = "INSERT INTO tenant_table_{n}(customer, name, amount, at) VALUES (1, 'a', 1.5, NOW()), (2, 'b', NULL, NOW())"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One database of many tables, and where things are."""

    server: MariaDB
    folder: Path
    tables: int

    @property
    def database(self) -> str:
        """The name of the database."""
        return f"tables_{self.tables}"

    def fill(self) -> None:
        """Make the tables."""
        self.server.rows(f"CREATE DATABASE {self.database}")
        with self.server.connect(self.database) as connection, connection.cursor() as cursor:
            for number in range(self.tables):
                cursor.execute(_TABLE.format(n=number))
                cursor.execute(_ROWS.format(n=number))

    def make_target(self) -> None:
        """Make the target anew, empty."""
        self.server.rows("DROP DATABASE IF EXISTS target")
        self.server.rows("CREATE DATABASE target")

    def url(self, database: str) -> str:
        """Where a database is, over the socket, as the stock programs go there."""
        return f"mysql://root@localhost/{database}?socket={self.server.socket}"

    def server_cpu(self) -> float:
        """CPU seconds of the server so far."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def statements(self) -> int:
        """The statements that the server has run so far."""
        return int(str(self.server.rows("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]))


def _operations(bench: Bench) -> dict[str, tuple[Contender | None, Contender]]:
    """What is measured, in this order, each with the stock program for the same."""
    store, dump, latest = (
        ["--store", str(bench.folder / "store")],
        bench.folder / "dump.sql",
        f"{bench.database}/latest",
    )
    stock = f"--no-defaults -uroot --socket={bench.server.socket}"
    backup = [PROGRAM, "backup", "-q", bench.url(bench.database), *store]
    restore = [PROGRAM, "restore", "-q", latest, bench.url("target"), *store]
    drill = [PROGRAM, "drill", "-q", latest, "--into", bench.url(""), *store]
    dumped = Contender(
        name="mariadb-dump", command=f"mariadb-dump {stock} --single-transaction --quick {bench.database} > {dump}"
    )
    loaded = Contender(name="mariadb", command=f"mariadb {stock} target < {dump}", prepare=bench.make_target)
    case = partial(Contender, prepare=lambda: None)
    return {
        "backup --no-proof": (dumped, case(name="backup", command=[*backup, "--no-proof"])),
        "backup": (dumped, case(name="backup", command=backup)),
        "restore": (loaded, case(name="restore", command=restore, prepare=bench.make_target)),
        "restore --replace": (None, case(name="restore", command=[*restore, "--replace"])),
        "drill": (None, case(name="drill", command=drill)),
    }


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """One run: its own times, the server's CPU seconds and its statements."""

    sample: Sample
    server: float
    statements: int


def _cost(bench: Bench, contender: Contender) -> _Cost:
    contender.prepare()
    server, statements = bench.server_cpu(), bench.statements()
    sample = run(Contender(name=contender.name, command=contender.command))
    return _Cost(sample=sample, server=bench.server_cpu() - server, statements=bench.statements() - statements - 2)


def _print(bench: Bench, name: str, costs: list[_Cost]) -> None:
    def middle(of: Callable[[_Cost], float]) -> float:
        return statistics.median(of(cost) for cost in costs)

    print(
        f"{bench.tables:6} {name:22} {middle(lambda cost: cost.sample.wall):6.2f} s,"
        f" CPU {middle(lambda cost: cost.sample.cpu):5.2f} s, server {middle(lambda cost: cost.server):5.2f} s,"
        f" {middle(lambda cost: cost.statements):7.0f} statements,"
        f" {max(cost.sample.rss for cost in costs):4.0f} MB",
        flush=True,
    )


def main(arguments: list[str]) -> None:
    """Measure the costs."""
    parser = argparse.ArgumentParser(prog="benchmarks mysql_many_tables")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tables", type=int, nargs="+", default=[1, 1200])
    parser.add_argument("--only", nargs="+", default=[], help="operations, such as backup")
    options = parser.parse_args(arguments)
    print(f"\nmany small tables in MariaDB (medians of {options.runs})")
    with running_mariadb("--local-infile=ON", "--skip-ssl", "--skip-log-bin") as server, workplace() as folder:
        for tables in options.tables:
            bench = Bench(server=server, folder=folder, tables=tables)
            bench.fill()
            for name, (peer, ours) in _operations(bench).items():
                if options.only and name not in options.only:
                    continue
                pairs = [(_cost(bench, peer) if peer else None, _cost(bench, ours)) for _ in range(options.runs)]
                _print(bench, name, [mine for _, mine in pairs])
                if peer:
                    _print(bench, f"  {peer.name}", [other for other, _ in pairs if other])
            shutil.rmtree(folder / "store", ignore_errors=True)
