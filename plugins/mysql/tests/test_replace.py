"""Restores with --replace: all or some tables take the place of what was there, or nothing does."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.errors import UnsafeError
from holdfast.operations.restore import restore
from holdfast.plan import RestorePlan
from holdfast.plugins.registry import Registry
from holdfast_mysql.definitions.script import Statement

Content = Callable[[str], dict[str, object] | None]


def old_and_new(mariadb: MariaDB, old: str, new: str) -> None:
    with mariadb.connect() as connection, connection.cursor() as cursor:
        for database, number in ((old, 1), (new, 2)):
            for statement in (
                "CREATE TABLE parent(id INT PRIMARY KEY)",
                "CREATE TABLE child(id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent(id))",
                "CREATE SEQUENCE s",
                "CREATE TABLE numbered(id INT DEFAULT nextval(s), v INT)",
                f"INSERT INTO parent VALUES ({number})",
                f"INSERT INTO child VALUES (1, {number})",
                f"CREATE TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id + {number}",
                f"CREATE VIEW v AS SELECT {number} AS n",
                f"CREATE PROCEDURE p() SELECT {number}",
                f"CREATE EVENT e ON SCHEDULE AT '2035-01-01' DISABLE DO SELECT {number}",
                f"CREATE TABLE only{number}(a INT)",
                f"CREATE VIEW only_view{number} AS SELECT 1 AS a",
            ):
                cursor.execute(f"USE {database}")
                cursor.execute(statement)


def test_replace_puts_all_of_it_in_the_place_of_the_target(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    record = holdfast.backup(mariadb.url(database), store=store)
    names = mariadb.rows("SHOW DATABASES")
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=True)
    assert content(target) == content(database)
    assert mariadb.rows("SHOW DATABASES") == names
    assert "not atomic with it are triggers" in caplog.text
    mariadb.rows(f"INSERT INTO {target}.numbered(v) VALUES (1)")
    mariadb.rows(f"INSERT INTO {target}.child VALUES (2, 2)")


def test_defaults_of_several_columns_follow_their_sequences(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, round_trip: Callable[..., str]
) -> None:
    """A table one of whose defaults names a sequence that is gone cannot be altered, also not to mend the other."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE s")
        cursor.execute("CREATE SEQUENCE r START WITH 50")
        cursor.execute(
            "CREATE TABLE t(id INT DEFAULT nextval(s), a INT DEFAULT (nextval(r) + lastval(s)),"
            " b INT DEFAULT setval(s, 100), v INT)"
        )
    record = holdfast.backup(mariadb.url(database), store=store)
    holdfast.restore(record.id, mariadb.url(database), store=store, replace=True)
    other = round_trip(database)
    mariadb.rows(f"DROP DATABASE {database}")  # whatever names it now fails
    holdfast.restore(record.id, mariadb.url(other), store=store, replace=True)
    mariadb.rows(f"INSERT INTO {other}.t(v) VALUES (1)")
    assert mariadb.rows(f"SELECT id, a, b FROM {other}.t") == [(1, 51, 100)]
    assert mariadb.rows(f"SELECT nextval({other}.s)") == [(101,)]
    assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"


