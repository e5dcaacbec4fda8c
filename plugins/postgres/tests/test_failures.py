"""What goes wrong ends within seconds in one clear message, the right exit code, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disks import small_disk
from servers.postgres import GUARDED, PostgresServer, free_port, running

import holdfast
from holdfast.api import CredentialsError, DumpRequest, UnreachableError
from holdfast_postgres.dump import open_dump
from holdfast_postgres.options import PostgresOptions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def _wait(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _nothing_left(store: str) -> None:
    """No backup, and less than a megabyte of anything."""
    left = [path for path in Path(store).rglob("*") if path.is_file()] if Path(store).exists() else []
    assert not [path for path in left if path.name == "backup_manifest.json"]
    assert sum(path.stat().st_size for path in left) < 1 << 20


def _big(server: PostgresServer, database: str) -> None:
    """Some seconds' worth of rows: text that is made anew for each row as it is read would not be a table."""
    server.execute(
        database,
        "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 60000) n",
    )


@pytest.fixture
def guarded(server: PostgresServer, database: str) -> Any:
    """A role that has to give a password full of characters that mean something somewhere."""
    role, password = f"guarded_{database}", "p'a\"s s:w/o@r%d?#&\\=ü"
    with server.connect(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD {_literal(password)} IN ROLE {GUARDED}")
    try:
        yield role, password
    finally:
        server.execute("postgres", f"DROP ROLE {role}")


def _literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def test_a_password_of_any_characters_works_and_is_shown_nowhere(
    server: PostgresServer, database: str, target: str, guarded: tuple[str, str], holdfast_cli: Cli, store: str
) -> None:
    """Not in argv, which the test reads from the running children, not in the manifest, not in what is said."""
    from urllib.parse import quote

    role, password = guarded
    encoded = quote(password, safe="")
    _big(server, database)
    url = server.url(database, role, encoded)
    seen: set[str] = set()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "-v", "backup", url, "--store", store, "-o", "large_table=0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while process.poll() is None:
        seen |= _arguments_of_children(process.pid)
        time.sleep(0.002)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert any("pg_dump" in words for words in seen)
    assert any("psql" in words for words in seen)
    manifests = "".join(path.read_text() for path in Path(store).rglob("backup_manifest.json"))
    for text in (*seen, said, manifests):
        assert password not in text
        assert encoded not in text
    done = holdfast_cli("restore", "latest", server.url(target, role, encoded))
    assert done.returncode == 0, done.stderr
    assert server.value(target, "SELECT count(*) FROM big") == 60000


def _arguments_of_children(parent: int) -> set[str]:
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.add(_arguments(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found - {_arguments(str(parent))}  # a child that has not executed its program yet has the parent's


def _arguments(process: str) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


@pytest.mark.parametrize("way", ["environment", "passfile"])
def test_a_password_from_the_environment_or_a_file_is_used(
    server: PostgresServer, database: str, guarded: tuple[str, str], holdfast_cli: Cli, tmp_path: Path, way: str
) -> None:
    role, password = guarded
    if way == "environment":
        environment = {"PGPASSWORD": password}
    else:
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        path = tmp_path / "pgpass"
        path.write_text(f"127.0.0.1:{server.port}:*:{role}:{escaped}\n")
        path.chmod(0o600)
        environment = {"PGPASSFILE": str(path)}
    done = holdfast_cli("backup", server.url(database, role), **environment)
    assert done.returncode == 0, done.stderr


def test_wrong_ways_in_have_their_exit_codes(
    server: PostgresServer, database: str, guarded: tuple[str, str], holdfast_cli: Cli, store: str
) -> None:
    """12 for who we are, 15 for what is not there, 2 for what cannot be meant; within seconds, and in one line."""
    role, _ = guarded
    closed = server.url(database).replace(str(server.port), str(free_port()))
    cases = [
        (server.url(database, role, "wr0ng-secret"), 12, "password authentication failed"),
        (server.url(database, role), 12, "password"),
        (server.url(database, "nobody_of_that_name"), 12, "does not exist"),
        (server.url("no_such_database"), 15, "does not exist"),
        (closed, 15, "refused"),
        (server.url(database, host="/no/such/folder"), 15, "/no/such/folder"),
        (server.url(""), 2, "names no database"),
        (server.url(database, sslmode="sometimes"), 15, "sslmode"),
        (server.url(database, colour="blue"), 2, "colour"),
        (server.url(database, sslmode="verify-full"), 12, "SSL"),
    ]
    for url, code, words in cases:
        started = time.monotonic()
        done = holdfast_cli("backup", url)
        assert (done.returncode, words in done.stderr) == (code, True), (url, done.returncode, done.stderr)
        assert time.monotonic() - started < 15
        assert "wr0ng-secret" not in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    _nothing_left(store)
    assert server.quiet()


def test_the_second_of_several_hosts_is_used_by_every_part(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """A snapshot is known only to the server that exported it."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    url = f"postgresql://postgres@127.0.0.1:{free_port()},127.0.0.1:{server.port}/{database}?target_session_attrs=any"
    record = holdfast.backup(url, store=store, options={"large_table": "0"})
    holdfast.restore(record.id, url.replace(database, target), store=store)
    assert server.value(target, "SELECT count(*) FROM t") == 100


def test_sockets_services_and_options_of_libpq_work(
    server: PostgresServer, database: str, holdfast_cli: Cli, tmp_path: Path
) -> None:
    """The same database by any of these ways is the same source."""
    from urllib.parse import quote

    services = tmp_path / "services.conf"
    services.write_text(f"[mine]\nhost=127.0.0.1\nport={server.port}\ndbname={database}\nuser=postgres\n")
    folder = quote(str(server.folder), safe="")
    urls = [
        server.url(database),
        f"postgresql://postgres@{folder}:{server.port}/{database}",
        f"postgres:///{database}?host={folder}&port={server.port}&user=postgres",
        "postgresql://?service=mine",
        server.url(database, options=quote("-c work_mem=1MB -c lock_timeout=100"), application_name="mine"),
        server.url(database, keepalives="0", tcp_user_timeout="5000", connect_timeout="3", sslmode="disable"),
    ]
    server.execute(database, "CREATE TABLE t (a int)")
    for url in urls:
        done = holdfast_cli("backup", url, "-o", "large_table=0", PGSERVICEFILE=str(services))
        assert done.returncode == 0, (url, done.stderr)
    folders = holdfast_cli("list", "--json")
    assert folders.stdout.count(f'"name": "{database}"') + folders.stdout.count(f'"name":"{database}"') == len(urls)


def test_a_server_that_dies_while_pg_dump_copies_is_told_with_the_reason(tmp_path: Path) -> None:
    """pg_dump first says that PQgetCopyData failed, and only then why."""
    with running() as server:
        server.create("app")
        _big(server, "app")
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        request = DumpRequest(url=server.url("app"), scratch=scratch, options=PostgresOptions(format="custom"))
        with open_dump(request) as session:
            reading = session.read(session.streams[0])
            next(reading)
            server.stop()
            try:
                with pytest.raises(UnreachableError, match=r"server closed the connection|terminating connection"):
                    list(reading)
            finally:
                server.start()


@pytest.mark.parametrize("victim", ["holder", "reader"])
def test_a_backend_that_is_killed_fails_the_backup(
    server: PostgresServer, database: str, tmp_path: Path, victim: str
) -> None:
    """Whether it held the snapshot or was reading rows."""
    _big(server, database)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = PostgresOptions(large_table=0)
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


def test_a_server_that_stops_in_the_middle_ends_backup_and_restore(store: str, holdfast_cli: Cli) -> None:
    """As a crash would: exit code 15 for both, and nothing is listed."""
    with running() as server:
        server.create("app")
        _big(server, "app")
        server.create("copy")
        record = holdfast.backup(server.url("app"), store=store)

        def crash(event: Any) -> None:
            if event.type == "progress" and event.done > 1 << 20:
                server.stop()

        with pytest.raises(UnreachableError):
            holdfast.backup(server.url("app"), store=store, on_event=crash, options={"part_size": "1"})
        assert [backup["id"] for backup in json.loads(holdfast_cli("list", "--json").stdout)] == [record.id]
        server.start()
        with pytest.raises(UnreachableError):
            holdfast.restore(record.id, server.url("copy"), store=store, on_event=crash)
        server.start()
        assert holdfast.restore(record.id, server.url("copy2"), store=store, options={"create": "true"})


_SIGNALS = pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill", "term", "int"])


@_SIGNALS
def test_a_signal_to_a_backup_leaves_no_child_no_session_and_no_lock(
    server: PostgresServer, database: str, store: str, kind: signal.Signals
) -> None:
    """Even SIGKILL, after which nobody of ours can clean up."""
    _big(server, database)
    process = _start("backup", server.url(database), "--store", store, "-o", "part_size=1")
    _wait(lambda: _active(server, database, "") >= 1)
    _signal_and_look(server, database, process, kind)
    _nothing_left(store)


@_SIGNALS
def test_a_signal_to_a_restore_ends_what_the_server_does_for_it(
    server: PostgresServer, database: str, target: str, store: str, kind: signal.Signals
) -> None:
    """The index that is being built is given up; after all but SIGKILL the target is empty again."""
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
    _wait(lambda: _active(server, target, "CREATE INDEX") >= 1)
    _signal_and_look(server, target, process, kind)
    if kind is not signal.SIGKILL:
        assert server.value(target, "SELECT to_regclass('public.t')") is None


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _active(server: PostgresServer, database: str, query: str) -> int:
    found: int = server.value(
        "postgres",
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
        f"AND datname = '{database}' AND query LIKE '{query}%'",
    )
    return found


def _signal_and_look(
    server: PostgresServer, database: str, process: "subprocess.Popen[bytes]", kind: signal.Signals
) -> None:
    children = _descendants(process.pid)
    process.send_signal(kind)
    assert process.wait(20) in (128 + kind, -kind)
    _wait(lambda: _active(server, database, "") == 0)
    _wait(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def _descendants(root: int) -> set[int]:
    found: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == root:
                found.add(int(entry))
    return found


def test_a_store_without_space_leaves_nothing_and_no_session(server: PostgresServer, database: str, store: str) -> None:
    """A limit on the size of files stands for the full disk."""
    import resource

    _big(server, database)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "backup", server.url(database), "--store", store, "--codec", "none"],
        check=False, capture_output=True, text=True,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        ),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "would be larger than" in done.stderr
    _nothing_left(store)
    assert server.quiet()


def test_no_space_for_a_directory_is_told_before_pg_dump_starts(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """pg_dump writes it before we can hand it on: exit code 1, as for any disk that is full."""
    _big(server, database)
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
    _nothing_left(store)


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


def test_globals_take_a_role_that_may_read_hashes_and_are_said_to_be_secret(
    server: PostgresServer, database: str, odd_roles: None, holdfast_cli: Cli, store: str
) -> None:
    """Roles with their password hashes, in a file of mode 0600; pg_read_all_data reads them as any other table."""
    done = holdfast_cli("backup", server.url(database), "-o", "globals=true", "--codec", "none")
    assert done.returncode == 0, done.stderr
    assert "password hashes" in done.stderr
    (path,) = Path(store).rglob("globals.sql")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "CREATE ROLE odd_writer" in text
    assert "SCRAM-SHA-256" in text
    role = f"plain_{database}"
    server.execute("postgres", f"CREATE ROLE {role} LOGIN")
    try:
        done = holdfast_cli("backup", server.url(database, role), "-o", "globals=true")
        assert done.returncode == 12
        assert "pg_authid" in done.stderr
        server.execute("postgres", f"GRANT pg_read_all_data TO {role}")
        done = holdfast_cli("backup", server.url(database, role), "-o", "globals=true", "--codec", "none")
        assert done.returncode == 0, done.stderr
        newest = max(Path(store).rglob("globals.sql"), key=lambda found: found.stat().st_mtime_ns)
        assert "SCRAM-SHA-256" in newest.read_text()
    finally:
        server.execute("postgres", f"DROP ROLE {role}")


def test_credentials_errors_are_of_their_class(server: PostgresServer, database: str, guarded: Any, store: str) -> None:
    with pytest.raises(CredentialsError, match="password authentication failed"):
        holdfast.backup(server.url(database, guarded[0], "no"), store=store)
