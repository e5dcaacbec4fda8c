"""What a server once took of a database, it takes again; where it may not, that is said before anything is touched."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast


@contextmanager
def set_global(mariadb: MariaDB, **values: str) -> Iterator[None]:
    before = {name: mariadb.rows(f"SELECT @@global.{name}")[0][0] for name in values}
    try:
        for name, value in values.items():
            mariadb.rows(f"SET GLOBAL {name}={value}")
        yield
    finally:
        for name, number in before.items():
            mariadb.rows(f"SET GLOBAL {name}={number!r}")


@contextmanager
def account(mariadb: MariaDB, *databases: str) -> Iterator[None]:
    """An account without a global right."""
    mariadb.rows("CREATE USER hosted@'%' IDENTIFIED BY 'x'")
    try:
        for name in databases:
            mariadb.rows(f"GRANT ALL ON `{name}`.* TO hosted@'%'")
        yield
    finally:
        mariadb.rows("DROP USER hosted@'%'")


def there(mariadb: MariaDB, name: str) -> bool:
    return bool(mariadb.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{name}'"))


def test_tables_without_a_primary_key_are_named_where_the_server_takes_none(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """Only of what is chosen: a table that is left out asks for nothing."""
    mariadb.rows(f"CREATE TABLE {database}.loose(a INT)")
    mariadb.rows(f"CREATE TABLE {database}.keyed(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE TABLE {database}.gone(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE VIEW {database}.broken AS SELECT id FROM {database}.gone")
    mariadb.rows(f"DROP TABLE {database}.gone")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    with set_global(mariadb, innodb_force_primary_key="ON"):
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError) as caught:
                holdfast.restore(record.id, mariadb.url(target), store=store, dry_run=preview)
            assert "innodb_force_primary_key is ON, and OFF is needed for (loose)" in str(caught.value)
            assert caught.value.hint is not None
            assert caught.value.hint == "run on the server: SET GLOBAL innodb_force_primary_key=OFF"
            assert not there(mariadb, target)
        # What a replacement makes for itself has a key, and so has what stands in for tables that a broken view reads.
        for replace in (False, True):
            holdfast.restore(record.id, mariadb.url(target), store=store, exclude=["loose"], replace=replace)
            assert mariadb.rows(f"SHOW TABLES FROM {target}") == [("broken",), ("keyed",)]


def test_keys_that_the_row_format_of_the_server_does_not_take_are_named_first(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """Of 767 bytes a column at most; tables that name their row format, and other engines, do not ask the server."""
    key = "KEY (a)) CHARSET"
    for statement in (
        f"long_one(a VARCHAR(255), {key}=utf8mb4",
        f"fits(a VARCHAR(191), b BLOB, KEY (b(767)), FULLTEXT KEY (a), {key}=utf8mb4",
        f"narrow(a VARCHAR(767), {key}=latin1",
        "part(a INT PRIMARY KEY, b BLOB, KEY (a, b(768)))",
        f"said(a VARCHAR(255), {key}=utf8mb4 ROW_FORMAT=DYNAMIC",
        f"elsewhere(a VARCHAR(249), {key}=utf8mb4 ENGINE=MyISAM",
    ):
        mariadb.rows(f"CREATE TABLE {database}.{statement}")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    with set_global(mariadb, innodb_default_row_format="'compact'"):
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError) as caught:
                holdfast.restore(record.id, mariadb.url(target), store=store, dry_run=preview)
            assert "row_format is compact, and dynamic is needed for (long_one, part)" in str(caught.value)
            assert caught.value.hint == "run on the server: SET GLOBAL innodb_default_row_format=dynamic"
            assert not there(mariadb, target)
        holdfast.restore(record.id, mariadb.url(target), store=store, exclude=["long_one", "part"])


def test_functions_that_a_server_with_a_binary_log_does_not_take_are_named_first(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    with set_global(mariadb, log_bin_trust_function_creators="ON"):
        mariadb.rows(f"CREATE FUNCTION {database}.any_time(a INT) RETURNS INT RETURN a + RAND()")
        mariadb.rows(f"CREATE FUNCTION {database}.sure(a INT) RETURNS INT DETERMINISTIC RETURN a")
        record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    with set_global(mariadb, log_bin_trust_function_creators="OFF"):
        with pytest.raises(holdfast.UnsafeError, match=r"ON is needed for \(any_time\)") as caught:
            holdfast.restore(record.id, mariadb.url(target), store=store)
        assert caught.value.hint == "run on the server: SET GLOBAL log_bin_trust_function_creators=ON"
        assert not there(mariadb, target)
        holdfast.restore(record.id, mariadb.url(new_name()), store=store, exclude_kinds=["routine"])
        without = holdfast.backup(mariadb.url(database), store=store, exclude_kinds=["routine"])
        holdfast.restore(without.id, mariadb.url(new_name()), store=store)
    with set_global(mariadb, log_bin_trust_function_creators="ON"):
        holdfast.restore(record.id, mariadb.url(target), store=store)


def test_an_account_without_super_is_told_of_triggers_and_functions_before(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    target = new_name()
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE TABLE {database}.plain(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE TRIGGER {database}.acts BEFORE INSERT ON {database}.t FOR EACH ROW SET @a = 1")
    mariadb.rows(f"CREATE FUNCTION {database}.sure(a INT) RETURNS INT DETERMINISTIC RETURN a")
    record = holdfast.backup(mariadb.url(database), store=store)
    options = {"definer": "current"}
    with account(mariadb, target), set_global(mariadb, log_bin_trust_function_creators="OFF"):
        url = mariadb.url(target, user="hosted", password="x")
        with pytest.raises(holdfast.UnsafeError) as caught:
            holdfast.restore(record.id, url, store=store, options=options)
        assert "may not make functions (sure) under a binary log" in str(caught.value)
        assert "may not make triggers of (t) under a binary log" in str(caught.value)
        assert not there(mariadb, target)
        holdfast.restore(record.id, url, store=store, options=options, select=["plain"])
        mariadb.rows(f"DROP DATABASE {target}")
        mariadb.rows("SET GLOBAL log_bin_trust_function_creators=ON")
        holdfast.restore(record.id, url, store=store, options=options)


def test_a_server_whose_events_are_switched_off_or_whose_time_is_set_by_nobody_takes_all_else(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """MariaDB started with event_scheduler=DISABLED does not even list events; with some there, nothing can be read."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE EVENT {database}.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
    record = holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows(f"CREATE TABLE {database}.past(id INT) WITH SYSTEM VERSIONING")
    past = holdfast.backup(mariadb.url(database), store=store, exclude_kinds=["event"])
    with running_mariadb("--skip-ssl", "--event-scheduler=DISABLED", "--secure-timestamp=YES") as other:
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=r"secure_timestamp is YES, and the history .* \(past\)$"):
                holdfast.restore(past, other.url("copy"), store=store, dry_run=preview)
        holdfast.restore(past, other.url("past"), store=store, exclude=["past"])
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=r"event_scheduler is DISABLED, .* events \(e\)$"):
                holdfast.restore(record, other.url("copy"), store=store, dry_run=preview)
        holdfast.restore(record, other.url("copy"), store=store, exclude_kinds=["event"])
        copied = holdfast.backup(other.url("copy"), store=store)
        assert holdfast.drill(copied, store=store, into=other.url()).state == "proven"
        holdfast.restore(copied, other.url("copy"), store=store, replace=True)
        other.rows("INSERT IGNORE INTO mysql.event (db, name, body, definer, comment, time_zone) VALUES"
                   " ('copy', 'old', 'SELECT 1', 'root@localhost', '', 'SYSTEM')")  # fmt: skip
        with pytest.raises(holdfast.HoldfastError, match="event scheduler is disabled") as caught:
            holdfast.backup(other.url("copy"), store=store)
        assert "event_scheduler OFF or ON" in str(caught.value.hint)


