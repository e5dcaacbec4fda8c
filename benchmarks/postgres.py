"""PostgreSQL: backup and restore against pg_dump and pg_restore, on narrow rows, documents, bytea and small objects."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, compare, run, workplace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.servers.postgres import PostgresServer, running

_BIN = "/usr/lib/postgresql/15/bin"
# A client of version 16 or newer compresses with zstd itself; `make test-matrix` unpacks one here.
_NEWER = Path(os.environ.get("HOLDFAST_MATRIX", "/var/tmp/holdfast-matrix")) / "17"

_TABLES = """
CREATE TABLE event(id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, amount numeric(12,2), actor int);
CREATE TABLE document(id int PRIMARY KEY, title text NOT NULL, body text NOT NULL, meta jsonb NOT NULL);
CREATE TABLE attachment(id int PRIMARY KEY, name text NOT NULL, content bytea NOT NULL);
CREATE TABLE paragraph(id int PRIMARY KEY, text text NOT NULL);
INSERT INTO paragraph SELECT p, string_agg(substr(md5((p * 37 + g * g)::text), 1, 2 + (p + g) % 8), ' ')
FROM generate_series(0, 19999) p, generate_series(1, 50) g GROUP BY p;
"""


def _fill(server: PostgresServer, database: str, megabytes: int) -> None:
    """Make a database of about this size as COPY text, always with the same content."""
    share = megabytes / 1000
    with server.connect(database) as connection:
        connection.execute(_TABLES)
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"""
            INSERT INTO event SELECT n, timestamptz '2020-01-01' + n * interval '7.3 seconds',
                'kind-' || (random() * 40)::int, (random() * 100000)::numeric(12,2), (random() * 50000)::int
            FROM generate_series(1, {int(5_500_000 * share)}) n
            """
        )
        connection.execute(
            f"""
            INSERT INTO document SELECT n, 'document number ' || n, string_agg(p.text, E'\\n'),
                jsonb_build_object('n', n, 'first', min(p.text), 'pages', array_agg(p.id))
            FROM generate_series(1, {int(170_000 * share)}) n, generate_series(1, 5) g, paragraph p
            WHERE p.id = (n::bigint * 7919 + g * 104729) % 20000 GROUP BY n
            """
        )
        connection.execute(
            f"""
            INSERT INTO attachment SELECT n, 'file-' || n || '.bin',
                decode(string_agg(md5((n * 512 + g)::text), '' ORDER BY g), 'hex')
                || convert_to(repeat('a line that compresses ' || n, 120), 'UTF8')
            FROM generate_series(1, {int(43_000 * share)}) n, generate_series(1, 100) g GROUP BY n
            """
        )
        for number in range(200):
            connection.execute(
                f"CREATE TABLE small_{number} AS SELECT n, md5(n::text) AS text FROM generate_series(1, 300) n"
            )
        connection.execute("CREATE INDEX ON event(at)")
        connection.execute("CREATE INDEX ON event(kind, actor)")
        connection.execute("CREATE INDEX ON document(title)")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _single(server: PostgresServer, database: str, megabytes: int) -> None:
    """One huge table and nothing else."""
    with server.connect(database) as connection:
        connection.execute(
            f"""
            CREATE TABLE event AS SELECT n::bigint AS id, timestamptz '2020-01-01' + n * interval '7.3 seconds' AS at,
                'kind-' || n % 40 AS kind, (n % 9973)::numeric(12,2) AS amount, md5(n::text) AS token
            FROM generate_series(1, {megabytes * 11_500}) n
            """
        )
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _newer_client() -> str | None:
    """The words that start a pg_dump of version 17, where there is one."""
    for folder in ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin"):
        if os.access(f"{folder}/pg_dump", os.X_OK):
            return f"{folder}/pg_dump"
    program = _NEWER / "usr/lib/postgresql/17/bin/pg_dump"
    libraries = _NEWER / "usr/lib/x86_64-linux-gnu"
    if program.exists():
        return f"{libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {program}"
    return None


class _Bench:
    def __init__(self, server: PostgresServer, folder: Path, runs: int) -> None:
        self.server = server
        self.folder = folder
        self.runs = runs
        self.store = folder / "store"

    def ours(self, database: str, *options: str) -> Contender:
        command = [
            PROGRAM, "backup", self.server.url(database), "--store", str(self.store),
            "--no-proof", "--jobs", "2", *options,
        ]  # fmt: skip
        return Contender(name="holdfast backup --jobs 2", command=command, prepare=_gone(self.store))

    def dump_peers(self, database: str) -> list[Contender]:
        target, out = f"-h 127.0.0.1 -p {self.server.port} -U postgres {database}", self.folder / "peer"
        peers = [
            Contender(name="pg_dump -Fc", command=f"{_BIN}/pg_dump -Fc -f {out} {target}"),
            Contender(name="pg_dump -Fc -Z0 | zstd -1 -T2",
                      command=f"{_BIN}/pg_dump -Fc -Z0 {target} | zstd -q -f -1 -T2 -o {out}"),
        ]  # fmt: skip
        newer = _newer_client()
        if newer is None:
            raise SystemExit("error: no pg_dump of version 17\nhint: `make test-matrix` unpacks one, or install it")
        peers.append(
            Contender(
                name="pg_dump 17 -Fd -j2 --compress=zstd:1",
                command=f"{newer} -Fd -j2 --compress=zstd:1 -f {out} {target}",
            )
        )
        return [Contender(name=peer.name, command=peer.command, prepare=_gone(out)) for peer in peers]

    def dump(self, title: str, database: str, *, slow: bool = True) -> None:
        peers = self.dump_peers(database)
        compare(title, self.ours(database), peers if slow else peers[1:], runs=self.runs)
        size = sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())
        print(f"  stored by holdfast: {size / 1e6:.0f} MB")

    def restore(self, database: str, *, quick: bool) -> None:
        archive = self.folder / "restore.dump"
        command = f"{_BIN}/pg_dump -Fd -j2 -Z1 -h 127.0.0.1 -p {self.server.port} -U postgres -f {archive} {database}"
        subprocess.run(["bash", "-c", command], check=True)
        run(self.ours(database))
        empty = self._empty("restored")
        target = f"-h 127.0.0.1 -p {self.server.port} -U postgres -d restored"
        ours = Contender(
            name="holdfast restore --jobs 2 -o analyze=false",
            command=[
                PROGRAM, "restore", f"{database}/latest", self.server.url("restored"),
                "--store", str(self.store), "--jobs", "2", "-o", "analyze=false",
            ],
            prepare=empty,
        )  # fmt: skip
        with_statistics = Contender(
            name="holdfast restore --jobs 2 (with ANALYZE)", command=ours.command[:-2], prepare=empty
        )
        peer = Contender(name="pg_restore -j2", command=f"{_BIN}/pg_restore -j2 {target} {archive}", prepare=empty)
        analyzed = Contender(
            name="pg_restore -j2 && vacuumdb -Z -j2",
            command=f"{_BIN}/pg_restore -j2 {target} {archive}; {_BIN}/vacuumdb -q -Z -j2 {target}",
            prepare=empty,
        )
        compare("restore", ours, [peer] if quick else [peer, with_statistics, analyzed], runs=self.runs)

    def _empty(self, name: str) -> Callable[[], object]:
        def prepare() -> None:
            self.server.drop(name)
            self.server.create(name)
            self.server.execute("postgres", "CHECKPOINT")

        return prepare


def _gone(path: Path) -> Callable[[], object]:
    def prepare() -> None:
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)

    return prepare


def main(arguments: list[str]) -> None:
    """Compare dump and restore; `--large` shows that memory does not grow with ten times the size."""
    parser = argparse.ArgumentParser(prog="benchmarks postgres")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=1000, help="MB as COPY text")
    parser.add_argument("--only", choices=["mixed", "single", "restore"], help="one part")
    parser.add_argument("--quick", action="store_true", help="leave out restores with statistics")
    parser.add_argument("--large", action="store_true", help="measure the memory at ten times the size as well")
    options = parser.parse_args(arguments)
    with workplace() as folder, running(settings="max_wal_size = 4GB\n") as server:
        bench = _Bench(server, folder, options.runs)
        if options.only in (None, "mixed", "restore"):
            server.create("mixed")
            _fill(server, "mixed", options.size)
        if options.only in (None, "mixed"):
            bench.dump(f"dump of about {options.size} MB: narrow rows, documents, bytea, small tables", "mixed")
        if options.only in (None, "restore"):
            bench.restore("mixed", quick=options.quick)
        if options.only in (None, "single"):
            server.create("single")
            _single(server, "single", options.size)
            bench.dump(f"dump of one table of about {options.size} MB", "single", slow=False)
        if options.large:
            server.create("large")
            _single(server, "large", options.size * 10)
            sample = run(bench.ours("large"))
            print(f"\nten times the size: {sample.wall:.1f} s, RSS {sample.rss:.0f} MB")
