"""holdfast backup: what it prints, what it keeps, what it takes."""

import json
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from support.commandline import Shell
from support.databases import dump, fingerprint, make_database

ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-z]+")
FIELDS = {
    "id": str,
    "name": str,
    "engine": str,
    "state": str,
    "size_bytes": int,
    "stored_bytes": int,
    "checksum": str,
    "codec": str,
    "duration_seconds": float,
    "path": str,
}


def test_stdout_is_the_id_alone_and_stderr_tells_the_rest(shell: Shell) -> None:
    ran = shell.run("backup", "sqlite:///app.db")
    assert ID.fullmatch(ran.stdout.removesuffix("\n"))
    assert ran.stderr.startswith("backed up 'app' (sqlite) in ")
    assert len(ran.stderr.splitlines()) == 1


def test_quiet_leaves_only_the_id(shell: Shell) -> None:
    ran = shell.run("-q", "backup", "sqlite:///app.db")
    assert ID.fullmatch(ran.stdout.strip())
    assert ran.stderr == ""


def test_json_ends_with_one_record_that_holds_the_promised_fields(shell: Shell) -> None:
    ran = shell.run("backup", "sqlite:///app.db", "--json")
    record = ran.last
    for name, kind in FIELDS.items():
        assert isinstance(record[name], kind), name
    assert record["type"] == "backup"
    assert record["state"] == "complete"
    assert record["size_bytes"] == (shell.folder / "app.db").stat().st_size
    assert Path(record["path"]) == shell.store / "app" / record["id"]
    assert re.fullmatch("[0-9a-f]{64}", record["checksum"])
    assert {line["id"] for line in ran.lines} == {record["id"]}
    assert ran.lines[0]["type"] == "started"
    assert ran.stderr == ""


def test_the_record_of_a_backup_is_the_record_that_list_shows(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db")
    record.pop("type")
    assert shell.listing() == [record]


def test_the_store_is_private_and_holds_what_the_format_names(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db")
    folder = Path(record["path"])
    files = {path.name for path in folder.iterdir()}
    assert files == {"backup_manifest.json", "SHA256SUMS", "RESTORE.md", "database.sqlite.zst"}
    assert json.loads((shell.store / "holdfast.json").read_text())["format_version"] == 1
    for path in shell.store.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_store_comes_from_the_option_else_the_environment(shell: Shell) -> None:
    shell.run("backup", "sqlite:///app.db", env={"HOLDFAST_STORE": "by-variable"})
    shell.run("backup", "sqlite:///app.db", "--store", "by-option", env={"HOLDFAST_STORE": "by-variable"})
    url = (shell.folder / "by url").as_uri()
    shell.run("backup", "sqlite:///app.db", "--store", url)
    for store in ("by-variable", "by-option", "by url"):
        assert len(shell.listing("--store", store)) == 1
    assert not shell.store.exists()


@pytest.mark.parametrize(
    ("spec", "suffix"),
    [("none", ""), ("gzip", ".gz"), ("gzip:9", ".gz"), ("zstd:19", ".zst"), ("zstd:level=3", ".zst")],
)
def test_the_codec_is_chosen_by_name_and_level(shell: Shell, spec: str, suffix: str) -> None:
    record = shell.backup("sqlite:///app.db", "--codec", spec)
    assert record["codec"] == spec
    assert (Path(record["path"]) / f"database.sqlite{suffix}").exists()


def test_the_source_is_named_by_its_file_or_by_name(shell: Shell) -> None:
    make_database(shell.folder / "Größe & mehr.sqlite3")
    assert shell.backup("sqlite:///app.db", "--name", "orders.eu")["name"] == "orders.eu"
    assert re.fullmatch("[a-z0-9._-]+", shell.backup("sqlite:///Gr%C3%B6%C3%9Fe & mehr.sqlite3")["name"])


def test_two_databases_of_one_name_are_kept_apart(shell: Shell) -> None:
    (shell.folder / "other").mkdir()
    make_database(shell.folder / "other" / "app.db", seed=2)
    first, second = shell.backup("sqlite:///app.db"), shell.backup("sqlite:///other/app.db")
    assert first["name"] == "app"
    assert re.fullmatch("app-[0-9a-f]{6}", second["name"])
    assert shell.backup("sqlite:///other/app.db")["name"] == second["name"]


def test_a_name_that_belongs_to_another_database_is_refused_unless_adopted(shell: Shell) -> None:
    make_database(shell.folder / "new.db", seed=2)
    shell.backup("sqlite:///app.db", "--name", "orders")
    before = shell.files()
    ran = shell.fails(16, "backup", "sqlite:///new.db", "--name", "orders")
    assert "--adopt" in ran.hint
    assert shell.files() == before
    shell.backup("sqlite:///new.db", "--name", "orders", "--adopt")
    shell.fails(16, "backup", "sqlite:///app.db", "--name", "orders")
    assert len(shell.listing("orders")) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--check", "full"], True),
        (["--check=full"], True),
        (["--no-check", "--check", "full"], True),
        (["--check"], False),
        (["--check", "quick"], False),
        (["--check", "full", "--check", "off"], False),
        (["--check", "full", "--no-check"], False),
        ([], False),
    ],
)
def test_a_full_check_alone_finds_an_index_that_lost_rows_and_no_word_of_another_kind_is_its_value(
    shell: Shell, options: list[str], said: bool
) -> None:
    path = shell.folder / "lost.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES ('one'), ('two');")
        image = bytearray(connection.serialize())
    at = image.rindex(b"two")
    image[at : at + 3] = b"six"  # as many rows as before, but not the same: only a comparison finds it
    path.write_bytes(image)
    ran = shell.run("backup", *options, "sqlite:///lost.db")
    assert ran.code == 0
    assert ("run REINDEX i in the source" in ran.stderr) is said
    assert shell.listing()[0]["state"] == "complete"


