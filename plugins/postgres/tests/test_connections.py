"""Ways to a server: passwords, hosts, sockets, services; and those that fail, with their exit codes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.postgres_faults import assert_nothing_published, fill_big
from support.servers.postgres import GUARDED, PostgresServer, free_port

import holdfast
from holdfast.api import CredentialsError, UnreachableError

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


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
    fill_big(server, database)
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
    arguments = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    arguments.add(_arguments(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return arguments - {_arguments(str(parent))}  # a child that has not executed its program yet has the parent's


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
        (server.url(database, sslmode="sometimes"), 2, "sslmode"),
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
    assert_nothing_published(store)
    assert server.quiet()


def test_credentials_errors_are_of_their_class(server: PostgresServer, database: str, guarded: Any, store: str) -> None:
    with pytest.raises(CredentialsError, match="password authentication failed"):
        holdfast.backup(server.url(database, guarded[0], "no"), store=store)


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


def test_a_limit_of_sessions_is_told_as_one(server: PostgresServer, database: str, store: str, role: str) -> None:
    server.execute("postgres", f"ALTER ROLE {role} CONNECTION LIMIT 2")
    with pytest.raises(UnreachableError, match="too many connections for role") as raised:
        holdfast.backup(server.url(database, role), store=store)
    assert "CONNECTION LIMIT" in (raised.value.hint or "")
