"""holdfast delete and holdfast cat."""

import subprocess

import pytest
from support.commandline import Shell
from support.databases import make_database


def test_an_older_backup_is_deleted_with_all_its_files(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("delete", ids[0])
    assert ran.stdout == ""
    assert ids[0] in ran.stderr
    assert not (kept.store / "app" / ids[0]).exists()
    assert [record["id"] for record in kept.listing()] == [ids[1]]


def test_the_newest_good_backup_is_kept_unless_forced(kept: Shell, ids: list[str]) -> None:
    for reference in ("latest", ids[1]):
        ran = kept.fails(16, "delete", reference)
        assert "--allow-last" in ran.hint
    ran = kept.run("delete", ids[1], "--allow-last", "--json")
    assert ran.last == {"type": "delete", "id": ids[1], "name": "app"}
    kept.fails(16, "delete", ids[0])
    assert len(kept.listing()) == 1


def test_when_the_newest_is_damaged_the_one_before_is_protected(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[1] / "database.sqlite.zst").unlink()
    kept.fails(16, "delete", ids[0])
    kept.run("delete", ids[1])
    assert [record["id"] for record in kept.listing()] == [ids[0]]


def test_a_backup_of_a_selection_takes_the_place_of_no_whole_one(shell: Shell) -> None:
    """It holds less, and is the newest all the same."""
    whole, part = (shell.backup("sqlite:///app.db", *select)["id"] for select in ((), ("--select", "people")))
    assert "a part of its source: select people" in shell.run("show", part).stdout
    assert "holds" not in shell.run("show", whole).stdout
    shell.fails(16, "delete", whole)
    shell.fails(16, "delete", part)
    shell.run("prune", "--keep-daily", "1", "--max-backups", "1")
    assert [record["id"] for record in shell.listing()] == [whole, part]
    shell.run("drill", part)
    ran = shell.fails(17, "list", "--unproven-for", "7d")
    assert whole in ran.stdout
    newer = shell.backup("sqlite:///app.db")["id"]
    shell.run("prune", "--max-backups", "1", "--allow-last")
    assert [record["id"] for record in shell.listing()] == [newer]


def test_a_name_whose_last_backup_is_deleted_is_free_again(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db", "--name", "wrong")
    shell.run("delete", record["id"], "--allow-last")
    make_database(shell.folder / "other.db")
    shell.backup("sqlite:///other.db", "--name", "wrong")


def test_a_hostile_backup_can_be_deleted_and_takes_nothing_else_with_it(kept: Shell, ids: list[str]) -> None:
    precious = kept.folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    folder = kept.store / "app" / ids[0]
    (folder / "backup_manifest.json").write_text("{")
    (folder / "linked").symlink_to(precious)
    (folder / "file-link").symlink_to(precious / "file")
    kept.run("delete", ids[0])
    assert not folder.exists()
    assert (precious / "file").read_text() == "keep me"


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_cat_writes_the_plain_stream_alone(shell: Shell, codec: str) -> None:
    record = shell.backup("sqlite:///app.db", "--codec", codec)
    plain = [_cat(shell, record["id"], *stream) for stream in ([], ["database"])]
    assert plain[0].startswith(b"SQLite format 3\0")
    assert plain[0] == plain[1]
    assert len(plain[0]) == record["size_bytes"]


def _cat(shell: Shell, *arguments: str) -> bytes:
    done = subprocess.run(
        shell.arguments("cat", *arguments), cwd=shell.folder, env=shell.environment(), capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout


def test_cat_of_an_unknown_stream_is_exit_10_and_names_the_streams(kept: Shell) -> None:
    ran = kept.fails(10, "cat", "latest", "nothing")
    assert "database" in ran.error
    assert ran.stdout == ""


def test_cat_of_damaged_data_is_exit_13(kept: Shell, ids: list[str]) -> None:
    blob = kept.store / "app" / ids[1] / "database.sqlite.zst"
    content = bytearray(blob.read_bytes())
    content[-20] ^= 1
    blob.write_bytes(content)
    done = subprocess.run(
        kept.arguments("cat", ids[1]), cwd=kept.folder, env=kept.environment(), capture_output=True, check=False
    )
    assert done.returncode == 13
    assert done.stderr.startswith(b"error: blob database.sqlite.zst is damaged")
    assert len(done.stderr.splitlines()) == 1


def test_cat_into_a_closed_pipe_ends_quietly(kept: Shell) -> None:
    process = kept.start("cat", "latest")
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 141
    assert stderr == ""