def test_a_level_of_a_check_that_is_none_is_refused(shell: Shell) -> None:
    ran = shell.run("backup", "sqlite:///app.db", "--check=deep", code=2)
    assert "deep" in ran.error


def test_tags_and_further_checksums_are_kept_with_the_backup(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db", "--tag", "before-upgrade", "--tag", "v2", "--checksum", "sha256")
    assert record["tags"] == ["before-upgrade", "v2"]


def test_jobs_and_engine_options_are_taken(shell: Shell) -> None:
    shell.backup("sqlite:///app.db", "--jobs", "1", "-o", "lock_timeout=3", "--no-check", "--no-proof")
    shell.backup("sqlite:///app.db", "-o", "lock-timeout=0.5", env={"HOLDFAST_JOBS": "2", "HOLDFAST_CODEC": "gzip:2"})
    assert shell.listing()[-1]["codec"] == "gzip:2"


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(shell: Shell, output: list[str]) -> None:
    before = fingerprint(shell.folder / "app.db")
    ran = shell.run("backup", "sqlite:///app.db", "-n", *output)
    assert str(shell.store) in ran.stdout
    if output:
        assert ran.last["type"] == "plan"
        assert ran.last["streams"][0]["name"] == "database"
    assert not shell.store.exists()
    assert fingerprint(shell.folder / "app.db") == before


def test_several_databases_make_one_backup_each(shell: Shell) -> None:
    make_database(shell.folder / "second.db")
    ran = shell.run("backup", "sqlite:///app.db", "sqlite:///second.db")
    assert len(ran.stdout.splitlines()) == 2
    assert [record["name"] for record in shell.listing()] == ["app", "second"]
    ran = shell.run("backup", "sqlite:///app.db", "sqlite:///second.db", "sqlite:///app.db")
    assert len(ran.stdout.splitlines()) == 2
    assert "2 of 2 databases" in ran.stderr


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_of_several_databases_one_failure_is_exit_3_and_the_others_hold(shell: Shell, output: list[str]) -> None:
    make_database(shell.folder / "last.db")
    ran = shell.run("backup", "sqlite:///app.db", "sqlite:///missing.db", "sqlite:///last.db", *output, code=3)
    assert "error: sqlite:///missing.db: database missing.db does not exist" in ran.stderr or output
    assert "error: 1 of 3 backups failed" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert [record["name"] for record in shell.listing()] == ["app", "last"]
    assert not (shell.folder / "missing.db").exists()
    if output:
        errors = [line for line in ran.lines if line["type"] == "error"]
        assert [line["exit_code"] for line in errors] == [15, 3]
        assert "id" not in errors[0], "a backup that never began has no id"


def test_of_several_databases_a_failure_of_all_is_still_exit_3(shell: Shell) -> None:
    shell.run("backup", "sqlite:///one.db", "sqlite:///two.db", code=3)
    assert not shell.store.exists()


def test_one_name_for_several_databases_is_a_usage_error(shell: Shell) -> None:
    shell.fails(2, "backup", "sqlite:///app.db", "sqlite:///other.db", "--name", "x")
    assert not shell.store.exists()


def test_a_damaged_source_is_refused_unless_allowed_and_then_marked(shell: Shell) -> None:
    path = make_database(shell.folder / "broken.db", rows=3000)
    content = bytearray(path.read_bytes())
    content[8192:9000] = b"\xff" * 808
    path.write_bytes(content)
    ran = shell.fails(13, "backup", "sqlite:///broken.db")
    assert "--allow-damaged" in ran.hint
    assert shell.listing() == []
    ran = shell.run("backup", "sqlite:///broken.db", "--allow-damaged", "--json")
    assert ran.last["state"] == "damaged"
    assert any(line["type"] == "warning" for line in ran.lines)
    assert path.read_bytes() == content


def test_backups_of_an_empty_database_are_backups(shell: Shell) -> None:
    empty = shell.folder / "empty.db"
    empty.touch()
    record = shell.backup("sqlite:///empty.db")
    shell.run("verify", record["id"], "--read-data")
    shell.run("restore", record["id"], "sqlite:///restored.db")
    assert dump(shell.folder / "restored.db") == dump(empty)
    assert empty.stat().st_size == 0
