"""Several files at one moment: what a run says to be of one moment is, whoever writes to all of them at once."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import holdfast
from holdfast.api import MomentRequest
from holdfast_sqlite.moment import HeldFiles, open_moment
from holdfast_sqlite.options import SqliteOptions

TOTAL = 2_000_000
# Moves amounts from one file to the other, now in this order and now in that, without a pause.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("ATTACH ? AS other", (sys.argv[2],))
moves = ["UPDATE main.account SET amount = amount - 3", "UPDATE other.account SET amount = amount + 3"]
print("writing", flush=True)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(moves[0])
    connection.execute(moves[1])
    connection.execute("COMMIT")
    moves.reverse()
"""
# Uses a database, until its standard input ends.
USER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT amount FROM account").fetchall()
print("reading", flush=True)
sys.stdin.read()
"""
# Locks a file as a transaction does that has begun to write to it, until its standard input ends.
LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def make(path: Path, mode: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE account AS SELECT 1000000 AS amount")
        connection.execute("CREATE TABLE filler AS SELECT hex(randomblob(200000)) AS x")


def amount(path: str | Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (value,) = connection.execute("SELECT amount FROM account").fetchone()
        return int(value)


@contextmanager
def running(program: str, *arguments: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@contextmanager
def moment(scratch: Path, paths: Sequence[Path], *, lock_timeout: float = 30) -> Iterator[HeldFiles]:
    scratch.mkdir()
    urls = tuple(f"sqlite:///{path}" for path in paths)
    context = open_moment(
        MomentRequest(name="set-x", urls=urls, scratch=scratch, options=SqliteOptions(lock_timeout=lock_timeout))
    )
    assert context is not None
    with context as held:
        yield held


def copies(held: HeldFiles, paths: Sequence[Path]) -> list[str]:
    paths_of_copies = []
    for path in paths:
        copy, late = held.copy(str(path))
        assert copy is not None, late
        paths_of_copies.append(copy.path)
    return paths_of_copies


@pytest.mark.parametrize("modes", [("DELETE", "DELETE"), ("WAL", "WAL"), ("PERSIST", "WAL")])
def test_a_transaction_over_two_files_is_in_both_copies_or_in_neither(tmp_path: Path, modes: tuple[str, str]) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    for path, mode in zip(paths, modes, strict=True):
        make(path, mode)
    seen = set()
    with running(WRITER, *paths):
        for number in range(5):
            with moment(tmp_path / str(number), paths) as held:
                assert held.missing == {}
                amounts = [amount(path) for path in copies(held, paths)]
            assert sum(amounts) == TOTAL
            seen.add(amounts[0])
    assert len(seen) > 1


@pytest.mark.parametrize("used", [True, False])
def test_a_file_that_changes_is_refused_unless_somebody_uses_its_log(tmp_path: Path, used: bool) -> None:
    """A checkpoint changes the file before its log tells of that."""
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    for path in paths:
        make(path, "WAL")
    with ExitStack() as stack:
        if used:
            stack.enter_context(running(USER, paths[0]))
        held = stack.enter_context(moment(tmp_path / "scratch", paths))
        os.utime(paths[0])
        copy, why = held.copy(str(paths[0]))
        assert (copy is not None) == used
        assert used or "was changed while it was read" in why
        assert held.copy(str(paths[1]))[0] is not None


def test_whoever_writes_waits_for_the_copies_and_not_for_the_backups(tmp_path: Path) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    make(paths[0], "DELETE")
    make(paths[1], "WAL")
    with moment(tmp_path / "scratch", paths) as held:
        for path in paths:
            with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
                connection.execute("UPDATE account SET amount = 5")
        assert [amount(path) for path in copies(held, paths)] == [1000000, 1000000]
    assert [amount(path) for path in paths] == [5, 5]


def test_nothing_is_left_beside_the_files_and_the_files_are_as_they_were(tmp_path: Path) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db", tmp_path / "c.db"]
    for path, mode in zip(paths, ("WAL", "DELETE", "WAL"), strict=True):
        make(path, mode)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with moment(tmp_path / "scratch", paths) as held:
        copies(held, paths[:2])  # and one that nobody asks for
    (tmp_path / "scratch" / "0.sqlite").unlink()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_a_locked_file_is_left_out_and_the_others_are_of_one_moment(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.db" for name in "abc"]
    for path in paths:
        make(path, "DELETE")
    with running(LOCKER, paths[1]), moment(tmp_path / "scratch", paths, lock_timeout=0.3) as held:
        assert list(held.missing) == [f"sqlite:///{paths[1]}"]
        assert "locked" in held.missing[f"sqlite:///{paths[1]}"]
        copies(held, [paths[0], paths[2]])
        copy, late = held.copy(str(paths[1]))
        assert copy is None
        assert "locked" in late


def test_two_names_of_one_file_are_held_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.db" for name in "abc"]
    for path in paths[:2]:
        make(path, "DELETE")
    os.link(paths[0], paths[2])
    with moment(tmp_path / "scratch", paths) as held:
        assert held.missing == {f"sqlite:///{paths[2]}": f"it is the same file as {paths[0]}"}
        copies(held, paths[:2])


def test_more_files_than_a_process_may_open_are_still_backed_up(tmp_path: Path) -> None:
    """With 64 descriptors 14 databases in WAL mode cannot be held, which is said, and nothing fails."""
    (tmp_path / "d").mkdir()
    for number in range(14):
        make(tmp_path / "d" / f"{number}.db", "WAL")
    program = (
        "import resource, holdfast, sys;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        "done = holdfast.backup_all(sys.argv[1], store=sys.argv[2], check=False, proof=False);"
        "print(len(done.backups), len(done.failed), done.one_moment)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{tmp_path}/d", tmp_path / "store"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "14 0 False\n", done.stderr
    assert "together they are not one snapshot" in done.stderr
    assert "(Too many open files)" in done.stderr


def crash_between_two_files(folder: Path) -> tuple[Path, Path]:
    """Two files as a crash leaves them after the first was written to by a transaction over both.

    The journal of the first is hot, and names the super-journal (https://www.sqlite.org/fileformat.html#the_rollback_journal).
    """
    path, other = folder / "a.db", folder / "b.db"
    for each in (path, other):
        make(each, "DELETE")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=2")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE account SET amount = 7")
        connection.execute("UPDATE filler SET x = hex(randomblob(200000))")
        spilled, journal = path.read_bytes(), Path(f"{path}-journal").read_bytes()
        connection.execute("ROLLBACK")
    path.write_bytes(spilled)
    name = os.fsencode(f"{path}-mj0ABCDEF12")
    sector, page = 512, 4096
    lock_page = (0x40000000 // page + 1).to_bytes(4, "big")
    checksum = sum(byte if byte < 128 else byte - 256 for byte in name) & 0xFFFFFFFF
    end = len(name).to_bytes(4, "big") + checksum.to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    padded = journal + bytes(-len(journal) % sector)
    Path(f"{path}-journal").write_bytes(padded + lock_page + name + end)
    return path, other


def test_a_super_journal_is_found_where_its_folder_is_known_by_another_path(tmp_path: Path) -> None:
    """As in a container, whose paths the journal holds; where nothing tells, the file is not guessed at."""
    (tmp_path / "d").mkdir()
    path, other = crash_between_two_files(tmp_path / "d")
    mark = f"{path}-mj0ABCDEF12"
    Path(mark).write_bytes(b"".join(os.fsencode(f"{each}-journal") + b"\0" for each in (path, other)))
    (tmp_path / "d").rename(tmp_path / "e")
    url = f"sqlite:///{tmp_path}/e/a.db"
    record = holdfast.backup(url, store=tmp_path / "store", check=False)
    holdfast.restore(record, f"sqlite:///{tmp_path}/copy.db", store=tmp_path / "store", check=False)
    assert amount(tmp_path / "copy.db") == 1000000
    (tmp_path / "e" / Path(mark).name).unlink()
    with pytest.raises(holdfast.HoldfastError, match="nobody can tell here whether that transaction was committed"):
        holdfast.backup(url, store=tmp_path / "store", check=False)
    (tmp_path / "d").mkdir()  # as that of the other file may be; the super-journal is not in it
    assert holdfast.backup(url, store=tmp_path / "store", check=False).state == "complete"


@pytest.mark.parametrize("committed", [False, True])
def test_a_hot_journal_that_names_a_super_journal_is_judged_as_sqlite_does(tmp_path: Path, committed: bool) -> None:
    """While the super-journal is there the transaction was not committed, and is rolled back in every file of it."""
    (tmp_path / "d").mkdir()
    paths = crash_between_two_files(tmp_path / "d")
    super_journal = Path(f"{paths[0]}-mj0ABCDEF12")
    if not committed:
        super_journal.write_bytes(b"".join(os.fsencode(f"{path}-journal") + b"\0" for path in paths))
    before = {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()}
    done = holdfast.backup_all(f"sqlite:///{tmp_path}/d", store=tmp_path / "store", check=False)
    assert {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()} == before
    assert (done.failed, done.one_moment, len(done.backups)) == ((), True, 2)
    holdfast.restore(done.backups[0], f"sqlite:///{tmp_path}/copy.db", store=tmp_path / "store", check=False)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy, closing(sqlite3.connect(paths[0])) as own:
        restored, expected = (list(connection.execute("SELECT * FROM account")) for connection in (copy, own))
    assert restored == expected
