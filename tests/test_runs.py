"""One occurrence, one backup: who repeats a run gets the backup that it has made, whoever was killed meanwhile."""

import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server

import holdfast
from holdfast import LockedError

__all__ = ["mariadb", "postgres_server"]

RUN = ("--run", "nightly 2026-11-29")
URL = "sqlite:///app.db"


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.rollback()


def test_a_run_that_is_repeated_returns_its_backup(shell: Shell) -> None:
    first = shell.backup(URL, *RUN)
    assert (first["run"], first["reused"]) == ("nightly 2026-11-29", False)
    again = shell.backup(URL, *RUN)
    assert again == {**first, "reused": True}
    absolute = f"sqlite:///{shell.folder}/app.db"
    assert shell.backup(absolute, *RUN, "--name", "app")["reused"]
    assert first["id"] in shell.run("backup", URL, *RUN, "-n").stdout
    said = shell.run("backup", URL, *RUN)
    assert (said.stdout, "nothing was dumped" in said.stderr) == (f"{first['id']}\n", True)
    (line,) = shell.run("backup", URL, *RUN, "--json").lines
    assert line["type"] == "backup", "events of a dump that there was none of"
    other = shell.backup(URL, "--run", "nightly 2026-11-30")
    assert (other["reused"], shell.backup(URL)["reused"]) == (False, False)
    assert len(shell.listing()) == 3
    assert not [file for file in shell.files() if "run-" in file], "a lease was left"
    for text in ("", " x", "a\nb", "x" * 201):
        assert "not a run" in shell.fails(2, "backup", URL, "--run", text).stderr


def test_a_chosen_name_spares_the_source_and_stands_for_no_other_one(shell: Shell) -> None:
    """A source that is gone, or locked, is not asked for; one with the same name and another path is."""
    absolute = f"sqlite:///{shell.folder}/app.db"
    first = shell.backup(absolute, *RUN, "--name", "shop")
    (shell.folder / "app.db").rename(shell.folder / "moved.db")
    assert shell.backup(absolute, *RUN, "--name", "shop")["id"] == first["id"]
    shell.fails(15, "backup", absolute, *RUN)
    shell.fails(16, "backup", "sqlite:///moved.db", *RUN, "--name", "shop")
    assert not shell.backup("sqlite:///moved.db", *RUN, "--name", "shop", "--adopt")["reused"]


@pytest.mark.parametrize("harm", ["damaged", "deleted", "other part"])
def test_what_cannot_stand_for_the_run_is_told_and_made_anew(shell: Shell, harm: str) -> None:
    first = shell.backup(URL, *RUN)
    blob = next((shell.store / "app" / first["id"]).glob("database*"))
    if harm == "damaged":
        blob.write_bytes(blob.read_bytes()[:-1])
    elif harm == "deleted":
        shell.run("delete", first["id"], "--allow-last")
    words = ("-o", "format=sql") if harm == "other part" else ()
    ran = shell.run("backup", URL, *RUN, "--json", *words)
    assert (ran.last["reused"], ran.last["id"] != first["id"]) == (False, True)
    told = [line for line in ran.stderr.splitlines() if line.startswith("warning") and "another one is made" in line]
    assert len(told) == (0 if harm == "deleted" else 1), ran.stderr
    assert shell.backup(URL, *RUN, *words)["id"] == ran.last["id"]


def test_copies_and_new_names_stand_for_the_run(shell: Shell) -> None:
    first = shell.backup(URL, *RUN)
    shell.run("copy", "backups", "other", "--all")
    assert shell.backup(URL, *RUN, "--store", "other")["id"] == first["id"]
    shell.run("rename", "app", "shop")
    assert shell.backup(URL, *RUN)["id"] == first["id"]
    assert shell.backup(URL, *RUN, "--name", "shop")["id"] == first["id"]


def test_a_killed_holder_keeps_nobody_out(shell: Shell) -> None:
    """While it lives it does (11), or is waited for; what it left is swept, and the next one makes the backup."""
    shell.backup(URL, "--name", "app")
    words = ("backup", URL, "--name", "app", *RUN)
    with write_lock(shell.folder / "app.db"):
        holder = shell.start(*words, "-o", "lock_timeout=60")
        while not list(shell.store.glob(".leases/run-*")):
            assert holder.poll() is None
        second = shell.start(*words)
        assert "at work on the run 'nightly 2026-11-29' of 'app'" in second.communicate(timeout=60)[1]
        assert second.returncode == 11
        waiting = shell.start(*words, "--wait", "1m", "--json")
        assert waiting.stderr is not None
        assert "waiting for up to 60 s" in waiting.stderr.readline()
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, said
    for folder in shell.scratch.iterdir():  # of the one that was killed
        shutil.rmtree(folder)
    assert shell.backup(URL, *RUN)["reused"]
    assert [record["run"] for record in shell.listing()] == ["", "nightly 2026-11-29"]
    assert not list(shell.store.glob(".leases/run-*"))


def race(url: str, store: str, **options: Any) -> list[Any]:
    """What six threads get that begin one run at the same time: a record or a `LockedError`."""
    start = threading.Barrier(6)

    def make(_: int) -> Any:
        start.wait()
        try:
            return holdfast.backup(url, store=store, run="r1", **options)
        except LockedError as error:
            return error

    with ThreadPoolExecutor(6) as threads:
        return list(threads.map(make, range(6)))


def check_race(url: str, store: str) -> None:
    results = race(url, store)
    records = [result for result in results if not isinstance(result, LockedError)]
    assert len({record.id for record in records}) == 1
    assert sorted(record.reused for record in records)[:2] in ([False], [False, True])
    (record,) = holdfast.list_backups(store)
    again = holdfast.backup(url, store=store, run="r1")
    assert (again.reused, again.id, again.run) == (True, record.id, "r1")
    assert holdfast.verify(store=store)[0].passed


def test_of_many_at_once_one_makes_it(shell: Shell) -> None:
    check_race(f"sqlite:///{shell.folder}/app.db", str(shell.store))


def test_a_database_of_postgresql(postgres_server: PostgresServer, shell: Shell) -> None:
    postgres_server.execute("postgres", "CREATE DATABASE runs_pg")
    try:
        check_race(postgres_server.url("runs_pg"), str(shell.store))
    finally:
        postgres_server.execute("postgres", "DROP DATABASE runs_pg")


def test_a_database_of_mariadb(mariadb: MariaDB, shell: Shell) -> None:
    mariadb.rows("CREATE DATABASE runs_my")
    try:
        check_race(mariadb.url("runs_my"), str(shell.store))
    finally:
        mariadb.rows("DROP DATABASE runs_my")


def test_several_databases_of_one_run_are_each_returned(shell: Shell) -> None:
    (shell.folder / "data").mkdir()
    for name in "ab":
        (shell.folder / "data" / f"{name}.db").write_bytes((shell.folder / "app.db").read_bytes())
    words = ("backup", "sqlite:///data/", "--all-databases", *RUN)
    ids = shell.run(*words).stdout.split()
    (shell.folder / "data" / "c.db").write_bytes((shell.folder / "app.db").read_bytes())
    again = shell.run(*words)
    assert again.stdout.split()[:2] == ids
    assert "of one moment" not in again.stderr.splitlines()[-1]
    assert len(shell.listing()) == 3