def test_a_dry_run_of_a_replacement_says_all_that_it_would_drop_and_move(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    before = content(target)
    record = holdfast.backup(mariadb.url(database), store=store)
    caplog.clear()
    plan = RestorePlan(backup=record.id, target=mariadb.url(target), store=store, replace=True)
    restore(plan, registry=Registry(), dry_run=True)
    assert content(target) == before
    _, dropped, moved, last = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    listed = "trigger tr, view only_view1, view v, procedure p, event e"
    assert dropped == f"would drop, to be put back if it fails: {listed}"
    swapped = rf"`{target}_holdfast_\w+`"
    tables = ("child", "numbered", "only1", "parent", "s")
    out = [rf"`{target}`\.`{name}` TO {swapped}\.`{name}`" for name in tables]
    new = [rf"{swapped}\.`{name}` TO `{target}`\.`{name}`" for name in ("child", "numbered", "only2", "parent", "s")]
    assert re.fullmatch("would run: RENAME TABLE " + ", ".join([*out, *new]), moved)
    assert last.startswith(f"would drop at the end: database {target}_holdfast_old_")


@pytest.mark.parametrize("kind", ["event", "procedure", "view", "trigger"])
def test_a_replacement_that_fails_half_way_puts_the_target_back(
    mariadb: MariaDB,
    database: str,
    new_name: Callable[[], str],
    store: str,
    content: Content,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The definitions were saved before they were dropped."""
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    if kind == "trigger":
        mariadb.rows(f"DROP TRIGGER {target}.tr")
    before = content(target)
    record = holdfast.backup(mariadb.url(database), store=store, options={"definer": "keep"})
    import holdfast_mysql.restore.objects

    made = holdfast_mysql.restore.objects.ObjectMaker._execute
    failed: list[Statement] = []

    def fail_once(self: Any, statement: Statement) -> None:
        if statement.kind == kind and not failed:
            failed.append(statement)
            self._session.execute("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not today'")
        made(self, statement)

    monkeypatch.setattr(holdfast_mysql.restore.objects.ObjectMaker, "_execute", fail_once)
    with pytest.raises(holdfast.HoldfastError, match="not today"):
        holdfast.restore(record.id, mariadb.url(target), store=store, replace=True)
    assert content(target) == before
    assert not [name for (name,) in mariadb.rows("SHOW DATABASES") if str(name).startswith(f"{target}_holdfast_")]


def test_replacing_some_tables_leaves_the_others(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content
) -> None:
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    record = holdfast.backup(mariadb.url(database), store=store)
    before, wanted = content(target), content(database)
    assert before is not None
    assert wanted is not None
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=True, select=("numbered", "s"))
    after = content(target)
    assert after is not None
    changed = {key for key in after if after[key] != before[key]}
    assert changed <= {"sum numbered", "state s", "TABLE numbered"}
    assert {key: after[key] for key in ("TABLE numbered", "state s")} == {
        key: wanted[key] for key in ("TABLE numbered", "state s")
    }


def test_a_selection_is_only_put_in_the_place_of_its_likes(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content
) -> None:
    """What a pattern fits in the target and the backup has not stays, as does what --exclude leaves out."""
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    record = holdfast.backup(mariadb.url(database), store=store)
    before = content(target) or {}
    with pytest.raises(UnsafeError, match=rf"database {target} already holds table parent$") as caught:
        holdfast.restore(record.id, mariadb.url(target), store=store, select=("parent",))
    assert "leave all other tables as they are: table parent: replaced" in (caught.value.hint or "")
    holdfast.restore(record.id, mariadb.url(target), store=store, select=("only2",))
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=True, select=("only*", "v"))
    after = content(target) or {}
    assert {key for key in before if after.get(key) != before[key]} == {"VIEW v"}
    assert {key for key in after if key not in before} >= {"TABLE only2", "VIEW only_view2"}
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=True, exclude=("parent", "child"))
    after = content(target) or {}
    for key in ("TABLE parent", "sum parent", "TABLE child", "sum child", "TABLE only1", "VIEW only_view1"):
        assert after[key] == before[key]
    assert (content(database) or {})["PROCEDURE p"] == after["PROCEDURE p"]


def test_a_backup_of_a_selection_leaves_all_else(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, content: Content
) -> None:
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target}")
    old_and_new(mariadb, target, database)
    record = holdfast.backup(mariadb.url(database), store=store, select=("only2", "parent"))
    before = content(target) or {}
    with pytest.raises(UnsafeError, match="already holds table parent"):
        holdfast.restore(record.id, mariadb.url(target), store=store)
    plan = RestorePlan(backup=record.id, target=mariadb.url(target), store=store, replace=True)
    result = restore(plan, registry=Registry(), dry_run=True)
    assert (result.whole, list(map(str, result.changes))) == (False, ["table only2: added", "table parent: replaced"])
    assert content(target) == before
    holdfast.restore(record.id, mariadb.url(target), store=store, replace=True)
    after = content(target) or {}
    changed = {key: (before[key], after.get(key)) for key in before if after.get(key) != before[key]}
    assert set(changed) <= {"sum parent", "TRIGGER tr"}, changed
    assert mariadb.rows(f"SELECT id FROM {target}.parent") == [(2,)]
    assert mariadb.rows(f"SELECT * FROM {target}.child") == [(1, 1)]


def test_foreign_keys_lead_to_the_tables_that_are_there(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """A table that is moved away takes the keys that lead to it along, out of this and every other database."""
    far = new_name()
    constraint = "CONSTRAINT child_p FOREIGN KEY (p) REFERENCES parent(id) ON DELETE CASCADE ON UPDATE SET NULL"
    for statement in (
        f"CREATE TABLE {database}.parent(id INT PRIMARY KEY)",
        f"CREATE TABLE {database}.child(id INT PRIMARY KEY, p INT, {constraint})",
        f"CREATE DATABASE {far}",
        f"CREATE TABLE {far}.far(p INT, FOREIGN KEY (p) REFERENCES {database}.parent(id))",
        f"INSERT INTO {database}.parent VALUES (1), (2)",
        f"INSERT INTO {database}.child VALUES (10, 1)",
    ):
        mariadb.rows(statement)
    definition = mariadb.rows(f"SHOW CREATE TABLE {database}.child")
    record = holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows(f"INSERT INTO {database}.parent VALUES (3)")
    mariadb.rows(f"INSERT INTO {database}.child VALUES (12, 3)")
    lost = "table child has 1 row whose foreign key leads to no row of table parent"
    for select, warnings in (("parent",), (lost,)), (("child",), ()), ((), ()):
        result = holdfast.restore(record.id, mariadb.url(database), store=store, replace=True, select=select)
        assert result.warnings == warnings
        assert mariadb.rows(f"SHOW CREATE TABLE {database}.child") == definition
        mariadb.rows(f"INSERT INTO {database}.child VALUES (11, 2)")
        mariadb.rows(f"INSERT INTO {far}.far VALUES (2)")
        mariadb.rows(f"DELETE FROM {far}.far")
        mariadb.rows(f"DELETE FROM {database}.child WHERE id = 11")
    keys = mariadb.rows(
        "SELECT referenced_table_schema FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT"
        f" NULL AND table_schema IN ('{database}', '{far}')"
    )
    assert keys == [(database,), (database,)]
    mariadb.rows(f"DROP DATABASE {far}")
