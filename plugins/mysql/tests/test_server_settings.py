"""What an administrator sets for all sessions changes nothing of a backup, a drill or a restore."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_MADE = """
CREATE TABLE counted(id INT PRIMARY KEY, v INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
 e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING;
INSERT INTO counted(id, v) VALUES (1, 2), (2, NULL);
CREATE TABLE noted(id INT PRIMARY KEY, t VARCHAR(9));
INSERT INTO noted VALUES (1, ''), (2, NULL);
CREATE VIEW shown AS SELECT id, t FROM noted WHERE t <> '';
CREATE TABLE gone(a INT);
CREATE VIEW broken AS SELECT a FROM gone;
DROP TABLE gone;
"""


@pytest.fixture
def odd_settings(mariadb: MariaDB) -> Iterator[None]:
    """'' is NULL, no warning is kept, tables are shown as of a time before they were, and connections soon end."""
    changed = {
        "sql_mode": ("'EMPTY_STRING_IS_NULL,ORACLE'", "DEFAULT"),
        "max_error_count": ("0", "DEFAULT"),
        "system_versioning_asof": ("'2020-01-01'", "DEFAULT"),
        "idle_transaction_timeout": ("1", "0"),
        "sql_buffer_result": ("1", "0"),
        "sql_auto_is_null": ("1", "0"),
        "innodb_compression_default": ("1", "0"),  # would be written into each table
        "lc_messages": ("'de_DE'", "'en_US'"),
    }
    try:
        for name, (value, _) in changed.items():
            mariadb.rows(f"SET GLOBAL {name}={value}")
        yield
    finally:
        for name, (_, value) in changed.items():
            mariadb.rows(f"SET GLOBAL {name}={value}")


def test_odd_settings_of_a_server_change_nothing(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, request: pytest.FixtureRequest
) -> None:
    mariadb.client(_MADE.encode(), database=database)
    query = "SELECT SUM(id), SUM(v), (SELECT SUM(t = '') FROM noted) FROM counted"
    before = mariadb.rows(query, database=database)
    request.getfixturevalue("odd_settings")
    record = holdfast.backup(mariadb.url(database), store=store)
    assert any("view broken is broken" in line for line in record.warnings)
    assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    session = "SET sql_mode='', system_versioning_asof=DEFAULT"
    assert mariadb.rows(query, database=target, init_command=session) == before


def _run(mariadb: MariaDB, database: str, *statements: str) -> None:
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_views_that_open_only_in_the_collation_in_which_they_were_made(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """The stock client ends at them with error 1267, as does anybody else's session; whoever made them uses them."""
    own = "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"
    _run(
        mariadb,
        database,
        own,
        "CREATE TABLE t(id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW v AS SELECT id FROM t WHERE CONCAT('a', DATE_FORMAT('2020-01-01', '%W')) <> CAST(id AS CHAR)",
        "CREATE VIEW above AS SELECT id FROM v",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    assert record.warnings == ()
    assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"
    target = new_name()
    for replace in (False, True):
        assert holdfast.restore(record, mariadb.url(target), store=store, replace=replace).warnings == ()
        assert mariadb.rows("SELECT id FROM above", database=target, init_command=own) == [(1,)]


def test_tables_in_memory_are_as_large_as_they_were(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """The server has a limit for new ones, which is no full disk."""
    _run(
        mariadb,
        database,
        "CREATE TABLE t(id INT PRIMARY KEY, c CHAR(250)) ENGINE=MEMORY",
        "INSERT INTO t SELECT seq, 'x' FROM seq_1_to_2000",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows("SET GLOBAL max_heap_table_size=16384")
    try:
        target = new_name()
        holdfast.restore(record, mariadb.url(target), store=store)
        assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"
    finally:
        mariadb.rows("SET GLOBAL max_heap_table_size=DEFAULT")
    assert mariadb.rows(f"SELECT COUNT(*) FROM {target}.t") == [(2000,)]


@pytest.mark.parametrize("where", ["source", "target"])
def test_flags_of_regular_expressions_change_no_stored_value(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, where: str
) -> None:
    flags = "default_regex_flags='DOTALL'"
    _run(
        mariadb,
        database,
        f"SET {flags if where == 'source' else 'default_regex_flags=DEFAULT'}",
        "CREATE TABLE t(id INT PRIMARY KEY, b VARCHAR(20), g VARCHAR(20) AS (REGEXP_REPLACE(b, 'A.', 'x')) STORED)",
        "INSERT INTO t(id, b) VALUES (1, 'a\\nb')",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    mariadb.rows(f"SET GLOBAL {flags if where == 'target' else 'default_regex_flags=DEFAULT'}")
    try:
        assert holdfast.restore(record, mariadb.url(target), store=store).warnings == ()
    finally:
        mariadb.rows("SET GLOBAL default_regex_flags=DEFAULT")
    assert mariadb.rows(f"SELECT g FROM {target}.t") == [("xb" if where == "source" else "a\nb",)]
