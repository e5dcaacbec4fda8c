"""What sessions of MySQL set decides what is kept, and comes back as it was; run by `.ci/matrix/mysql`."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_UTF8MB4 = "default_collation_for_utf8mb4"


@pytest.fixture
def source(mysql: MariaDB) -> Iterator[str]:
    mysql.rows("CREATE DATABASE sessions CHARACTER SET latin1")
    yield "sessions"
    for name in ("sessions", "copy"):
        mysql.rows(f"DROP DATABASE IF EXISTS {name}")


def parameters(server: MariaDB, database: str) -> list[tuple[object, ...]]:
    query = "SELECT specific_name, parameter_name, collation_name FROM information_schema.parameters"
    return server.rows(f"{query} WHERE specific_schema='{database}' ORDER BY 1, ordinal_position")


_ROUTINES = (
    "SET {default}",
    (
        "CREATE FUNCTION f(a VARCHAR(9) CHARSET utf8mb4, n INT, b TEXT CHARACTER SET `utf8mb4`,"
        " c CHAR(9) CHARSET latin1) RETURNS TEXT CHARSET utf8mb4 DETERMINISTIC"
        " RETURN CONCAT_WS(' ', COLLATION(a), COLLATION(b), COLLATION(c))"
    ),
    (
        "CREATE PROCEDURE p(IN a VARCHAR(9) CHARSET utf8mb4 COLLATE utf8mb4_bin, d DECIMAL(9,2),"
        " OUT b VARCHAR(9) CHARACTER SET utf8mb4) SET b=a"
    ),
    "SET default_collation_for_utf8mb4=utf8mb4_0900_ai_ci",
    "CREATE FUNCTION other(a VARCHAR(9) CHARSET utf8mb4) RETURNS INT DETERMINISTIC RETURN a = 'ss'",
)


@pytest.mark.parametrize("default", ["utf8mb4_general_ci", "utf8mb4_0900_ai_ci"])
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_parameters_have_the_collation_that_utf8mb4_meant_when_they_were_made(
    mysql: MariaDB, source: str, store: str, default: str, form: str
) -> None:
    """Their text does not tell it, and the target's own default is another one."""
    with mysql.connect(source) as connection, connection.cursor() as cursor:
        for statement in _ROUTINES:
            cursor.execute(statement.format(default=f"{_UTF8MB4}={default}"))
    there = parameters(mysql, source)
    assert (("f", "a", default) in there, ("other", "a", "utf8mb4_0900_ai_ci") in there) == (True, True)
    record = holdfast.backup(mysql.url(source), store=store, options={"format": form})
    for changed in ("utf8mb4_0900_ai_ci", "utf8mb4_general_ci"):
        mysql.rows(f"SET GLOBAL {_UTF8MB4}={changed}")
        try:
            for replace in (False, True):
                holdfast.restore(record, mysql.url("copy"), store=store, replace=replace)
                assert parameters(mysql, "copy") == there
            assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
        finally:
            mysql.rows(f"SET GLOBAL {_UTF8MB4}=DEFAULT")
        mysql.rows("DROP DATABASE copy")
    stream = "objects.sql.zst" if form == "wire" else "script.sql.zst"
    script = subprocess.run(["zstd", "-dc", Path(record.path, stream)], capture_output=True, check=True)
    mysql.rows("CREATE DATABASE copy CHARACTER SET latin1")
    mysql.client(script.stdout, database="copy", options=("--comments", "--binary-mode"))
    assert parameters(mysql, "copy") == there


def test_a_parameter_of_another_collation_is_no_proven_restore(mysql: MariaDB, source: str, store: str) -> None:
    """A drill compares it: here a backup of one is drilled as if it were of the other."""
    for default in ("utf8mb4_general_ci", "utf8mb4_0900_ai_ci"):
        mysql.rows("DROP FUNCTION IF EXISTS f", database=source)
        statement = "CREATE FUNCTION f(a VARCHAR(9) CHARSET utf8mb4) RETURNS INT DETERMINISTIC RETURN a = 'ss'"
        mysql.rows(statement, database=source, init_command=f"SET {_UTF8MB4}={default}")
        holdfast.backup(mysql.url(source), store=store)
    manifests = [json.loads(path.read_text()) for path in Path(store).rglob("backup_manifest.json")]
    objects = [item for manifest in manifests for item in manifest["proof"]["objects"]]
    assert len({item["digest"] for item in objects if item["kind"] == "function"}) == 2


