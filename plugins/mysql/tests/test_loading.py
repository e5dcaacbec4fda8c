"""Loading rows: whatever the server takes, and what it cannot take is named."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import HoldfastError
from holdfast_mysql.definitions.collations import StandIns
from holdfast_mysql.location import locate
from holdfast_mysql.restore.load_warnings import ChangedRowsError
from holdfast_mysql.restore.refusals import Refusals
from holdfast_mysql.session import connect


@contextmanager
def packets_of(mariadb: MariaDB, size: int) -> Iterator[None]:
    mariadb.rows(f"SET GLOBAL max_allowed_packet={size}")
    try:
        yield
    finally:
        mariadb.rows("SET GLOBAL max_allowed_packet=1073741824")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_a_row_that_the_server_cannot_take_is_named_before(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], form: str
) -> None:
    """An INSERT is bound by max_allowed_packet; LOAD DATA is not."""
    mariadb.rows(f"CREATE TABLE {database}.big(b LONGBLOB)")
    mariadb.rows(f"CREATE TABLE {database}.small(b LONGBLOB)")
    mariadb.rows(f"INSERT INTO {database}.big VALUES (REPEAT('x', 2000000))")
    record = holdfast.backup(mariadb.url(database), store=store, options={"format": form})
    target = new_name()
    with packets_of(mariadb, 1 << 20):
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=r"big needs statements of 2000\d\d\d bytes") as caught:
                holdfast.restore(
                    record, mariadb.url(target), store=store, options={"local_infile": False}, dry_run=preview
                )
            assert caught.value.hint == "run on the server: SET GLOBAL max_allowed_packet=2097152"
        assert not mariadb.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{target}'")
        holdfast.restore(record, mariadb.url(target), store=store, exclude=["big"])
        if form == "wire":
            holdfast.restore(record, mariadb.url(new_name()), store=store)


@pytest.mark.parametrize("case", ["sql", "insert", "infile"])
def test_statements_stay_below_what_a_server_takes(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], case: str
) -> None:
    """1 MiB was the default for long, and some have less."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY, a LONGBLOB, b TEXT)")
    mariadb.rows("INSERT INTO t SELECT seq, REPEAT(CHAR(seq), 300000), '' FROM seq_1_to_12", database=database)
    mariadb.rows("INSERT INTO t SELECT seq, 'x', REPEAT('y', 900) FROM seq_100_to_4000", database=database)
    record = holdfast.backup(mariadb.url(database), store=store, options={"format": "sql" if case == "sql" else "wire"})
    target = new_name()
    with packets_of(mariadb, 1 << (20 if case == "sql" else 19)):
        holdfast.restore(record, mariadb.url(target), store=store, options={"local_infile": case == "infile"})
    sums = mariadb.rows(f"CHECKSUM TABLE {database}.t, {target}.t")
    assert sums[0][1] == sums[1][1]


def test_a_definition_that_is_too_long_is_no_lost_connection(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE PROCEDURE {database}.long_one() SELECT '{'x' * 300000}'")
    record = holdfast.backup(mariadb.url(database), store=store)
    manifest = Path(record.path, "backup_manifest.json")
    with packets_of(mariadb, 1 << 18):
        with pytest.raises(holdfast.UnsafeError, match="long_one needs statements of 300"):
            holdfast.restore(record, mariadb.url(new_name()), store=store)
        manifest.write_text(manifest.read_text().replace('"packets"', '"forgotten"'))
        with pytest.raises(holdfast.HoldfastError, match="is too long: the server's max_allowed_packet is 262144"):
            holdfast.restore(record, mariadb.url(new_name()), store=store)


def test_a_restore_says_nothing_where_there_is_nothing_to_say(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    round_trip(database)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.sweep(1)
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


def test_rows_that_a_server_changes_are_no_damage(mariadb: MariaDB) -> None:
    """Their bytes agree with the digests: whoever drills on another server must still be able to restore."""
    facts = {"server": mariadb.version, "needs": {}}
    session = connect(locate(mariadb.url("mysql")))
    try:
        refusals = Refusals(session, facts, StandIns(session.collations))
        with pytest.raises(HoldfastError, match="took 1 of 2 rows") as caught, refusals.explained(session, "t"):
            raise ChangedRowsError("table t took 1 of 2 rows")
    finally:
        session.close()
    assert (type(caught.value), "--exclude t" in str(caught.value.hint)) == (HoldfastError, True)
