"""Accounts as hosters give them: one database, few connections, no global right, and objects of other definers."""

import os
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast
from holdfast.operations.restore import restore
from holdfast.plan import RestorePlan
from holdfast.plugins.registry import Registry
from holdfast_mysql.catalog.databases import list_databases

_PRIVILEGES = """
SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE,
CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER
""".replace("\n", " ").strip()
_SCHEMA = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
    "INSERT INTO t (v) VALUES ('a'), ('b')",
    "CREATE VIEW w AS SELECT id FROM t",
    "CREATE VIEW x AS SELECT id FROM w",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "CREATE SEQUENCE s",
)
# PARSEC came with MariaDB 11.6, which is the one below that folder.
_AUTHENTICATIONS = ["ed25519", "unix_socket OR ed25519"]
_AUTHENTICATIONS += ["parsec"] if os.environ.get("HOLDFAST_TEST_MARIADB_ROOT") else []
_ROUTINES = ("CREATE PROCEDURE p() SELECT 1", "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1")


@pytest.fixture
def account(mariadb: MariaDB) -> Iterator[Callable[..., Callable[[str], str]]]:
    """Makes the account `hosted` anew with some grants; what it returns gives URLs for it."""

    def make(*grants: str, limit: int = 0) -> Callable[[str], str]:
        mariadb.rows(f"CREATE OR REPLACE USER hosted@'%' IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS {limit}")
        for grant in grants:
            mariadb.rows(f"GRANT {grant} TO hosted@'%'")
        return lambda name: mariadb.url(name, user="hosted", password="pw")

    yield make
    mariadb.rows("DROP USER IF EXISTS hosted@'%'")


@pytest.fixture
def shop(mariadb: MariaDB, database: str) -> str:
    """A database with an object of each kind that has a definer."""
    for statement in _SCHEMA:
        mariadb.rows(statement, database=database)
    return database


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_few_connections_are_enough_for_a_backup(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]], limit: int,
    content: Callable[[str], object], new_name: Callable[[], str],
) -> None:  # fmt: skip
    url = account(f"ALL ON {shop}.*", limit=limit)
    record = holdfast.backup(url(shop), store=store, jobs=4)
    assert any(f"no more than {limit} connections" in warning for warning in record.warnings)
    target = new_name()
    holdfast.restore(record.id, mariadb.url(target), store=store)
    assert content(target) == content(shop)


def test_two_connections_are_enough_for_a_restore(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]], new_name: Callable[[], str]
) -> None:
    record = holdfast.backup(mariadb.url(shop), store=store)
    target = new_name()
    url = account(f"ALL ON {shop}.*", f"ALL ON {target}.*", limit=2)
    # Triggers take SUPER while there is a binary log.
    holdfast.restore(
        record.id, url(target), store=store, jobs=4, options={"definer": "current"}, exclude_kinds=["trigger"]
    )
    assert mariadb.rows("CHECKSUM TABLE t", database=target)[0][1] == mariadb.rows(
        "CHECKSUM TABLE t", database=shop
    )[0][1]  # fmt: skip


@pytest.mark.sweep(4)
@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ("SELECT", {"table t", "sequence s", "view w", "view x"}),
        ("SHOW VIEW", {"view w", "view x"}),
        ("EVENT", {"events (EVENT)"}),
        ("TRIGGER", {"triggers (TRIGGER)"}),
        *((missing, set()) for missing in ("LOCK TABLES", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "DROP")),
    ],
)
def test_without_a_privilege_a_backup_is_whole_or_refused_or_says_what_it_lacks(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]], missing: str,
    lost: set[str], content: Callable[[str], object], new_name: Callable[[], str],
) -> None:  # fmt: skip
    held = ", ".join(name for name in _PRIVILEGES.split(", ") if name != missing)
    url = account(f"{held} ON {shop}.*")
    if lost:
        with pytest.raises(holdfast.CredentialsError) as caught:
            holdfast.backup(url(shop), store=store)
        assert "incomplete=true" in str(caught.value.hint)
    record = holdfast.backup(url(shop), store=store, options={"incomplete": True})
    for name in lost:
        assert any(name in warning for warning in record.warnings), name
    target = new_name()
    holdfast.restore(record.id, mariadb.url(target), store=store)
    assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    if not lost:
        assert content(target) == content(shop)


