"""Backup and restore of MariaDB against mariadb-dump | zstd, mydumper, the stock client and myloader.

`--size` is about the bytes of rows in MB; the server is private and lives on a free loopback port.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, compare, workplace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.servers.mariadb import MariaDB, running_mariadb

_SERVER = ("--local-infile=ON", "--innodb-buffer-pool-size=1536M", "--innodb-log-file-size=512M", "--skip-log-bin")


def main(argv: list[str]) -> None:
    """Make the database, then time backups and restores."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks mysql")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--only", choices=("backup", "restore"))
    parser.add_argument("--quick", action="store_true", help="leave out our own variants")
    parser.add_argument("--peers", default="", help="names that a peer must contain, separated by commas")
    options = parser.parse_args(argv)
    wanted = [part for part in options.peers.split(",") if part]
    with running_mariadb(*_SERVER) as server, workplace() as folder:
        make(server, options.size)
        if options.only != "restore":
            _backups(server, folder, options.runs, wanted, quick=options.quick)
        if options.only != "backup":
            _restores(server, folder, options.runs, wanted, quick=options.quick)


def make(server: MariaDB, megabytes: int) -> None:
    """A database of narrow rows (a third), sysbench's tables, documents and blobs, always with the same content."""
    million = megabytes * 1000
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE bench")
        cursor.execute("USE bench")
        cursor.execute(
            "CREATE TABLE narrow(id INT UNSIGNED PRIMARY KEY, customer INT UNSIGNED NOT NULL, at DATETIME NOT NULL,"
            " amount DECIMAL(10,2), state TINYINT NOT NULL, KEY customer(customer))"
        )
        cursor.execute(
            "INSERT INTO narrow SELECT seq, FLOOR(RAND(1)*100000), '2024-01-01' + INTERVAL seq SECOND,"
            f" ROUND(RAND(2)*1000, 2), seq % 5 FROM seq_1_to_{million * 5}"
        )
        for number in range(1, 5):
            cursor.execute(
                f"CREATE TABLE sbtest{number}(id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL,"
                " pad CHAR(60) NOT NULL, KEY k(k))"
            )
            cursor.execute(
                f"INSERT INTO sbtest{number} SELECT seq, FLOOR(RAND({number})*1e6), LEFT(CONCAT_WS('-', RAND(seq),"
                f" RAND(), RAND(), RAND(), RAND(), RAND()), 119), LEFT(CONCAT_WS('-', RAND(), RAND(), RAND()), 59)"
                f" FROM seq_1_to_{million // 2}"
            )
        cursor.execute("CREATE TABLE docs(id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(100), body TEXT)")
        cursor.execute("CREATE TABLE blobs(id INT PRIMARY KEY AUTO_INCREMENT, content LONGBLOB)")
        for _ in range(max(1, megabytes // 5)):
            rows = [(" ".join(rng.choices(words, k=4)), " ".join(rng.choices(words, k=120))) for _ in range(1000)]
            cursor.executemany("INSERT INTO docs(title, body) VALUES (%s, %s)", rows)
            cursor.execute("INSERT INTO blobs(content) VALUES (%s)", (rng.randbytes(500_000),))
        size = server.rows(
            "SELECT ROUND(SUM(data_length)/1e6) FROM information_schema.tables WHERE table_schema='bench'"
        )
        print(f"{server.rows('SELECT VERSION()')[0][0]}, {size[0][0]} MB of InnoDB data, {os.cpu_count()} CPUs")


def _backups(server: MariaDB, folder: Path, runs: int, wanted: list[str], *, quick: bool) -> None:
    store, dump, many = folder / "store", folder / "dump.sql.zst", folder / "mydumper"
    stock = f"mariadb-dump --no-defaults -uroot --socket={server.socket} --single-transaction --quick bench"

    def fresh() -> None:
        shutil.rmtree(many, ignore_errors=True)
        shutil.rmtree(store, ignore_errors=True)

    ours = Contender(name="holdfast backup --no-proof", command=_backup(server, store, "--no-proof"), prepare=fresh)
    proven = Contender(name="holdfast backup", command=_backup(server, store), prepare=fresh)
    peers = [
        Contender(name="mariadb-dump | zstd -3 -T2", command=f"{stock} | zstd -3 -T2 -q -f -o {dump}"),
        Contender(name="mariadb-dump | zstd -1 -T2", command=f"{stock} | zstd -1 -T2 -q -f -o {dump}"),
    ]
    if shutil.which("mydumper"):
        command = f"mydumper --socket={server.socket} -u root -B bench -t 2 -c -o {many}"
        peers.append(Contender(name="mydumper -t2 -c", command=command, prepare=fresh))
    compare("backup", ours, [*([] if quick else [proven]), *_chosen(peers, wanted)], runs=runs)


def _restores(server: MariaDB, folder: Path, runs: int, wanted: list[str], *, quick: bool) -> None:
    store, dump, many = folder / "store", folder / "dump.sql", folder / "mydumper"
    subprocess.run(_backup(server, store, "--no-proof"), check=True, stdout=subprocess.DEVNULL)
    stock = f"mariadb-dump --no-defaults -uroot --socket={server.socket} --single-transaction --quick bench > {dump}"
    subprocess.run(["bash", "-c", stock], check=True)

    def empty() -> None:
        server.rows("DROP DATABASE IF EXISTS copy")
        server.rows("CREATE DATABASE copy")

    def case(name: str, command: str | list[str]) -> Contender:
        return Contender(name=name, command=command, prepare=empty)

    ours = [PROGRAM, "restore", "bench/latest", _url(server, "copy"), "--store", str(store)]
    peers = [case("mariadb < dump", f"mariadb --no-defaults -uroot --socket={server.socket} copy < {dump}")]
    if shutil.which("myloader"):
        shutil.rmtree(many, ignore_errors=True)  # mydumper leaves there what lies there
        subprocess.run(
            ["mydumper", f"--socket={server.socket}", "-u", "root", "-B", "bench", "-t", "2", "-o", str(many)],
            check=True,
        )
        peers.append(case("myloader -t2", f"myloader --socket={server.socket} -u root -s bench -B copy -t 2 -d {many}"))
    inserted = case("holdfast restore -o local_infile=false", [*ours, "-o", "local_infile=false"])
    variants = [] if quick else [inserted]
    compare("restore", case("holdfast restore", ours), [*variants, *_chosen(peers, wanted)], runs=runs)


def _chosen(peers: list[Contender], wanted: list[str]) -> list[Contender]:
    return [peer for peer in peers if not wanted or any(part in peer.name for part in wanted)]


def _backup(server: MariaDB, store: Path, *options: str) -> list[str]:
    url = _url(server, "bench")
    return [PROGRAM, "backup", url, "--store", str(store), "--name", "bench", *options]


def _url(server: MariaDB, database: str) -> str:
    return f"mysql://root@localhost/{database}?socket={server.socket}"
