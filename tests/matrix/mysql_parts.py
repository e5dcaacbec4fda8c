"""Tables of MySQL in several parts; run by `.ci/matrix/mysql`, not by `make test`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mysql_parts import NAMES, make_parts, small_parts, sums
from support.servers.mariadb import MariaDB

import holdfast


@pytest.fixture
def source(mysql: MariaDB) -> Iterator[str]:
    mysql.rows("CREATE DATABASE parts")
    yield "parts"
    for name in ("parts", "copy"):
        mysql.rows(f"DROP DATABASE IF EXISTS {name}")


@pytest.mark.parametrize("local_infile", [True, False])
def test_keys_of_every_type_divide_a_table(mysql: MariaDB, source: str, store: str, local_infile: bool) -> None:
    make_parts(mysql, source)
    mysql.rows(f"SET GLOBAL local_infile={'ON' if local_infile else 'OFF'}")
    mysql.client(
        b"CREATE TABLE down(id INT, v INT, PRIMARY KEY (id DESC)); INSERT INTO down SELECT k, v FROM ids;"
        b"SET sql_generate_invisible_primary_key=ON; CREATE TABLE given(v INT); INSERT INTO given SELECT v FROM ids;"
        b"ANALYZE TABLE down, given;",
        database=source,
    )
    with small_parts():
        record = holdfast.backup(mysql.url(source), store=store)
    parts = Counter(file.parent.name for file in Path(record.path, "data").rglob("*.zst"))
    assert {name for name in parts if parts[name] > 1} == {*NAMES, "down", "given"}
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
    for replace in (False, True):
        holdfast.restore(record, mysql.url("copy"), store=store, replace=replace)
        assert sums(mysql, "copy") == sums(mysql, source)
    mysql.rows("SET GLOBAL local_infile=OFF")


def test_rows_that_are_counted_and_not_there_divide_nothing(mysql: MariaDB, source: str, store: str) -> None:
    make_parts(mysql, source)
    mysql.rows(f"CREATE TABLE {source}.t(id INT PRIMARY KEY)")
    with mysql.connect(source, autocommit=False) as other, other.cursor() as cursor, small_parts():
        cursor.execute("INSERT INTO t SELECT k FROM ids")
        mysql.rows(f"ANALYZE TABLE {source}.t")
        record = holdfast.backup(mysql.url(source), store=store)
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