def test_routines_of_other_definers_are_left_out_if_that_is_asked_for(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]]
) -> None:
    for statement in _ROUTINES:
        mariadb.rows(statement, database=shop)
    mariadb.rows("CREATE VIEW y AS SELECT f() AS n", database=shop)
    url = account(f"{_PRIVILEGES} ON {shop}.*")  # with ALL, 11.3 and newer show them
    with pytest.raises(holdfast.CredentialsError, match="definition of function f, procedure p"):
        holdfast.backup(url(shop), store=store)
    record = holdfast.backup(url(shop), store=store, options={"incomplete": True})
    assert any("function f, procedure p" in warning for warning in record.warnings)
    assert any("view y uses f()" in warning for warning in record.warnings)
    drilled = holdfast.drill(record.id, store=store, into=mariadb.url())
    assert drilled.state == "proven"
    assert [warning for warning in drilled.warnings if "view y was not compared" in warning]
    without = holdfast.backup(url(shop), store=store, exclude_kinds=["routine"])
    assert holdfast.drill(without.id, store=store, into=mariadb.url()).state == "proven"


@pytest.mark.parametrize("grant", ["SELECT (id) ON {}.t", "INSERT ON {}.t"])
def test_a_table_of_which_not_all_may_be_read_is_left_out(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]], grant: str
) -> None:
    """With a right to one column, it would come back with the other ones empty."""
    mariadb.rows("CREATE TABLE u (id INT)", database=shop)
    url = account(grant.format(shop), f"SELECT ON {shop}.u")
    record = holdfast.backup(url(shop), store=store, options={"incomplete": True})
    assert any("may not read: table t" in warning for warning in record.warnings)


def test_an_account_with_a_right_by_way_of_everybody_is_not_refused(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]]
) -> None:
    mariadb.rows(f"GRANT ALL ON {shop}.* TO PUBLIC")
    try:
        record = holdfast.backup(account()(shop), store=store)
        assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    finally:
        mariadb.rows(f"REVOKE ALL ON {shop}.* FROM PUBLIC")


@pytest.mark.parametrize("way", _AUTHENTICATIONS)
def test_accounts_with_keys_of_ed25519_can_log_in(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]], way: str
) -> None:
    plugin = way.rpartition(" ")[2]
    if not mariadb.rows(f"SELECT 1 FROM information_schema.plugins WHERE plugin_name='{plugin}'"):
        mariadb.rows(f"INSTALL SONAME 'auth_{plugin}'")
    url = account(f"ALL ON {shop}.*")
    for password in ("pw", "p\u00e4ss \U0001f511 word" * 9):
        mariadb.rows(f"ALTER USER hosted@'%' IDENTIFIED VIA {way} USING PASSWORD('{password}')")
        assert holdfast.backup(url(shop).replace(":pw@", f":{quote(password)}@"), store=store).name == shop
        with pytest.raises(holdfast.CredentialsError, match="1045"):
            holdfast.backup(url(shop).replace(":pw@", ":wrong@"), store=store)


