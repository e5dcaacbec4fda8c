"""`holdfast run --executor dask://…`: whatever happens to workers and schedulers, each database is backed up once."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from support.background import in_background
from support.commandline import Shell
from support.servers.dask_cluster import DaskCluster, dask_cluster, descendants_of, steps_of
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server
from support.servers.tcp_proxy import TCPProxy, running_tcp_proxy

__all__ = ["mariadb", "postgres_server"]

# SQLite, PostgreSQL, MariaDB: `make fleet` tries the long form.
COUNTS = (200, 20, 20) if os.environ.get("HOLDFAST_TEST_FLEET") == "long" else (12, 2, 2)
_LONGEST = 60.0 + 8 * sum(COUNTS)  # seconds for a run
SECRET = "hunter2-of-the-fleet"
TTL = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s"}


def until(what: Callable[[], Any], message: str, seconds: float = 90.0) -> Any:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, message
        time.sleep(0.02)
    return value


def make_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        with closing(sqlite3.connect(folder / f"f{number:03}.db", isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("CREATE TABLE t (a)")
            db.executemany("INSERT INTO t VALUES (?)", [(os.urandom(1000),)] * 500)


@contextmanager
def databases(shell: Shell, postgres: PostgresServer, maria: MariaDB) -> Iterator[str]:
    """A fleet, and the jobs for it; MariaDB's account has a password, which is in a file."""
    files, of_postgres, of_maria = COUNTS
    make_files(shell.folder / "data", files)
    (shell.folder / "secret").write_text(f"{SECRET}\n")
    (shell.folder / "ping").write_text(f"http://127.0.0.1:1/{SECRET}\n")
    names = [f"fleet_{number:02}" for number in range(max(of_postgres, of_maria))]
    maria.rows(f"CREATE USER fleet IDENTIFIED BY '{SECRET}'")
    maria.rows("GRANT ALL ON *.* TO fleet")
    try:
        for name in names[:of_postgres]:
            postgres.create(name)
            postgres.execute(name, "CREATE TABLE t AS SELECT generate_series(1, 2000) AS a")
        for name in names[:of_maria]:
            maria.rows(f"CREATE DATABASE {name}")
            maria.rows("CREATE TABLE t AS SELECT seq AS a FROM seq_1_to_2000", database=name)
        defaults = '[defaults]\nevery = "400d"\nverify = {every = "400d", read_data = true}\n'
        at = maria.url().partition("://")[2].rpartition("@")[2]
        yield (
            f'{defaults}retry = {{times = 60, wait = "1s"}}\n[limits]\nparallel = 6\n'
            '[job.files]\nsource = "sqlite:///data/*.db"\ndatabases = "*"\n'
            f'[job.postgres]\nsource = "{postgres.url("")}"\ndatabases = "fleet_*"\n'
            f'[job.maria]\nsource = "mariadb://fleet@{at}"\ndatabases = "fleet_*"\n'
            'password_command = ["cat", "secret"]\nping.file = "ping"\n'
        )
        assert postgres.quiet()
        sessions = "SELECT count(*) FROM information_schema.processlist WHERE user = 'fleet'"
        until(lambda: maria.rows(sessions)[0][0] == 0, "sessions were left")
    finally:
        maria.rows("DROP USER fleet")
        for name in names:
            postgres.drop(name)
            maria.rows(f"DROP DATABASE IF EXISTS {name}")


def look_for_secrets(met: list[str]) -> Callable[[Event], None]:
    """Look at the arguments of all processes, and the environment of those of ours, again and again."""

    def look(stop: Event) -> None:
        while not stop.wait(0.1):
            for number in filter(str.isdigit, os.listdir("/proc")):
                for kind in ("cmdline", "environ"):
                    try:
                        data = Path(f"/proc/{number}/{kind}").read_bytes()
                    except OSError:
                        continue
                    if SECRET.encode() in data:
                        met.append(f"{kind} of {data[:200]!r}")

    return look


def worker_at_work(cluster: DaskCluster, name: str) -> int:
    """The process of a worker that is in the middle of a step."""

    def look() -> int:
        number = cluster.process_of(name)
        return number if steps_of(number) else 0

    number: int = until(look, f"{name} has nothing to do:\n{cluster.log(name)[-2000:]}")
    return number


