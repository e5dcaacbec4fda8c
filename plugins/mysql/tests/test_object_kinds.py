"""Everything that a database holds is in a backup, and what it uses of its server is told of."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mysql_object_kinds import undecided
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast


def test_every_kind_that_the_server_lists_was_decided_about(mariadb: MariaDB) -> None:
    """When this fails, a new server can hold something that a backup may be without: see `mysql_object_kinds`."""
    assert undecided(mariadb) == []


def test_a_kind_that_nobody_knows_is_found(mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.mysql_object_kinds.STATEMENTS", {"dumped": "table"})
    monkeypatch.setattr("support.mysql_object_kinds.COLUMNS", {"views": "table_name"})
    assert {"statement CREATE sequence", "column views.definer"} <= set(undecided(mariadb))


@pytest.fixture
def outside(mariadb: MariaDB, new_name: Callable[[], str]) -> Iterator[str]:
    """A foreign server and a loadable function; gives the name of a database that the server leads to."""
    remote = new_name()
    mariadb.rows(f"CREATE DATABASE {remote}")
    mariadb.rows(f"CREATE TABLE {remote}.t(id INT PRIMARY KEY)")
    mariadb.rows("INSTALL SONAME 'ha_federatedx'")
    mariadb.rows(
        "CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS"
        f" (HOST '127.0.0.1', PORT {mariadb.port}, DATABASE '{remote}', USER 'root', PASSWORD '')"
    )
    mariadb.rows("CREATE FUNCTION sphinx_snippets RETURNS STRING SONAME 'ha_sphinx.so'")
    yield remote
    mariadb.rows("DROP FUNCTION IF EXISTS sphinx_snippets")
    mariadb.rows("DROP SERVER IF EXISTS far")


def test_what_belongs_to_the_server_is_told_of_and_looked_for(
    mariadb: MariaDB, outside: str, database: str, store: str, new_name: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for statement in (
        "TABLE distant(id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='far/t'",
        "TABLE t(id INT PRIMARY KEY)",
        "VIEW snippets AS SELECT sphinx_snippets('a', 'b', 'c') AS s",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    told = " ".join(record.warnings)
    assert "needed by it: foreign server far" in told
    assert "needed by it: loadable function sphinx_snippets" in told
    mariadb.rows("DROP FUNCTION sphinx_snippets")
    holdfast.restore(record, mariadb.url(new_name()), store=store)
    assert "this server has no loadable function sphinx_snippets, which is called by (snippets)" in caplog.text
    mariadb.rows(f"DROP TABLE {database}.distant")
    mariadb.rows("DROP SERVER far")
    target = new_name()
    with pytest.raises(holdfast.UnsafeError, match=r"foreign server far \(distant\)") as caught:
        holdfast.restore(record, mariadb.url(target), store=store)
    assert caught.value.hint == "make it on the server: CREATE SERVER"
    assert not mariadb.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{target}'")
    holdfast.restore(record, mariadb.url(target), store=store, exclude=["distant"])


def test_a_table_of_another_server_that_does_not_answer(
    mariadb: MariaDB, outside: str, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """Its definition is ours, its rows are not: a backup needs no answer, and a drill is none without it."""
    mariadb.rows("CREATE USER remote@'%' IDENTIFIED BY 'x'")
    mariadb.rows(f"GRANT ALL ON {outside}.* TO remote@'%'")
    remote = f"mysql://remote:x@127.0.0.1:{mariadb.port}/{outside}/t"
    try:
        for statement in (
            "TABLE t(id INT PRIMARY KEY)",
            "TABLE child(id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))",
            f"TABLE distant(id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='{remote}'",
            "TRIGGER fires BEFORE INSERT ON distant FOR EACH ROW SET @a = 1",
            "VIEW above AS SELECT id FROM distant",
        ):
            mariadb.rows(f"CREATE {statement}", database=database)
    finally:
        mariadb.rows("DROP USER remote@'%'")
    mariadb.rows("FLUSH TABLES")
    record = holdfast.backup(mariadb.url(database), store=store)
    assert "table distant is saved without rows, because these belong to other tables or servers" in record.warnings
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    told = [warning.partition(":")[0] for warning in result.warnings if "compared" in warning]
    assert sorted(told) == [f"{name} was not compared" for name in ("table distant", "trigger fires")]
    with pytest.raises(holdfast.HoldfastError, match="does not make table distant") as caught:
        holdfast.restore(record.id, mariadb.url(new_name()), store=store)
    assert "use --exclude distant" in str(caught.value.hint)
    holdfast.restore(record.id, mariadb.url(database), store=store, replace=True, exclude=["distant", "above"])


def test_a_table_whose_foreign_server_was_dropped_is_left_out_and_told_of(
    mariadb: MariaDB, outside: str, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """No statement shows its definition any more, and it never had rows of its own."""
    for statement in (
        "TABLE t(id INT PRIMARY KEY)",
        "TABLE distant(id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='far/t'",
        "TRIGGER fires BEFORE INSERT ON distant FOR EACH ROW SET @a = 1",
        "VIEW above AS SELECT id FROM distant",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    mariadb.rows("DROP SERVER far")
    mariadb.rows("FLUSH TABLES")
    record = holdfast.backup(mariadb.url(database), store=store)
    told = "the backup is without table distant of another server: this one cannot open it (server name: 'far'"
    assert any(line.startswith(told) for line in record.warnings)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    assert ("t", "BASE TABLE") in mariadb.rows(f"SHOW FULL TABLES FROM {target}")


def test_a_view_of_a_loadable_function_that_is_gone_is_kept(
    mariadb: MariaDB, outside: str, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE VIEW {database}.snippets AS SELECT sphinx_snippets('a', 'b', 'c') AS s")
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    mariadb.rows("DROP FUNCTION sphinx_snippets")
    record = holdfast.backup(mariadb.url(database), store=store)
    assert any("view snippets is broken: its definition is kept" in line for line in record.warnings)
    assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"
    target = new_name()
    holdfast.restore(record, mariadb.url(target), store=store)
    assert mariadb.rows(f"SHOW TABLES FROM {target}") == [("t",)]


def test_statistics_that_were_collected_are_told_of(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY, a INT)")
    mariadb.rows(f"ANALYZE TABLE {database}.t PERSISTENT FOR ALL")
    record = holdfast.backup(mariadb.url(database), store=store)
    done = holdfast.restore(record, mariadb.url(new_name()), store=store)
    assert any("ANALYZE TABLE … PERSISTENT" in warning and " t," in warning for warning in done.warnings)


def test_a_replica_says_where_it_is(tmp_path: Path) -> None:
    """Its own position in its own binary log is of no use to set up another replica of its source."""
    store = str(tmp_path / "store")
    with running_mariadb("--skip-ssl") as source, running_mariadb("--skip-ssl", "--server-id=2") as replica:
        replica.rows(
            f"CHANGE MASTER 'main' TO MASTER_HOST='127.0.0.1', MASTER_PORT={source.port}, MASTER_USER='copy',"
            " MASTER_PASSWORD='x', MASTER_USE_GTID=slave_pos, MASTER_SSL=0"
        )
        source.rows("CREATE USER copy@'%' IDENTIFIED BY 'x'")
        source.rows("GRANT REPLICATION SLAVE ON *.* TO copy@'%'")
        source.rows("CREATE DATABASE shop")
        source.rows("CREATE TABLE shop.t(id INT PRIMARY KEY)")
        replica.rows("START SLAVE 'main'")
        gtid = source.rows("SELECT @@gtid_binlog_pos")[0][0]
        assert replica.rows(f"SELECT MASTER_GTID_WAIT('{gtid}', 60)") == [(0,)]
        record = holdfast.backup(replica.url("shop"), store=store)
        file, position = source.rows("SHOW MASTER STATUS")[0][:2]
        point = json.loads(Path(record.path, "backup_manifest.json").read_text())["consistency_point"]
        assert point["replica_of"] == [
            {"host": "127.0.0.1", "port": source.port, "file": file, "position": position, "channel": "main",
             "gtid": gtid}
        ]  # fmt: skip
        replica.rows("STOP SLAVE 'main'")
