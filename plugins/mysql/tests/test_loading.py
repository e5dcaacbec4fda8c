"""Loading rows: whatever the server takes, and what it cannot take is named."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast


def test_a_row_that_the_server_cannot_take_is_named(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str]
) -> None:
    """A prepared INSERT is bound by max_allowed_packet; LOAD DATA is not."""
    mariadb.rows(f"CREATE TABLE {database}.big(b LONGBLOB)")
    mariadb.rows(f"INSERT INTO {database}.big VALUES (REPEAT('x', 2000000))")
    try:
        mariadb.rows("SET GLOBAL max_allowed_packet=1048576")
        with pytest.raises(holdfast.HoldfastError, match="statements of 1048576") as caught:
            round_trip(database, restore={"options": {"local_infile": False}})
        assert caught.value.hint is not None
        assert "max_allowed_packet" in caught.value.hint
    finally:
        mariadb.rows("SET GLOBAL max_allowed_packet=1073741824")


def test_a_restore_says_nothing_where_there_is_nothing_to_say(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    round_trip(database)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("infile", ["true", "false"])
def test_rows_that_are_long_for_the_redo_log_are_loaded_alone(mariadb: MariaDB, tmp_path: Path, infile: str) -> None:
    redo = int(str(mariadb.rows("SELECT @@innodb_log_file_size")[0][0]))
    mariadb.rows("CREATE DATABASE longrows")
    try:
        for table, size in {"a_long": redo // 4, "b_medium": 2 << 20, "c_short": 1000}.items():
            mariadb.rows(f"CREATE TABLE {table}(id INT PRIMARY KEY, c LONGBLOB)", database="longrows")
            mariadb.rows(f"INSERT INTO {table} SELECT seq, REPEAT(seq, {size}) FROM seq_1_to_3", database="longrows")
        record = holdfast.backup(mariadb.url("longrows"), store=str(tmp_path), codec="none")
        done = holdfast.restore(
            record, mariadb.url("longrows2"), store=str(tmp_path), options={"local_infile": infile}, jobs=2
        )
        assert [name.partition("-")[0] for name in done.steps] == [
            "schema", "data/b_medium", "data/c_short", "data/a_long", "objects"
        ]  # fmt: skip
        sums = "CHECKSUM TABLE {0}.a_long, {0}.b_medium, {0}.c_short"
        assert [row[1] for row in mariadb.rows(sums.format("longrows"))] == [
            row[1] for row in mariadb.rows(sums.format("longrows2"))
        ]
    finally:
        mariadb.rows("DROP DATABASE longrows")
        mariadb.rows("DROP DATABASE IF EXISTS longrows2")
