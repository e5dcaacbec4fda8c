"""Replacements that wait for others, are ended, or meet what stays outside of them."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.operations.restore import restore
from holdfast.plan import RestorePlan
from holdfast.plugins.registry import Registry
from holdfast_mysql.catalog.databases import list_databases
from holdfast_mysql.restore import journal, session

Content = Callable[[str], dict[str, object] | None]


@contextmanager
def open_transaction(mariadb: MariaDB, statement: str) -> Iterator[None]:
    """A session that has read a table and does nothing more."""
    with mariadb.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


@pytest.fixture
def replaced(mariadb: MariaDB, database: str, store: str) -> str:
    """A database with definitions of all kinds that its backup does not hold."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE TABLE {database}.u(id INT PRIMARY KEY)")
    holdfast.backup(mariadb.url(database), store=store)
    for statement in (
        "TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 1",
        "TRIGGER tr2 BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id * 2",
        "VIEW v AS SELECT id FROM t",
        "PROCEDURE p() SELECT 1",
        "FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        "EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    mariadb.rows(f"INSERT INTO {database}.t VALUES (1)")
    return database


def leftovers(mariadb: MariaDB, database: str) -> list[str]:
    return [str(name) for (name,) in mariadb.rows(f"SHOW DATABASES LIKE '{database}\\_holdfast%'")]


@pytest.mark.parametrize("table", ["t", "u"])
def test_a_replacement_gives_up_in_time_and_changes_nothing(
    mariadb: MariaDB, replaced: str, store: str, content: Content, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """Whether the triggers wait for the open transaction (t) or the RENAME TABLE does (u)."""
    before = content(replaced)
    with open_transaction(mariadb, f"SELECT * FROM {replaced}.{table}"):
        with pytest.raises(holdfast.LockedError, match=r"waited 1 s for locks that other sessions hold") as caught:
            holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True, options={"lock_timeout": 1})
        assert "lock_timeout" in str(caught.value.hint)
        assert content(replaced) == before
    assert not leftovers(mariadb, replaced)


def test_readers_are_served_while_a_replacement_waits(
    mariadb: MariaDB, replaced: str, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    ended = threading.Event()

    def read() -> None:
        with mariadb.connect(replaced) as connection, connection.cursor() as cursor:
            while not ended.is_set():
                began = time.monotonic()
                cursor.execute("SELECT COUNT(*) FROM u")
                waits.append(time.monotonic() - began)
                ended.wait(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with open_transaction(mariadb, f"SELECT * FROM {replaced}.u"), pytest.raises(holdfast.LockedError):
            holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True, options={"lock_timeout": 9})
    finally:
        ended.set()
        reader.join()
    assert 1 < max(waits) < 8
    assert f"the replacement of {replaced} waits for locks that other sessions hold" in caplog.text


def test_a_replacement_whose_session_is_killed_puts_everything_back(
    mariadb: MariaDB, replaced: str, store: str, content: Content
) -> None:
    before = content(replaced)

    def kill() -> None:
        for _ in range(600):
            rows = mariadb.rows("SELECT id FROM information_schema.processlist WHERE info LIKE 'RENAME TABLE%'")
            if rows:
                mariadb.rows(f"KILL {rows[0][0]}")
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    mariadb.rows(f"DROP TRIGGER {replaced}.tr2")
    mariadb.rows(f"DROP TRIGGER {replaced}.tr")
    before = content(replaced)
    killer.start()
    with open_transaction(mariadb, f"SELECT * FROM {replaced}.u"), pytest.raises(holdfast.UnreachableError):
        holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True)
    killer.join()
    assert content(replaced) == before
    assert not leftovers(mariadb, replaced)


def test_the_settings_of_the_database_follow(mariadb: MariaDB, database: str, store: str, content: Content) -> None:
    mariadb.rows(f"ALTER DATABASE {database} CHARACTER SET latin1 COMMENT 'from the backup'")
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    before = content(database)
    holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows(f"ALTER DATABASE {database} COLLATE utf8mb4_bin COMMENT ''")
    holdfast.restore("latest", mariadb.url(database), store=store, replace=True, select=("t",))
    assert content(database) != before
    holdfast.restore("latest", mariadb.url(database), store=store, replace=True)
    assert content(database) == before


def test_a_table_that_others_refer_to_does_not_go(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content
) -> None:
    """It would leave a foreign key of another database that leads nowhere; a dry run says so too."""
    mariadb.rows(f"CREATE TABLE {database}.kept(id INT PRIMARY KEY)")
    holdfast.backup(mariadb.url(database), store=store)
    far = new_name()
    mariadb.rows(f"CREATE DATABASE {far}")
    mariadb.rows(f"CREATE TABLE {database}.newer(id INT PRIMARY KEY)")
    mariadb.rows(f"CREATE TABLE {far}.far(p INT, CONSTRAINT k FOREIGN KEY (p) REFERENCES {database}.newer(id))")
    before = content(database)
    refused = rf"foreign key k of table {far}\.far refers to table newer, which the backup does not hold"
    with pytest.raises(holdfast.UnsafeError, match=refused):
        holdfast.restore("latest", mariadb.url(database), store=store, replace=True)
    assert content(database) == before
    mariadb.rows(f"DROP DATABASE {far}")


def test_a_parent_that_no_longer_fits_is_refused_before_anything_is_touched(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.parent(id INT PRIMARY KEY)")
    holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows(f"ALTER TABLE {database}.parent MODIFY id BIGINT")
    far = new_name()
    mariadb.rows(f"CREATE DATABASE {far}")
    mariadb.rows(f"CREATE TABLE {far}.far(p BIGINT, CONSTRAINT k FOREIGN KEY (p) REFERENCES {database}.parent(id))")
    before, definition = content(database), mariadb.rows(f"SHOW CREATE TABLE {far}.far")
    with pytest.raises(holdfast.UnsafeError, match="cannot lead to table parent as the backup has it"):
        holdfast.restore("latest", mariadb.url(database), store=store, replace=True)
    assert content(database) == before
    assert mariadb.rows(f"SHOW CREATE TABLE {far}.far") == definition
    mariadb.rows(f"DROP DATABASE {far}")


def test_what_the_account_could_not_put_back_is_not_dropped(
    mariadb: MariaDB, replaced: str, store: str, content: Content
) -> None:
    """Everyone with the privilege DROP drops a view; only some make it for another definer."""
    mariadb.rows("CREATE OR REPLACE USER limited@'%'")
    for place in (replaced, f"`{replaced}\\_holdfast\\_%`"):
        mariadb.rows(f"GRANT ALL ON {place}.* TO limited@'%'")
    mariadb.rows("GRANT SELECT ON mysql.proc TO limited@'%'")
    before = content(replaced)
    with pytest.raises(holdfast.CredentialsError, match="is replaced, because it could not be put back"):
        holdfast.restore("latest", mariadb.url(replaced, user="limited"), store=store, replace=True)
    assert content(replaced) == before
    assert not leftovers(mariadb, replaced)
    mariadb.rows("DROP USER limited@'%'")


def test_two_replacements_of_one_database_do_not_meet(mariadb: MariaDB, replaced: str, store: str) -> None:
    met: list[BaseException] = []

    def second(event: holdfast.Event) -> None:
        if event.type == "started" and not met:
            with pytest.raises(holdfast.LockedError, match="another restore is replacing database") as caught:
                holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True)
            met.append(caught.value)

    holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True, on_event=second)
    assert met
    assert not leftovers(mariadb, replaced)