def test_a_stray_folder_in_the_data_directory_is_no_database(
    mariadb: MariaDB, shop: str, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Some file systems have lost+found there, which MariaDB lists and may not read."""
    folder = mariadb.folder / "data" / "lost+found"
    folder.mkdir(mode=0o700)
    try:
        urls = list_databases(mariadb.url())
        assert mariadb.url(shop) in urls
        assert not [url for url in urls if "lost" in url]
        assert "folder lost+found in the server's data directory is no database" in caplog.text
        record = holdfast.backup(mariadb.url(shop), store=store)
        assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    finally:
        folder.rmdir()


def test_an_anonymous_account_is_told_what_it_is(mariadb: MariaDB, shop: str, store: str) -> None:
    """A server that has one takes a name that it does not know for it, without a password."""
    mariadb.rows("CREATE USER ''@'%'")
    try:
        with pytest.raises(holdfast.CredentialsError) as caught:
            holdfast.backup(mariadb.url(shop, user="nobody_of_that_name"), store=store)
        assert "''@'%'" in str(caught.value)
        record = holdfast.backup(mariadb.url(shop), store=store, options={"users": True})
        mariadb.rows("DROP USER ''@'%'")
        holdfast.restore(record.id, mariadb.url(f"{shop}_back"), store=store, options={"users": True})
        assert mariadb.rows("SELECT 1 FROM mysql.user WHERE user='' AND host='%'")
    finally:
        mariadb.rows("DROP USER IF EXISTS ''@'%'")
        mariadb.rows(f"DROP DATABASE IF EXISTS {shop}_back")


def test_a_server_that_asks_nobody_who_he_is_hides_nothing(
    mariadb: MariaDB, store: str, new_name: Callable[[], str]
) -> None:
    """Started with skip-grant-tables, as where a password was lost: it answers no SHOW GRANTS."""
    with running_mariadb("--skip-ssl", "--skip-grant-tables") as other:
        other.rows("CREATE DATABASE saved")
        other.rows("CREATE TABLE saved.t(id INT PRIMARY KEY)")
        other.rows("CREATE DEFINER=root@localhost FUNCTION saved.f() RETURNS INT DETERMINISTIC RETURN 1")
        other.rows("CREATE DEFINER=root@localhost TRIGGER saved.tr BEFORE INSERT ON saved.t FOR EACH ROW SET @a=1")
        backup = holdfast.backup(other.url("saved"), store=store)
    assert backup.warnings == ()
    holdfast.restore(backup.id, mariadb.url(new_name()), store=store)


def test_a_replacement_says_before_which_right_it_lacks(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., Callable[[str], str]]
) -> None:
    """It takes databases beside the target; `-n` makes none, and tells the same."""
    mariadb.rows(f"DROP TRIGGER {shop}.r")
    url = account(f"ALL ON {shop}.*")
    record = holdfast.backup(mariadb.url(shop), store=store)
    plan = RestorePlan(store=store, backup=record.id, target=url(shop), replace=True)
    for dry_run in (False, True):
        with pytest.raises(holdfast.CredentialsError, match="cannot replace") as caught:
            restore(plan, registry=Registry(), dry_run=dry_run)
        assert f"GRANT ALL ON `{shop}\\_holdfast\\_%`.*" in str(caught.value.hint)
    mariadb.rows(f"GRANT ALL ON `{shop}\\_holdfast\\_%`.* TO hosted@'%'")
    restore(plan, registry=Registry(), dry_run=True)
    with pytest.raises(holdfast.CredentialsError) as caught:
        holdfast.drill(record, store=store, into=url(""))
    assert "GRANT ALL ON `holdfast\\_drill\\_%`.*" in str(caught.value.hint)


def test_an_account_that_may_send_few_statements_an_hour_is_told_so(
    mariadb: MariaDB, shop: str, store: str, new_name: Callable[[], str], account: Callable[..., Callable[[str], str]]
) -> None:
    """Fewer connections send no fewer, and no table can be left out for it."""
    mariadb.rows(f"DROP TRIGGER {shop}.r")
    target = new_name()
    url = account(f"ALL ON {shop}.*", f"ALL ON {target}.*")
    record = holdfast.backup(mariadb.url(shop), store=store)
    mariadb.rows("ALTER USER hosted@'%' WITH MAX_UPDATES_PER_HOUR 3")
    with pytest.raises(holdfast.UnreachableError, match="max_updates_per_hour") as caught:
        holdfast.restore(record.id, url(target), store=store)
    assert "wait for the next hour" in str(caught.value.hint)
    assert "--exclude" not in str(caught.value.hint)
    mariadb.rows("ALTER USER hosted@'%' WITH MAX_UPDATES_PER_HOUR 0 MAX_QUERIES_PER_HOUR 5")
    with pytest.raises(holdfast.UnreachableError, match="max_queries_per_hour") as caught:
        holdfast.backup(url(shop), store=store)
    assert "wait for the next hour" in str(caught.value.hint)
