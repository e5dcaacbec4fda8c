"""Everything that only MySQL can hold in a database; run by `.ci/matrix/mysql`, not by `make test`."""

import json
from collections.abc import Iterator

import pytest
from support.mysql_object_kinds import undecided
from support.servers.mariadb import MariaDB
from support.servers.mysql import running_mysql

import holdfast


@pytest.fixture
def source(mysql: MariaDB) -> Iterator[str]:
    mysql.rows("CREATE DATABASE kinds")
    yield "kinds"
    for name in ("kinds", "copy"):
        if mysql.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{name}'"):
            mysql.rows(f"ALTER DATABASE {name} READ ONLY=0")
            mysql.rows(f"DROP DATABASE {name}")


def test_every_kind_that_the_server_lists_was_decided_about(mysql: MariaDB) -> None:
    assert undecided(mysql) == []


def test_libraries_and_what_imports_them(mysql: MariaDB, mariadb: MariaDB, source: str, store: str) -> None:
    """The text of a library is in another language: quotes and names in it mean nothing."""
    for statement in (
        "CREATE LIBRARY lib COMMENT 'co''m' LANGUAGE JAVASCRIPT AS $t$function f(n) {return `kinds`.x + '$$'}$t$",
        "CREATE LIBRARY other LANGUAGE JAVASCRIPT AS 'it''s'",
        "CREATE FUNCTION f(n INT) RETURNS INT LANGUAGE JAVASCRIPT USING (lib AS l, kinds.other) AS 'l.f(\"it''s\")'",
        "CREATE FUNCTION g() RETURNS INT RETURN kinds.f(1)",
        "CREATE FUNCTION h() RETURNS INT LANGUAGE JAVASCRIPT USING (kinds.gone) AS 'return 1'",
        "DROP LIBRARY gone",
    ):
        if "gone" in statement and "FUNCTION" in statement:
            mysql.rows("CREATE LIBRARY gone LANGUAGE JAVASCRIPT AS ''", database=source)
        mysql.rows(statement, database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    for replace in (False, True):
        holdfast.restore(record, mysql.url("copy"), store=store, replace=replace)
        query = "SELECT library_name, library_definition, library_comment FROM information_schema.libraries"
        there, here = (mysql.rows(f"{query} WHERE library_schema='{name}'") for name in (source, "copy"))
        assert here == there
        assert len(here) == 2
        assert "USING (`copy`.`lib` AS `l`, `copy`.`other`)" in str(mysql.rows("SHOW CREATE FUNCTION copy.f"))
        assert "USING (`copy`.`gone`)" in str(mysql.rows("SHOW CREATE FUNCTION copy.h"))
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
    with pytest.raises(holdfast.UnsafeError, match=r"library \(lib, other\)"):
        holdfast.restore(record, mariadb.url("kinds_copy"), store=store)
    mysql.rows("DROP LIBRARY copy.other")
    with pytest.raises(holdfast.UnsafeError, match="not empty"):
        holdfast.restore(record, mysql.url("copy"), store=store)


def test_duality_views_and_materialized_views(mysql: MariaDB, mariadb: MariaDB, source: str, store: str) -> None:
    for statement in (
        "TABLE t(id INT PRIMARY KEY, name TEXT)",
        "JSON DUALITY VIEW both_ways AS SELECT JSON_DUALITY_OBJECT('_id': id, 'name': name) FROM t",
        "MATERIALIZED VIEW kept AS SELECT id FROM t",
    ):
        mysql.rows(f"CREATE {statement}", database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    holdfast.restore(record, mysql.url("copy"), store=store)
    assert "DUALITY VIEW" in str(mysql.rows("SHOW CREATE VIEW copy.both_ways"))
    assert "MATERIALIZED" in str(mysql.rows("SHOW CREATE VIEW copy.kept"))
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
    with pytest.raises(holdfast.UnsafeError, match=r"duality view \(both_ways\); materialized view \(kept\)"):
        holdfast.restore(record, mariadb.url("kinds_copy"), store=store)


def test_histograms_come_back_as_they_were(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows("CREATE TABLE t(id INT PRIMARY KEY, `q'` INT, b VARCHAR(20), KEY (b))", database=source)
    mysql.rows("INSERT INTO t VALUES (1, 1, 'it''s \\\\'), (2, 2, 'ü'), (3, NULL, 'ü')", database=source)
    mysql.rows("ANALYZE TABLE t UPDATE HISTOGRAM ON `q'`, b WITH 7 BUCKETS AUTO UPDATE", database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    done = holdfast.restore(record, mysql.url("copy"), store=store)
    assert not done.warnings
    histograms = []
    for name in (source, "copy"):
        rows = mysql.rows(
            f"SELECT column_name, histogram FROM information_schema.column_statistics WHERE schema_name='{name}'"
        )
        histograms.append({column: {**json.loads(str(data)), "last-updated": ""} for column, data in rows})
    assert histograms[0] == histograms[1]
    assert len(histograms[1]) == 2
    holdfast.restore(record, mysql.url("copy"), store=store, replace=True, select=["t"])
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"


def test_a_database_that_is_read_only(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows(f"CREATE TABLE {source}.t(id INT PRIMARY KEY)")
    mysql.rows(f"ALTER DATABASE {source} READ ONLY=1")
    record = holdfast.backup(mysql.url(source), store=store)
    holdfast.restore(record, mysql.url("copy"), store=store)
    assert "READ ONLY = 1" in str(mysql.rows("SHOW CREATE DATABASE copy"))
    with pytest.raises(holdfast.UnsafeError, match="copy is read only") as caught:
        holdfast.restore(record, mysql.url("copy"), store=store, replace=True)
    assert caught.value.hint == "run on the server: ALTER DATABASE `copy` READ ONLY=0"
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"


def test_a_reference_system_of_ones_own_is_needed(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows(
        "CREATE SPATIAL REFERENCE SYSTEM 990099 NAME 'mine' DEFINITION"
        ' \'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298.25]],PRIMEM["Greenwich",0],'
        'UNIT["degree",0.017453292519943278],AXIS["Lat",NORTH],AXIS["Lon",EAST]]\''
    )
    try:
        mysql.rows(f"CREATE TABLE {source}.g(id INT PRIMARY KEY, g POINT NOT NULL SRID 990099)")
        mysql.rows(f"CREATE TABLE {source}.usual(id INT PRIMARY KEY, g POINT NOT NULL SRID 4326)")
        record = holdfast.backup(mysql.url(source), store=store)
        assert any("spatial reference system 990099" in warning for warning in record.warnings)
        mysql.rows(f"DROP TABLE {source}.g")
    finally:
        mysql.rows("DROP SPATIAL REFERENCE SYSTEM 990099")
    with pytest.raises(holdfast.UnsafeError, match=r"spatial reference system 990099 \(g\)"):
        holdfast.restore(record, mysql.url("copy"), store=store)
    holdfast.restore(record, mysql.url("copy"), store=store, exclude=["g"])


def test_a_view_of_a_loadable_function_that_is_gone_is_kept(mysql: MariaDB, source: str, store: str) -> None:
    mysql.rows("CREATE FUNCTION service_get_read_locks RETURNS INT SONAME 'locking_service.so'")
    mysql.rows(f"CREATE VIEW {source}.v AS SELECT service_get_read_locks('a', 'b', 1) AS n")
    mysql.rows("DROP FUNCTION service_get_read_locks")
    record = holdfast.backup(mysql.url(source), store=store)
    assert any("view v is broken" in warning for warning in record.warnings)
    holdfast.restore(record, mysql.url("copy"), store=store)


def test_what_reads_a_database_that_is_not_there_is_no_damage(mysql: MariaDB, source: str, store: str) -> None:
    """Views of its tables and functions, and a MERGE table, which this server lists as if it could open it."""
    for statement in (
        "CREATE DATABASE other",
        "CREATE TABLE other.o(id INT PRIMARY KEY)",
        "CREATE TABLE other.m(id INT) ENGINE=MyISAM",
        "CREATE FUNCTION other.f() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE TABLE m(id INT) ENGINE=MyISAM",
        "CREATE TABLE merged(id INT) ENGINE=MERGE UNION=(m, other.m)",
        "CREATE VIEW above AS SELECT id FROM merged",
        "CREATE VIEW far AS SELECT id FROM other.o",
        "CREATE VIEW calling AS SELECT other.f() AS n",
    ):
        mysql.rows(statement, database=source)
    record = holdfast.backup(mysql.url(source), store=store)
    mysql.rows("DROP DATABASE other")
    result = holdfast.drill(record, into=mysql.url(), store=store)
    assert (result.state, result.problems) == ("proven", ())
    told = [line.partition(":")[0] for line in result.warnings if "compared" in line]
    # `far` and `calling` are compared above a table and a function that stand in for the other ones.
    assert sorted(told) == [f"{name} was not compared" for name in ("table merged", "view above")]
    holdfast.restore(record, mysql.url("copy"), store=store)
    with pytest.raises(holdfast.IntegrityError, match="table merged cannot be opened by the server: Unknown") as caught:
        holdfast.backup(mysql.url(source), store=store)
    assert caught.value.hint == "use --exclude merged to back up the rest"


def test_a_folder_that_the_server_was_not_told_of_is_named(mysql: MariaDB, source: str, store: str) -> None:
    with running_mysql("--innodb-directories=/var/tmp", "--local-infile=ON") as other:
        other.rows("CREATE DATABASE placed")
        other.rows("CREATE TABLE t(id INT PRIMARY KEY) DATA DIRECTORY='/var/tmp'", database="placed")
        record = holdfast.backup(other.url("placed"), store=store)
        holdfast.restore(record, other.url("copy"), store=store)
        other.rows("DROP DATABASE placed")
        other.rows("DROP DATABASE copy")
    with pytest.raises(holdfast.UnsafeError, match=r"data directory /var/tmp/ \(t\)") as caught:
        holdfast.restore(record, mysql.url("copy"), store=store, dry_run=True)
    assert "in innodb_directories (MySQL)" in str(caught.value.hint)
    holdfast.restore(record, mysql.url("copy"), store=store, options={"strip": "data_directory"})


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_tables_that_number_their_texts_themselves(mysql: MariaDB, source: str, store: str, form: str) -> None:
    """With a full-text key the server takes no such number that is lower than the one before, or far beyond it."""
    for statement in (
        "CREATE TABLE t(id INT PRIMARY KEY, FTS_DOC_ID BIGINT UNSIGNED NOT NULL, a TEXT, b TEXT, w INT, KEY (w))",
        "CREATE UNIQUE INDEX FTS_DOC_ID_INDEX ON t (FTS_DOC_ID)",
        "INSERT INTO t VALUES (1, 900000, 'a pear', 'x', 1), (2, 5, 'an apple', 'y', 2), (3, 400000, 'more', 'z', 3)",
        "ALTER TABLE t ADD FULLTEXT KEY `f``t` (a) COMMENT 'it''s'",
        "ALTER TABLE t ADD FULLTEXT KEY u (a, b)",
    ):
        mysql.rows(statement, database=source)
    record = holdfast.backup(mysql.url(source), store=store, options={"format": form})
    assert holdfast.drill(record, into=mysql.url(), store=store).state == "proven"
    for replace in (False, True):
        holdfast.restore(record, mysql.url("copy"), store=store, replace=replace)
        for query in ("SELECT * FROM t ORDER BY id", "SELECT id FROM t WHERE MATCH(a) AGAINST ('apple')"):
            assert mysql.rows(query, database="copy") == mysql.rows(query, database=source)
        assert mysql.rows("SHOW CREATE TABLE t", database="copy") == mysql.rows("SHOW CREATE TABLE t", database=source)


def test_a_semicolon_that_the_server_kept_is_kept(mysql: MariaDB, source: str, store: str) -> None:
    """It keeps one before a comment, as scripts end with, and takes away one at the end."""
    for statement in (
        "CREATE TABLE t(a INT)",
        "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; -- of f",
        "CREATE FUNCTION g() RETURNS INT DETERMINISTIC RETURN 1 -- of g;",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1; # of tr",
        "CREATE PROCEDURE p() BEGIN SELECT 1; END; /* of p */",
    ):
        mysql.rows(statement, database=source)
    assert str(mysql.rows("SHOW CREATE FUNCTION f", database=source)[0][2]).endswith("RETURN 1;")
    record = holdfast.backup(mysql.url(source), store=store)
    result = holdfast.drill(record, into=mysql.url(), store=store)
    assert (result.state, result.problems) == ("proven", ())
    holdfast.restore(record, mysql.url("copy"), store=store)
    for kind, name in (("FUNCTION", "f"), ("FUNCTION", "g"), ("TRIGGER", "tr"), ("PROCEDURE", "p")):
        here, there = (mysql.rows(f"SHOW CREATE {kind} {name}", database=place)[0] for place in ("copy", source))
        assert here[2] == there[2]