def test_parameters_in_the_other_product_have_the_collation_that_they_had(
    mysql: MariaDB, mariadb: MariaDB, source: str, store: str
) -> None:
    """MariaDB takes that of whoever calls a routine, and MySQL that of whoever makes it."""
    body = "(a VARCHAR(9) CHARSET utf8mb4) RETURNS TEXT CHARSET utf8mb4 DETERMINISTIC RETURN COLLATION(a)"
    mysql.rows(f"CREATE FUNCTION f{body}", database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    holdfast.restore(record, mariadb.url("from_mysql"), store=store)
    mariadb.rows("CREATE DATABASE from_mariadb CHARACTER SET latin1")
    mariadb.rows(f"CREATE FUNCTION from_mariadb.f{body}")
    holdfast.restore(holdfast.backup(mariadb.url("from_mariadb"), store=store), mysql.url("copy"), store=store)
    try:
        assert mariadb.rows("SELECT from_mysql.f('')") == [("utf8mb4_uca1400_nopad_ai_ci",)]
        assert mysql.rows("SELECT copy.f('')") == mariadb.rows("SELECT from_mariadb.f('')")
    finally:
        for name in ("from_mysql", "from_mariadb"):
            mariadb.rows(f"DROP DATABASE {name}")


_SETTINGS = {
    "padded": (
        "sql_mode='PAD_CHAR_TO_FULL_LENGTH'",
        "g VARCHAR(9) AS (CONCAT(c, '|')) STORED, l INT AS (LENGTH(c)) STORED",
    ),
    "padded text": ("sql_mode='PAD_CHAR_TO_FULL_LENGTH'", "g VARCHAR(9) AS (c) STORED"),
    "quotients": ("div_precision_increment=10", "g VARCHAR(40) AS (n / 7) STORED"),
    "weeks": ("default_week_format=3", "g INT AS (WEEK(d)) STORED, h INT AS (g + 1) STORED"),
    "languages": (
        "lc_time_names='de_DE'",
        "g TEXT AS (DATE_FORMAT(d, '%W %M')) STORED, h TEXT AS (DAYNAME(d)) STORED",
    ),
    "ciphers": ("block_encryption_mode='aes-256-ecb'", "g VARBINARY(99) AS (AES_ENCRYPT(n, 'key')) STORED"),
    "zeros": ("sql_mode='NO_ZERO_IN_DATE'", "g DATE AS (CAST(CONCAT('2020-00-0', id) AS DATE)) STORED"),
    "fractions": ("sql_mode='TIME_TRUNCATE_FRACTIONAL'", "g DATETIME AS (CONCAT(d, ' 00:00:00.9')) STORED"),
    "times": ("time_zone='+05:00'", "g DATETIME AS (FROM_UNIXTIME(n)) STORED"),
    "two": (
        "div_precision_increment=10, default_week_format=6",
        "g TEXT AS (n / 7) STORED, h INT AS (WEEK(d)) STORED",
    ),
    "subtraction": ("sql_mode='NO_UNSIGNED_SUBTRACTION'", "g INT AS (u - v) STORED, KEY (g)"),
    "virtual subtraction": (
        "sql_mode='NO_UNSIGNED_SUBTRACTION'",
        "g INT AS (u - v) VIRTUAL, KEY (g), KEY ((u - v + 1))",
    ),
    "checked subtraction": ("sql_mode='NO_UNSIGNED_SUBTRACTION'", "CONSTRAINT k CHECK (u - v < 100)"),
    "checked padding": ("sql_mode='PAD_CHAR_TO_FULL_LENGTH'", "CONSTRAINT k CHECK (LENGTH(c) = 5)"),
}


@pytest.mark.parametrize("name", _SETTINGS)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_settings_under_which_values_were_computed_hold_for_their_table_again(
    mysql: MariaDB, source: str, store: str, name: str, form: str
) -> None:
    setting, columns = _SETTINGS[name]
    common = "id INT PRIMARY KEY, u INT UNSIGNED, v INT UNSIGNED, n DECIMAL(9,2), c CHAR(5), d DATE"
    rows = "(1, 1, 2, 1, 'ab', '2024-01-01'), (2, 5, 3, 10, 'x', '2021-01-03')"
    with mysql.connect(source) as connection, connection.cursor() as cursor:
        for statement in (
            f"SET {setting}",
            f"CREATE TABLE t({common}, {columns})",
            f"INSERT INTO t(id, u, v, n, c, d) VALUES {rows}",
        ):
            cursor.execute(statement)
    record = holdfast.backup(mysql.url(source), store=store, options={"format": form})
    assert record.warnings == ()
    for infile in ("ON", "OFF"):
        mysql.rows(f"SET GLOBAL local_infile={infile}")
        try:
            assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
            assert holdfast.restore(record, mysql.url("copy"), store=store, replace=True).warnings == ()
        finally:
            mysql.rows("SET GLOBAL local_infile=OFF")
        query, mode = "SELECT * FROM {}.t", f"SET {setting}"
        there, here = (mysql.rows(query.format(name), init_command=mode) for name in (source, "copy"))
        assert here == there
        assert mysql.rows("SHOW CREATE TABLE copy.t") == mysql.rows(f"SHOW CREATE TABLE {source}.t")


_TIMES = (
    "id INT PRIMARY KEY, ts TIMESTAMP NULL, other TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, j JSON,"
    " at DATETIME AS (ts) STORED, KEY (at)"
)
_BERLIN = (
    "REPLACE INTO mysql.time_zone VALUES (9999, 'N')",
    "REPLACE INTO mysql.time_zone_name VALUES ('Test/Berlin', 9999)",
    "REPLACE INTO mysql.time_zone_transition_type VALUES (9999, 0, 3600, 0, 'CET'), (9999, 1, 7200, 1, 'CEST')",
    "REPLACE INTO mysql.time_zone_transition VALUES (9999, 1711846800, 1), (9999, 1729990800, 0)",
)


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_the_hour_that_an_autumn_has_twice_stays_what_it_was(
    mysql: MariaDB, source: str, store: str, engine: str
) -> None:
    """ALTER TABLE copies TIMESTAMPs through the session's time zone, and takes the second of both for the first."""
    for statement in _BERLIN:
        mysql.rows(statement)
    with mysql.connect(source) as connection, connection.cursor() as cursor:
        for statement in (
            "SET time_zone='+00:00'",
            f"CREATE TABLE t({_TIMES}) ENGINE={engine}",
            "SET time_zone='Test/Berlin'",
            "INSERT INTO t(id, ts, j) VALUES (1, FROM_UNIXTIME(1729989000), '1.50'), (3, '2024-07-01 12:00:00', NULL)",
            # What is between both cannot be said in that zone.
            "SET time_zone='+00:00'",
            "INSERT INTO t(id, ts, other) VALUES (2, '2024-10-27 01:30:00', '2024-10-27 01:30:00')",
            "SET time_zone='Test/Berlin'",
            "UPDATE t SET id=id, ts=ts, other=other",
        ):
            cursor.execute(statement)
    query = "SELECT id, UNIX_TIMESTAMP(ts), UNIX_TIMESTAMP(other), at FROM {}.t ORDER BY id"
    there = mysql.rows(query.format(source))
    assert (there[1][1], str(there[1][3])) == (1729992600, "2024-10-27 02:30:00")
    record = holdfast.backup(mysql.url(source), store=store)
    assert [line for line in record.warnings if "computes" in line] == []
    for replace in (False, True):
        assert holdfast.restore(record, mysql.url("copy"), store=store, replace=replace).warnings == ()
        assert mysql.rows(query.format("copy")) == there
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
    assert "UPDATE `t` SET `id`=`id`" in Path(record.path, "RESTORE.md").read_text()
