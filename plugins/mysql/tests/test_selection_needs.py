"""What a selection needs comes along, or is told of at the backup."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_SCHEMA = (
    "CREATE SEQUENCE numbers START WITH 5",
    "CREATE SEQUENCE others",
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), p INT REFERENCES parent (id), v INT)",
    "CREATE TABLE log (id INT PRIMARY KEY, t VARCHAR(9))",
    "CREATE TRIGGER r AFTER INSERT ON child FOR EACH ROW INSERT IGNORE INTO log VALUES (NEW.id, 'log')",
    "INSERT INTO parent VALUES (1)",
    "INSERT INTO child (p) VALUES (1), (1)",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE VIEW v AS SELECT child.id, f() AS log FROM child JOIN log ON log.id = child.id",
)


@pytest.fixture
def shop(mariadb: MariaDB, database: str) -> str:
    for statement in _SCHEMA:
        mariadb.rows(statement, database=database)
    return database


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_the_sequence_of_a_default_comes_along(
    mariadb: MariaDB, shop: str, store: str, form: str, new_name: Callable[[], str]
) -> None:
    record = holdfast.backup(mariadb.url(shop), store=store, select=["child"], options={"format": form})
    assert [text for text in record.warnings if "sequence numbers is backed up too" in text]
    assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    whole = holdfast.backup(mariadb.url(shop), store=store, options={"format": form})
    for backup, select in ((record, []), (whole, ["child"])):
        target = new_name()
        holdfast.restore(backup.id, mariadb.url(target), store=store, select=select)
        names = {name for (name,) in mariadb.rows("SHOW TABLES", database=target)}
        assert names == {"child", "numbers"}
        assert mariadb.rows("SELECT COUNT(*) FROM child", database=target) == [(2,)]


@pytest.mark.parametrize("replace", [False, True])
def test_the_sequence_that_the_target_has_stays_what_it_is(
    mariadb: MariaDB, shop: str, store: str, new_name: Callable[[], str], replace: bool
) -> None:
    """A selection touches nothing that it does not name."""
    record = holdfast.backup(mariadb.url(shop), store=store, select=["child"])
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    mariadb.rows("CREATE SEQUENCE numbers START WITH 7000", database=target)
    if replace:
        mariadb.rows("CREATE TABLE child (id INT)", database=target)
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=replace)
    text = str(mariadb.rows("SHOW CREATE TABLE child", database=target)[0][1])
    assert f"nextval(`{target}`.`numbers`)" in text
    assert mariadb.rows("SELECT NEXTVAL(numbers)", database=target) == [(7000,)]
    assert mariadb.rows("SELECT COUNT(*) FROM child", database=target) == [(2,)]


def test_what_a_selection_needs_and_has_not_is_told_of(mariadb: MariaDB, shop: str, store: str) -> None:
    record = holdfast.backup(mariadb.url(shop), store=store, select=["child", "v"])
    told = next(text for text in record.warnings if "without what it needs" in text)
    assert "table child uses parent" in told
    assert "trigger r uses log" in told
    assert "view v uses f(), log" in told
    drilled = holdfast.drill(record.id, store=store, into=mariadb.url())
    assert drilled.state == "proven"


def test_a_sequence_that_is_excluded_is_told_of(mariadb: MariaDB, shop: str, store: str) -> None:
    record = holdfast.backup(mariadb.url(shop), store=store, exclude=["numbers"])
    assert any("table child uses numbers" in text for text in record.warnings)


def test_nothing_is_told_of_what_has_all_that_it_needs(mariadb: MariaDB, shop: str, store: str) -> None:
    """Names of columns, aliases and texts are none of tables."""
    record = holdfast.backup(mariadb.url(shop), store=store)
    assert not [text for text in record.warnings if "needs" in text or "too" in text]
    mariadb.rows("CREATE TABLE plain (log INT, parent INT COMMENT 'references log', KEY log (log))", database=shop)
    mariadb.rows("CREATE VIEW w AS SELECT plain.log AS child FROM plain WHERE plain.parent = 'log'", database=shop)
    record = holdfast.backup(mariadb.url(shop), store=store, select=["plain", "w"])
    assert record.warnings == ()
