"""What a check says that an account lacks is what its backup misses; after its statement the backup is whole."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.operations.source_check import check_drill

REGISTRY = holdfast.Registry()
_SCHEMA = (
    "CREATE TABLE t(id INT PRIMARY KEY, v TEXT)",
    "INSERT INTO t VALUES (1, 'one')",
    "CREATE VIEW w AS SELECT * FROM t",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
)
_ON_DATABASE = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
#: What an account lacks of these, and what a check says then.
LACKING = {
    "nothing": ("", []),
    "SELECT": ("SELECT", ["tables cannot be seen"]),
    "SHOW VIEW": ("SHOW VIEW", ["the definition of view w cannot be read"]),
    "TRIGGER": ("TRIGGER", ["triggers cannot be seen"]),
    "EVENT": ("EVENT", ["events cannot be seen"]),
    "routines": ("routines", ["routines cannot be seen"]),
    "bodies": ("bodies", ["the definition of function f, procedure p cannot be read"]),
    "all": (
        "all",
        ["tables cannot be seen", "triggers cannot be seen", "events cannot be seen", "routines cannot be seen"],
    ),
}


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[str]:
    """A database whose name would be a pattern in grants, and another one that this pattern fits."""
    for name in ("shop_1", "shopx1"):
        mariadb.rows(f"CREATE DATABASE {name}")
    for statement in _SCHEMA:
        mariadb.rows(statement, database="shop_1")
    yield "shop_1"
    for name in ("shop_1", "shopx1"):
        mariadb.rows(f"DROP DATABASE {name}")


@pytest.fixture
def account(mariadb: MariaDB) -> Iterator[Callable[..., str]]:
    """Makes the account `checker` anew with some grants, and returns the URL of a database for it."""

    def make(database: str, *grants: str) -> str:
        mariadb.rows("CREATE OR REPLACE USER 'check''er'@'%' IDENTIFIED BY 'hunter2secret'")
        for grant in grants:
            mariadb.rows(f"GRANT {grant} TO 'check''er'@'%'")
        return mariadb.url(database, user="check%27er", password="hunter2secret")

    yield make
    mariadb.rows("DROP USER IF EXISTS 'check''er'@'%'")


def failed(url: str, **options: object) -> list[str]:
    result = holdfast.check_source(holdfast.BackupPlan(source=url, **options))  # type: ignore[arg-type]
    assert "hunter2secret" not in str(result.as_data())
    return [each.detail for each in result.requirements if each.state == "failed"]


def backup_code(url: str, store: str, **options: object) -> int:
    try:
        record = holdfast.backup(url, store=store, **options)  # type: ignore[arg-type]
    except holdfast.HoldfastError as error:
        return error.exit_code
    assert record.warnings == ()
    return 0


def mend(mariadb: MariaDB, url: str) -> None:
    for each in holdfast.check_source(url).requirements:
        if each.state == "failed":
            mariadb.rows(str(each.remedy).rstrip(";"))


@pytest.mark.parametrize("case", LACKING)
def test_what_is_said_to_be_missing_is_what_fails_and_its_statement_mends_it(
    case: str, mariadb: MariaDB, shop: str, store: str, account: Callable[..., str]
) -> None:
    lacked, said = LACKING[case]
    rights = [right for right in _ON_DATABASE if right != lacked and lacked != "all"] or ["SHOW DATABASES"]
    where = "shop\\_1" if rights != ["SHOW DATABASES"] else None
    grants = [f"{', '.join(rights)} ON `{where}`.*"] if where else ["CREATE TEMPORARY TABLES ON `shop\\_1`.*"]
    grants += ["SELECT ON mysql.proc"] if lacked not in ("routines", "bodies", "all") else []
    grants += ["EXECUTE ON `shop\\_1`.*"] if lacked == "bodies" else []
    url = account(shop, *grants)
    checked = holdfast.check_source(url)
    assert failed(url) == said
    assert backup_code(url, store) == (checked.failure.exit_code if checked.failure else 0) == (12 if said else 0)
    mend(mariadb, url)
    assert failed(url) == []
    assert backup_code(url, store) == 0
    assert "shopx1" not in {name for (name,) in mariadb.rows('SELECT Db FROM mysql.db WHERE User = "check\'er"')}
    assert not mariadb.rows("SELECT 1 FROM mysql.db WHERE User = \"check'er\" AND Db = 'shop_1'")


def test_what_a_backup_leaves_out_needs_no_right(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., str]
) -> None:
    url = account(shop, "SELECT ON `shop\\_1`.*")
    kinds = ("trigger", "event", "routine", "view")
    assert len(failed(url)) == 4
    assert failed(url, exclude_kinds=kinds) == []
    assert backup_code(url, store, exclude_kinds=kinds) == 0
    assert failed(url, options={"incomplete": True}) == []
    holdfast.backup(url, store=store, options={"incomplete": True})


def test_the_accounts_of_the_server_need_a_right_of_their_own(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., str]
) -> None:
    url = account(shop, "SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop\\_1`.*", "SELECT ON mysql.proc")
    users = {"options": {"users": True}}
    assert failed(url, **users) == ["the accounts of the server cannot be read"]
    assert backup_code(url, store, **users) == 12
    for each in holdfast.check_source(holdfast.BackupPlan(source=url, options={"users": True})).requirements:
        if each.state == "failed":
            mariadb.rows(str(each.remedy).rstrip(";"))
    assert failed(url, **users) == []
    assert holdfast.backup(url, store=store, options={"users": True}).id


def test_a_lock_is_told_and_that_of_tables_which_the_snapshot_does_not_hold(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., str]
) -> None:
    mariadb.rows("CREATE TABLE loose(a INT) ENGINE=MyISAM", database=shop)
    try:
        url = account(shop, "SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop\\_1`.*", "SELECT ON mysql.proc")
        options = {"options": {"lock_nontransactional": True}}
        assert failed(url, **options) == ["lock_nontransactional needs LOCK TABLES"]
        assert backup_code(url, store, **options) == 12
        mariadb.rows("GRANT LOCK TABLES ON `shop\\_1`.* TO 'check''er'@'%'")
        assert failed(url, **options) == []
        assert backup_code(url, store, **options) == 0
    finally:
        mariadb.rows("DROP TABLE loose", database=shop)


@pytest.mark.parametrize(("user", "password", "database", "code"), [
    ("root", None, "nonesuch", 15), ("nobody", "x", "shop_1", 12), ("root", None, "mysql", 2),
])  # fmt: skip
def test_a_server_that_lets_nobody_in_is_told_as_a_backup_tells_it(
    mariadb: MariaDB, shop: str, store: str, user: str, password: str | None, database: str, code: int
) -> None:
    url = mariadb.url(database, user=user, password=password)
    result = holdfast.check_source(url)
    assert result.failure is not None
    assert result.failure.exit_code == backup_code(url, store) == code


def test_an_account_that_may_not_make_a_database_is_told_before_a_drill(
    mariadb: MariaDB, shop: str, store: str, account: Callable[..., str]
) -> None:
    mariadb.rows("CREATE DATABASE IF NOT EXISTS plain1")
    mariadb.rows("CREATE TABLE IF NOT EXISTS t(a INT PRIMARY KEY)", database="plain1")
    try:
        record = holdfast.backup(mariadb.url("plain1"), store=store)
        into = account("", "SELECT ON `shop\\_1`.*")
        result = check_drill(mariadb.url("plain1"), into, registry=REGISTRY)
        (bad,) = [each for each in result.requirements if each.state == "failed"]
        assert bad.name == "scratch"
        with pytest.raises(holdfast.CredentialsError):
            holdfast.drill(record, store=store, into=into)
        mariadb.rows(str(bad.remedy).rstrip(";"))
        assert check_drill(mariadb.url("plain1"), into, registry=REGISTRY).failure is None
        assert holdfast.drill(record, store=store, into=into).passed
    finally:
        mariadb.rows("DROP DATABASE plain1")
