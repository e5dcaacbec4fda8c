"""What goes wrong ends within seconds in one clear message, the right exit code, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.disks import small_disk
from support.postgres_faults import assert_nothing_published, fill_big, wait_until
from support.servers.postgres import PostgresServer, running

import holdfast
from holdfast.api import DumpRequest, HoldfastError, UnreachableError
from holdfast_postgres.dump import open_dump
from holdfast_postgres.options import PostgresOptions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def gone_while_reading(scratch: Path) -> Iterator[Iterator[object]]:
    """The rest of a stream whose server has died after its first bytes."""
    with running() as server:
        server.create("app")
        fill_big(server, "app")
        request = DumpRequest(url=server.url("app"), scratch=scratch, options=PostgresOptions(format="custom"))
        with open_dump(request) as session:
            reading = iter(session.read(session.streams[0]))
            next(reading)
            server.stop()
            try:
                yield reading
            finally:
                server.start()


def test_a_server_that_dies_while_pg_dump_copies_is_told_with_the_reason(tmp_path: Path) -> None:
    """pg_dump first says that PQgetCopyData failed, and only then why."""
    with (
        gone_while_reading(tmp_path) as reading,
        pytest.raises(UnreachableError, match=r"server closed the connection|terminating connection"),
    ):
        list(reading)


def test_of_a_server_that_is_gone_the_reason_is_told_that_its_sessions_were_given(tmp_path: Path) -> None:
    """Whoever notices it first: the monitor, which cannot connect any more, says why its session ended."""
    with gone_while_reading(tmp_path) as reading:
        wait_until(lambda: not any(thread.name == "holdfast-locks" for thread in threading.enumerate()))
        with pytest.raises(UnreachableError, match=r"server closed the connection|terminating connection"):
            list(reading)


@pytest.mark.parametrize("victim", ["holder", "reader"])
def test_a_backend_that_is_killed_fails_the_backup(
    server: PostgresServer, database: str, tmp_path: Path, victim: str
) -> None:
    """Whether it held the snapshot or was reading rows."""
    fill_big(server, database)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = PostgresOptions(large_table="0")
    request = DumpRequest(url=server.url(database), scratch=scratch, options=options)
    with open_dump(request) as session:
        parts = [stream for stream in session.streams if stream.name.startswith("data/")]
        if victim == "holder":
            _terminate(server, database, "backend_xmin IS NOT NULL")
            with pytest.raises(UnreachableError, match="snapshot was lost"):
                list(session.read(parts[0]))
            with pytest.raises(UnreachableError, match="snapshot was lost"):
                session.facts()
        else:
            reading = session.read(parts[0])
            next(reading)
            _terminate(server, database, "query LIKE 'COPY%'")
            with pytest.raises(UnreachableError, match=r"public\.big"):
                list(reading)
    assert server.quiet()


def _terminate(server: PostgresServer, database: str, condition: str) -> None:
    query = (
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND {condition}"
    )
    assert server.value("postgres", query) >= 1


def test_a_server_that_stops_in_the_middle_ends_backup_restore_and_drill(store: str, holdfast_cli: Cli) -> None:
    """As a crash would: exit code 15 for all, nothing is listed, and what is left is named with why."""
    with running() as server:
        server.create("app")
        fill_big(server, "app")
        server.create("copy")
        record = holdfast.backup(server.url("app"), store=store)

        def crash(event: Any) -> None:
            if event.type == "progress" and event.done > 1 << 20:
                server.stop()

        with pytest.raises(UnreachableError):
            holdfast.backup(server.url("app"), store=store, on_event=crash, options={"part_size": "1MB"})
        assert [backup["id"] for backup in json.loads(holdfast_cli("list", "--json").stdout)] == [record.id]
        server.start()
        with pytest.raises(UnreachableError):
            holdfast.restore(record.id, server.url("copy"), store=store, on_event=crash)
        server.start()
        with pytest.raises(UnreachableError, match=r"^cannot .*; could not drop the scratch .*drill_") as lost:
            holdfast.drill(record.id, store=store, into=server.url("postgres"), on_event=crash)
        assert "next drill" in str(lost.value.hint)
        assert "give the role" not in str(lost.value.hint)
        server.start()
        assert holdfast.restore(record.id, server.url("copy2"), store=store, options={"create": "true"}).steps


def test_a_store_without_space_leaves_nothing_and_no_session(server: PostgresServer, database: str, store: str) -> None:
    """A limit on the size of files stands for the full disk."""
    import resource

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    fill_big(server, database)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "backup", server.url(database), "--store", store, "--codec", "none"],
        check=False, capture_output=True, text=True,
        preexec_fn=limit_files,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "would be larger than" in done.stderr
    assert_nothing_published(store)
    assert server.quiet()


def test_no_space_for_a_directory_is_told_before_pg_dump_starts(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """pg_dump writes it before we can hand it on: exit code 1, as for any disk that is full."""
    fill_big(server, database)
    folder = tmp_path / "small"
    folder.mkdir()
    words = ("backup", server.url(database), "--store", store, "-o", "format=directory")
    with small_disk(folder, "1m") as enter:
        done = subprocess.run(
            [*enter, sys.executable, "-m", "holdfast", *words],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    assert done.returncode == 1, done.stderr
    assert "not enough space" in done.stderr
    assert "TMPDIR" in done.stderr
    assert_nothing_published(store)


def test_clients_that_are_too_old_are_named_with_what_to_install(
    server: PostgresServer, database: str, holdfast_cli: Cli, tmp_path: Path
) -> None:
    """Exit code 14; both versions are in the message."""
    old = tmp_path / "bin"
    old.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (old / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 11.22'\n")
        (old / name).chmod(0o755)
    done = holdfast_cli("backup", server.url(database), HOLDFAST_PG_BINDIR=str(old))
    assert done.returncode == 14
    assert "11.22" in done.stderr
    version = server.value("postgres", "SHOW server_version").split()[0]
    assert version in done.stderr
    assert "postgresql-client-" in done.stderr
    done = holdfast_cli("backup", server.url(database), HOLDFAST_PG_BINDIR=str(tmp_path / "empty"))
    assert done.returncode == 14
    assert "HOLDFAST_PG_BINDIR" in done.stderr


def test_globals_hold_password_hashes_if_wanted_and_if_the_role_may_read_them(
    server: PostgresServer, database: str, odd_roles: None, holdfast_cli: Cli, store: str
) -> None:
    """In a file of mode 0600; pg_read_all_data reads them as any other table, and a lesser role does without."""

    def newest() -> str:
        return max(Path(store).rglob("globals.sql"), key=lambda path: path.stat().st_mtime_ns).read_text()

    done = holdfast_cli("backup", server.url(database), "-o", "globals=true", "--codec", "none")
    assert done.returncode == 0, done.stderr
    assert "password hashes" in done.stderr
    (path,) = Path(store).rglob("globals.sql")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "CREATE ROLE odd_writer" in text
    assert "SCRAM-SHA-256" in text
    done = holdfast_cli("backup", server.url(database), "-o", "globals=nopasswords", "--codec", "none")
    assert done.returncode == 0, done.stderr
    assert "password" not in done.stderr
    assert "CREATE ROLE odd_writer" in newest()
    assert "PASSWORD" not in newest()
    (instructions, *_) = sorted(Path(store).rglob("RESTORE.md"), key=lambda path: -path.stat().st_mtime_ns)
    assert "without password hashes" in instructions.read_text()
    role = f"plain_{database}"
    server.execute("postgres", f"CREATE ROLE {role} LOGIN")
    try:
        done = holdfast_cli("backup", server.url(database, role), "-o", "globals=true", "--codec", "none")
        assert done.returncode == 0, done.stderr
        assert f"role {role} may not read pg_authid: the passwords of roles" in done.stderr
        assert "CREATE ROLE odd_writer" in newest()
        assert "PASSWORD" not in newest()
        server.execute("postgres", f"GRANT pg_read_all_data TO {role}")
        done = holdfast_cli("backup", server.url(database, role), "-o", "globals=true", "--codec", "none")
        assert done.returncode == 0, done.stderr
        assert "SCRAM-SHA-256" in newest()
    finally:
        server.execute("postgres", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("damage", "said", "code"),
    [
        ("UPDATE pg_proc SET pronamespace = 999999 WHERE proname = 'f'", "schema with OID 999999 does not exist", 13),
        ("UPDATE pg_class SET relowner = 999999 WHERE relname = 't'", "role with OID 999999 does not exist", 13),
        (
            "DELETE FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2",
            "catalog is missing 1 attribute",
            13,
        ),
        ("DELETE FROM pg_enum", "invalid internal value for enum", 13),
        # This may be no damage at all: an object that is dropped while it is read.
        ("UPDATE pg_proc SET prolang = 999999 WHERE proname = 'f'", "query returned 0 rows", 1),
    ],
)
@pytest.mark.parametrize("kind", ["parallel", "custom"])
def test_a_catalog_that_disagrees_with_itself_is_damage(
    server: PostgresServer, database: str, store: str, damage: str, said: str, code: int, kind: str
) -> None:
    server.execute(
        database,
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TABLE t (a mood, b int)",
        "INSERT INTO t VALUES ('sad', 1)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"SET allow_system_table_mods TO on; {damage}",
    )
    with pytest.raises(HoldfastError, match=said) as caught:
        holdfast.backup(server.url(database), store=store, options={"format": kind, "large_table": "0"})
    assert caught.value.exit_code == code
    assert "enum" in said or "that OID" in str(caught.value.hint)
