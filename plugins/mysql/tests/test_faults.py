"""Whatever goes wrong is one clear error with the right exit code, and nothing is listed that is not whole."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.servers.mariadb import MariaDB, free_port, running_mariadb

import holdfast

SECRET = "s3cret+/ü"


def listed(store: str) -> list[holdfast.Backup]:
    return holdfast.list_backups(store=store) if Path(store).exists() else []


def fill(mariadb: MariaDB, database: str, rows: int = 200_000) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY, v CHAR(100) NOT NULL)")
    mariadb.rows(f"INSERT INTO t SELECT seq, REPEAT('x', 100) FROM seq_1_to_{rows}", database=database)


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("mysql://root:wr0ng-pw@127.0.0.1:{port}/{database}", 0, ""),
        ("mysql://nobody:wr0ng-pw@127.0.0.1:{port}/{database}", 12, "Access denied"),
        ("mysql://root@127.0.0.1:{port}/no_such_database", 15, "Unknown database 'no_such_database'"),
        ("mysql://root@127.0.0.1:{free}/{database}", 15, "connection refused"),
        ("mysql://root@localhost/{database}?socket=/nowhere/socket", 15, "no such file"),
        ("mysql://root@no-such-host.invalid/{database}", 15, "no-such-host.invalid:3306"),
        ("mysql://root@127.0.0.1:{port}/", 2, "names no database"),
        ("mysql://root@127.0.0.1:{port}/mysql", 2, "server's own database"),
        ("mysql://root@127.0.0.1:{port}/{database}?ssl_mode=perhaps", 2, "unknown ssl_mode"),
        ("mysql://root@127.0.0.1:{port}/{database}?color=red", 2, "unknown parameter color"),
        ("mysql://root@127.0.0.1:{port}/{database}?ssl_mode=verify_ca&ssl_ca=/nowhere.pem", 2, "certificates"),
        ("mysql://root@127.0.0.1:{port}/{database}?ssl_mode=required", 15, "SSL is required"),
        ("mysql://root@127.0.0.1:{port}/" + "x" * 65, 2, "not a name of a database"),
    ],
)
def test_what_cannot_be_reached_says_why(
    mariadb: MariaDB, database: str, store: str, url: str, code: int, says: str
) -> None:
    """An account with an empty password takes any other as wrong; here `root` has the socket's word."""
    if not code:
        code, says = 12, "Access denied"
    with pytest.raises(holdfast.HoldfastError, match=says) as caught:
        holdfast.backup(url.format(port=mariadb.port, free=free_port(), database=database), store=store)
    assert caught.value.exit_code == code
    assert "wr0ng-pw" not in str(caught.value)
    assert not listed(store)


def test_a_table_whose_file_is_broken_is_named_with_the_way_out(mariadb: MariaDB, database: str, store: str) -> None:
    """Also where the server itself takes a file that is cut off at the end of a row for the whole one."""
    mariadb.rows(f"CREATE TABLE {database}.i(id INT PRIMARY KEY)")
    mariadb.rows("ALTER TABLE i DISCARD TABLESPACE", database=database)
    for name, size in (("short", 101_250), ("cut", 101_000)):
        mariadb.rows(f"CREATE TABLE {database}.{name}(id INT PRIMARY KEY, v CHAR(100)) ENGINE=MyISAM")
        mariadb.rows(f"INSERT INTO {name} SELECT seq, '' FROM seq_1_to_500", database=database)
        mariadb.rows(f"FLUSH TABLES {name}", database=database)
        os.truncate(mariadb.folder / "data" / database / f"{name}.MYD", size)
    for name, says in (("i", "discarded"), ("short", "counts 500 rows and has 250"), ("cut", "crashed")):
        with pytest.raises(holdfast.IntegrityError, match=f"table {name}.* {says}") as caught:
            holdfast.backup(mariadb.url(database), store=store, select=(name,))
        assert f"use --exclude {name} to back up the rest" in str(caught.value.hint)
    assert not listed(store)