def test_a_dump_of_an_older_holdfast_is_restored_without_these_facts(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.loose(a INT)")
    record = holdfast.backup(mariadb.url(database), store=store)
    path = Path(record.path, "backup_manifest.json")
    text = path.read_text()
    assert '"setting sql_require_primary_key=OFF"' in text
    path.write_text(text.replace("setting sql_", "forgotten sql_"))
    holdfast.restore(record.id, mariadb.url(new_name()), store=store)


def test_a_server_that_is_read_only_is_told_of_first(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """As replicas are, but not for whoever may write there."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    with account(mariadb, target), set_global(mariadb, read_only="ON"):
        url = mariadb.url(target, user="hosted", password="x")
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=r"the server is read only \(read_only\)") as caught:
                holdfast.restore(record.id, url, store=store, dry_run=preview)
            assert "restore into its primary" in str(caught.value.hint)
        with pytest.raises(holdfast.UnsafeError, match="the server is read only"):
            holdfast.drill(record, store=store, into=mariadb.url(user="hosted", password="x"))
        holdfast.restore(record.id, mariadb.url(target), store=store)


def test_sessions_that_only_read_by_default_or_end_with_their_transaction_write(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    record = holdfast.backup(mariadb.url(database), store=store)
    with set_global(mariadb, tx_read_only="ON", default_storage_engine="'MEMORY'", completion_type="'RELEASE'"):
        holdfast.restore(record.id, mariadb.url(new_name()), store=store)
        assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"


def test_a_server_that_prepares_no_statements_is_named_before(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """Rows go in by prepared INSERT where the server takes no LOAD DATA LOCAL."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    with set_global(mariadb, max_prepared_stmt_count="0"):
        with pytest.raises(holdfast.UnsafeError, match="max_prepared_stmt_count is 0"):
            holdfast.restore(record, mariadb.url(target), store=store, options={"local_infile": False})
        assert not there(mariadb, target)
        holdfast.restore(record, mariadb.url(target), store=store)


def test_options_that_the_engine_does_not_know_are_kept(
    mariadb: MariaDB, database: str, store: str, round_trip: Callable[..., str]
) -> None:
    """With IGNORE_BAD_TABLE_OPTIONS the server takes them; it keeps those of an engine that the table had before."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode='IGNORE_BAD_TABLE_OPTIONS'")
        cursor.execute("CREATE TABLE t(a INT foo=1, KEY (a) bar='x''y') ENGINE=InnoDB baz='q' PAGE_COMPRESSED=7")
        cursor.execute("INSERT INTO t VALUES (1)")
    made = mariadb.rows("SHOW CREATE TABLE t", database=database)
    assert "PAGE_COMPRESSED`='7'" in str(made)
    target = round_trip(database)
    # Those that nobody knows are remarks to the server.
    bare = re.sub(r" ?/\*.*?\*/ ?", "", str(made))
    assert str(mariadb.rows("SHOW CREATE TABLE t", database=target)).replace(" `PAGE", "`PAGE") == bare
    assert mariadb.rows(f"SELECT a FROM {target}.t") == [(1,)]
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