def test_a_replacement_says_what_is_not_atomic(
    mariadb: MariaDB, replaced: str, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True)
    assert "not atomic with it are triggers" in caplog.text


def test_a_selection_that_fails_at_its_end_is_put_back(
    mariadb: MariaDB, replaced: str, store: str, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the foreign keys between tables that are replaced and those that stay, both ways."""
    key = "CONSTRAINT {0} FOREIGN KEY ({1}) REFERENCES {2}(id) ON DELETE CASCADE"
    mariadb.rows(f"CREATE TABLE below(p INT, {key.format('to_u', 'p', 'u')})", database=replaced)
    mariadb.rows(f"ALTER TABLE u ADD {key.format('to_t', 'id', 't')}", database=replaced)
    before = content(replaced)

    def fail(_: object) -> None:
        raise holdfast.HoldfastError("not today")

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "finish", fail)
        for select in (("t",), ("u",), ("t", "u")):
            with pytest.raises(holdfast.HoldfastError, match=r"^not today$"):
                holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True, select=select)
            assert content(replaced) == before
            assert not leftovers(mariadb, replaced)
    holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True, select=("u",))
    after = content(replaced) or {}
    assert {name for name in after if after[name] != (before or {}).get(name)} == {"TABLE u"}


@pytest.mark.parametrize(
    ("last", "intent", "number"),
    [
        ("holdfast_mysql.restore.swap.rename", "put database {} back as it was", 0),
        ("holdfast_mysql.restore.journal.Journal.finish", "finish the replacement of database {}", 1),
    ],
)
def test_a_dry_run_tells_what_a_run_that_was_cut_off_has_left(
    mariadb: MariaDB, replaced: str, store: str, content: Content, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, last: str, intent: str, number: int, new_name: Callable[[], str],
) -> None:  # fmt: skip
    """It touches nothing; the next run, of whatever kind, puts the old database back, or the new one in its place."""
    before, other = content(replaced), new_name()
    holdfast.restore("latest", mariadb.url(other), store=store)

    def fail(*_: object, **__: object) -> None:
        raise holdfast.HoldfastError("not today")

    with monkeypatch.context() as patch:
        patch.setattr(last, fail)
        patch.setattr(session, "recover", fail)
        with pytest.raises(holdfast.HoldfastError, match="not today"):
            holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True)
    between, left = content(replaced), leftovers(mariadb, replaced)
    assert between != before
    assert len(left) == 2
    plan = RestorePlan(backup="latest", target=mariadb.url(replaced), store=store, replace=True)
    restore(plan, registry=Registry(), dry_run=True)
    assert f"would first {intent.format(replaced)}" in caplog.text
    assert f"from the journal in {left[0]}" in caplog.text
    assert (content(replaced), leftovers(mariadb, replaced)) == (between, left)
    place = f"{left[0]}.{journal.table_name(left[0][-8:])}"
    rows = mariadb.rows(f"SELECT CONVERT(script USING utf8mb4) FROM {place} WHERE number > 1 ORDER BY number")
    script = "".join(str(part) for (part,) in rows)
    assert script.startswith("-- Holdfast script 1: what ")
    assert all(kind in script for kind in (" TRIGGER tr2 ", " VIEW `v` ", " PROCEDURE `p`", " EVENT `e` "))
    with pytest.raises(holdfast.UnsafeError, match="is not empty"):
        holdfast.restore("latest", mariadb.url(replaced), store=store)
    assert (content(replaced), leftovers(mariadb, replaced)) == ((before, content(other))[number], [])


@pytest.mark.parametrize("last", ["", "finish", "finish again"])
def test_rights_on_single_routines_are_those_of_before(
    mariadb: MariaDB, replaced: str, store: str, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """The server drops them with the routine: in a replacement, in one that is undone and in one that is finished."""
    accounts = ("'only one'@'%'", "caller", "PUBLIC")
    mariadb.rows("CREATE PROCEDURE `It's`() SELECT 1", database=replaced)
    holdfast.backup(mariadb.url(replaced), store=store)
    mariadb.rows("CREATE USER 'only one'@'%'")
    mariadb.rows("CREATE ROLE caller")
    try:
        for account, option in zip(accounts, (" WITH GRANT OPTION", "", ""), strict=True):
            for privilege, routine in (("EXECUTE, ALTER ROUTINE", "p"), ("EXECUTE", "`It's`")):
                mariadb.rows(f"GRANT {privilege} ON PROCEDURE {replaced}.{routine} TO {account}{option}")
        before = [sorted(mariadb.rows(f"SHOW GRANTS FOR {account}")) for account in accounts]
        with monkeypatch.context() as patch, contextlib.suppress(holdfast.HoldfastError):
            if last:
                patch.setattr(journal.Journal, "finish", fail)
            if last == "finish again":
                patch.setattr(session, "recover", lambda *_, **__: None)
            holdfast.restore("latest", mariadb.url(replaced), store=store, replace=True)
        if last == "finish again":
            with pytest.raises(holdfast.UnsafeError, match="is not empty"):
                holdfast.restore("latest", mariadb.url(replaced), store=store)
        assert [sorted(mariadb.rows(f"SHOW GRANTS FOR {account}")) for account in accounts] == before
        assert all("PROCEDURE" in str(grants) for grants in before)
        assert not leftovers(mariadb, replaced)
    finally:
        mariadb.rows(f"REVOKE ALL ON PROCEDURE {replaced}.p FROM PUBLIC")
        mariadb.rows(f"REVOKE ALL ON PROCEDURE {replaced}.`It's` FROM PUBLIC")
        mariadb.rows("DROP USER 'only one'@'%'")
        mariadb.rows("DROP ROLE caller")


def test_what_a_run_that_was_cut_off_has_left_is_in_no_backup_without_a_word(
    mariadb: MariaDB, replaced: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its databases are nobody's own, and the target may lack views, routines, triggers and events."""
    record = holdfast.backup(mariadb.url(replaced), store=store)
    before = list_databases(mariadb.url())
    with monkeypatch.context() as patch:
        patch.setattr("holdfast_mysql.restore.swap.relink", fail)
        patch.setattr("holdfast_mysql.restore.session.recover", lambda *_, **__: None)
        with pytest.raises(holdfast.HoldfastError, match="cut off here"):
            holdfast.restore(record.id, mariadb.url(replaced), store=store, replace=True)
    left = [name for (name,) in mariadb.rows("SHOW DATABASES") if str(name).startswith(f"{replaced}_holdfast_")]
    assert len(left) == 2
    assert list_databases(mariadb.url()) == before
    warnings = holdfast.backup(mariadb.url(replaced), store=store).warnings
    assert any("was cut off while it changed it" in warning for warning in warnings)
    token = str(min(left, key=lambda name: len(str(name))))[-8:]
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('holdfast_restore_{token}', 0)")
        with pytest.raises(holdfast.LockedError, match="is replacing"):
            holdfast.backup(mariadb.url(replaced), store=store)
    holdfast.restore(record.id, mariadb.url(replaced), store=store, replace=True)
    assert not mariadb.rows(f"SHOW DATABASES LIKE '{replaced}\\_holdfast\\_%'")
    warnings = holdfast.backup(mariadb.url(replaced), store=store).warnings
    assert not any("cut off" in warning for warning in warnings)


def fail(*_: object) -> None:
    raise holdfast.HoldfastError("cut off here")
