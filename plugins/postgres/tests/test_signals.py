"""SIGKILL, SIGTERM and SIGINT: no child, no session and no lock is left behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.postgres_faults import assert_nothing_published, fill_big, wait_until
from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.location import Location
from holdfast_postgres.session import connected, releasing_locks

_SIGNALS = pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill", "term", "int"])


@_SIGNALS
def test_a_signal_to_a_backup_leaves_no_child_no_session_and_no_lock(
    server: PostgresServer, database: str, store: str, kind: signal.Signals
) -> None:
    """Even SIGKILL, after which nobody of ours can clean up."""
    fill_big(server, database)
    process = _start("backup", server.url(database), "--store", store, "-o", "part_size=1MB")
    wait_until(lambda: _active(server, database, "") >= 1)
    _signal_and_look(server, database, process, kind)
    assert_nothing_published(store)


@_SIGNALS
def test_a_signal_to_a_restore_ends_what_the_server_does_for_it(
    server: PostgresServer, database: str, target: str, store: str, kind: signal.Signals
) -> None:
    """The index that is being built is aborted; after all but SIGKILL the target is empty again."""
    server.execute(
        database,
        f"""
        CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN
            IF current_database() <> '{database}' THEN PERFORM pg_sleep(60); END IF;
            RETURN 1;
        END $$
        """,
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS a",
        "CREATE INDEX slowly ON t (slow(a))",
    )
    record = holdfast.backup(server.url(database), store=store)
    process = _start("restore", record.id, server.url(target), "--store", store)
    wait_until(lambda: _active(server, target, "CREATE INDEX") >= 1)
    _signal_and_look(server, target, process, kind)
    if kind is not signal.SIGKILL:
        assert server.value(target, "SELECT to_regclass('public.t')") is None


class Ended(BaseException):
    """What handlers of signals raise: each program has its own."""


def test_a_statement_ends_with_whatever_the_handler_of_a_signal_raises(server: PostgresServer, database: str) -> None:
    """Locks are given back on the way out, by a session that the statement no longer occupies."""

    def end(*_: object) -> None:
        raise Ended

    def wait() -> None:
        with releasing_locks(connection):
            timer.start()
            connection.execute("SELECT pg_catalog.pg_sleep(60)")

    before = signal.signal(signal.SIGUSR1, end)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with connected(Location.parse(server.url(database), connect_timeout=10)) as connection:
            connection.execute("BEGIN; CREATE TABLE t ()")
            with pytest.raises(Ended):
                wait()
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _active(server: PostgresServer, database: str, query: str) -> int:
    count: int = server.value(
        "postgres",
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
        f"AND datname = '{database}' AND query LIKE '{query}%'",
    )
    return count


def _signal_and_look(
    server: PostgresServer, database: str, process: "subprocess.Popen[bytes]", kind: signal.Signals
) -> None:
    children = _descendants(process.pid)
    process.send_signal(kind)
    _, said = process.communicate(timeout=20)
    assert process.returncode in (128 + kind, -kind), said.decode()
    wait_until(lambda: _active(server, database, "") == 0)
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def _descendants(root: int) -> set[int]:
    children: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == root:
                children.add(int(entry))
    return children
