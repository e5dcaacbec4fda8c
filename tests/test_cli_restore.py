"""holdfast restore: into a new file, over an existing one, and all that it refuses."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from support.commandline import Shell
from support.databases import add_row, dump, fingerprint, held_by_another_process, make_database


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_a_restored_database_is_the_one_that_was_backed_up(shell: Shell, codec: str) -> None:
    record = shell.backup("sqlite:///app.db", "--codec", codec)
    ran = shell.run("restore", record["id"], "sqlite:///copy.db")
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"restored app/{record['id']} into sqlite:///copy.db")
    assert dump(shell.folder / "copy.db") == dump(shell.folder / "app.db")


def test_the_json_lines_of_a_restore_carry_the_id_and_end_with_the_result(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("restore", "latest", f"sqlite:///{kept.folder}/copy.db", "--json")
    assert {line["id"] for line in ran.lines} == {ids[1]}
    assert ran.last["type"] == "restore"
    assert ran.last["size_bytes"] == (kept.folder / "copy.db").stat().st_size
    assert ran.last["target"].endswith("/copy.db")
    assert ran.stderr == ""


@pytest.mark.parametrize("content", ["database", "text"])
def test_a_target_with_data_is_refused_and_stays_as_it_was(kept: Shell, content: str) -> None:
    target = kept.folder / "target.db"
    make_database(target, seed=9) if content == "database" else target.write_text("not a database")
    before = fingerprint(target)
    ran = kept.fails(16, "restore", "latest", "sqlite:///target.db")
    assert "--replace" in ran.hint
    assert fingerprint(target) == before
    assert sorted(path.name for path in kept.folder.glob("target*")) == ["target.db"]


def test_replace_puts_the_backup_in_place_and_keeps_mode(kept: Shell) -> None:
    target = make_database(kept.folder / "target.db", seed=9)
    target.chmod(0o640)
    kept.run("restore", "latest", "sqlite:///target.db", "--replace")
    assert dump(target) == dump(kept.folder / "app.db")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_an_empty_file_is_no_data(kept: Shell) -> None:
    (kept.folder / "target.db").touch()
    kept.run("restore", "latest", "sqlite:///target.db")
    assert dump(kept.folder / "target.db") == dump(kept.folder / "app.db")


def test_replace_does_not_let_an_old_journal_come_back(kept: Shell) -> None:
    target = make_database(kept.folder / "target.db", seed=9)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO people (name) VALUES ('in the wal')")
        connection.commit()
        wal = Path(f"{target}-wal").read_bytes()
    Path(f"{target}-wal").write_bytes(wal)
    kept.run("restore", "latest", "sqlite:///target.db", "--replace")
    assert dump(target) == dump(kept.folder / "app.db")


@pytest.mark.parametrize(
    "use",
    [
        ["BEGIN IMMEDIATE"],
        ["BEGIN", "SELECT count(*) FROM people"],
        ["PRAGMA journal_mode=WAL", "INSERT INTO people (name) VALUES ('x')"],
    ],
    ids=["writing", "reading", "wal"],
)
def test_a_target_that_is_in_use_is_refused_and_stays_as_it_was(kept: Shell, use: list[str]) -> None:
    target = make_database(kept.folder / "target.db", seed=9)
    with held_by_another_process(target, *use):
        before = fingerprint(target)
        kept.fails(16, "restore", "latest", "sqlite:///target.db", "--replace")
        assert fingerprint(target) == before
    assert list(kept.folder.glob("target.db.holdfast*")) == []


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_a_dry_run_checks_and_touches_nothing(kept: Shell, ids: list[str], output: list[str]) -> None:
    before = kept.files(kept.folder)
    ran = kept.run("restore", "latest", "sqlite:///copy.db", "-n", *output)
    assert ids[1] in ran.stdout
    if output:
        assert ran.last["type"] == "plan"
        assert ran.last["dry_run"] is True
    assert kept.files(kept.folder) == before
    target = make_database(kept.folder / "target.db", seed=9)
    print_before = fingerprint(target)
    kept.fails(16, "restore", "latest", "sqlite:///target.db", "-n")
    kept.run("restore", "latest", "sqlite:///target.db", "-n", "--replace")
    assert fingerprint(target) == print_before


def test_a_target_in_a_missing_folder_is_exit_15(kept: Shell) -> None:
    ran = kept.fails(15, "restore", "latest", "sqlite:///nowhere/copy.db")
    assert "nowhere" in ran.error
    assert not (kept.folder / "nowhere").exists()


def test_a_folder_or_fifo_as_target_is_refused(kept: Shell) -> None:
    (kept.folder / "folder.db").mkdir()
    os.mkfifo(kept.folder / "fifo.db")
    for name in ("folder.db", "fifo.db"):
        kept.fails(16, "restore", "latest", f"sqlite:///{name}", "--replace")


def test_a_link_stays_a_link_and_its_file_is_replaced(kept: Shell) -> None:
    make_database(kept.folder / "real.db", seed=9)
    (kept.folder / "link.db").symlink_to("real.db")
    kept.run("restore", "latest", "sqlite:///link.db", "--replace")
    assert (kept.folder / "link.db").is_symlink()
    assert dump(kept.folder / "real.db") == dump(kept.folder / "app.db")


def test_a_target_of_another_engine_or_no_engine_is_refused(kept: Shell) -> None:
    kept.fails(2, "restore", "latest", "copy.db")
    ran = kept.fails(14, "restore", "latest", "oracle://localhost/db")
    assert "no engine for 'oracle'" in ran.error


def test_odd_file_names_are_backed_up_and_restored(shell: Shell) -> None:
    names = {'it\'s "odd"\nß.db': "it's%20%22odd%22%0Aß.db", "--help.db": "--help.db", "a?b#c%.db": "a%3Fb#c%25.db"}
    for name, written in names.items():
        make_database(shell.folder / name)
        record = shell.backup(f"sqlite:///{written}")
        shell.run("restore", record["id"], f"sqlite:///restored-{written}")
        assert dump(shell.folder / f"restored-{name}") == dump(shell.folder / name)


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_a_damaged_blob_is_exit_13_and_leaves_no_file(kept: Shell, ids: list[str], damage: str) -> None:
    blob = kept.store / "app" / ids[1] / "database.sqlite.zst"
    content = bytearray(blob.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    blob.write_bytes(content if damage == "flip" else content[:-100])
    target = make_database(kept.folder / "target.db", seed=9)
    before = fingerprint(target)
    kept.fails(13, "restore", ids[1], "sqlite:///copy.db")
    kept.fails(13, "restore", ids[1], "sqlite:///target.db", "--replace")
    assert fingerprint(target) == before
    assert sorted(path.name for path in kept.folder.glob("*.db*")) == ["app.db", "target.db"]


def test_an_old_backup_restores_its_own_state(kept: Shell, ids: list[str]) -> None:
    add_row(kept.folder / "app.db", "later still")
    for identity in ids:
        kept.run("restore", identity, f"sqlite:///{identity}.db")
    assert dump(kept.folder / f"{ids[1]}.db") != dump(kept.folder / f"{ids[0]}.db")
    assert "another" in dump(kept.folder / f"{ids[1]}.db")
    assert "later still" not in dump(kept.folder / f"{ids[1]}.db")


def test_what_the_engine_cannot_do_is_refused_instead_of_ignored(kept: Shell) -> None:
    for option in (["--select", "nonsense"], ["--exclude", "nonsense"], ["-o", "nonsense=1"]):
        ran = kept.fails(2, "restore", "latest", "sqlite:///copy.db", *option)
        assert "nonsense" in ran.error
        kept.fails(2, "backup", "sqlite:///app.db", *option)
    assert not (kept.folder / "copy.db").exists()


@pytest.mark.parametrize("path", ["backups/holdfast.json", "{store}/holdfast.json"])
def test_the_store_itself_is_never_replaced(kept: Shell, path: str) -> None:
    before = {path: path.read_bytes() for path in kept.store.rglob("*") if path.is_file()}
    ran = kept.fails(16, "restore", "app/latest", f"sqlite:///{path.format(store=kept.store)}", "--replace")
    assert "lies in the store" in ran.error
    assert {path: path.read_bytes() for path in kept.store.rglob("*") if path.is_file()} == before


def test_of_a_selection_no_size_is_said_and_a_dry_run_says_what_would_be_added(kept: Shell) -> None:
    """The stream is that of the whole database, and nothing changes in what holds nothing of it."""
    with closing(sqlite3.connect(kept.folder / "target.db")) as connection:
        connection.execute("CREATE TABLE mine(a)")
    arguments = ["restore", "latest", "sqlite:///target.db", "--select", "people"]
    planned = kept.run(*arguments, "-n").stdout.splitlines()
    assert planned[0].endswith("into sqlite:///target.db: what is selected")
    assert planned[2] == "these would be added, and nothing that the target holds would change:"
    assert planned[3].startswith("  table people: added")
    assert "into sqlite:///target.db: what is selected in " in kept.run(*arguments).stderr
    replaced = kept.run(*arguments, "-n", "--replace").stdout.splitlines()
    assert replaced[2] == "in the target these would change, and all other tables would stay as they are:"
