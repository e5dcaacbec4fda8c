"""Rows of a history that are there end at the last moment that the server knows: newer servers know a later one."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.catalog import tables


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_rows_that_are_there_are_there_on_a_server_of_another_last_moment(
    form: str,
    mariadb: MariaDB,
    database: str,
    store: str,
    new_name: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the source had known no moment behind that at which its rows end."""
    names = ("hidden", "named", "loose")
    period = "a TIMESTAMP(6) AS ROW START, z TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (a, z)"
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone='+00:00'")
        for table, columns in (("hidden", ""), ("named", f", {period}"), ("loose", "")):
            engine = "MyISAM" if table == "loose" else "InnoDB"
            cursor.execute(f"CREATE TABLE {table} (id INT{columns}) WITH SYSTEM VERSIONING ENGINE={engine}")
        cursor.execute("SET timestamp=1700000000.5")
        for table in names:
            cursor.execute(f"INSERT INTO {table} (id) VALUES (1), (2)")
        cursor.execute("SET timestamp=1700000001.5")
        for table in names:
            cursor.execute(f"DELETE FROM {table}")
    with monkeypatch.context() as older:
        older.setattr(tables, "last_moment", lambda _: "2023-11-14 22:13:21.500000")
        record = holdfast.backup(mariadb.url(database), store=store, options={"format": form}, proof=True)
    drilled = holdfast.drill(record, store=store, into=mariadb.url())
    assert (drilled.problems, drilled.state) == ((), "proven")
    target = new_name()
    holdfast.restore(record.id, mariadb.url(target), store=store)
    for table in names:
        assert mariadb.rows(f"SELECT id FROM {target}.{table} ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_by_hand_they_end_at_the_last_moment_of_whatever_server(
    form: str, mariadb: MariaDB, database: str, by_hand: Callable[..., str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t (id INT) WITH SYSTEM VERSIONING")
    mariadb.rows(f"INSERT INTO {database}.t VALUES (1), (2)")
    mariadb.rows(f"DELETE FROM {database}.t WHERE id=1")
    target = by_hand(database, form)
    for times in ("", " FOR SYSTEM_TIME ALL"):
        query = "SELECT id, row_end FROM {}.t" + times
        assert mariadb.rows(query.format(target)) == mariadb.rows(query.format(database))
