"""Which files of a folder are databases, whatever they are called and whoever links to them."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import holdfast
from holdfast.api import Databases, NotFoundError, UnreachableError, UsageError
from holdfast_sqlite.folder.listing import list_databases


def make(path: str | bytes | Path, *, wal: bool = False) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    return tmp_path / "d"


def listed(folder: Path, pattern: str = "/") -> Databases:
    return list_databases(f"sqlite:///{folder}{pattern}")


def names(folder: Path, pattern: str = "/") -> list[str]:
    return list(listed(folder, pattern).names)


def test_a_database_is_known_by_its_first_bytes_and_not_by_its_name(folder: Path) -> None:
    for name in ("app.db", "History", "places.sqlite", ".hidden.db", "home.db.corrupt.2024", "x.bak"):
        make(folder / name)
    for name in ("config.xml", "app.pid", "noise"):
        (folder / name).write_text("x" * 100)
    listing = listed(folder)
    assert sorted(listing.names) == sorted(
        ["app.db", "History", "places.sqlite", ".hidden.db", "home.db.corrupt.2024", "x.bak"]
    )
    assert listing.warnings == ()
    assert listing.notes == (f"6 SQLite databases in {folder}/, and 3 other files",)
    assert names(folder, "") == list(listing.names)


def test_what_is_named_like_a_database_and_is_none_is_said_by_name(folder: Path) -> None:
    make(folder / "app.db")
    for name in ("Thumbs.db", "secret.sqlite3", "old.SQLITE"):
        (folder / name).write_bytes(b"nonsense" * 100)
    listing = listed(folder)
    assert list(listing.names) == ["app.db"]
    (warning,) = listing.warnings
    assert "Thumbs.db" in warning
    assert "secret.sqlite3" in warning
    assert "old.SQLITE" in warning
    assert "encrypted" in warning


def test_an_empty_file_is_a_database_only_if_it_is_named_so(folder: Path) -> None:
    (folder / "new.db").touch()
    (folder / "lock").touch()
    assert names(folder) == ["new.db"]


def test_side_files_and_files_that_pass_are_no_databases(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t(x)")
        # Even where their first bytes would make them one: copies of a database under such names.
        for name in (
            "app.db-journal",
            "app.db-mj0A1B2C3D4",
            ".nfs0000000000a1b2",
            ".holdfast-0123456789ab-0123456789ab",
        ):
            (folder / name).write_bytes((folder / "app.db").read_bytes())
        assert {path.name for path in folder.iterdir()} >= {"app.db-wal", "app.db-shm"}
        assert names(folder) == ["app.db"]
    make(folder / "alone-journal")
    assert names(folder) == ["alone-journal", "app.db"]


def test_a_file_is_listed_once_whatever_links_lead_to_it(folder: Path) -> None:
    make(folder / "app.db")
    make(folder.parent / "outside.db")
    os.symlink("app.db", folder / "a-link.db")
    os.symlink("../outside.db", folder / "current.db")
    os.symlink("loop.db", folder / "loop.db")
    listing = listed(folder)
    assert list(listing.names) == ["app.db", "current.db", "loop.db"]  # the last one fails when it is backed up
    assert listing.warnings == ()
    os.link(folder / "app.db", folder / "again.db")
    assert listed(folder).names[0] == "again.db"
    assert "again.db, " in listed(folder).warnings[0]
    assert "are one file" in listed(folder).warnings[0]
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE u(x)")
        assert listed(folder).names[0] == "app.db"  # its log lies beside this name


def test_a_folder_is_not_searched_below_and_a_double_asterisk_is(folder: Path) -> None:
    make(folder / "app.db")
    for place in ("a", "a/b", ".git", "store"):
        (folder / place).mkdir()
        make(folder / place / "tenant.db")
    (folder / "store" / "holdfast.json").write_text("{}")
    os.symlink("..", folder / "a" / "up")
    assert names(folder) == ["app.db"]
    assert names(folder, "/**") == ["a/b/tenant.db", "a/tenant.db", "app.db"]
    assert names(folder, "/**/tenant.db") == ["a/b/tenant.db", "a/tenant.db"]
    assert names(folder, "/*/tenant.db") == ["a/tenant.db", "store/tenant.db"]
    assert names(folder, "/.*/*.db") == [".git/tenant.db"]
    assert names(folder, "/*/") == ["a/tenant.db", "store/tenant.db"]
    assert "stores of backups in it were left out" in listed(folder, "/**").notes[0]
    assert "store" in listed(folder, "/**").notes[0]


def test_a_pattern_means_what_is_written_in_the_url(folder: Path) -> None:
    odd = ["a*b.db", "aXb.db", "a[1].db", "a 1.db", "q?x.db", "new\nline.db", "50%.db", "a'b.db"]
    for name in odd:
        make(folder / name)
    make(os.fsencode(folder) + b"/caf\xe9.db")
    assert names(folder, "/a*b.db") == sorted(["a*b.db", "aXb.db", "a'b.db"])
    assert list(listed(folder, "/a%2Ab*")) == [f"sqlite:///{folder}/a%2Ab.db"]
    assert names(folder, "/a[1]*.db") == ["a[1].db"]
    assert names(folder, "/q%3F*") == ["q?x.db"]
    assert names(folder, "/*%25*") == ["50%.db"]
    assert sorted(names(folder)) == sorted([*odd, "caf\udce9.db"])
    for url in listed(folder):
        record = holdfast.backup(url, store=folder.parent / "store")
        assert record.source_url == url
    assert len({record.name for record in holdfast.list_backups(folder.parent / "store")}) == len(odd) + 1


def test_what_cannot_be_listed_says_so(folder: Path) -> None:
    with pytest.raises(UnreachableError, match="does not exist"):
        listed(folder / "no")
    with pytest.raises(UnreachableError, match="does not exist"):
        listed(folder, "/no/*.db")
    with pytest.raises(UsageError, match="names no file"):
        list_databases("sqlite:///")
    with pytest.raises(NotFoundError, match="no database to back up"):
        holdfast.list_databases(f"sqlite:///{folder}")
    (folder / "mail.db").write_bytes(b"x")
    with pytest.raises(NotFoundError) as raised:
        holdfast.list_databases(f"sqlite:///{folder}")
    assert "mail.db" in str(raised.value.hint)


def test_a_file_is_no_folder(folder: Path) -> None:
    make(folder / "app.db")
    with pytest.raises(UsageError, match="is a file, and --all-databases takes a folder"):
        holdfast.list_databases(f"sqlite:///{folder}/app.db")


def test_databases_are_chosen_by_their_place_in_the_folder(folder: Path) -> None:
    for place in ("a", "b"):
        (folder / place).mkdir()
        make(folder / place / "app.db")
        make(folder / place / "cache.db")
    url = f"sqlite:///{folder}/**"
    assert holdfast.list_databases(url, select=["a/*"], exclude=["*cache*"]) == [f"sqlite:///{folder}/a/app.db"]
    with pytest.raises(NotFoundError, match="of 4 none fits"):
        holdfast.list_databases(url, select=["c/*"])
