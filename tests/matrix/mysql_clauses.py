"""Clauses of tables that one of MySQL and MariaDB does not know; run by `.ci/matrix/mysql`, not by `make test`."""

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_OF_MYSQL = {
    "pressed(id INT PRIMARY KEY) COMPRESSION='zlib'": r"table option compression \(pressed\)",
    "second(id INT PRIMARY KEY) SECONDARY_ENGINE=rapid": r"table option secondary_engine \(second\)",
    "functional(id INT PRIMARY KEY, a INT, UNIQUE KEY k (a DESC, (a + 1)))": r"functional key \(functional\)",
    "many(id INT PRIMARY KEY, j JSON, KEY k ((CAST(j AS UNSIGNED ARRAY))))": r"functional key \(many\)",
}
_OF_MARIADB = {
    "pressed(id INT PRIMARY KEY) PAGE_COMPRESSED=1": r"table option page_compressed \(pressed\)",
    "secret(id INT PRIMARY KEY) ENCRYPTED=NO": r"table option encrypted \(secret\)",
    "whole(id INT PRIMARY KEY, v INT, t TEXT, UNIQUE (t), UNIQUE (v))": r"unique key over whole texts \(whole\)",
    "summed(id INT PRIMARY KEY) PAGE_CHECKSUM=1": r"table option page_checksum \(summed\)",
}


@pytest.mark.parametrize("table", [*_OF_MYSQL, *_OF_MARIADB])
def test_a_preview_names_clauses_that_the_other_product_does_not_know(
    mysql: MariaDB, mariadb: MariaDB, store: str, table: str
) -> None:
    """What the server takes only in a comment, and passes over there, is a warning."""
    source, target = (mysql, mariadb) if table in _OF_MYSQL else (mariadb, mysql)
    source.rows("CREATE DATABASE shop")
    try:
        source.rows(f"CREATE TABLE {table}", database="shop")
        record = holdfast.backup(source.url("shop"), store=store)
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=(_OF_MYSQL | _OF_MARIADB)[table]):
                holdfast.restore(record.id, target.url("copy"), store=store, dry_run=preview)
        options = {"strip": "compression,encryption,engine_attribute,page_checksum"}
        if "option" in (_OF_MYSQL | _OF_MARIADB)[table]:
            holdfast.restore(record.id, target.url("copy"), store=store, options=options)
    finally:
        for server in (mysql, mariadb):
            server.rows("DROP DATABASE IF EXISTS shop")
            server.rows("DROP DATABASE IF EXISTS copy")


