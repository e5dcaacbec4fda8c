"""A file that SQLite cannot read, as one that is encrypted, is taken with what its log or journal holds, or refused."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_users import USER, running, use_and_be_killed

from holdfast.errors import IntegrityError

_HEADER = 100  # bytes; what encryption would hide first


def hide(path: Path) -> bytes:
    """Make the header unreadable, as encryption does; what was there. Pages of a log are copied as they are."""
    with open(path, "r+b") as file:
        header = os.pread(file.fileno(), _HEADER, 0)
        os.pwrite(file.fileno(), os.urandom(_HEADER), 0)
    return header


def show(path: Path, header: bytes) -> Path:
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), header, 0)
    return path


def make(path: Path, page_size: int = 4096) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)")
        connection.executemany("INSERT INTO t(x) VALUES (?)", [("first" * 50,) for _ in range(500)])


def values(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT substr(x, 1, 5), count(*) FROM t GROUP BY 1 ORDER BY 1").fetchall()


def restored(backups: Any, record: Any, target: Path, header: bytes) -> Path:
    return show(backups.restore(record, target, allow_damaged=True, check=False), header)


# It touches no page but those of its rows, so that page 1 is in the file alone and can be hidden there.
_UPDATE = "UPDATE t SET x = replace(x, 'first', 'later') WHERE id % 2"


@pytest.mark.parametrize("page_size", [1024, 4096, 65536])
def test_a_log_at_rest_is_merged_into_the_image(page_size: int, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    make(source, page_size)
    use_and_be_killed(source, _UPDATE)
    header = hide(source)
    log = Path(f"{source}-wal").read_bytes()
    with pytest.raises(IntegrityError, match="not an SQLite database") as failure:
        backups.make(source)
    assert "--allow-damaged" in str(failure.value.hint)
    record = backups.make(source, allow_damaged=True)
    assert record.state == "damaged"
    assert Path(f"{source}-wal").read_bytes() == log
    assert log
    assert values(restored(backups, record, tmp_path / "copy.db", header)) == [("first", 250), ("later", 250)]


def test_a_log_in_use_is_merged_into_the_image(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    make(source)
    with running(USER, source, "PRAGMA wal_autocheckpoint=0", _UPDATE):
        header = hide(source)
        record = backups.make(source, allow_damaged=True)
        show(source, header)
    assert values(restored(backups, record, tmp_path / "copy.db", header)) == [("first", 250), ("later", 250)]


def test_a_journal_that_a_crash_has_left_is_rolled_back_in_the_image(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(os.urandom(3000),) for _ in range(200)])
    committed = source.read_bytes()
    use_and_be_killed(source, "PRAGMA cache_size=2", "BEGIN", "UPDATE t SET x = randomblob(3000)")
    assert source.read_bytes() != committed
    hide(source)
    record = backups.make(source, allow_damaged=True)
    image = backups.image(record)
    assert len(image) == len(committed)
    assert image[4096:] == committed[4096:]


def test_a_log_without_a_whole_transaction_is_left_out_and_that_is_told(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    source.write_bytes(os.urandom(8192))
    Path(f"{source}-wal").write_bytes(b"\x37\x7f\x06\x82" + os.urandom(4148))
    record = backups.make(source, allow_damaged=True)
    assert f"{source}-wal, holds no whole transaction" in record.warnings[0]
    assert backups.image(record) == source.read_bytes()


def test_a_file_of_any_length_is_taken_as_it_is(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    source.write_bytes(os.urandom(7001))
    assert backups.image(backups.make(source, allow_damaged=True)) == source.read_bytes()


def test_a_file_whose_first_bytes_encryption_leaves_as_they_are_is_no_damaged_one(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "Signal.sqlite"
    make(source)
    with running(USER, source, _UPDATE):
        with open(source, "r+b") as file:
            header = os.pread(file.fileno(), _HEADER, 0)
            os.pwrite(file.fileno(), bytes(range(1, 69)), 32)
        with pytest.raises(IntegrityError, match="not an SQLite database: it begins as one") as failure:
            backups.make(source)
        assert "encrypted" in (failure.value.hint or "")
        record = backups.make(source, allow_damaged=True)
        copy = restored(backups, record, tmp_path / "copy.db", header)
        assert values(copy) == [("first", 250), ("later", 250)]
