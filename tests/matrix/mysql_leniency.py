"""What MySQL once took of a database, it takes again; run by `.ci/matrix/mysql`, not by `make test`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.restore.left_checks import _MODES


@pytest.fixture(scope="module", autouse=True)
def _hosted(mysql: MariaDB) -> None:
    """An account without any global right."""
    mysql.rows("CREATE USER hosted@'%' IDENTIFIED BY 'x'")
    mysql.rows("GRANT ALL ON copy.* TO hosted@'%'")


@pytest.fixture
def source(mysql: MariaDB) -> Iterator[str]:
    mysql.rows("CREATE DATABASE lenient")
    yield "lenient"
    for name in ("lenient", "copy"):
        mysql.rows(f"DROP DATABASE IF EXISTS {name}")


def test_foreign_keys_to_columns_that_are_not_unique_come_back(mysql: MariaDB, source: str, store: str) -> None:
    """The server refuses them since 8.4, with error 6125, unless the session says otherwise."""
    mysql.client(
        b"SET restrict_fk_on_non_standard_key=OFF;"
        b"CREATE TABLE product(id INT, version INT, PRIMARY KEY (id, version));"
        b"CREATE TABLE media(id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES product (id));"
        b"INSERT INTO product VALUES (1, 1), (1, 2); INSERT INTO media VALUES (1, 1);",
        database=source,
    )
    record = holdfast.backup(mysql.url(source), store=store)
    holdfast.restore(record.id, mysql.url("copy"), store=store)
    holdfast.restore(record.id, mysql.url("copy"), store=store, replace=True)
    assert mysql.rows("SELECT * FROM copy.media") == [(1, 1)]
    script = subprocess.run(["zstd", "-dc", Path(record.path, "schema.sql.zst")], capture_output=True, check=True)
    mysql.rows("CREATE DATABASE by_hand")
    mysql.client(script.stdout, database="by_hand", options=("--comments", "--binary-mode"))
    mysql.rows("DROP DATABASE by_hand")
    assert holdfast.drill(record.id, into=mysql.url(), store=store).state == "proven"


_LATE = (
    b"SET time_zone='+09:00';"
    b"CREATE TABLE t(id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, CONSTRAINT late CHECK (ts >= '2020-01-01'),"
    b" CONSTRAINT other CHECK (id > 0), CONSTRAINT unused CHECK (id > 5) NOT ENFORCED);"
    b"INSERT INTO t VALUES (1, '2020-01-01');"
)


_MANY = (
    b"SET cte_max_recursion_depth=100000;"
    b"INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 40000)"
    b" SELECT n, IF(n % 5000 = 0, '2020-01-01', '2024-01-01') FROM c;"
    b"ANALYZE TABLE t;"
)


def enforced(mysql: MariaDB, database: str) -> list[tuple[object, ...]]:
    """The CHECKs of a database, and whether each is enforced."""
    query = "SELECT constraint_name, enforced FROM information_schema.table_constraints WHERE constraint_type='CHECK'"
    return mysql.rows(f"{query} AND table_schema='{database}' ORDER BY 1")


@pytest.mark.parametrize("form", ["wire", "sql"])
@pytest.mark.parametrize("local_infile", [True, False])
def test_a_check_that_rows_break_in_utc_is_enforced_after_them_in_another_zone(
    mysql: MariaDB, source: str, store: str, form: str, local_infile: bool
) -> None:
    """MySQL has no way to load rows without looking at it, and a restore loads times in UTC."""
    mysql.client(_LATE, database=source)
    record = holdfast.backup(mysql.url(source), store=store, options={"format": form})
    mysql.rows(f"SET GLOBAL local_infile={'ON' if local_infile else 'OFF'}")
    try:
        for replace in (False, True):
            restored = holdfast.restore(record, mysql.url("copy"), store=store, replace=replace)
            assert restored.warnings == ()
            assert enforced(mysql, "copy") == [("late", "YES"), ("other", "YES"), ("unused", "NO")]
            assert mysql.rows("SELECT UNIX_TIMESTAMP(ts) FROM copy.t") == [(1577804400,)]
        assert holdfast.drill(record.id, into=mysql.url(), store=store).state == "proven"
    finally:
        mysql.rows("SET GLOBAL local_infile=OFF")


def test_such_a_check_does_not_stop_a_table_that_is_loaded_in_parts(
    mysql: MariaDB, source: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some parts take rows while another wants the CHECK not to be enforced, and rows of several parts break it."""
    monkeypatch.setattr("holdfast_mysql.rows.key_ranges.ROWS", 2_000)
    mysql.client(_LATE + _MANY, database=source)
    record = holdfast.backup(mysql.url(source), store=store, jobs=4)
    assert len(list(Path(record.path, "data").rglob("*.zst"))) > 3
    restored = holdfast.restore(record, mysql.url("copy"), store=store, jobs=4)
    assert restored.warnings == ()
    assert enforced(mysql, "copy") == [("late", "YES"), ("other", "YES"), ("unused", "NO")]
    assert mysql.rows("SELECT COUNT(*) FROM copy.t") == [(40000,)]


