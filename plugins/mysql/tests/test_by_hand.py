"""Backups restored with the stock client alone: the new database has nothing to do with the old one."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB

import holdfast

Content = Callable[[str], dict[str, object] | None]


def run(mariadb: MariaDB, database: str, *statements: str) -> None:
    """Run statements in which {0} is the name of the database."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(database))


@pytest.fixture
def qualified(mariadb: MariaDB, database: str) -> str:
    """A database whose objects name it wherever they can."""
    run(
        mariadb, database,
        "CREATE TABLE t(id INT AUTO_INCREMENT PRIMARY KEY, `{0}` INT)",
        "CREATE TABLE log(a VARCHAR(100))",
        "CREATE TABLE `{0}`(x INT)",
        "CREATE TRIGGER {0}.first AFTER INSERT ON {0}.t FOR EACH ROW INSERT INTO {0}.log VALUES ('first')",
        "CREATE TRIGGER `second` AFTER INSERT ON t FOR EACH ROW INSERT INTO `{0}`.`log`"
        " SELECT COUNT(*) FROM {0}.{0} AS {0} WHERE {0}.x IS NULL",
        "CREATE FUNCTION {0}.f() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM {0}.t)",
        "CREATE PROCEDURE {0}.p() BEGIN INSERT INTO {0}.log VALUES ({0}.f()); DELETE FROM {0}.t WHERE {0}.t.id < 5;"
        " CALL {0}.q(); END",
        "CREATE PROCEDURE q() INSERT INTO log VALUES ('q')",
        "CREATE EVENT {0}.e ON SCHEDULE EVERY 1 DAY DO INSERT INTO {0}.log VALUES ('e')",
        "CREATE VIEW {0}.v AS SELECT {0}.t.id, {0}.f() AS n, '{0}.t' AS s FROM {0}.t",
        "CREATE VIEW {0}.w AS SELECT {0}.v.id FROM {0}.v JOIN {0}.t ON {0}.t.id = {0}.v.id",
        "INSERT INTO t VALUES (1, 1)",
    )  # fmt: skip
    return database


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_a_script_under_another_name_leads_to_no_database_but_its_own(
    mariadb: MariaDB, qualified: str, by_hand: Callable[..., str], form: str
) -> None:
    target = by_hand(qualified, form)
    counts = "SELECT (SELECT COUNT(*) FROM {0}.t), (SELECT COUNT(*) FROM {0}.log), (SELECT COUNT(*) FROM {0}.{0})"
    before = mariadb.rows(counts.format(qualified))
    mariadb.rows(f"INSERT INTO {target}.t VALUES (2, 2), (7, 7)")
    mariadb.rows(f"CALL {target}.p()")
    assert mariadb.rows(counts.format(qualified)) == before
    assert mariadb.rows(f"SELECT COUNT(*) FROM {target}.log") == [(8,)]
    mariadb.rows(f"DROP DATABASE {qualified}")
    assert mariadb.rows(f"SELECT * FROM {target}.v") == [(7, 1, f"{qualified}.t")]
    assert mariadb.rows(f"SELECT * FROM {target}.w") == [(7,)]
    (event,) = mariadb.rows(f"SELECT event_definition FROM information_schema.events WHERE event_schema='{target}'")
    assert event == ("INSERT INTO log VALUES ('e')",)


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_a_restore_writes_such_names_as_they_were(
    mariadb: MariaDB, qualified: str, store: str, content: Content, form: str
) -> None:
    """A script without them is no other definition: under the old name all of it reads as before."""
    before = content(qualified)
    record = holdfast.backup(mariadb.url(qualified), store=store, options={"format": form})
    assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"
    mariadb.rows(f"DROP DATABASE {qualified}")
    holdfast.restore(record.id, mariadb.url(qualified), store=store)
    assert content(qualified) == before


