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