def kill(cluster: DaskCluster, name: str) -> None:
    os.kill(worker_at_work(cluster, name), signal.SIGKILL)


def freeze(cluster: DaskCluster, name: str) -> None:
    """Stop a worker with all that it has started, until others have its tasks, and let it go on."""
    worker_at_work(cluster, name)
    number = cluster.programs[name].pid
    frozen = [number, *descendants_of(number)]
    before = cluster.log("scheduler").count("Remove worker")
    for each in frozen:
        os.kill(each, signal.SIGSTOP)
    try:
        until(lambda: cluster.log("scheduler").count("Remove worker") > before, "the scheduler waits for it")
        time.sleep(2)  # its tasks are with the other one by now, or will be
    finally:
        for each in frozen:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


def check_store(shell: Shell, count: int) -> None:
    """Each database has one backup, of a run of its own, verified, and nothing else is left."""
    records = shell.listing()
    assert len(records) == count
    assert len({record["run"] for record in records}) == len({record["name"] for record in records}) == count
    assert len({record["source_url"] for record in records}) == count
    assert {record["state"] for record in records} == {"verified"}
    leases = shell.store / ".leases"
    assert not leases.exists() or not list(leases.iterdir())
    assert not list(shell.scratch.iterdir())
    folders = {str(path.parent) for path in shell.store.glob("*/*/*") if path.is_file()}
    assert len(folders) == count, "a backup that was not finished is left"


def test_a_fleet_is_backed_up_once_though_workers_are_killed_and_frozen(
    shell: Shell, postgres_server: PostgresServer, mariadb: MariaDB, tmp_path: Path
) -> None:
    """And no secret is on the wire, in an argument, an environment, a result, a log, a metric or a report."""
    count, met = sum(COUNTS), list[str]()
    began = time.monotonic()
    with ExitStack() as stack:
        text = stack.enter_context(databases(shell, postgres_server, mariadb))
        (shell.folder / "holdfast.toml").write_text(text)
        (shell.folder / "holdfast.toml").chmod(0o600)
        shared = {key: value for key, value in shell.environment().items() if key.startswith(("HOLDFAST", "TMP", "HO"))}
        cluster = stack.enter_context(dask_cluster(tmp_path / "cluster", env={**TTL, **shared}))
        wire: TCPProxy = stack.enter_context(running_tcp_proxy(cluster.port))
        wire.seen = bytearray()
        cluster.start_worker("one", port=wire.port)
        cluster.start_worker("two", "--no-nanny", port=wire.port)
        stack.enter_context(in_background(look_for_secrets(met)))
        words = ("run", "--due", "--config", "holdfast.toml", "--json", "--executor", f"dask://127.0.0.1:{wire.port}")
        run = shell.start(*words)
        kill(cluster, "one")
        freeze(cluster, "two")
        output, said = run.communicate(timeout=_LONGEST)
        lines = [json.loads(line) for line in output.splitlines()]
        assert run.returncode == 0, (output[-3000:], said[-3000:])
        assert len(lines) == count
        assert {line["exit_code"] for line in lines} == {0}
        assert len({line["source"] for line in lines}) == count
        assert {line["worker"] for line in lines} == {os.uname().nodename}
        until(lambda: not steps_of(cluster.process_of("one")), "a step goes on")
        check_store(shell, count)
        again = shell.run(*words)
        assert again.stdout == ""
        for name in ("report", "metrics"):
            shell.run(name, *(["report.html"] if name == "report" else ["--output", "metrics.prom"]))
        runs = {record["run"] for record in shell.listing()}
        took = time.monotonic() - began
        print(f"{count} databases, {len(shell.listing())} backups, {len(runs)} distinct runs, {took:.0f} s")
    assert met == []
    check_no_secret(shell, cluster, output + said, bytes(wire.seen))


def check_no_secret(shell: Shell, cluster: DaskCluster, said: str, wire: bytes) -> None:
    assert b"maria/fleet_00@" in wire, "what was captured is not what the workers were sent"
    paths = [*shell.store.rglob("*"), *cluster.folder.rglob("*")]
    texts = {str(path): path.read_bytes() for path in paths if path.is_file()}
    texts |= {name: (shell.folder / name).read_bytes() for name in ("report.html", "metrics.prom")}
    texts |= {"the wire": wire, "what was said": said.encode()}
    assert [name for name, data in texts.items() if SECRET.encode() in data] == []
