"""From the MariaDB of Debian 12 to a newer one and back: what both hold, and what only the newer one does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast

_HISTORY = "FROM copy.t{} FOR SYSTEM_TIME ALL ORDER BY id, row_start"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MariaDB, MariaDB]]:
    """That of this system, and that below HOLDFAST_TEST_MARIADB_ROOT."""
    options = ("--skip-ssl", "--local-infile=ON")
    with running_mariadb(*options) as newer:
        root = os.environ.pop("HOLDFAST_TEST_MARIADB_ROOT")
        try:
            with running_mariadb(*options) as older:
                yield older, newer
        finally:
            os.environ["HOLDFAST_TEST_MARIADB_ROOT"] = root


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_rows_of_a_history_are_there_on_the_other_server(
    form: str, servers: tuple[MariaDB, MariaDB], tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    for source, target in (servers, servers[::-1]):
        source.rows("CREATE DATABASE source")
        for number, engine in enumerate(("InnoDB", "MyISAM")):
            source.rows(f"CREATE TABLE source.t{number}(id INT) WITH SYSTEM VERSIONING ENGINE={engine}")
            source.rows(f"INSERT INTO source.t{number} VALUES (1), (2)")
            source.rows(f"DELETE FROM source.t{number} WHERE id=1")
        backup = holdfast.backup(source.url("source"), store=store, options={"format": form}, proof=True)
        assert holdfast.drill(backup, store=store, into=target.url()).state == "proven"
        holdfast.restore(backup.id, target.url("copy"), store=store)
        for number in range(2):
            assert target.rows(f"SELECT id FROM copy.t{number}") == [(2,)]
            assert len(target.rows("SELECT id " + _HISTORY.format(number))) == 2
        source.rows("DROP DATABASE source")
        target.rows("DROP DATABASE copy")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_a_time_that_an_older_server_does_not_hold_is_no_damage(
    form: str, servers: tuple[MariaDB, MariaDB], tmp_path: Path
) -> None:
    older, newer = servers
    store = str(tmp_path / "store")
    newer.rows("CREATE DATABASE late")
    newer.rows("CREATE TABLE late.t(id INT PRIMARY KEY, ts TIMESTAMP NULL)")
    newer.rows("INSERT INTO late.t VALUES (1, '2090-01-01 00:00:00'), (2, NULL)")
    backup = holdfast.backup(newer.url("late"), store=store, options={"format": form})
    assert holdfast.drill(backup, store=store, into=newer.url()).state == "proven"
    for run in (
        lambda: holdfast.drill(backup, store=store, into=older.url()),
        lambda: holdfast.restore(backup.id, older.url("copy"), store=store),
    ):
        with pytest.raises(holdfast.HoldfastError, match="does not hold all that MariaDB") as caught:
            run()
        assert not isinstance(caught.value, holdfast.IntegrityError)
    newer.rows("DROP DATABASE late")


_COMPARING = (
    (
        "FUNCTION f(a VARCHAR(9) CHARSET utf8mb4, b VARCHAR(9) CHARACTER SET utf8) RETURNS TEXT CHARSET latin1"
        " NO SQL RETURN CONCAT(COLLATION(a), ' ', COLLATION(b))"
    ),
    (
        "FUNCTION g() RETURNS TEXT CHARSET latin1 NO SQL BEGIN DECLARE a, b VARCHAR(9) CHARSET 'utf8mb4' DEFAULT 'x';"
        " DECLARE c VARCHAR(9) CHARSET ucs2 COLLATE ucs2_bin; DECLARE d CHAR(1) CHARSET utf16;"
        " DECLARE e CURSOR FOR SELECT CONVERT('' USING utf8mb4);"
        " RETURN CONCAT_WS(' ', COLLATION(a), COLLATION(b), COLLATION(c), COLLATION(d)); END"
    ),
    (
        "TRIGGER r BEFORE INSERT ON t FOR EACH ROW"
        " BEGIN DECLARE a VARCHAR(9) CHARACTER SET utf8mb4; SET NEW.c = COLLATION(a); END"
    ),
)


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_what_says_a_character_set_alone_means_the_same_on_the_other_server(
    form: str, servers: tuple[MariaDB, MariaDB], tmp_path: Path
) -> None:
    """Parameters and variables: servers of 11.5 and later mean another collation by it than older ones."""
    store, told = str(tmp_path / "store"), []
    for source, target in (servers, servers[::-1]):
        source.rows("CREATE DATABASE source")
        source.rows("CREATE TABLE source.t(c TEXT)")
        for statement in _COMPARING:
            source.rows(f"CREATE {statement}", database="source")
        backup = holdfast.backup(source.url("source"), store=store, options={"format": form}, proof=True)
        holdfast.restore(backup, target.url("copy"), store=store)
        assert holdfast.drill(backup, store=store, into=target.url()).state == "proven"
        for server, name in ((source, "source"), (target, "copy")):
            server.rows("INSERT INTO t VALUES ('')", database=name)
            told.append(server.rows("SELECT f('', ''), g(), c FROM t", database=name))
            server.rows(f"DROP DATABASE {name}")
    assert told[0] == told[1] != told[2] == told[3]
