"""While pg_dump works another session looks on: a lock that is not obtained, and a snapshot that is lost, end it."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.servers.postgres import PostgresServer

from holdfast.api import DumpRequest, LockedError, UnreachableError
from holdfast_postgres.dump import open_dump
from holdfast_postgres.options import PostgresOptions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def app(server: PostgresServer, database: str) -> str:
    """A table, and beside it what pg_dump takes no lock on before it reads its definition."""
    server.execute(
        database,
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE MATERIALIZED VIEW mv AS SELECT a FROM t",
        "CREATE SEQUENCE sq",
    )
    return database


@contextmanager
def _holding(server: PostgresServer, database: str, statement: str) -> Iterator[int]:
    """Another session that has done this and does not commit."""
    with server.connect(database, application_name="holder") as holder:
        holder.autocommit = False
        holder.execute(statement)
        yield holder.info.backend_pid
        holder.rollback()


def _request(url: str, tmp_path: Path, **options: Any) -> DumpRequest:
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700, exist_ok=True)
    return DumpRequest(url=url, scratch=scratch, options=PostgresOptions(**options), jobs=2)


def _wait(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _waiting(server: PostgresServer, database: str) -> bool:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'"
    return bool(server.value("postgres", query))


@pytest.mark.sweep(4)
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DROP VIEW v", "view public.v"),
        ("DROP SEQUENCE sq", "sequence public.sq"),
        ("REFRESH MATERIALIZED VIEW mv", "materialized view public.mv"),
    ],
    ids=["view", "sequence", "materialized"],
)
@pytest.mark.parametrize("options", [(), ("-o", "format=custom"), ("--proof",)], ids=["parallel", "custom", "proof"])
def test_what_somebody_locks_is_named_within_the_timeout(
    server: PostgresServer, app: str, holdfast_cli: Cli, statement: str, named: str, options: tuple[str, ...]
) -> None:
    """Not tables alone: exit code 11, the name, and the session that holds it."""
    with _holding(server, app, statement) as pid:
        started = time.monotonic()
        done = holdfast_cli("backup", server.url(app), "-o", "lock_timeout=0.3", *options)
        assert time.monotonic() - started < 10
        assert server.value("postgres", f"SELECT count(*) FROM pg_locks WHERE pid = {pid}") > 0
    assert done.returncode == 11, done.stderr
    assert f"{named} is locked by another session (process {pid}: postgres, holder)" in done.stderr
    assert "lock_timeout" in done.stderr
    assert server.quiet()


def test_a_change_that_waits_for_the_backup_is_named(server: PostgresServer, app: str, tmp_path: Path) -> None:
    """pg_dump queues behind it, it queues behind the backup's own locks."""

    def change() -> None:
        with suppress(psycopg.Error), server.connect(app, application_name="changer") as connection:
            connection.execute("ALTER TABLE t ADD b int")

    with open_dump(_request(server.url(app), tmp_path, lock_timeout=0.3)) as session:
        changing = threading.Thread(target=change)
        changing.start()
        _wait(lambda: _waiting(server, app))
        with pytest.raises(LockedError, match=r"another session is waiting to change table public\.t .*changer"):
            list(session.read(session.streams[0]))
    changing.join(10)
    assert not changing.is_alive()


def test_a_snapshot_that_is_lost_ends_pg_dump_within_seconds(server: PostgresServer, app: str, tmp_path: Path) -> None:
    """And not only once pg_dump has read everything, which may take hours."""
    with (
        _holding(server, app, "DROP VIEW v"),
        open_dump(_request(server.url(app), tmp_path, lock_timeout=30, format="custom")) as session,
    ):
        reading = threading.Thread(target=lambda: _fails(session, ended))
        ended: list[BaseException] = []
        reading.start()
        _wait(lambda: _waiting(server, app))
        server.execute(
            "postgres",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{app}' "
            "AND state = 'idle in transaction' AND application_name <> 'holder'",
        )
        reading.join(10)
        assert not reading.is_alive()
        assert isinstance(ended[0], UnreachableError)
        assert "snapshot was lost" in str(ended[0])
    assert server.quiet()


def _fails(session: Any, ended: list[BaseException]) -> None:
    try:
        list(session.read(session.streams[0]))
    except BaseException as error:  # noqa: BLE001 (looked at by the test, in its own thread)
        ended.append(error)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_no_session_that_waits_for_a_lock_outlives_the_backup(
    server: PostgresServer, app: str, store: str, kind: signal.Signals
) -> None:
    """It would hold its own locks for as long: the server looks for its client only when it writes to it."""
    with _holding(server, app, "DROP VIEW v"):
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "backup", server.url(app), "--store", store, "-o", "lock_timeout=60"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(lambda: _waiting(server, app))
        process.send_signal(kind)
        process.wait(20)
        ours = f"datname = '{app}' AND application_name <> 'holder'"
        _wait(lambda: server.value("postgres", f"SELECT count(*) FROM pg_stat_activity WHERE {ours}") == 0, 5)
