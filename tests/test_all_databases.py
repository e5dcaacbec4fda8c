"""`backup --all-databases` backs up every database of a server, each on its own, and tells which of them failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commandline import Ran, Shell
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server

import holdfast
from holdfast.api import DatabaseURL

__all__ = ["mariadb", "postgres_server"]

NAMES = ("all_plain", 'all "odd" %41/ü --x', "all_empty")
BROKEN = "all_broken"


def check(ran: Ran, shell: Shell, *, scheme: str) -> dict[str, str]:
    """Three backups, one error that names the fourth database, exit 3; the ids by the names of databases."""
    assert "1 of 4 backups failed" in ran.stderr
    assert "together they are not one snapshot" in ran.stderr
    assert "all_left_out" not in ran.stdout + ran.stderr
    ids = ran.stdout.split()
    listed = shell.listing()
    assert sorted(ids) == sorted(backup["id"] for backup in listed)
    assert {backup["engine"] for backup in listed} == {scheme}
    assert {backup["state"] for backup in listed} == {"complete"}
    assert len({backup["name"] for backup in listed}) == len(NAMES)
    by_database = {DatabaseURL.parse(backup["database_url"]).path.removeprefix("/"): backup["id"] for backup in listed}
    assert set(by_database) == set(NAMES)
    return by_database


@pytest.fixture
def filled_mariadb(mariadb: MariaDB) -> Iterator[MariaDB]:
    names = (*NAMES, BROKEN, "all_left_out")
    for name in names:
        mariadb.rows(f"CREATE DATABASE `{name}`")
    mariadb.rows(f"CREATE TABLE `{NAMES[0]}`.t(id INT PRIMARY KEY)")
    mariadb.rows(f"INSERT INTO `{NAMES[0]}`.t VALUES (1)")
    mariadb.rows(f"CREATE TABLE `{NAMES[1]}`.t(id INT PRIMARY KEY)")
    mariadb.rows(f"INSERT INTO `{NAMES[1]}`.t VALUES (2)")
    mariadb.rows(f"CREATE TABLE {BROKEN}.t(id INT) ENGINE=MyISAM")
    mariadb.rows("FLUSH TABLES")
    (mariadb.folder / "data" / BROKEN / "t.MYI").unlink()
    yield mariadb
    for name in (*names, "all_restored"):
        mariadb.rows(f"DROP DATABASE IF EXISTS `{name}`")


def test_every_database_of_a_mariadb_server(filled_mariadb: MariaDB, shell: Shell) -> None:
    server = filled_mariadb
    ran = shell.run("backup", "--all-databases", server.url(), "--select", "all*", "--exclude", "*left_out", code=3)
    ids = check(ran, shell, scheme="mysql")
    assert "all_broken" in ran.stderr
    for number, name in enumerate(NAMES[:2], 1):
        holdfast.restore(ids[name], server.url("all_restored"), store=str(shell.store))
        assert server.rows("SELECT id FROM all_restored.t") == [(number,)]
        server.rows("DROP DATABASE all_restored")
        assert shell.run("drill", ids[name], "--into", server.url()).code == 0
    holdfast.restore(ids["all_empty"], server.url("all_restored"), store=str(shell.store))
    assert server.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'all_restored'") == []


@pytest.fixture
def filled_postgres(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    names = (*NAMES, BROKEN, "all_left_out")
    for name in names:
        quoted = name.replace('"', '""')
        postgres_server.execute("postgres", f'CREATE DATABASE "{quoted}"')
    for number, name in enumerate(NAMES[:2], 1):
        postgres_server.execute(name, f"CREATE TABLE t AS SELECT {number} AS id")
    postgres_server.execute(BROKEN, "CREATE TABLE t (id int)")
    yield postgres_server
    for name in names:
        quoted = name.replace('"', '""')
        postgres_server.execute("postgres", f'DROP DATABASE IF EXISTS "{quoted}" WITH (FORCE)')


def test_every_database_of_a_postgresql_server(filled_postgres: PostgresServer, shell: Shell) -> None:
    server = filled_postgres
    with server.connect(BROKEN) as locker, locker.transaction():
        locker.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        ran = shell.run(
            "backup", "--all-databases", server.url(""), "--select", "all*", "--exclude", "*left_out",
            "-o", "lock_timeout=0.2", code=3,
        )  # fmt: skip
    ids = check(ran, shell, scheme="postgresql")
    assert "public.t" in ran.stderr
    for number, name in enumerate(NAMES[:2], 1):
        with server.database() as target:
            holdfast.restore(ids[name], server.url(target), store=str(shell.store))
            assert server.rows(target, "SELECT id FROM t") == [(number,)]
        assert shell.run("drill", ids[name], "--into", server.url("")).code == 0
    with server.database() as target:
        holdfast.restore(ids["all_empty"], server.url(target), store=str(shell.store))
        assert server.rows(target, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.parametrize("engine", ["mariadb", "postgresql"])
def test_a_server_on_which_nothing_fits_is_an_error(
    engine: str, mariadb: MariaDB, postgres_server: PostgresServer, shell: Shell
) -> None:
    url = mariadb.url() if engine == "mariadb" else postgres_server.url("")
    shell.fails(10, "backup", "--all-databases", url, "--select", "no such *")
    assert not Path(shell.store).exists()