def test_a_check_that_rows_break_in_every_zone_is_not_enforced_and_named(
    mysql: MariaDB, source: str, store: str
) -> None:
    """Rows that were written in several: whether the backup is sound is not for it to say."""
    mysql.client(_LATE.replace(b">= '2020-01-01'", b"= '2020-01-01'"), database=source)
    mysql.client(b"SET time_zone='+03:00'; INSERT INTO t VALUES (2, '2020-01-01');", database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    restored = holdfast.restore(record, mysql.url("copy"), store=store)
    altered = mysql.rows("SHOW GLOBAL STATUS LIKE 'Com_alter_table'")
    holdfast.restore(record, mysql.url("copy"), store=store, replace=True)
    ((_, after),) = mysql.rows("SHOW GLOBAL STATUS LIKE 'Com_alter_table'")
    assert int(str(after)) - int(str(altered[0][1])) < 45 * (1 + len(_MODES))  # each reads the table up to the row
    why = "rows break its CHECK late in every time zone, so that it is NOT ENFORCED"
    assert restored.warnings == (f"table t: {why}",)
    assert enforced(mysql, "copy") == [("late", "NO"), ("other", "YES"), ("unused", "NO")]
    drilled = holdfast.drill(record.id, into=mysql.url(), store=store)
    assert drilled.state == "proven"
    assert f"table t was not compared: {why}" in drilled.warnings


def test_a_check_that_takes_a_time_zone_and_a_mode_is_enforced_again(mysql: MariaDB, source: str, store: str) -> None:
    """Neither of them alone makes it hold."""
    mysql.client(
        b"SET time_zone='+05:00', sql_mode='NO_UNSIGNED_SUBTRACTION'; CREATE TABLE t(id INT PRIMARY KEY,"
        b" u INT UNSIGNED, ts TIMESTAMP NULL, CONSTRAINT both_of_them CHECK (u - 5 < 1 AND HOUR(ts) < 5));"
        b" INSERT INTO t VALUES (1, 2, '2024-01-01 03:00:00')",
        database=source,
    )
    record = holdfast.backup(mysql.url(source), store=store)
    restored = holdfast.restore(record, mysql.url("copy"), store=store)
    assert restored.warnings == ()
    assert enforced(mysql, "copy") == [("both_of_them", "YES")]
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"


def test_a_check_on_which_no_time_zone_has_an_influence_is_tried_once_in_each_mode(
    mysql: MariaDB, source: str, store: str
) -> None:
    """It held in the session that wrote the rows: a quotient has as many places as that says."""
    mysql.client(
        b"SET div_precision_increment=2; CREATE TABLE t(id INT PRIMARY KEY, d DATETIME, CONSTRAINT third CHECK"
        b" (id / 3 = 0.33)); INSERT INTO t VALUES (1, '2020-01-01');",
        database=source,
    )
    record = holdfast.backup(mysql.url(source), store=store)
    altered = mysql.rows("SHOW GLOBAL STATUS LIKE 'Com_alter_table'")
    restored = holdfast.restore(record, mysql.url("copy"), store=store)
    assert restored.warnings == ("table t: rows break its CHECK third, so that it is NOT ENFORCED",)
    ((_, after),) = mysql.rows("SHOW GLOBAL STATUS LIKE 'Com_alter_table'")
    assert int(str(after)) - int(str(altered[0][1])) == 2 + len(_MODES)


@pytest.mark.parametrize(("literal", "hides"), [(False, False), (True, True)])
def test_wildcards_of_grants_are_read_as_the_server_reads_them(
    mysql: MariaDB, store: str, literal: bool, hides: bool
) -> None:
    """With partial_revokes _ and % in the name of a database stand for themselves."""
    mysql.rows("CREATE DATABASE a1b")
    mysql.rows("CREATE TABLE a1b.t(id INT PRIMARY KEY)")
    mysql.rows("CREATE USER pattern@'%' IDENTIFIED BY 'x'")
    mysql.rows(f"SET GLOBAL partial_revokes={'ON' if literal else 'OFF'}")
    try:
        mysql.rows("GRANT TRIGGER, EVENT, EXECUTE ON `a_b`.* TO pattern@'%'")
        mysql.rows("GRANT SELECT, LOCK TABLES, SHOW VIEW ON a1b.* TO pattern@'%'")
        url = mysql.url("a1b", user="pattern", password="x")
        if not hides:
            holdfast.backup(url, store=store)
            return
        with pytest.raises(holdfast.CredentialsError, match=r"without triggers \(TRIGGER\)"):
            holdfast.backup(url, store=store)
    finally:
        mysql.rows("SET GLOBAL partial_revokes=OFF")
        mysql.rows("DROP USER pattern@'%'")
        mysql.rows("DROP DATABASE a1b")


def test_what_an_account_may_not_relax_is_named_before(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows(f"CREATE TABLE {source}.loose(a INT)")
    mysql.rows(f"CREATE TABLE {source}.keyed(id INT PRIMARY KEY)")
    record = holdfast.backup(mysql.url(source), store=store)
    url = mysql.url("copy", user="hosted", password="x")
    mysql.rows("SET GLOBAL sql_require_primary_key=ON")
    try:
        with pytest.raises(holdfast.UnsafeError, match=r"OFF is needed for \(loose\)") as caught:
            holdfast.restore(record.id, url, store=store)
        assert caught.value.hint is not None
        assert "SESSION_VARIABLES_ADMIN" in caught.value.hint
        holdfast.restore(record.id, url, store=store, select=["keyed"])
        mysql.rows("DROP DATABASE copy")
        holdfast.restore(record.id, mysql.url("copy"), store=store)
    finally:
        mysql.rows("SET GLOBAL sql_require_primary_key=OFF")


def test_an_account_without_any_global_right_restores(mysql: MariaDB, source: str, store: str) -> None:
    """It may not even ask the server to keep more warnings."""
    mysql.rows(f"CREATE TABLE {source}.t(id INT PRIMARY KEY, e ENUM('a') NOT NULL)")
    mysql.rows("SET SESSION cte_max_recursion_depth=10000")
    values = ", ".join(f"({number}, '')" for number in range(3000))
    mysql.client(f"SET sql_mode=''; INSERT INTO t VALUES {values}".encode(), database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    holdfast.restore(record.id, mysql.url("copy", user="hosted", password="x"), store=store)
    assert mysql.rows("SELECT COUNT(*), SUM(e+0) FROM copy.t") == [(3000, 0)]


def test_a_row_format_that_the_server_would_replace_is_named(mysql: MariaDB, source: str, store: str) -> None:
    """Without strict mode, in which the table is refused, MySQL makes it in another one and warns."""
    mysql.rows(f"CREATE TABLE {source}.t(id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED")
    record = holdfast.backup(mysql.url(source), store=store)
    mysql.rows("SET GLOBAL innodb_file_per_table=OFF")
    try:
        with pytest.raises(holdfast.UnsafeError, match=r"row format COMPRESSED \(t\)") as caught:
            holdfast.restore(record, mysql.url("copy"), store=store)
        assert "innodb_file_per_table=ON" in str(caught.value.hint)
        assert not mysql.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name='copy'")
        holdfast.restore(record, mysql.url("copy"), store=store, options={"strip": "row_format"})
    finally:
        mysql.rows("SET GLOBAL innodb_file_per_table=ON")


def test_tablespaces_and_zones_that_are_not_there_are_named(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows("CREATE TABLESPACE apart ADD DATAFILE 'apart.ibd'")
    mysql.rows(f"CREATE TABLE {source}.t(id INT PRIMARY KEY) TABLESPACE apart")
    mysql.rows(f"INSERT INTO {source}.t VALUES (1)")
    record = holdfast.backup(mysql.url(source), store=store)
    mysql.rows(f"DROP TABLE {source}.t")
    mysql.rows("DROP TABLESPACE apart")
    with pytest.raises(holdfast.UnsafeError, match=r"tablespace apart \(t\)"):
        holdfast.restore(record, mysql.url("copy"), store=store)
    holdfast.restore(record, mysql.url("copy"), store=store, options={"strip": "tablespace"})
    assert mysql.rows("SELECT * FROM copy.t") == [(1,)]
    result = holdfast.drill(record, into=mysql.url(), store=store, options={"strip": "tablespace"})
    assert result.state == "proven"
    assert any("table t was not compared: it is made without tablespace" in line for line in result.warnings)


def test_odd_settings_of_a_server_change_nothing(mysql: MariaDB, source: str, store: str) -> None:
    """Keys that the server gave tables are hidden, no warning is kept, and views would get an option of a session."""
    mysql.client(
        b"SET sql_generate_invisible_primary_key=ON; CREATE TABLE given(a INT); INSERT INTO given VALUES (5), (6), (7);"
        b"CREATE VIEW shown AS SELECT a FROM given; CREATE TABLE gone(a INT); CREATE VIEW broken AS SELECT a FROM gone;"
        b"DROP TABLE gone;",
        database=source,
    )
    changed = {
        "show_gipk_in_create_table_and_information_schema": ("OFF", "ON"),
        "show_create_table_verbosity": ("ON", "OFF"),
        "max_error_count": ("0", "1024"),
        "sql_buffer_result": ("ON", "OFF"),
    }
    queries = ("SHOW CREATE TABLE given", "SHOW CREATE VIEW shown")
    before = [mysql.rows(query, database=source) for query in queries]
    try:
        for name, (value, _) in changed.items():
            mysql.rows(f"SET GLOBAL {name}={value}")
        record = holdfast.backup(mysql.url(source), store=store)
        assert any("view broken is broken" in line for line in record.warnings)
        assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
        holdfast.restore(record, mysql.url("copy"), store=store)
    finally:
        for name, (_, value) in changed.items():
            mysql.rows(f"SET GLOBAL {name}={value}")
    assert [mysql.rows(query, database="copy") for query in queries] == before


def test_an_event_of_another_mode_is_compared_as_a_dump_reads_it(mysql: MariaDB, source: str, store: str) -> None:
    """The server warns of what it cannot show in utf8mb3, and in ANSI_QUOTES it shows names in other quotes."""
    with mysql.connect(source) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode='ANSI_QUOTES'")
        cursor.execute("CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO SELECT 'ä€\U0001f600'")
    backup = holdfast.backup(mysql.url(source), store=store, proof=True)
    drilled = holdfast.drill(backup, store=store, into=mysql.url())
    assert (drilled.problems, drilled.state) == ((), "proven")
    holdfast.restore(backup.id, mysql.url("copy"), store=store)
    assert "\U0001f600" in str(mysql.rows("SHOW CREATE EVENT copy.ev"))


def test_a_view_that_the_server_warns_of_and_makes_with_more_conditions_is_what_it_was(
    mysql: MariaDB, source: str, store: str
) -> None:
    """MySQL adds a test for NULL each time to a view with INTERSECT, and warns of what it cannot show in utf8mb3."""
    mysql.rows("CREATE TABLE t(id INT PRIMARY KEY, a INT, x TEXT)", database=source)
    mysql.rows("CREATE VIEW v AS SELECT id FROM t INTERSECT SELECT a FROM t WHERE x = 'ä€\U0001f600'", database=source)
    backup = holdfast.backup(mysql.url(source), store=store, proof=True)
    drilled = holdfast.drill(backup, store=store, into=mysql.url())
    assert (drilled.problems, drilled.state) == ((), "proven")
    holdfast.restore(backup.id, mysql.url("copy"), store=store)
    assert "\U0001f600" in str(mysql.rows("SHOW CREATE VIEW copy.v"))


@pytest.mark.parametrize("local_infile", [True, False])
def test_what_a_sql_mode_of_the_source_computed_is_computed_again(
    mysql: MariaDB, source: str, store: str, local_infile: bool
) -> None:
    mysql.client(
        b"SET sql_mode='NO_UNSIGNED_SUBTRACTION'; CREATE TABLE t(id INT PRIMARY KEY, a INT UNSIGNED, b INT UNSIGNED,"
        b" CHECK (a - b < 3)); INSERT INTO t VALUES (1, 1, 5); CREATE TABLE kept(id INT PRIMARY KEY, a INT UNSIGNED,"
        b" b BIGINT AS (a - id - 1) STORED); INSERT INTO kept(id, a) VALUES (1, 1);",
        database=source,
    )
    whole = holdfast.backup(mysql.url(source), store=store)
    checked = holdfast.backup(mysql.url(source), store=store, exclude=["kept"])
    mysql.rows(f"SET GLOBAL local_infile={'ON' if local_infile else 'OFF'}")
    try:
        assert holdfast.drill(checked, into=mysql.url(), store=store).state == "proven"
        assert holdfast.drill(whole, into=mysql.url(), store=store).state == "proven"
    finally:
        mysql.rows("SET GLOBAL local_infile=OFF")


def test_foreign_keys_between_columns_of_other_character_sets_come_back(
    mysql: MariaDB, source: str, store: str
) -> None:
    """As CONVERT TO leaves them with foreign_key_checks=0; the server makes none itself."""
    statements = """
        CREATE TABLE z_parent(id VARCHAR(9) CHARACTER SET latin1 PRIMARY KEY, s VARCHAR(9) UNIQUE,
            u VARCHAR(9) UNIQUE, up VARCHAR(9), CONSTRAINT self FOREIGN KEY (up) REFERENCES z_parent(u));
        CREATE TABLE a_child(id INT PRIMARY KEY, p VARCHAR(9) CHARACTER SET latin1,
            s VARCHAR(9) DEFAULT 'x' COMMENT 'y', CONSTRAINT f1 FOREIGN KEY (p) REFERENCES z_parent(id),
            CONSTRAINT f2 FOREIGN KEY (s) REFERENCES z_parent(s));
        CREATE TABLE z_child(id INT PRIMARY KEY, s VARCHAR(9), KEY (s),
            CONSTRAINT f3 FOREIGN KEY (s) REFERENCES z_parent(s) ON DELETE SET NULL);
        INSERT INTO z_parent VALUES ('ä', 'x', 'q', NULL), ('b', 'y', 'r', 'q');
        INSERT INTO a_child VALUES (1, 'ä', 'x');
        INSERT INTO z_child VALUES (1, 'y');
        SET foreign_key_checks=0;
        ALTER TABLE z_parent CONVERT TO CHARACTER SET utf8mb4;
        ALTER TABLE a_child MODIFY s VARCHAR(9) COLLATE utf8mb4_bin DEFAULT 'x' COMMENT 'y';
        ALTER TABLE z_child MODIFY s VARCHAR(9) CHARACTER SET latin1;
        ALTER TABLE z_parent MODIFY up VARCHAR(9) COLLATE utf8mb4_bin;
    """
    mysql.client(statements.encode(), database=source, options=("--default-character-set=utf8mb4",))
    backup = holdfast.backup(mysql.url(source), store=store, proof=True)
    drilled = holdfast.drill(backup, store=store, into=mysql.url())
    assert (drilled.problems, drilled.state) == ((), "proven")
    holdfast.restore(backup.id, mysql.url("copy"), store=store)
    for name in ("z_parent", "a_child", "z_child"):
        for query in ("SHOW CREATE TABLE {}." + name, "SELECT * FROM {}." + name):
            assert mysql.rows(query.format("copy")) == mysql.rows(query.format(source))


def test_no_table_with_such_a_foreign_key_is_replaced_and_that_is_said_first(
    mysql: MariaDB, source: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL has no RENAME for them (error 3780): neither for those that go, nor for those that come."""

    def make(database: str, charset: str) -> None:
        mysql.rows(f"CREATE DATABASE IF NOT EXISTS {database}")
        for statement in (
            "CREATE TABLE parent(k VARCHAR(9) CHARACTER SET latin1 PRIMARY KEY)",
            "CREATE TABLE child(k VARCHAR(9) CHARACTER SET latin1)",
            "ALTER TABLE child ADD CONSTRAINT unlike FOREIGN KEY (k) REFERENCES parent(k)",
            f"ALTER TABLE parent CONVERT TO CHARACTER SET {charset}",
        ):
            mysql.rows(statement, database=database, init_command="SET foreign_key_checks=0")

    make(source, "latin1")
    alike = holdfast.backup(mysql.url(source), store=store)
    mysql.rows(f"DROP DATABASE {source}")
    make(source, "utf8mb4")
    unlike = holdfast.backup(mysql.url(source), store=store)
    for backup, target in ((alike, "utf8mb4"), (unlike, "latin1")):
        mysql.rows("DROP DATABASE IF EXISTS copy")
        make("copy", target)
        for facts in (True, False):
            if not facts:  # as older backups are: the build tells it
                monkeypatch.setattr("holdfast_mysql.restore.session.names_among", lambda *_: [])
            for dry_run in (True, False) if facts else (False,):
                with pytest.raises(holdfast.UnsafeError, match="character sets or collations: unlike"):
                    holdfast.restore(backup, mysql.url("copy"), store=store, replace=True, dry_run=dry_run)
        monkeypatch.undo()
        assert mysql.rows("SHOW DATABASES LIKE '%holdfast%'") == []


def test_a_database_of_another_encryption_than_the_servers_default_takes_a_right(
    mysql: MariaDB, source: str, store: str
) -> None:
    """With table_encryption_privilege_check; what takes it is known before anything is made."""
    mysql.rows("CREATE TABLE t(id INT PRIMARY KEY)", database=source)
    backup = holdfast.backup(mysql.url(source), store=store)
    mysql.rows("CREATE USER plain@'%' IDENTIFIED BY 'x'")
    mysql.rows("GRANT ALL ON copy.* TO plain@'%'")
    mysql.rows("SET GLOBAL default_table_encryption=ON, GLOBAL table_encryption_privilege_check=ON")
    try:
        with pytest.raises(holdfast.CredentialsError) as caught:
            holdfast.restore(backup, mysql.url("copy", user="plain", password="x"), store=store)
        assert "TABLE_ENCRYPTION_ADMIN" in str(caught.value.hint)
        mysql.rows("GRANT TABLE_ENCRYPTION_ADMIN ON *.* TO plain@'%'")
        holdfast.restore(backup, mysql.url("copy", user="plain", password="x"), store=store)
    finally:
        mysql.rows("SET GLOBAL default_table_encryption=OFF, GLOBAL table_encryption_privilege_check=OFF")
        mysql.rows("DROP USER plain@'%'")
