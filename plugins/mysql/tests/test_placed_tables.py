"""Tables with DATA DIRECTORY and INDEX DIRECTORY, MERGE tables, and partitions on paths: on the server they live on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.definitions.directories import has_directories, renamed, without_directories

Content = Callable[[str], dict[str, object] | None]

MYISAM = (
    b"CREATE TABLE `m` (\n  `DATA DIRECTORY` int(11) DEFAULT NULL COMMENT 'DATA DIRECTORY=''/x'''\n) ENGINE=MyISAM "
    b"DEFAULT CHARSET=latin1 DATA DIRECTORY='/a/b''c/' INDEX DIRECTORY='/d/'"
)


def test_only_the_clauses_go() -> None:
    plain = MYISAM[: MYISAM.index(b" DATA DIRECTORY='/a")]
    assert (without_directories(MYISAM), has_directories(MYISAM)) == (plain, True)
    assert (without_directories(plain), has_directories(plain)) == (plain, False)
    innodb = MYISAM.replace(b"MyISAM", b"InnoDB")
    assert without_directories(innodb) == innodb
    partition = b"CREATE TABLE `p` (`a` int) ENGINE=MyISAM\n (PARTITION `p0` DATA DIRECTORY = '/x' ENGINE = MyISAM)"
    assert without_directories(partition) == partition.replace(b" DATA DIRECTORY = '/x'", b"")
    assert renamed(partition, "a`b") == partition.replace(b"`p` ", b"`a``b` ")


@pytest.fixture
def folder(mariadb: MariaDB) -> Iterator[Path]:
    """A folder that the server may write to."""
    made = mariadb.folder / "elsewhere"
    made.mkdir()
    made.chmod(0o777)
    yield made
    for left in made.iterdir():
        left.rmdir()  # InnoDB leaves the folder of a database
    made.rmdir()


def inner(folder: Path) -> str:
    """The folder as the server knows it, which may have a root of its own."""
    return str(folder).removeprefix(os.environ.get("HOLDFAST_TEST_MARIADB_ROOT", ""))


@pytest.fixture
def placed(mariadb: MariaDB, database: str, folder: Path) -> str:
    """A database whose tables have their files there."""
    my, place = "ENGINE=MyISAM", inner(folder)
    where = f"DATA DIRECTORY='{place}' INDEX DIRECTORY='{place}'"
    parts = f"PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (9) DATA DIRECTORY='{place}' ENGINE=MyISAM,"
    for statement in (
        f"CREATE TABLE m(id INT PRIMARY KEY AUTO_INCREMENT, v TEXT, g TEXT AS (v) STORED, KEY(v(9))) {my} {where}",
        f"CREATE TABLE aria(id INT INVISIBLE, v INT) ENGINE=Aria {where}",
        f"CREATE TABLE p(id INT PRIMARY KEY) {my} {parts} PARTITION b VALUES LESS THAN MAXVALUE {my})",
        "CREATE TABLE one(a INT) ENGINE=MyISAM",
        "CREATE TABLE other(a INT) ENGINE=MyISAM",
        "CREATE TABLE merged(a INT) ENGINE=MERGE UNION=(one, other) INSERT_METHOD=LAST",
        "INSERT INTO m(v) VALUES ('x'), ('y')",
        "INSERT INTO aria(id, v) VALUES (1, 2), (3, 4)",
        "INSERT INTO p VALUES (1), (20)",
        "INSERT INTO merged VALUES (1)",
        "CREATE TRIGGER tr BEFORE INSERT ON m FOR EACH ROW SET NEW.v = 'z'",
    ):
        mariadb.rows(statement, database=database)
    return database


def test_such_tables_are_replaced_where_they_live(
    mariadb: MariaDB, placed: str, store: str, content: Content, folder: Path
) -> None:
    before = content(placed)
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert {"m.MYD", "m.MYI", "aria.MAD", "p#P#a.MYD"} <= files
    record = holdfast.backup(mariadb.url(placed), store=store)
    for _ in range(2):
        mariadb.rows(f"DELETE FROM {placed}.m")
        mariadb.rows(f"INSERT INTO {placed}.p VALUES (3)")
        holdfast.restore(record.id, mariadb.url(placed), store=store, replace=True)
        assert content(placed) == before
        assert {path.name for path in folder.iterdir() if path.is_file()} == files
    mariadb.rows(f"DROP DATABASE {placed}")
    assert not [path for path in folder.iterdir() if path.is_file()]


def test_a_replacement_of_such_tables_that_fails_puts_them_back(
    mariadb: MariaDB, placed: str, store: str, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    import holdfast_mysql.restore.journal

    record = holdfast.backup(mariadb.url(placed), store=store)
    mariadb.rows(f"INSERT INTO {placed}.m(v) VALUES ('more')")
    before = content(placed)

    def fail(_: object) -> None:
        raise holdfast.HoldfastError("not today")

    monkeypatch.setattr(holdfast_mysql.restore.journal.Journal, "finish", fail)
    with pytest.raises(holdfast.HoldfastError, match=r"^not today$"):
        holdfast.restore(record.id, mariadb.url(placed), store=store, replace=True)
    assert content(placed) == before
    mariadb.rows(f"DROP DATABASE {placed}")


def test_a_table_of_innodb_comes_without_its_folder(
    mariadb: MariaDB, database: str, store: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """MariaDB leaves the link to its file in the database from which a RENAME TABLE takes it."""
    mariadb.rows(f"CREATE TABLE {database}.i(id INT PRIMARY KEY) ENGINE=InnoDB DATA DIRECTORY='{inner(folder)}'")
    mariadb.rows(f"INSERT INTO {database}.i VALUES (7)")
    record = holdfast.backup(mariadb.url(database), store=store)
    assert holdfast.drill(record, store=store, into=mariadb.url()).state == "proven"
    result = holdfast.restore(record.id, mariadb.url(database), store=store, replace=True)
    assert result.warnings == ()
    assert "table i is made without its DATA DIRECTORY" in caplog.text
    assert mariadb.rows(f"SELECT id FROM {database}.i") == [(7,)]
    assert not mariadb.rows(rf"SHOW DATABASES LIKE '{database}\_%'")


def test_a_drill_beside_them_is_proven(mariadb: MariaDB, placed: str, store: str) -> None:
    record = holdfast.backup(mariadb.url(placed), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())
    mariadb.rows(f"DROP DATABASE {placed}")
