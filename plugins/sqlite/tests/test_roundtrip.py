"""SQLite through `holdfast.backup` and `holdfast.restore`: what users rely on, whichever way the image is made."""

import contextlib
import os
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdfast
from holdfast import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    UnreachableError,
    UnsafeError,
    UsageError,
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The store of the test; afterwards no scratch file is left."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("HOLDFAST_STORE", str(tmp_path / "store"))
    yield tmp_path / "store"
    assert os.listdir(tmp_path / "scratch") == []


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return database(tmp_path / "app.db")


def database(path: Path, *, rows: int = 500, mode: str = "delete") -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, content BLOB)")
        connection.execute("CREATE INDEX item_name ON item (name)")
        connection.executemany(
            "INSERT INTO item (name, content) VALUES (?, ?)",
            ((f"größe {number}\n'", os.urandom(200)) for number in range(rows)),
        )
    return path


def url(path: Path | str) -> str:
    return f"sqlite:////{quote(os.fsencode(path), safe='/').lstrip('/')}"


def dump(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def content(folder: Path) -> dict[str, bytes]:
    """Every file directly in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd", "zstd:19"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_restored_database_holds_the_same(tmp_path: Path, codec: str, mode: str) -> None:
    source = database(tmp_path / "app.db", mode=mode)
    record = holdfast.backup(url(source), codec=codec)
    assert (record.name, record.engine, record.state) == ("app", "sqlite", "complete")
    (verified,) = holdfast.verify(record.id, read_data=True)
    assert verified.passed
    holdfast.restore(record.id, url(tmp_path / "copy.db"))
    assert dump(tmp_path / "copy.db") == dump(source)
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_backup_shows_one_moment_while_a_second_connection_writes(tmp_path: Path) -> None:
    source = database(tmp_path / "app.db", mode="wal", rows=3000)
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
        connection.execute("INSERT INTO pair VALUES (0, 0)")
        connection.commit()
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(source, timeout=30)) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("UPDATE pair SET a = ?", (number,))
                connection.execute("INSERT INTO item (name, content) VALUES ('new', randomblob(5000))")
                connection.execute("UPDATE pair SET b = ?", (number,))
                connection.commit()
                wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(10)
        records = [holdfast.backup(url(source), codec="none") for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    for number, record in enumerate(records):
        copy = tmp_path / f"copy-{number}.db"
        holdfast.restore(record.id, url(copy))
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            ((first, second),) = connection.execute("SELECT a, b FROM pair").fetchall()
            assert first == second
            assert connection.execute("SELECT count(*) FROM item WHERE name = 'new'").fetchone()[0] == first
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_source_and_its_side_files_are_not_changed(tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    source = database(folder / "app.db", mode=mode)
    with contextlib.closing(sqlite3.connect(source)) as reader:  # keeps the -wal from being removed
        reader.execute("SELECT 1 FROM item").fetchone()
        with contextlib.closing(sqlite3.connect(source)) as connection, connection:
            connection.execute("DELETE FROM item WHERE id = 7")
        before = {name: data for name, data in content(folder).items() if not name.endswith("-shm")}
        holdfast.backup(url(source))
        assert {name: data for name, data in content(folder).items() if not name.endswith("-shm")} == before


# --- targets ---


def test_a_target_with_data_is_refused_and_stays_as_it_is(app: Path, tmp_path: Path) -> None:
    record = holdfast.backup(url(app))
    (tmp_path / "targets").mkdir()
    target = database(tmp_path / "targets" / "target.db", rows=3)
    before = content(target.parent)
    with pytest.raises(UnsafeError, match="exists and holds data") as caught:
        holdfast.restore(record.id, url(target))
    assert "--replace" in (caught.value.hint or "")
    assert content(target.parent) == before


@pytest.mark.parametrize("data", [b"not a database at all", b"\0" * 4096])
def test_a_target_that_is_something_else_is_refused_too(app: Path, tmp_path: Path, data: bytes) -> None:
    record = holdfast.backup(url(app))
    target = tmp_path / "notes.txt"
    target.write_bytes(data)
    with pytest.raises(UnsafeError):
        holdfast.restore(record.id, url(target))
    assert target.read_bytes() == data


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_replace_puts_the_backup_in_the_place_of_the_target(app: Path, tmp_path: Path, mode: str) -> None:
    record = holdfast.backup(url(app))
    (tmp_path / "targets").mkdir()
    target = database(tmp_path / "targets" / "target.db", rows=3, mode=mode)
    os.chmod(target, 0o640)
    holdfast.restore(record.id, url(target), replace=True)
    assert dump(target) == dump(app)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert set(content(target.parent)) == {"target.db"}


@pytest.mark.parametrize("kind", ["empty file", "empty database"])
def test_an_empty_target_is_used_as_it_is(app: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target.db"
    target.touch()
    if kind == "empty database":
        with contextlib.closing(sqlite3.connect(target)) as connection:
            connection.execute("VACUUM")
    record = holdfast.backup(url(app))
    holdfast.restore(record.id, url(target))
    assert dump(target) == dump(app)


def test_a_damaged_backup_is_not_restored_and_leaves_no_file(app: Path, tmp_path: Path) -> None:
    record = holdfast.backup(url(app), codec="none")
    (blob,) = Path(record.path).glob("*.sqlite")
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    (tmp_path / "targets").mkdir()
    with pytest.raises(IntegrityError):
        holdfast.restore(record.id, url(tmp_path / "targets" / "new.db"))
    assert content(tmp_path / "targets") == {}
    target = database(tmp_path / "targets" / "old.db", rows=3)
    before = content(tmp_path / "targets")
    with pytest.raises(IntegrityError):
        holdfast.restore(record.id, url(target), replace=True)
    assert content(tmp_path / "targets") == before
    (verified,) = holdfast.verify(record.id)
    assert (verified.passed, verified.state) == (False, "damaged")


def test_a_target_in_a_missing_folder_is_unreachable(app: Path, tmp_path: Path) -> None:
    record = holdfast.backup(url(app))
    with pytest.raises(UnreachableError, match="does not exist"):
        holdfast.restore(record.id, url(tmp_path / "nowhere" / "x.db"))


# --- names ---

NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..") and not name.endswith((b"-wal", b"-shm"))
)


@settings(deadline=None, max_examples=15)
@given(NAMES)
def test_any_file_name_is_backed_up_and_restored(tmp_path_factory: pytest.TempPathFactory, name: bytes) -> None:
    roundtrip(tmp_path_factory.mktemp("names"), os.fsdecode(name))


ODD = ["with space.db", "quo'te\"s.db", "new\nline.db", "größe.db", "--help", "-n", "a?b#c%41.db", "*.db", "a;b|c$(d)"]
ODD += ["file:x.db", ":memory:x", "caf\udce9.db", "x" * 200, "no-extension", ".hidden", "latest", "con"]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_an_odd_file_name_is_backed_up_and_restored(tmp_path: Path, name: str) -> None:
    roundtrip(tmp_path, name)


def roundtrip(folder: Path, name: str) -> None:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    source = database(folder / "in" / name, rows=3)
    record = holdfast.backup(url(source), store=str(folder / "store"), codec="none")
    target = folder / "out" / name
    holdfast.restore(record.id, url(target), store=str(folder / "store"))
    assert dump(target) == dump(source)
    assert os.listdir(folder / "out") == [name]


def test_a_database_is_the_same_source_however_its_path_is_written(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    ways = ["sqlite:///app.db", "sqlite:///./deep/../app.db", url(app)]
    assert {holdfast.backup(way).name for way in ways} == {"app"}
    database(tmp_path / "deep" / "app.db", rows=1)
    other = holdfast.backup("sqlite:///deep/app.db")
    assert other.name.startswith("app-")
    assert len(holdfast.list_backups(name="app")) == 3


# --- what is no sound database ---


def test_an_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    record = holdfast.backup(url(tmp_path / "app.db"))
    holdfast.restore(record.id, url(tmp_path / "copy.db"))
    assert dump(tmp_path / "copy.db") == ["BEGIN TRANSACTION;", "COMMIT;"]


def assert_refused(path: Path | str, kind: type[HoldfastError], store: Path, text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        holdfast.backup(url(path))
    assert type(caught.value) is kind
    assert "\n" not in caught.value.message
    assert not [path for path in store.rglob("*") if "backup_manifest" in path.name]


@pytest.mark.parametrize("data", [b"hello", b"PK\3\4" * 5000, os.urandom(4096)], ids=["text", "zip", "noise"])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, store: Path, data: bytes) -> None:
    (tmp_path / "app.db").write_bytes(data)
    assert_refused(tmp_path / "app.db", IntegrityError, store, "not an SQLite database")
    assert (tmp_path / "app.db").read_bytes() == data


@pytest.mark.parametrize("size", [16, 100, 1000, 5000])
def test_a_database_that_is_cut_off_is_refused(app: Path, store: Path, size: int) -> None:
    os.truncate(app, size)
    assert_refused(app, IntegrityError, store, "app.db")


def test_a_damaged_page_is_found_and_backed_up_only_where_that_is_allowed(
    app: Path, tmp_path: Path, store: Path
) -> None:
    with open(app, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    before = app.read_bytes()
    assert_refused(app, IntegrityError, store, "is damaged")
    record = holdfast.backup(url(app), allow_damaged=True)
    assert record.state == "damaged"
    with pytest.raises(IntegrityError):
        holdfast.restore(record.id, url(tmp_path / "copy.db"))
    holdfast.restore(record.id, url(tmp_path / "copy.db"), allow_damaged=True)
    assert len((tmp_path / "copy.db").read_bytes()) == len(before)
    assert app.read_bytes() == before


def test_a_missing_database_is_unreachable_and_is_not_made(tmp_path: Path, store: Path) -> None:
    assert_refused(tmp_path / "app.db", UnreachableError, store, "does not exist")
    assert not (tmp_path / "app.db").exists()
    assert not store.exists()


def test_a_folder_or_a_fifo_is_no_database(tmp_path: Path, store: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path, UsageError, store, "is a folder, and an SQLite URL names a file")
    assert_refused(tmp_path / "pipe", UsageError, store, "is a named pipe, not a regular file")


@pytest.mark.parametrize(
    "source", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://host/x", "sqlite:///a?b=c"]
)
def test_a_url_that_names_no_file_is_a_usage_error(source: str) -> None:
    with pytest.raises(UsageError):
        holdfast.backup(source)


def test_a_file_that_may_not_be_read_is_a_matter_of_credentials(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holdfast.backup(url(app))  # loads all that is needed, which a stranger may not be able to
    os.chmod(app, 0)
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", None)
        if root:
            os.seteuid(65534)  # root may read everything
        try:
            with pytest.raises(CredentialsError, match="permission denied"):
                holdfast.backup(url(app), store=f"{folder}/store")
        finally:
            if root:
                os.seteuid(0)
