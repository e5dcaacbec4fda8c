"""What only the place of a drill or the clock prevents is no damage: it is said, and does not cost the state."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.mutations import forge, stored_blobs
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import DatabaseURL
from holdfast.testing.drills import drill_mutated


def test_views_of_another_database_that_is_not_there(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """And those that read them; the backup is restored afterwards."""
    other = new_name()
    for statement in (
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.o(id INT)",
        f"CREATE FUNCTION {other}.f(a INT, b TEXT) RETURNS INT DETERMINISTIC RETURN a",
        f"CREATE FUNCTION {other}.g() RETURNS TEXT DETERMINISTIC RETURN 'x'",
        "CREATE TABLE t(id INT)",
        f"CREATE VIEW far AS SELECT t.id FROM t JOIN {other}.o ON o.id = t.id",
        "CREATE VIEW above AS SELECT id FROM far",
        f"CREATE VIEW calling AS SELECT {other}.f(o.id, CONCAT({other}.g(), 'a,b')) AS n FROM {other}.o",
        "CREATE VIEW near AS SELECT id FROM t",
    ):
        mariadb.rows(statement, database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    mariadb.rows(f"DROP DATABASE {other}")
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    told = [warning.partition(":")[0] for warning in result.warnings if "compared" in warning]
    # For tables and functions others stand in, above which the views are made and compared.
    assert told == []
    assert mariadb.rows(f"SHOW DATABASES LIKE '{other}'") == []
    holdfast.restore(record.id, mariadb.url(new_name()), store=store)

    def change(url: str) -> None:
        mariadb.rows(
            "CREATE OR REPLACE VIEW calling AS SELECT id + 1 AS n FROM t", database=DatabaseURL.parse(url).path[1:]
        )

    changed = drill_mutated(record.id, store, change, into=mariadb.url())
    assert [line.partition(":")[0] for line in changed.warnings if "compared" in line] == [
        "view calling was not compared"
    ]


def test_views_of_what_a_backup_was_made_without(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    for statement in (
        "TABLE kept(id INT)",
        "TABLE log(id INT, `odd name` TEXT)",
        "VIEW v AS SELECT log.id, `odd name` FROM log JOIN kept ON kept.id = log.id",
        "VIEW w AS SELECT id FROM v",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    record = holdfast.backup(mariadb.url(database), store=store, exclude=("log",))
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    assert [warning for warning in result.warnings if "compared" in warning] == []
    holdfast.restore(record.id, mariadb.url(new_name()), store=store)


@pytest.mark.parametrize("definer", ["current", "strip"])
def test_definers_that_are_others_by_an_option(mariadb: MariaDB, database: str, store: str, definer: str) -> None:
    """Which is what the hint of a drill names, where its account may make none for others."""
    for statement in (
        "TABLE t(id INT)",
        "DEFINER=nobody@nowhere PROCEDURE p() SELECT 1",
        "DEFINER=nobody@nowhere TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 1",
        "DEFINER=nobody@nowhere EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        "VIEW v AS SELECT id FROM t",
        "TABLE gone(id INT)",
        "VIEW broken AS SELECT id FROM gone",  # which no proof has
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    mariadb.rows("DROP TABLE gone", database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url(), options={"definer": definer})
    assert (result.state, result.problems) == ("proven", ())
    told = sorted(warning.partition(" was not")[0] for warning in result.warnings if "another one here" in warning)
    assert told == ["event e", "procedure p", "trigger g", "view v"]


def test_events_whose_time_has_passed(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock of these sessions stands at a time at which they were still to come."""
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET timestamp=UNIX_TIMESTAMP('2020-01-01')")
        cursor.execute("CREATE EVENT once ON SCHEDULE AT '2020-02-01' DO SELECT 1")
        cursor.execute("CREATE EVENT season ON SCHEDULE EVERY 1 DAY STARTS '2020-01-02' ENDS '2020-02-01' DO SELECT 1")
        cursor.execute("CREATE EVENT kept ON SCHEDULE AT '2020-02-01' ON COMPLETION PRESERVE DO SELECT 1")
        cursor.execute("CREATE EVENT later ON SCHEDULE EVERY 1 DAY DO SELECT 1")
    record = holdfast.backup(mariadb.url(database), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    told = sorted(warning.partition(":")[0] for warning in result.warnings if "compared" in warning)
    assert told == ["event once was not compared", "event season was not compared"]
    target = new_name()
    caplog.clear()
    holdfast.restore(record.id, mariadb.url(target), store=store)
    made = mariadb.rows(f"SELECT event_name FROM information_schema.events WHERE event_schema='{target}' ORDER BY 1")
    assert made == [("kept",), ("later",)]
    for name in ("once", "season"):
        assert f"event {name} is not made: its time has passed" in caplog.text


def test_remarks_of_the_server_in_a_definition(mariadb: MariaDB, database: str, store: str) -> None:
    """Of columns in a format older than its own, which a restore does not make."""
    mariadb.rows("SET GLOBAL mysql56_temporal_format=OFF")
    try:
        mariadb.rows(f"CREATE TABLE {database}.old(id INT PRIMARY KEY, a DATETIME COMMENT '/* mine */', b TIME)")
    finally:
        mariadb.rows("SET GLOBAL mysql56_temporal_format=ON")
    assert "/* mariadb-5.3 */" in str(mariadb.rows(f"SHOW CREATE TABLE {database}.old"))
    record = holdfast.backup(mariadb.url(database), store=store)
    assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"


def test_what_a_server_of_another_version_writes_otherwise(mariadb: MariaDB, database: str, store: str) -> None:
    """Definitions are named as not compared; rows still are, and so is which objects there are."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY, v VARCHAR(99))")
    mariadb.rows(f"INSERT INTO {database}.t VALUES (1, 'one')")
    record = holdfast.backup(mariadb.url(database), store=store, codec="none")
    schema, rows = (stored_blobs(record)[name].read_bytes() for name in ("schema", "data/t"))
    manifest = Path(record.path, "backup_manifest.json")
    manifest.write_text(manifest.read_text().replace(mariadb.version, "10.6.1-MariaDB"))
    forge(record, "schema", schema.replace(b"varchar(99)", b"varchar(98)"))
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert result.differences == ()  # of a proof; that the sums beside the manifest do not fit is a problem, too
    (told,) = [warning for warning in result.warnings if "not compared" in warning]
    assert told.endswith("writes and sorts otherwise than MariaDB 10.6.1: table t")
    forge(record, "data/t", rows.replace(b"\x03one", b"\x03two"))
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert [(difference.kind, difference.name) for difference in result.differences] == [("rows", "t")]


def test_tables_over_another_database_that_is_not_there(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """Numbers out of a sequence there, and a MERGE table over one there; a restore needs the sequence."""
    other = new_name()
    for statement in (
        f"CREATE DATABASE {other}",
        f"CREATE SEQUENCE {other}.s",
        f"CREATE TABLE {other}.m(id INT) ENGINE=MyISAM",
        "CREATE TABLE m(id INT) ENGINE=MyISAM",
        f"CREATE TABLE merged(id INT) ENGINE=MERGE UNION=(m, {other}.m)",
        "CREATE VIEW above AS SELECT id FROM merged",
        f"CREATE TABLE t(id INT NOT NULL DEFAULT (1 + nextval({other}.s)), n INT DEFAULT nextval({other}.s), o INT)",
        "INSERT INTO t(o) VALUES (7)",
        f"CREATE TABLE {other}.parent(id INT PRIMARY KEY)",
        f"CREATE TABLE child(id INT PRIMARY KEY, p INT, CONSTRAINT up FOREIGN KEY (p) REFERENCES {other}.parent (id))",
    ):
        mariadb.rows(statement, database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    assert any(f"another database, and needed by it: sequence of another database {other}.s" in line
               for line in record.warnings)  # fmt: skip
    mariadb.client(f"SET foreign_key_checks=0; DROP DATABASE {other}".encode())
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    told = [warning.partition(":")[0] for warning in result.warnings if "compared" in warning]
    assert sorted(told) == [f"{name} was not compared" for name in ("table merged", "table t", "view above")]
    target = new_name()
    with pytest.raises(holdfast.UnsafeError, match=rf"sequence of another database {other}.s \(t\)") as caught:
        holdfast.restore(record.id, mariadb.url(target), store=store)
    assert caught.value.hint == f"restore database {other} first, or use --exclude"
    mariadb.rows(f"CREATE DATABASE {other}")
    mariadb.rows(f"CREATE SEQUENCE {other}.s")
    done = holdfast.restore(record.id, mariadb.url(target), store=store)
    assert mariadb.rows(f"SELECT * FROM {target}.t") == [(2, 2, 7)]
    key = f"foreign key up of table {target}.child leads to table {other}.parent, which is not on this server as far"
    assert any(key in line for line in done.warnings)


def test_a_table_that_the_server_cannot_open_names_the_way_out(mariadb: MariaDB, database: str, store: str) -> None:
    mariadb.rows(f"CREATE TABLE {database}.m(id INT) ENGINE=MyISAM")
    mariadb.rows("CREATE TABLE merged(id INT) ENGINE=MERGE UNION=(m)", database=database)
    mariadb.rows(f"DROP TABLE {database}.m")
    with pytest.raises(holdfast.IntegrityError, match="table merged cannot be opened by the server: Unable") as caught:
        holdfast.backup(mariadb.url(database), store=store)
    assert caught.value.hint == "use --exclude merged to back up the rest"