@pytest.mark.parametrize(("table", "kind"), [("event", "event"), ("proc", "routine")])
def test_tables_of_the_server_that_an_upgrade_left_behind_are_told_of(
    mariadb: MariaDB, database: str, store: str, table: str, kind: str
) -> None:
    """As after an upgrade without mariadb-upgrade; all else can be backed up."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    mariadb.rows(f"RENAME TABLE mysql.{table} TO mysql.away")
    try:
        with pytest.raises(holdfast.HoldfastError, match=f"mysql.{table}") as caught:
            holdfast.backup(mariadb.url(database), store=store)
        assert "run mariadb-upgrade" in str(caught.value.hint)
        assert "--exclude-kind event,routine" in str(caught.value.hint)
        holdfast.backup(mariadb.url(database), store=store, exclude_kinds=[kind])
    finally:
        mariadb.rows(f"RENAME TABLE mysql.away TO mysql.{table}")


def test_a_connection_that_is_killed_in_the_middle_fails_the_backup(
    mariadb: MariaDB, database: str, store: str
) -> None:
    fill(mariadb, database)
    killed = threading.Event()

    def kill(event: holdfast.Event) -> None:
        if event.type == "started" and not killed.is_set():
            killed.set()
            for (number,) in mariadb.rows(f"SELECT id FROM information_schema.processlist WHERE db='{database}'"):
                mariadb.rows(f"KILL {number}")

    with pytest.raises(holdfast.UnreachableError):
        holdfast.backup(mariadb.url(database), store=store, on_event=kill)
    assert killed.is_set()
    assert not listed(store)
    assert not list(Path(store).rglob("*.rows*"))


def test_a_server_that_goes_away_fails_backup_and_restore(tmp_path: Path) -> None:
    """Killed like a machine that loses power, once while it is read and once while it is written."""
    store = str(tmp_path / "store")
    runs: list[Callable[[MariaDB, str, Any], object]] = [
        lambda server, _, die: holdfast.backup(server.url("source"), store=store, on_event=die),
        lambda server, backup, die: holdfast.restore(backup, server.url("copy"), store=store, on_event=die),
    ]
    for doing in runs:
        with running_mariadb() as server:
            server.rows("CREATE DATABASE source")
            fill(server, "source", 50_000)
            record = holdfast.backup(server.url("source"), store=store)

            def die(event: holdfast.Event, server: MariaDB = server) -> None:
                if event.type == "started":
                    subprocess.run(["kill", "-KILL", str(server.pid)], check=True)

            with pytest.raises(holdfast.UnreachableError):
                doing(server, record.id, die)
    assert len(listed(store)) == 2


def test_what_a_restore_cannot_take_back_is_named(tmp_path: Path) -> None:
    """The server is killed when the database is made and nothing is in it yet."""
    store = str(tmp_path / "store")
    with running_mariadb() as server:
        server.rows("CREATE DATABASE source")
        fill(server, "source", 10)
        record = holdfast.backup(server.url("source"), store=store)
        import holdfast_mysql.restore.row_loader

        def die(self: object, stream: str, blob: object) -> None:
            subprocess.run(["kill", "-KILL", str(server.pid)], check=True)
            raise holdfast.UnreachableError("the server is gone")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(holdfast_mysql.restore.row_loader.RowLoader, "load", die)
            with pytest.raises(holdfast.UnreachableError, match=r"^the server is gone; left behind: database copy \("):
                holdfast.restore(record.id, server.url("copy"), store=store)


def test_a_killed_backup_leaves_no_lock_and_is_not_listed(mariadb: MariaDB, database: str, store: str) -> None:
    fill(mariadb, database)
    script = (
        "import os, signal, holdfast\n"
        "def die(event):\n"
        "    if event.type == 'started': os.kill(os.getpid(), signal.SIGKILL)\n"
        f"holdfast.backup({mariadb.url(database)!r}, store={store!r}, on_event=die)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -9
    with mariadb.connect(database) as other, other.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout=10")
        cursor.execute("DROP TABLE t")
    assert not listed(store)


def test_a_wrong_password_is_neither_in_the_error_nor_in_a_command(mariadb: MariaDB, database: str, store: str) -> None:
    from urllib.parse import quote

    url = mariadb.url(database, user="nobody", password=quote(SECRET, safe=""))
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "-v", "backup", url, "--store", store], capture_output=True, check=False
    )
    assert done.returncode == 12
    assert SECRET.encode() not in done.stdout + done.stderr
    assert quote(SECRET, safe="").encode() not in done.stdout + done.stderr


@pytest.fixture
def broken(mariadb: MariaDB, database: str) -> str:
    """A database with views of tables, columns and functions that are gone, and views that read each other."""
    for statement in (
        "TABLE gone(a INT, `b.c``d` TEXT)",
        "TABLE also(a INT)",
        "TABLE there(a INT, b INT)",
        "TABLE circle(a INT)",
        "FUNCTION lost() RETURNS INT DETERMINISTIC RETURN 1",
        "VIEW broken AS SELECT g.a, x.a AS a2, g.`b.c``d` FROM gone g JOIN also x ON x.a = g.a",
        "VIEW above AS SELECT a2 FROM broken",
        "VIEW named AS SELECT a FROM gone",
        "VIEW over_named AS SELECT a FROM named",
        "VIEW hopeless AS SELECT b FROM there",
        "VIEW helpless AS SELECT lost() AS n",
        "VIEW sound AS SELECT a FROM there",
        "VIEW round AS SELECT a FROM circle",
        "ALGORITHM=MERGE DEFINER=`a``@b`@'%' SQL SECURITY INVOKER VIEW first AS SELECT a, 'ü' AS b FROM round WHERE a",
        "TRIGGER tr BEFORE INSERT ON there FOR EACH ROW SET NEW.a = 1",
        "EVENT e ON SCHEDULE AT '2035-01-01' DO SELECT 1",
    ):
        mariadb.rows(f"CREATE {statement}", database=database)
    for statement in (
        "DROP TABLE gone, also, circle",
        "RENAME TABLE first TO circle",
        "ALTER TABLE there DROP b",
        "DROP FUNCTION lost",
    ):
        mariadb.rows(statement, database=database)
    return database


def test_broken_views_are_kept_made_again_and_told_of(
    mariadb: MariaDB, broken: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """Where a table of the database is gone, the view comes back as broken as it was; else its text is kept."""
    target = round_trip(broken)
    made = {"broken", "above", "named", "over_named"}
    left = {"hopeless", "helpless"}
    for name in (*made, *left, "circle", "round"):
        assert f"view {name} is broken: its definition is kept" in caplog.text
    tables = {str(name) for (name,) in mariadb.rows(f"SHOW TABLES FROM {target}")}
    assert tables - {"circle", "round"} == {*made, "sound", "there"}
    for name in made:
        assert f"view {name} refers to what is not there, as it did" in caplog.text
        ours, theirs = (mariadb.rows(f"SHOW CREATE VIEW {name}", database=place)[0] for place in (target, broken))
        assert str(ours).replace(f"`{target}`", "*") == str(theirs).replace(f"`{broken}`", "*")
    for name in left:
        assert f"view {name} is broken and cannot be made" in caplog.text
    ((name,), other) = tables & {"circle", "round"}, {"circle", "round"} - tables
    assert f"view {other.pop()} is broken and cannot be made" in caplog.text
    query = "SELECT view_definition, definer, security_type, algorithm FROM information_schema.views WHERE"
    ours, theirs = (
        mariadb.rows(f"{query} table_schema='{place}' AND table_name='{name}'")[0] for place in (target, broken)
    )
    assert str(ours).replace(f"`{target}`", "*") == str(theirs).replace(f"`{broken}`", "*")


def test_broken_views_are_no_damage_to_a_drill(mariadb: MariaDB, broken: str, store: str) -> None:
    record = holdfast.backup(mariadb.url(broken), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())


def test_views_that_name_an_index_or_a_partition_that_is_gone_are_kept(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """A server opens no such view, and makes none: the rest is there, and a drill compares it."""
    for statement in (
        "CREATE TABLE t(a INT, b INT, KEY ix(a)) PARTITION BY HASH (a) PARTITIONS 2",
        "CREATE VIEW hinted AS SELECT b FROM t USE INDEX (ix) WHERE a = 1",
        "CREATE VIEW above AS SELECT b FROM hinted",
        "CREATE VIEW partly AS SELECT a FROM t PARTITION (p1)",
        "CREATE VIEW sound AS SELECT a FROM t",
        "ALTER TABLE t DROP KEY ix",
        "ALTER TABLE t REMOVE PARTITIONING",
    ):
        mariadb.rows(statement, database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    for name in ("hinted", "above", "partly"):
        assert f"view {name} is broken" in str(record.warnings)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    target = new_name()
    for replace in (False, True):
        holdfast.restore(record.id, mariadb.url(target), store=store, replace=replace)
        assert {str(name) for (name,) in mariadb.rows(f"SHOW TABLES FROM {target}")} == {"t", "sound", "above"}


def test_what_was_left_out_of_a_restore_does_not_make_a_broken_backup_of_it(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    mariadb.rows(f"CREATE VIEW {database}.v AS SELECT a FROM {database}.t")
    round_trip(database, restore={"select": ("v",)})
    assert "view v refers to what is not in this restore" in caplog.text


def test_a_table_that_the_server_cannot_open_is_an_error(mariadb: MariaDB, database: str, store: str) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT) ENGINE=MyISAM")
    mariadb.rows("FLUSH TABLES")
    (mariadb.folder / "data" / database / "t.MYI").unlink()
    with pytest.raises(holdfast.HoldfastError, match="table t"):
        holdfast.backup(mariadb.url(database), store=store)
    assert not listed(store)


def test_a_full_scratch_or_store_is_named(mariadb: MariaDB, database: str, tmp_path: Path) -> None:
    """A store that cannot be written is the store's fault and not the database's."""
    fill(mariadb, database, 1000)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(holdfast.HoldfastError, match="store"):
        holdfast.backup(mariadb.url(database), store=str(blocked / "store"))
