"""What a server says besides of a definition that it took is never thrown away."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast


@pytest.mark.parametrize("deferred", [False, True], ids=["small", "large"])
def test_a_key_that_the_server_would_shorten_fails_before_rows_are_loaded(
    mariadb: MariaDB, database: str, store: str, deferred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of 4 KiB take no keys of 2000 bytes: they cut those over a part of a text with a note only.

    The keys of large tables are built when all rows are there, and what is wrong with them is known before.
    """
    if deferred:
        monkeypatch.setattr("holdfast_mysql.restore.tables._DEFER", 0)
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY, a TEXT CHARACTER SET latin1, KEY (a(2000)))")
    mariadb.rows(f"INSERT INTO {database}.t VALUES (1, REPEAT('x', 2000))")
    record = holdfast.backup(mariadb.url(database), store=store)
    with running_mariadb("--innodb-page-size=4k", "--skip-ssl", "--local-infile=ON") as small:
        started: list[str] = []

        def note(event: holdfast.Event) -> None:
            started.append(f"{event.type} {event.message}")

        with pytest.raises(holdfast.HoldfastError, match="does not make table t as it was: Specified key was too long"):
            holdfast.restore(record, small.url("copy"), store=store, on_event=note)
        assert not small.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name='copy'")
        assert not any("data/t" in line for line in started)


def test_a_storage_engine_is_never_replaced(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.quick(id INT PRIMARY KEY) ENGINE=MEMORY")
    mariadb.rows(f"CREATE TABLE {database}.safe(id INT PRIMARY KEY) ENGINE=InnoDB")
    record = holdfast.backup(mariadb.url(database), store=store)
    target, other = new_name(), new_name()
    mariadb.rows("SET GLOBAL enforce_storage_engine=InnoDB")
    mariadb.rows("CREATE USER hosted@'%' IDENTIFIED BY 'x'")
    try:
        mariadb.rows(f"GRANT ALL ON {target}.* TO hosted@'%'")
        url = mariadb.url(target, user="hosted", password="x")
        with pytest.raises(
            holdfast.UnsafeError, match=r"enforce_storage_engine is innodb.* MEMORY \(quick\)"
        ) as caught:
            holdfast.restore(record, url, store=store)
        assert "SET GLOBAL enforce_storage_engine=NULL" in str(caught.value.hint)
        assert not mariadb.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{target}'")
        holdfast.restore(record, mariadb.url(other), store=store)
        assert "ENGINE=MEMORY" in str(mariadb.rows(f"SHOW CREATE TABLE {other}.quick"))
    finally:
        mariadb.rows("DROP USER hosted@'%'")
        mariadb.rows("SET GLOBAL enforce_storage_engine=NULL")


def test_what_was_made_without_strict_mode_is_what_it_was(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """A format that InnoDB did not know, and kept in the definition all the same."""
    mariadb.client(
        b"SET innodb_strict_mode=OFF; CREATE TABLE t(id INT PRIMARY KEY) ROW_FORMAT=FIXED", database=database
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    assert "table t is made with innodb_strict_mode=OFF" in caplog.text
    assert "the server says of table t: InnoDB: assuming ROW_FORMAT=DYNAMIC" in caplog.text
    assert "ROW_FORMAT=FIXED" in str(mariadb.rows(f"SHOW CREATE TABLE {target}.t"))


def test_definers_who_are_missing_and_events_that_do_not_run_are_told_of_once(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    for statement in (
        "TABLE t(id INT PRIMARY KEY)",
        "DEFINER=gone@'%' VIEW v AS SELECT id FROM t",
        "DEFINER=gone@'%' PROCEDURE p() SELECT 1",
        "DEFINER=gone@'%' TRIGGER acts BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
        "EVENT soon ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "EVENT late ON SCHEDULE EVERY 1 WEEK DO SELECT 1",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    holdfast.restore(record, mariadb.url(new_name()), store=store)
    told = [line.message for line in caplog.records if line.levelname == "WARNING"]
    (missing,) = [line for line in told if "definer" in line]
    assert missing.startswith("procedure p, view v, trigger acts keep their definer, who is missing: ")
    assert missing.endswith("('gone'@'%') does not exist")
    assert [line for line in told if "scheduler" in line] == [
        "events are made, and do not run: event_scheduler is OFF on this server"
    ]
    caplog.clear()
    assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"
    assert "scheduler" not in caplog.text


def test_an_event_whose_time_has_passed_and_that_is_kept_is_made_disabled(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.client(
        b"SET timestamp=UNIX_TIMESTAMP('2020-01-01');"
        b"CREATE EVENT once ON SCHEDULE AT '2020-01-02' ON COMPLETION PRESERVE ENABLE DO SELECT 1",
        database=database,
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    assert "event once is made, but disabled, because its time has passed" in caplog.text
    assert mariadb.rows(f"SELECT status FROM information_schema.events WHERE event_schema='{target}'") == [
        ("DISABLED",)
    ]