def test_clauses_in_comments_are_told_of_and_defaults_are_written_as_the_other_product_has_them(
    mysql: MariaDB, mariadb: MariaDB, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    mysql.rows("CREATE DATABASE shop")
    mariadb.rows("CREATE DATABASE back")
    try:
        mysql.rows("CREATE TABLE big(id INT PRIMARY KEY) AUTOEXTEND_SIZE=4M", database="shop")
        mysql.rows(
            "CREATE TABLE held(id INT PRIMARY KEY, v CHAR(20) STORAGE DISK COLUMN_FORMAT FIXED DEFAULT 'STORAGE DISK',"
            " n INT NOT NULL NOT SECONDARY) STORAGE DISK",
            database="shop",
        )
        record = holdfast.backup(mysql.url("shop"), store=store)
        holdfast.restore(record.id, mariadb.url("shop"), store=store, dry_run=True)
        for clause in ("AUTOEXTEND_SIZE (big)", "COLUMN_FORMAT FIXED (held)", "STORAGE DISK (held)"):
            assert f"ignores the clause {clause}" in caplog.text
        holdfast.restore(record.id, mariadb.url("shop"), store=store)
        mariadb.rows("INSERT INTO held(id, n) VALUES (1, 2)", database="shop")
        assert mariadb.rows("SELECT * FROM held", database="shop") == [(1, "STORAGE DISK", 2)]
        mariadb.rows("DROP DATABASE shop")
        before = mysql.rows("SHOW CREATE TABLE held", database="shop")
        holdfast.restore(record.id, mysql.url("copy"), store=store)
        assert mysql.rows("SHOW CREATE TABLE held", database="copy") == before
        mariadb.rows(
            "CREATE TABLE t(id VARCHAR(40) DEFAULT uuid() PRIMARY KEY, a TEXT COMPRESSED DEFAULT concat('a', ')'),"
            " d DATETIME DEFAULT current_timestamp() ON UPDATE current_timestamp(), n INT DEFAULT (1 + 2))",
            database="back",
        )
        mariadb.rows(
            "CREATE TABLE c(id INT CHECK (id > 0), t TEXT NOT NULL DEFAULT 'it''s', CHECK (id < 9))", database="back"
        )
        mariadb.rows("CREATE TABLE d(id INT, b BLOB DEFAULT '', CHECK (id < 9), CHECK (id > 2))", database="back")
        record = holdfast.backup(mariadb.url("back"), store=store)
        holdfast.restore(record.id, mysql.url("back"), store=store)
        mysql.rows("INSERT INTO c(id) VALUES (3)", database="back")
        assert mysql.rows("SELECT t FROM c", database="back") == [("it's",)]
        checks = "SELECT constraint_name FROM information_schema.check_constraints WHERE constraint_schema='back'"
        names = {str(name) for (name,) in mysql.rows(checks)}
        assert {"c_chk_1", "c_chk_2", "d_chk_1", "d_chk_2"} == names
        assert "ignores the clause COMPRESSED (t)" in caplog.text
        mysql.rows("INSERT INTO t() VALUES ()", database="back")
        assert mysql.rows("SELECT length(id), a, d IS NOT NULL, n FROM t", database="back") == [(36, "a)", 1, 3)]
    finally:
        for server in (mysql, mariadb):
            server.rows("DROP DATABASE IF EXISTS shop")
            server.rows("DROP DATABASE IF EXISTS back")
            server.rows("DROP DATABASE IF EXISTS copy")


def test_checks_that_are_called_alike_in_mariadb_get_other_names(
    mysql: MariaDB, mariadb: MariaDB, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.rows("CREATE DATABASE alike")
    try:
        mariadb.rows("CREATE TABLE t1(id INT PRIMARY KEY, CONSTRAINT positive CHECK (id > 0))", database="alike")
        mariadb.rows(
            "CREATE TABLE t2(id INT PRIMARY KEY, CONSTRAINT POSITIVE CHECK (id > 1), CONSTRAINT other CHECK (id < 9))",
            database="alike",
        )
        record = holdfast.backup(mariadb.url("alike"), store=store)
        holdfast.restore(record.id, mysql.url("alike"), store=store)
        assert "CHECK POSITIVE of table t2 gets another name" in caplog.text
        names = mysql.rows(
            "SELECT table_name, constraint_name FROM information_schema.table_constraints"
            " WHERE constraint_schema='alike' AND constraint_type='CHECK' ORDER BY 1, 2"
        )
        assert names == [("t1", "positive"), ("t2", "other"), ("t2", "t2_chk_1")]
        holdfast.restore(record.id, mysql.url("alike"), store=store, replace=True)
        with_accounts = holdfast.backup(mariadb.url("alike"), store=store, options={"users": True})
        with pytest.raises(holdfast.UnsafeError, match="does not read the accounts of MariaDB"):
            holdfast.restore(with_accounts, mysql.url("other"), store=store, options={"users": True})
    finally:
        for server in (mysql, mariadb):
            server.rows("DROP DATABASE IF EXISTS alike")


def test_words_that_only_the_other_product_reserves_are_names_there_too(
    mysql: MariaDB, mariadb: MariaDB, store: str
) -> None:
    bodies = {
        "mariadb": (
            "CREATE TABLE groups(id INT PRIMARY KEY, `rank` INT)",
            "INSERT INTO groups VALUES (1, 7)",
            """CREATE PROCEDURE p() BEGIN /* groups */ DECLARE rank INT DEFAULT 0;
                SELECT groups.rank INTO rank FROM groups WHERE groups.rank > rank LIMIT 1;
                SELECT rank AS system, 'groups' AS empty, id AS `groups` FROM groups; END""",
            "CREATE TRIGGER tr BEFORE INSERT ON groups FOR EACH ROW SET @lag = NEW.rank",
            "CREATE FUNCTION fx(empty INT) RETURNS INT DETERMINISTIC RETURN empty + 1",
            "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO INSERT INTO groups (id, rank) VALUES (5, 6)",
        ),
        "mysql": (
            "CREATE TABLE t(id INT PRIMARY KEY, returning INT, `offset` INT)",
            "INSERT INTO t VALUES (1, 2, 3), (2, 3, 4)",
            """CREATE PROCEDURE p() BEGIN DECLARE offset INT DEFAULT 3;
                SELECT t.returning AS `offset`, returning + offset FROM t LIMIT 1 OFFSET 1; END""",
        ),
    }
    servers = {"mysql": mysql, "mariadb": mariadb}
    for name, statements in bodies.items():
        source, target = servers[name], next(server for other, server in servers.items() if other != name)
        source.rows("CREATE DATABASE words")
        try:
            for statement in statements:
                source.rows(statement, database="words")
            record = holdfast.backup(source.url("words"), store=store)
            holdfast.restore(record.id, target.url("words"), store=store)
            assert target.rows("CALL p()", database="words") == source.rows("CALL p()", database="words")
        finally:
            for server in (mysql, mariadb):
                server.rows("DROP DATABASE IF EXISTS words")
