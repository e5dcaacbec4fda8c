"""The snapshot: one moment on every connection, and what an account without privileges gets."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import DumpRequest
from holdfast.plugins.registry import Registry
from holdfast_mysql.dump.server_history import count_transactions, history_of
from holdfast_mysql.location import locate
from holdfast_mysql.session import connect
from holdfast_mysql.session.server import Server
from holdfast_mysql.snapshot import prepare_reader


def manifest_of(record: holdfast.Backup) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(Path(record.path, "backup_manifest.json").read_bytes())
    return data


@contextlib.contextmanager
def dumping(url: str, scratch: Path, **fields: Any) -> Iterator[Any]:
    """A dump session of the engine itself."""
    engine = Registry().engine("mysql")
    options = engine.options(fields.pop("options", {}))
    with engine.dump(DumpRequest(url=url, scratch=scratch, options=options, **fields)) as session:
        yield session


@pytest.fixture
def accounts(mariadb: MariaDB, database: str) -> Iterator[str]:
    """Two tables whose sum never changes, though every transaction moves something between them."""
    for table in ("giver", "taker"):
        mariadb.rows(f"CREATE TABLE {database}.{table}(id INT PRIMARY KEY, amount INT NOT NULL)")
        mariadb.rows(f"INSERT INTO {table} SELECT seq, 1000 FROM seq_1_to_200", database=database)
    stop = threading.Event()

    def move() -> None:
        with mariadb.connect(database, autocommit=False) as connection, connection.cursor() as cursor:
            for number in range(10**9):
                if stop.is_set():
                    return
                cursor.execute("UPDATE giver SET amount = amount - 1 WHERE id = %s", (number % 200 + 1,))
                cursor.execute("UPDATE taker SET amount = amount + 1 WHERE id = %s", (number * 7 % 200 + 1,))
                connection.commit()

    thread = threading.Thread(target=move)
    thread.start()
    yield database
    stop.set()
    thread.join()


@pytest.fixture
def account(mariadb: MariaDB, database: str) -> Iterator[Callable[[str], str]]:
    """Makes the account `limited` with some privileges on the database, and returns its URL."""

    def make(privileges: str) -> str:
        mariadb.rows("CREATE USER limited@'%' IDENTIFIED BY 'p@ss:w/rd'")
        for privilege in privileges.split(";"):
            mariadb.rows(privilege.strip().format(database=database) + " TO limited@'%'")
        return mariadb.url(database, user="limited", password="p%40ss%3Aw%2Frd")

    yield make
    mariadb.rows("DROP USER IF EXISTS limited@'%'")


@pytest.mark.sweep(2)
@pytest.mark.parametrize("jobs", [2, 4])
@pytest.mark.parametrize(
    ("privileges", "by"),
    [
        ("GRANT ALL ON *.*", "global lock"),
        ("GRANT SELECT, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON {database}.*", "binlog"),
    ],
    ids=["reload", "no reload"],
)
def test_the_sum_over_two_tables_is_constant_under_load(
    mariadb: MariaDB,
    accounts: str,
    account: Callable[[str], str],
    store: str,
    new_name: Callable[[], str],
    jobs: int,
    privileges: str,
    by: str,
) -> None:
    """Every connection sees the same moment, whichever way that is reached."""
    url = account(privileges)
    for _ in range(3):
        record = holdfast.backup(url, store=store, jobs=jobs)
        assert manifest_of(record)["consistency_point"]["by"] in (by, "table locks")
        assert manifest_of(record)["consistency_point"]["file"].startswith("binlog.")
        point = manifest_of(record)["consistency_point"]
        place = f"'{point['file']}', {point['position']}"
        assert mariadb.rows(f"SELECT BINLOG_GTID_POS({place})") == [(point["gtid"],)]
        target = new_name()
        holdfast.restore(record.id, mariadb.url(target), store=store)
        total = f"(SELECT SUM(amount) FROM {target}.giver) + (SELECT SUM(amount) FROM {target}.taker)"
        assert mariadb.rows(f"SELECT {total}") == [(400_000,)]


def test_without_any_lock_privilege_one_connection_reads_and_the_backup_says_so(
    mariadb: MariaDB, database: str, account: Callable[[str], str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import holdfast_mysql.snapshot

    # As on a server without a binary log.
    monkeypatch.setattr(holdfast_mysql.snapshot.SnapshotTaker, "_compare", lambda self: False)
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    record = holdfast.backup(account("GRANT SELECT, TRIGGER, EVENT, EXECUTE ON {database}.*"), store=store, jobs=2)
    assert manifest_of(record)["consistency_point"]["by"] == "one connection"
    assert any("one connection reads instead of 2" in warning for warning in record.warnings)


def test_tables_can_be_locked_instead_of_the_server(
    mariadb: MariaDB, database: str, account: Callable[[str], str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import holdfast_mysql.snapshot

    monkeypatch.setattr(holdfast_mysql.snapshot.SnapshotTaker, "_compare", lambda self: False)
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    url = account("GRANT SELECT, TRIGGER, EVENT, EXECUTE, LOCK TABLES ON {database}.*")
    assert manifest_of(holdfast.backup(url, store=store, jobs=2))["consistency_point"]["by"] == "table locks"


def test_what_the_account_may_not_see_is_an_error_that_names_it(
    mariadb: MariaDB, database: str, account: Callable[[str], str], store: str
) -> None:
    """The server hides triggers and events from it without a message, so that nobody would miss them."""
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    url = account("GRANT SELECT, LOCK TABLES ON {database}.*")
    with pytest.raises(holdfast.CredentialsError, match=r"triggers \(TRIGGER\), events \(EVENT\), routines") as caught:
        holdfast.backup(url, store=store)
    assert caught.value.exit_code == 12
    assert not list(Path(store).glob("*/*/backup_manifest.json"))
    record = holdfast.backup(url, store=store, options={"incomplete": True})
    assert any("may not see" in warning for warning in record.warnings)


def test_a_definition_that_may_not_be_read_is_an_error(
    mariadb: MariaDB, database: str, account: Callable[[str], str], store: str
) -> None:
    """A view without SHOW VIEW, a routine with EXECUTE alone: its name is seen and its text is not."""
    mariadb.rows(f"CREATE PROCEDURE {database}.p() SELECT 1")
    with pytest.raises(holdfast.CredentialsError, match="definition of procedure p"):
        holdfast.backup(account("GRANT SELECT, TRIGGER, EVENT, EXECUTE ON {database}.*"), store=store)
    mariadb.rows(f"DROP PROCEDURE {database}.p")
    mariadb.rows(f"CREATE VIEW {database}.v AS SELECT 1 AS a")
    with pytest.raises(holdfast.CredentialsError, match="definition of view v"):
        holdfast.backup(mariadb.url(database, user="limited", password="p%40ss%3Aw%2Frd"), store=store)


def test_a_lock_that_is_not_obtained_in_time_ends_the_backup_and_holds_up_nobody(
    mariadb: MariaDB, database: str, store: str
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    with mariadb.connect(database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        with pytest.raises(holdfast.HoldfastError, match=r"lock .*within 1 s") as caught:
            holdfast.backup(mariadb.url(database), store=store, options={"lock_timeout": 1})
        assert caught.value.exit_code == 11
        cursor.execute("INSERT INTO t VALUES (1)")
        cursor.execute("UNLOCK TABLES")
    assert holdfast.backup(mariadb.url(database), store=store).state == "complete"


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE t ADD b INT", "DROP TABLE t", "TRUNCATE TABLE t", "RENAME TABLE t TO u"]
)
def test_a_table_cannot_be_altered_in_the_middle_and_writers_are_not_held_up(
    mariadb: MariaDB, database: str, tmp_path: Path, statement: str
) -> None:
    """DDL waits for the end of the dump; the rows are those of the snapshot."""
    mariadb.rows(f"CREATE TABLE {database}.t(a INT PRIMARY KEY)")
    mariadb.rows("INSERT INTO t SELECT seq FROM seq_1_to_10", database=database)
    with mariadb.connect(database) as other, other.cursor() as cursor:
        with dumping(mariadb.url(database), tmp_path, jobs=1) as session:
            cursor.execute("INSERT INTO t VALUES (11)")
            cursor.execute("SET lock_wait_timeout=0")
            with pytest.raises(pymysql.err.OperationalError, match="1205"):
                cursor.execute(statement)
            for stream in session.streams:
                for _ in session.read(stream):
                    pass
            assert session.facts().hints["rows"] == {"data/t": ["t", 10]}
        cursor.execute("SET lock_wait_timeout=5")  # the server notices the end of a connection in its own time
        cursor.execute(statement)


def test_tables_without_transactions_are_named_or_kept_from_being_written(
    mariadb: MariaDB, database: str, tmp_path: Path, store: str
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.isam(a INT) ENGINE=MyISAM")
    mariadb.rows(f"CREATE TABLE {database}.inno(a INT)")
    record = holdfast.backup(mariadb.url(database), store=store)
    assert [warning for warning in record.warnings if "table isam is not in the snapshot" in warning]
    with (
        dumping(mariadb.url(database), tmp_path, options={"lock_nontransactional": True}) as session,
        mariadb.connect(database) as other,
        other.cursor() as cursor,
    ):
        cursor.execute("SET lock_wait_timeout=0")
        cursor.execute("INSERT INTO inno VALUES (1)")
        with pytest.raises(pymysql.err.OperationalError, match="1205"):
            cursor.execute("INSERT INTO isam VALUES (1)")
        for stream in session.streams:
            for _ in session.read(stream):
                pass
        assert not session.facts().warnings


def test_a_dump_leaves_no_connection_and_no_lock(mariadb: MariaDB, database: str, tmp_path: Path) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    ours = "SELECT COUNT(*) FROM information_schema.processlist WHERE db='" + database + "'"
    with dumping(mariadb.url(database), tmp_path, jobs=3):
        assert mariadb.rows(ours) == [(4,)]  # three readers and the keeper; the one for the lock has gone
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout=5")  # the server notices the end of a connection in its own time
        cursor.execute(f"DROP TABLE {database}.t")
    assert mariadb.rows(ours) == [(0,)]


def test_reads_wait_for_no_other_member_of_a_cluster(mariadb: MariaDB, database: str) -> None:
    """Whose writes wait for the global lock: with wsrep_sync_wait of Galera each read waits until they are done."""
    mariadb.rows("SET GLOBAL wsrep_sync_wait=15")
    try:
        session = connect(locate(mariadb.url(database)))
        prepare_reader(session)
        assert session.value("SELECT @@wsrep_sync_wait") == "0"
        session.close()
    finally:
        mariadb.rows("SET GLOBAL wsrep_sync_wait=0")


def test_the_manifest_tells_which_server_it_was_and_how_far_that_had_come(
    mariadb: MariaDB, database: str, store: str
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    ((number, gtid),) = mariadb.rows("SELECT @@server_uid, @@gtid_binlog_pos")
    first = manifest_of(holdfast.backup(mariadb.url(database), store=store))["source"]
    assert first["address"] == f"server {number}"
    assert first["position"][0] >= int(str(gtid).rpartition("-")[2])
    mariadb.rows(f"INSERT INTO {database}.t VALUES (1)")
    second = manifest_of(holdfast.backup(mariadb.url(database), store=store))["source"]
    assert second["address"] == first["address"]
    assert second["position"] > first["position"]


@pytest.mark.parametrize(
    ("gtid", "is_mariadb", "count"),
    [
        ("0-1-1535", True, 1535),
        ("0-1-1535,2-7-12", True, 1547),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,4e11fa47-71ca-11e1-9e33-c80aa9429562:11", False, 7),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:1-9:12", False, 15),
        ("", False, 0),
        ("", True, 0),
    ],
)
def test_a_history_is_as_long_as_its_transactions_are_many(gtid: str, is_mariadb: bool, count: int) -> None:
    assert count_transactions(gtid, mariadb=is_mariadb) == count


class _Server:
    """A server that tells its variables."""

    def __init__(self, text: str, **values: str) -> None:
        self.server = Server.of(text)
        self._values = values

    def texts(self, query: str) -> list[tuple[str, str]]:
        return [*self._values.items()]


def test_what_has_no_id_or_no_history_of_its_own_is_told_apart_from_nothing() -> None:
    """A node of a Galera cluster counts by itself, and any of them may answer."""
    alone: Any = _Server("8.4.7", server_uuid="3e11", wsrep_on="OFF", gtid_executed="3e11fa47:1-5,\n4e11fa47:1-2")
    assert history_of(alone) == ("server 3e11", (7,))
    cluster: Any = _Server("10.11.19-MariaDB", server_uid="abc=", wsrep_on="ON", gtid_current_pos="0-1-5")
    old: Any = _Server("10.5.20-MariaDB", gtid_current_pos="0-1-5")
    off: Any = _Server("8.4.7", server_uuid="3e11", gtid_executed="")
    assert history_of(cluster) == history_of(old) == history_of(off) == ("", ())
