"""What a server cannot do with a table is named before anything is touched, and can be left out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast
from holdfast_mysql.definitions.storage_clauses import storage_clauses, without_storage
from holdfast_mysql.definitions.storage_kinds import KINDS
from holdfast_mysql.options import MysqlOptions

BODY = rb"""CREATE TABLE `t` (
  `encryption` int(11) NOT NULL,
  `a` text /*M!100301 COMPRESSED*/ DEFAULT NULL COMMENT 'ENGINE=x ROW_FORMAT=y',
  PRIMARY KEY (`encryption`),
  CONSTRAINT `ck` CHECK (`encryption` = 1)
) /*!50100 TABLESPACE `ts 1` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8
 COMPRESSION='zlib' `ENCRYPTED`=YES `encryption_key_id`=3 DATA DIRECTORY='/x' COMMENT='ENCRYPTION=1'
 PARTITION BY RANGE (`encryption`)
(PARTITION `p0` VALUES LESS THAN (1) DATA DIRECTORY = '/y' ENGINE = InnoDB,
 PARTITION `p1` VALUES LESS THAN MAXVALUE TABLESPACE = `ts2` ENGINE = InnoDB)"""


def test_clauses_are_found_in_options_and_partitions_and_nowhere_else() -> None:
    clauses = sorted((clause.kind, clause.value) for clause in storage_clauses(BODY))
    assert clauses == [
        ("compression", ""),
        ("compression", "zlib"),
        ("data_directory", "/x"),
        ("data_directory", "/y"),
        ("encryption", "3"),
        ("encryption", "YES"),
        ("engine", "InnoDB"),
        ("engine", "InnoDB"),
        ("engine", "InnoDB"),
        ("row_format", "8"),
        ("row_format", "COMPRESSED"),
        ("tablespace", "ts 1"),
        ("tablespace", "ts2"),
    ]
    stripped = without_storage(BODY, KINDS)
    assert [clause.kind for clause in storage_clauses(stripped)] == ["engine"] * 3
    assert b"COMMENT='ENCRYPTION=1'" in stripped
    assert b"CHECK (`encryption` = 1)" in stripped
    assert without_storage(BODY, ()) == BODY


def test_an_engine_is_taken_away_with_its_own_options() -> None:
    body = b"CREATE TABLE `t` (`a` int) ENGINE=Aria DEFAULT CHARSET=latin1 PAGE_CHECKSUM=1 TRANSACTIONAL=1"
    stripped = without_storage(body, MysqlOptions(strip="engine").stripped)
    assert stripped.split() == b"CREATE TABLE `t` (`a` int) DEFAULT CHARSET=latin1".split()
    inner = body.replace(b"Aria", b"InnoDB")  # as ALTER TABLE leaves them
    assert without_storage(inner, {"page_checksum"}).split() == inner[: inner.index(b" PAGE")].split()


def test_encryption_that_the_server_has_not(mariadb: MariaDB, tmp_path: Path, new_name: Callable[[], str]) -> None:
    store, target = str(tmp_path / "store"), new_name()
    # The server may run in a chroot, and under another account than the tests.
    inner = f"/tmp/holdfast-test-keys-{os.getpid()}"
    keys = Path(os.environ.get("HOLDFAST_TEST_MARIADB_ROOT", "") + inner)
    keys.write_text("1;" + "ab" * 32 + "\n")
    keys.chmod(0o644)
    options = ("--plugin-load-add=file_key_management", f"--file-key-management-filename={inner}", "--skip-ssl")
    try:
        with running_mariadb(*options) as source:
            source.rows("CREATE DATABASE secret")
            source.rows("CREATE TABLE t(id INT PRIMARY KEY) ENCRYPTED=YES", database="secret")
            source.rows("CREATE TABLE plain(id INT PRIMARY KEY)", database="secret")
            source.rows("INSERT INTO t VALUES (1)", database="secret")
            record = holdfast.backup(source.url("secret"), store=store)
    finally:
        keys.unlink()
    for preview in (True, False):
        with pytest.raises(holdfast.UnsafeError, match=r"encryption \(t\)") as caught:
            holdfast.restore(record, mariadb.url(target), store=store, dry_run=preview)
        assert "-o strip=encryption" in str(caught.value.hint)
    assert not mariadb.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name='{target}'")
    holdfast.restore(record, mariadb.url(target), store=store, options={"strip": "encryption"})
    assert mariadb.rows(f"SELECT * FROM {target}.t") == [(1,)]
    result = holdfast.drill(record, into=mariadb.url(), store=store, options={"strip": "encryption"})
    assert result.state == "proven"
    assert any("table t was not compared: it is made without encryption" in line for line in result.warnings)


def test_tables_that_the_server_would_not_write_to(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    mariadb.rows("SET GLOBAL innodb_read_only_compressed=ON")
    try:
        with pytest.raises(holdfast.UnsafeError, match=r"row format COMPRESSED \(t\)") as caught:
            holdfast.restore(record, mariadb.url(target), store=store)
        assert "innodb_read_only_compressed=OFF" in str(caught.value.hint)
        holdfast.restore(record, mariadb.url(target), store=store, options={"strip": "row_format"})
        assert "ROW_FORMAT" not in str(mariadb.rows(f"SHOW CREATE TABLE {target}.t"))
    finally:
        mariadb.rows("SET GLOBAL innodb_read_only_compressed=OFF")


def test_compressed_pages_need_files_of_their_own(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """A preview says so too."""
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY) PAGE_COMPRESSED=1 PAGE_COMPRESSION_LEVEL=3")
    mariadb.rows(f"CREATE TABLE {database}.plain(id INT PRIMARY KEY) PAGE_COMPRESSED=0")
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    mariadb.rows("SET GLOBAL innodb_file_per_table=OFF")
    try:
        for preview in (True, False):
            with pytest.raises(holdfast.UnsafeError, match=r"has: compressed pages \(t\)$") as caught:
                holdfast.restore(record, mariadb.url(target), store=store, dry_run=preview)
            assert "innodb_file_per_table=ON, or use -o strip=compression" in str(caught.value.hint)
        strip = {"strip": "compression"}
        for preview in (True, False):
            holdfast.restore(record, mariadb.url(target), store=store, options=strip, dry_run=preview)
        assert "page_compress" not in str(mariadb.rows(f"SHOW CREATE TABLE {target}.t"))
    finally:
        mariadb.rows("SET GLOBAL innodb_file_per_table=ON")


def test_named_time_zones_that_the_server_does_not_know(
    mariadb: MariaDB, tmp_path: Path, new_name: Callable[[], str]
) -> None:
    """Without its tables of zones a server makes NULL of what CONVERT_TZ computes, and says nothing.

    A backup of such a server asks for nothing that it had not.
    """
    store = str(tmp_path / "store")
    with running_mariadb("--skip-ssl") as source:
        source.rows("CREATE DATABASE zones")
        source.rows(
            "CREATE TABLE t(id INT PRIMARY KEY, at DATETIME,"
            " local DATETIME AS (CONVERT_TZ(at, '+00:00', 'Test/Zone')) VIRTUAL,"
            " fixed DATETIME AS (CONVERT_TZ(at, '+00:00', '+02:00')) VIRTUAL)",
            database="zones",
        )
        holdfast.restore(holdfast.backup(source.url("zones"), store=store), source.url("same"), store=store)
        source.rows("INSERT INTO mysql.time_zone VALUES (1, 'N')")
        source.rows("INSERT INTO mysql.time_zone_name VALUES ('Test/Zone', 1)")
        source.rows("INSERT INTO mysql.time_zone_transition_type VALUES (1, 0, 7200, 0, 'TST')")
        assert source.rows("SELECT CONVERT_TZ('2020-01-01', '+00:00', 'Test/Zone') IS NULL") == [(0,)]
        record = holdfast.backup(source.url("zones"), store=store)
    with pytest.raises(holdfast.UnsafeError, match=r"time zone Test/Zone \(t\)") as caught:
        holdfast.restore(record, mariadb.url(new_name()), store=store)
    assert "tzinfo" in str(caught.value.hint)


def test_folders_of_tables(
    mariadb: MariaDB, database: str, tmp_path: Path, store: str, new_name: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Those of MyISAM are links, which a server may not make; of the others a preview says that it cannot tell."""
    (mariadb.folder / "apart").mkdir()
    (mariadb.folder / "apart").chmod(0o777)
    folder = f"{mariadb.rows('SELECT @@tmpdir')[0][0]}/apart"  # the server may run in a chroot
    mariadb.rows(f"CREATE TABLE {database}.linked(id INT) ENGINE=MyISAM DATA DIRECTORY='{folder}'")
    mariadb.rows(f"CREATE TABLE {database}.placed(id INT PRIMARY KEY) DATA DIRECTORY='{folder}'")
    record = holdfast.backup(mariadb.url(database), store=store)
    with running_mariadb("--skip-ssl", "--skip-symbolic-links") as other:
        with pytest.raises(
            holdfast.UnsafeError, match=r"apart/ \(placed\); symbolic links for .* \(linked\)"
        ) as caught:
            holdfast.restore(record, other.url("copy"), store=store, dry_run=True)
        assert "-o strip=data_directory" in str(caught.value.hint)
        strip = {"strip": "data_directory"}
        assert holdfast.drill(record, into=other.url(), store=store, options=strip).state == "proven"
    holdfast.restore(record, mariadb.url(new_name()), store=store, dry_run=True)
    assert f"can write to data directory {folder}/ (placed) is known when it is tried" in caplog.text


def test_a_clause_that_nobody_knows_is_refused(mariadb: MariaDB, database: str, store: str) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(id INT PRIMARY KEY)")
    record = holdfast.backup(mariadb.url(database), store=store)
    with pytest.raises(holdfast.UsageError, match=r"strip has 'colour' \(it takes: compression, data_directory"):
        holdfast.restore(record, mariadb.url("nowhere"), store=store, options={"strip": "encryption,colour"})
