"""Tables in several parts, as those of more than two million rows are."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.mysql_parts import NAMES, make_parts, small_parts, sums
from support.servers.mariadb import MariaDB

import holdfast


def test_keys_of_every_type_divide_a_table(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    make_parts(mariadb, database)
    with small_parts():
        record = holdfast.backup(mariadb.url(database), store=store)
    parts = Counter(file.parent.name for file in Path(record.path, "data").rglob("*.zst"))
    assert {name for name in NAMES if parts[name] > 1} == set(NAMES)
    assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    assert sums(mariadb, target) == sums(mariadb, database)


def test_rows_that_are_counted_and_not_there_divide_nothing(mariadb: MariaDB, database: str, store: str) -> None:
    """The server's estimate counts rows that others have not committed yet: a large table that nobody sees."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    with mariadb.connect(database, autocommit=False) as other, other.cursor() as cursor, small_parts():
        cursor.execute("INSERT INTO t SELECT seq FROM seq_1_to_2000")
        mariadb.rows(f"ANALYZE TABLE {database}.t")
        record = holdfast.backup(mariadb.url(database), store=store)
    assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"
