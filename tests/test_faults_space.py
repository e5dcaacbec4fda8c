"""Disks that are full or read-only, and limits on files: a clear error, nothing listed, nothing left."""

import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.commandline import Shell, make_shell
from support.databases import dump, fingerprint, make_database
from support.disks import free, small_disk, used
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server

__all__ = ["mariadb", "postgres_server"]


@pytest.fixture
def disk(shell: Shell) -> Iterator[Shell]:
    """A shell whose folder `disk` is a disk of 4 MiB."""
    (shell.folder / "disk").mkdir()
    with small_disk(shell.folder / "disk", "4m") as enter:
        yield make_shell(shell.folder, under=enter)


def test_a_store_on_a_full_disk_keeps_nothing_and_then_a_smaller_backup_fits(disk: Shell) -> None:
    make_database(disk.folder / "big.db", noise=8 << 20)
    ran = disk.fails(1, "backup", "sqlite:///big.db", "--store", "disk/store")
    assert "no space left on the device" in ran.error
    assert disk.listing("--store", "disk/store") == []
    assert used(tuple(disk.under), disk.folder / "disk") < 1 << 17
    make_database(disk.folder / "smaller.db", noise=3 << 20)
    record = disk.backup("sqlite:///smaller.db", "--store", "disk/store")
    disk.run("verify", "--store", "disk/store", "--read-data")
    disk.run("restore", record["id"], "sqlite:///copy.db", "--store", "disk/store")
    assert dump(disk.folder / "copy.db") == dump(disk.folder / "smaller.db")


def test_a_disk_without_inodes_is_told_from_a_full_one(shell: Shell) -> None:
    """`df` shows space that is free: whoever looks for a full disk looks in vain."""
    folder = shell.folder / "disk"
    folder.mkdir()
    with small_disk(folder, "50m", files=12) as enter:
        disk = make_shell(shell.folder, under=enter)
        ran = disk.fails(1, "backup", "sqlite:///app.db", "--store", "disk/store")
        assert "no inode is left on the device for another file" in ran.error
        assert disk.listing("--store", "disk/store") == []
        subprocess.run([*enter, "sh", "-c", "while : > disk/$((n += 1)); do :; done"], capture_output=True, check=False)
        kept = disk.backup("sqlite:///app.db")
        lacking = [
            disk.fails(1, "restore", kept["id"], "sqlite:///disk/copy.db"),
            disk.fails(1, "backup", "sqlite:///app.db", "--store", "disk/other"),
            disk.fails(1, "drill", kept["id"], env={"TMPDIR": str(folder)}),
        ]
        assert [ran.error for ran in lacking if "no inode is left" not in ran.error] == []


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_on_a_full_disk_is_backed_up(mode: str, disk: Shell) -> None:
    """In WAL mode SQLite cannot even make the index of the log there, and reads a copy elsewhere."""
    make_database(disk.folder / "source.db", noise=1 << 20)
    with closing(sqlite3.connect(disk.folder / "source.db")) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    subprocess.run([*disk.under, "cp", "source.db", "disk/full.db"], check=True)
    fill = [*disk.under, "dd", "if=/dev/zero", f"of={disk.folder}/disk/fill", "bs=4096"]
    subprocess.run(fill, capture_output=True, check=False)
    assert free(tuple(disk.under), disk.folder / "disk") == 0
    record = disk.backup("sqlite:///disk/full.db")
    disk.run("restore", record["id"], "sqlite:///copy.db")
    assert dump(disk.folder / "copy.db") == dump(disk.folder / "source.db")


def check_server(disk: Shell, url: str) -> None:
    """A backup of 8 MiB of noise does not fit into the store on the disk, and one into another store does."""
    ran = disk.fails(1, "backup", url, "--store", "disk/store", "--jobs", "2")
    assert "no space left on the device" in ran.error
    assert disk.listing("--store", "disk/store") == []
    assert used(tuple(disk.under), disk.folder / "disk") < 1 << 17
    disk.run("verify", disk.backup(url)["id"], "--read-data")


def test_a_full_store_fails_a_backup_of_mariadb_and_leaves_no_session(disk: Shell, mariadb: MariaDB) -> None:
    mariadb.rows("CREATE DATABASE full_store")
    try:
        mariadb.rows("CREATE TABLE full_store.t(id INT PRIMARY KEY, v BLOB NOT NULL)")
        mariadb.rows("INSERT INTO t SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_8192", database="full_store")
        check_server(disk, f"mysql://root@localhost/full_store?socket={mariadb.socket}")
        assert mariadb.rows("SELECT id FROM information_schema.processlist WHERE db='full_store'") == []
    finally:
        mariadb.rows("DROP DATABASE full_store")


def test_a_full_store_fails_a_backup_of_postgresql_and_leaves_no_session(
    disk: Shell, postgres_server: PostgresServer
) -> None:
    postgres_server.create("full_store")
    try:
        postgres_server.execute(
            "full_store",
            "CREATE TABLE t AS SELECT n, string_agg(uuid_send(gen_random_uuid()), ''::bytea) AS v"
            " FROM generate_series(1, 16) n, generate_series(1, 40000) GROUP BY n",
        )
        check_server(disk, postgres_server.url("full_store"))
        sessions = "SELECT pid FROM pg_stat_activity WHERE datname = 'full_store'"
        assert postgres_server.rows("postgres", sessions) == []
    finally:
        postgres_server.drop("full_store")


