"""Kinds of objects that a backup or a restore leaves out, and what the rest says of it."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB
from support.sweeps import paired

import holdfast

_SCHEMA = (
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY, p INT, KEY k (p), CONSTRAINT f1 FOREIGN KEY (p) REFERENCES parent (id))",
    "INSERT INTO parent VALUES (1)",
    "INSERT INTO child VALUES (1, 1)",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE VIEW v AS SELECT id FROM child",
    "CREATE VIEW w AS SELECT f() AS n",
    "CREATE TRIGGER r BEFORE INSERT ON child FOR EACH ROW SET NEW.p = f()",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
)
_KINDS = {
    "event": {"EVENT e"},
    "routine": {"FUNCTION f", "PROCEDURE p", "VIEW w"},
    "trigger": {"TRIGGER r"},
    "view": {"VIEW v", "VIEW w"},
    "foreign_key": set(),
}


@pytest.fixture
def shop(mariadb: MariaDB, database: str) -> str:
    for statement in _SCHEMA:
        mariadb.rows(statement, database=database)
    return database


def objects(content: dict[str, object]) -> set[str]:
    return {key for key in content if key.split()[0] in ("EVENT", "FUNCTION", "PROCEDURE", "TRIGGER", "VIEW", "TABLE")}


@pytest.mark.sweep(2)
@pytest.mark.parametrize(("kind", "form"), paired(list(_KINDS), ["wire", "sql"]))
def test_a_kind_is_left_out_at_a_backup_or_at_a_restore(
    mariadb: MariaDB, shop: str, store: str, kind: str, form: str, content: Callable[[str], dict[str, object]],
    new_name: Callable[[], str],
) -> None:  # fmt: skip
    """And a drill of such a backup is proven; views that need it are named."""
    whole = holdfast.backup(mariadb.url(shop), store=store, options={"format": form})
    without = holdfast.backup(mariadb.url(shop), store=store, options={"format": form}, exclude_kinds=[kind])
    assert holdfast.drill(without.id, store=store, into=mariadb.url()).state == "proven"
    targets = [new_name(), new_name()]
    holdfast.restore(whole.id, mariadb.url(targets[0]), store=store, exclude_kinds=[kind])
    holdfast.restore(without.id, mariadb.url(targets[1]), store=store)
    before = content(shop)
    for target in targets:
        after = content(target)
        assert objects(before) - objects(after) == _KINDS[kind]
        assert ("CONSTRAINT" in str(after["TABLE child"])) == (kind != "foreign_key")
        assert after["sum child"] == before["sum child"]
    if kind == "routine":
        assert any("view w uses f()" in warning for warning in without.warnings)


def test_a_kind_that_is_left_out_does_not_make_a_selection(
    mariadb: MariaDB, shop: str, store: str, content: Callable[[str], dict[str, object]]
) -> None:
    """`--replace` still means the whole database."""
    record = holdfast.backup(mariadb.url(shop), store=store)
    mariadb.rows("CREATE TABLE extra (id INT)", database=shop)
    preview = holdfast.restore(
        record.id, mariadb.url(shop), store=store, replace=True, dry_run=True, exclude_kinds=["view"]
    )
    assert {(change.action, change.name) for change in preview.changes if change.kind == "view"} <= {
        ("gone", "v"), ("gone", "w")
    }  # fmt: skip
    holdfast.restore(record.id, mariadb.url(shop), store=store, replace=True, exclude_kinds=["view", "trigger"])
    after = objects(content(shop))
    assert "TABLE extra" not in after
    assert not {"VIEW v", "VIEW w", "TRIGGER r"} & after
    assert {"EVENT e", "FUNCTION f"} <= after


def test_a_kind_that_the_engine_has_not_is_refused(mariadb: MariaDB, shop: str, store: str) -> None:
    with pytest.raises(holdfast.UsageError, match="'policy'"):
        holdfast.backup(mariadb.url(shop), store=store, exclude_kinds=["policy"])
