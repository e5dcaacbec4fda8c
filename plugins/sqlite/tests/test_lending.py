"""Pages that the kernel lends to the pipe are those of the snapshot, however late they are read."""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import DumpRequest
from holdfast_sqlite.dump import open_dump
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.snapshot.wal import WalSnapshot

PAGE = 4096


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A database of about 1.5 MB in WAL mode, a tenth of its pages in the log."""
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a BLOB)")
        connection.executemany("INSERT INTO t(a) VALUES (?)", [(bytes([n % 251]) * 3900,) for n in range(400)])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE t SET a = zeroblob(3900) WHERE id % 10 = 0")
        yield path


def expected(source: Path) -> bytes:
    """The image as SQLite itself puts it together."""
    with closing(sqlite3.connect(source)) as connection:
        return connection.serialize()


def test_pages_read_after_a_checkpoint_of_later_changes_are_the_old_ones(source: Path, tmp_path: Path) -> None:
    before = expected(source)
    request = DumpRequest(url=f"sqlite:///{source}", scratch=tmp_path, options=SqliteOptions(), check=False)
    with open_dump(request) as dump:
        pieces = dump.read(dump.streams[0])
        image = bytes(next(pieces))  # 1 MiB: the rest fits into the pipe, and the child has nothing left to do
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute("UPDATE t SET a = randomblob(3900)")
            # What is in the log after the snapshot may not get into the file while the rest is unread.
            _, frames, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            assert moved < frames
        image += b"".join(pieces)
    assert image == before


@pytest.fixture
def taken(source: Path) -> Iterator[WalSnapshot]:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as connection:

        def begin() -> None:
            connection.execute("BEGIN")
            connection.execute("PRAGMA schema_version").fetchone()

        snapshot = WalSnapshot(str(source), begin=begin, end=connection.rollback)
        snapshot.pin()
        yield snapshot


def splice(taken: WalSnapshot) -> tuple[bytes, int]:
    """What a snapshot puts into a pipe, and how far it went."""
    out, into = os.pipe()
    read = bytearray()

    def drain() -> None:
        while piece := os.read(out, 1 << 16):
            read.extend(piece)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        end = taken.splice(into)
    finally:
        os.close(into)
        reader.join()
        os.close(out)
    return bytes(read), end


def test_lent_and_copied_pages_make_the_image(source: Path, taken: WalSnapshot) -> None:
    image, end = splice(taken)
    assert end == taken.size
    assert image == expected(source)


@pytest.mark.parametrize("lent", [0, PAGE, PAGE + 1, 100 * PAGE - 1])
def test_where_the_kernel_lends_nothing_the_rest_is_copied(
    lent: int, source: Path, taken: WalSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.splice
    left = lent

    def grudging(file: int, pipe: int, count: int, **more: Any) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.EINVAL, "not on this file system")
        done = real(file, pipe, min(count, left), **more)
        left -= done
        return done

    monkeypatch.setattr(os, "splice", grudging)
    image, end = splice(taken)
    assert len(image) == end < taken.size
    assert end % PAGE == 0
    assert image + b"".join(bytes(piece) for piece in taken.pieces(1 << 20, end)) == expected(source)


def test_a_file_that_became_shorter_is_an_error(source: Path, taken: WalSnapshot) -> None:
    os.truncate(source, taken.size // 2)
    with pytest.raises(OSError, match="has become shorter"):
        splice(taken)