@pytest.fixture
def orphaned(mariadb: MariaDB, database: str) -> Iterator[str]:
    """A database of an account that is gone: its views can be read by nobody, nor others be made above them."""
    mariadb.rows("CREATE OR REPLACE USER gone@localhost")
    mariadb.rows("GRANT ALL ON *.* TO gone@localhost")
    run(
        mariadb, database,
        "CREATE TABLE t(id INT PRIMARY KEY)",
        "CREATE DEFINER=gone@localhost FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM t)",
        "CREATE DEFINER=gone@localhost PROCEDURE p() SELECT 1",
        "CREATE DEFINER=gone@localhost VIEW v AS SELECT id FROM t",
        "CREATE DEFINER=gone@localhost VIEW w AS SELECT id FROM v",
        "CREATE VIEW above AS SELECT id FROM w",
        "CREATE SQL SECURITY INVOKER VIEW invoked AS SELECT id FROM v",
        "CREATE VIEW calling AS SELECT f() AS n, id FROM t",
        "CREATE VIEW above_calling AS SELECT n FROM calling",
        "CREATE VIEW plain AS SELECT id FROM t",
        "CREATE DEFINER=gone@localhost TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = f()",
        "CREATE DEFINER=gone@localhost EVENT e ON SCHEDULE EVERY 1 DAY DO CALL p()",
    )  # fmt: skip
    mariadb.rows("DROP USER gone@localhost")
    yield database
    mariadb.rows("DROP USER IF EXISTS gone@localhost")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_views_above_a_definer_that_is_gone_come_back(
    mariadb: MariaDB, orphaned: str, by_hand: Callable[..., str], round_trip: Callable[..., str], store: str, form: str
) -> None:
    query = "SELECT table_name, definer, security_type FROM information_schema.views WHERE table_schema='{}' ORDER BY 1"
    before = mariadb.rows(query.format(orphaned))
    assert len(before) == 7
    target = round_trip(orphaned, backup={"options": {"format": form}})
    assert mariadb.rows(query.format(target)) == before
    result = holdfast.drill("latest", store=store, into=mariadb.url())
    assert (result.state, result.warnings) == ("proven", ())
    by_client = by_hand(orphaned, form)
    assert mariadb.rows(query.format(by_client)) == before
    mariadb.rows("CREATE USER gone@localhost")
    mariadb.rows("GRANT ALL ON *.* TO gone@localhost")
    mariadb.rows(f"INSERT INTO {by_client}.t VALUES (3)")
    for name in ("above", "invoked", "above_calling"):
        assert mariadb.rows(f"SELECT * FROM {by_client}.{name}") == [(3,)]


def test_sql_in_a_string_that_names_the_database_is_told_of(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    run(
        mariadb, database,
        "CREATE TABLE t(id INT)",
        "CREATE PROCEDURE runs() BEGIN PREPARE s FROM 'DELETE FROM {0}.t'; EXECUTE s; END",
        "CREATE PROCEDURE says() SELECT '{0}.t'",
    )  # fmt: skip
    round_trip(database)
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [f"procedure runs runs SQL out of a string that names database {database}: it stays as it is"]


@pytest.mark.sweep(1)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_a_server_that_takes_packets_of_one_mebibyte_takes_every_statement(
    mariadb: MariaDB, database: str, content: Content, by_hand: Callable[..., str], round_trip: Callable[..., str],
    form: str,
) -> None:  # fmt: skip
    """Those of scripts and of the decoder, and prepared ones: rows of 400 kB come two at a time."""
    run(
        mariadb, database,
        "CREATE TABLE wide(id INT PRIMARY KEY, b MEDIUMTEXT, n INT)",
        "CREATE TABLE short(id INT PRIMARY KEY, v VARCHAR(40))",
        "INSERT INTO wide SELECT seq, REPEAT('x', 400000), NULL FROM seq_1_to_9",
        "INSERT INTO wide VALUES (10, REPEAT('y', 900000), 1)",
        "INSERT INTO short SELECT seq, REPEAT('z', 40) FROM seq_1_to_60000",
    )  # fmt: skip
    before = content(database)
    try:
        mariadb.rows("SET GLOBAL max_allowed_packet=1048576")
        assert content(by_hand(database, form)) == before
        target = round_trip(
            database, backup={"options": {"format": form}}, restore={"options": {"local_infile": False}}
        )
        assert content(target) == before
    finally:
        mariadb.rows("SET GLOBAL max_allowed_packet=1073741824")


def test_tables_that_strict_mode_refuses_are_made(mariadb: MariaDB, database: str, by_hand: Callable[..., str]) -> None:
    columns = ", ".join(f"c{number} VARCHAR(63)" for number in range(200))
    run(mariadb, database, "SET innodb_strict_mode=OFF", f"CREATE TABLE wide({columns})", "INSERT INTO wide VALUES ()")
    target = by_hand(database, "wire")
    assert mariadb.rows(f"SELECT COUNT(*) FROM {target}.wide") == [(1,)]