def test_backups_that_are_there_survive_one_that_does_not_fit(disk: Shell) -> None:
    first = disk.backup("sqlite:///app.db", "--store", "disk/store")
    make_database(disk.folder / "big.db", noise=8 << 20)
    ran = disk.run("backup", "sqlite:///big.db", "--store", "disk/store", "--json", code=1)
    assert ran.last["type"] == "error"
    assert ran.last["exit_code"] == 1
    assert [record["id"] for record in disk.listing("--store", "disk/store")] == [first["id"]]
    disk.run("verify", "--store", "disk/store", "--read-data")


def test_with_a_completely_full_store_what_reads_and_delete_still_work(disk: Shell) -> None:
    old = disk.backup("sqlite:///app.db", "--store", "disk/store")
    new = disk.backup("sqlite:///app.db", "--store", "disk/store")
    subprocess.run(
        [*disk.under, "dd", "if=/dev/zero", f"of={disk.folder}/disk/fill", "bs=4096"], capture_output=True, check=False
    )
    assert free(tuple(disk.under), disk.folder / "disk") == 0
    assert len(disk.listing("--store", "disk/store")) == 2
    ran = disk.run("verify", new["id"], "--store", "disk/store")
    assert "could not be recorded" in ran.stderr
    disk.run("restore", new["id"], "sqlite:///copy.db", "--store", "disk/store")
    disk.run("delete", old["id"], "--store", "disk/store")
    assert [record["id"] for record in disk.listing("--store", "disk/store")] == [new["id"]]


def test_a_restore_onto_a_full_disk_leaves_no_file_and_the_target_as_it_was(disk: Shell) -> None:
    make_database(disk.folder / "big.db", noise=8 << 20)
    record = disk.backup("sqlite:///big.db")
    ran = disk.fails(1, "restore", record["id"], "sqlite:///disk/copy.db")
    assert "no space left on the device" in ran.error
    enter = list(disk.under)
    assert subprocess.run([*enter, "ls", "-A", "disk"], capture_output=True, check=True).stdout == b""
    subprocess.run([*enter, "cp", "app.db", "disk/target.db"], check=True)
    disk.fails(1, "restore", record["id"], "sqlite:///disk/target.db", "--replace")
    subprocess.run([*enter, "cmp", "app.db", "disk/target.db"], check=True)
    assert subprocess.run([*enter, "ls", "-A", "disk"], capture_output=True, check=True).stdout == b"target.db\n"


def test_scratch_space_that_is_too_small_says_how_to_use_another(disk: Shell) -> None:
    make_database(disk.folder / "big.db", noise=8 << 20)
    ran = disk.run("backup", "sqlite:///big.db", code=1, env={"TMPDIR": f"{disk.folder}/disk"})
    assert "not enough space" in ran.error
    assert "TMPDIR" in ran.hint
    assert disk.listing() == []
    assert subprocess.run([*disk.under, "ls", "-A", "disk"], capture_output=True, check=True).stdout == b""


def test_a_read_only_store_can_be_read_and_not_written(disk: Shell) -> None:
    record = disk.backup("sqlite:///app.db", "--store", "disk/store")
    mount = ["mount", "-o", "remount,bind,ro", f"{disk.folder}/disk"]
    subprocess.run([*disk.under, *mount], check=True, capture_output=True)
    ran = disk.fails(1, "backup", "sqlite:///app.db", "--store", "disk/store")
    assert "read-only" in ran.error
    ran = disk.fails(1, "delete", record["id"], "--allow-last", "--store", "disk/store")
    assert "read-only" in ran.error
    assert [backup["state"] for backup in disk.listing("--store", "disk/store")] == ["complete"]
    disk.run("show", "latest", "--store", "disk/store")
    ran = disk.run("verify", "--store", "disk/store", "--read-data")
    assert "read-only" in ran.stderr
    disk.run("restore", "latest", "sqlite:///copy.db", "--store", "disk/store")
    assert dump(disk.folder / "copy.db") == dump(disk.folder / "app.db")


def limited(shell: Shell, size: int) -> Shell:
    """The same shell, whose commands cannot write files beyond `size` bytes."""
    return make_shell(shell.folder, under=("prlimit", f"--fsize={size}"))


def test_a_limit_on_file_sizes_is_an_error_and_not_a_short_backup(shell: Shell) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    make_database(shell.folder / "big.db", noise=4 << 20)
    ran = limited(shell, 1 << 20).fails(1, "backup", "sqlite:///big.db")
    assert (
        "to the folder for temporary files: the file would be larger than the file system or a limit allows"
        in ran.error
    )
    assert "TMPDIR" in ran.hint
    assert shell.listing() == []
    assert len(shell.files()) <= 1


def test_a_limit_on_file_sizes_is_an_error_and_not_a_short_restore(shell: Shell) -> None:
    make_database(shell.folder / "big.db", noise=4 << 20)
    record = shell.backup("sqlite:///big.db")
    target = make_database(shell.folder / "target.db")
    before = fingerprint(target)
    for where in (["sqlite:///copy.db"], ["sqlite:///target.db", "--replace"]):
        ran = limited(shell, 1 << 20).fails(1, "restore", record["id"], *where)
        assert "limit" in ran.error
    assert fingerprint(target) == before
    assert sorted(path.name for path in shell.folder.glob("*.db*")) == ["app.db", "big.db", "target.db"]
    assert not list(shell.folder.glob(".holdfast-*"))


def test_the_data_of_a_pipe_that_is_full_is_an_error(kept: Shell, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as output:
        done = subprocess.run(
            [*limited(kept, 1 << 19).arguments("cat", "latest")],
            cwd=kept.folder,
            env=kept.environment(),
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
