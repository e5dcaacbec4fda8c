"""Drills of sound backups raise no alarm, whatever is in the database and however the servers are set.

The short form of `python -m soak.servers`.
"""

import pytest
from soak.servers import clean
from support import mysql_seeded, postgres_seeded
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server
from support.sweeps import swept

import holdfast

__all__ = ["mariadb", "postgres_server"]

# Odd ones are written to while they are backed up.
SEEDS = swept(3, 14, long=[2])


@pytest.mark.sweep(1)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_alarm_on_postgresql(seed: int, postgres_server: PostgresServer) -> None:
    """Seed 14 has a role with array_nulls off, under which a restored NULL would become a text."""
    assert clean(postgres_server, postgres_seeded, seed) == []


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", [*SEEDS, 5, 41])
def test_no_alarm_on_mariadb(seed: int, mariadb: MariaDB) -> None:
    """Seeds 5 and 41 log statements, 5 has autocommit off."""
    assert clean(mariadb, mysql_seeded, seed) == []


@pytest.mark.parametrize(
    "setting",
    ["sql_select_limit=2", "autocommit=0", "sql_big_selects=0", "max_statement_time=0.5", "sql_safe_updates=1"],
)
def test_no_setting_of_a_mariadb_server_cuts_rows_off(
    setting: str, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither in a backup nor in a restore: sql_select_limit would do it without a message."""
    store = str(tmp_path_factory.mktemp("store"))
    name = setting.partition("=")[0]
    mariadb.rows("CREATE DATABASE cut_off")
    try:
        mariadb.rows("CREATE TABLE cut_off.t(id INT PRIMARY KEY, v INT)")
        mariadb.rows("INSERT INTO t SELECT seq, seq FROM seq_1_to_500", database="cut_off")
        before = mariadb.rows(f"SELECT @@global.{name}")[0][0]
        try:
            mariadb.rows(f"SET GLOBAL {setting}")
            record = holdfast.backup(mariadb.url("cut_off"), store=store, proof=True)
            assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
            holdfast.restore(record.id, mariadb.url("cut_off_too"), store=store)
        finally:
            with mariadb.connect(init_command="SET autocommit=1, max_statement_time=0") as connection:
                connection.cursor().execute(f"SET GLOBAL {name}=%s", (before,))
        assert mariadb.rows("SELECT COUNT(*), SUM(v) FROM cut_off_too.t") == [(500, 125250)]
    finally:
        for database in ("cut_off", "cut_off_too"):
            mariadb.rows(f"DROP DATABASE IF EXISTS {database}")
