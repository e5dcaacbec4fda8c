"""holdfast list and holdfast show: what is there, by id, prefix, latest and NAME/latest."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from support.commandline import Shell
from support.databases import make_database


def test_the_list_is_a_table_on_stdout_oldest_first(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("list")
    head, *rows = ran.stdout.splitlines()
    assert head.split()[:4] == ["ID", "NAME", "ENGINE", "STATE"]
    assert [row.split()[:4] for row in rows] == [[identity, "app", "sqlite", "complete"] for identity in ids]
    assert ran.stderr == ""


def test_the_json_list_is_one_array_of_records(kept: Shell, ids: list[str]) -> None:
    records = kept.listing()
    assert [record["id"] for record in records] == ids
    for record in records:
        assert {"name", "engine", "state", "size_bytes", "stored_bytes", "checksum", "codec", "path"} <= set(record)


def test_the_list_can_be_narrowed_to_a_name_and_a_state(kept: Shell, ids: list[str]) -> None:
    make_database(kept.folder / "other.db")
    other = kept.backup("sqlite:///other.db")["id"]
    kept.run("verify", ids[0])
    assert [record["id"] for record in kept.listing("other")] == [other]
    assert [record["id"] for record in kept.listing("--state", "verified")] == [ids[0]]
    assert [record["id"] for record in kept.listing("app", "--state", "complete")] == [ids[1]]
    kept.run("tag", ids[0], "nightly")
    assert [record["id"] for record in kept.listing("--tag", "nightly")] == [ids[0]]
    assert kept.listing("--tag", "weekly") == []
    assert kept.listing("nobody") == []
    assert kept.listing("--state", "damaged") == []


def test_an_empty_store_is_an_empty_list_and_no_store_is_exit_10(shell: Shell) -> None:
    ran = shell.fails(10, "list")
    assert "no store at" in ran.error
    assert "--store" in ran.hint
    record = shell.backup("sqlite:///app.db")
    shell.run("delete", record["id"], "--allow-last")
    assert shell.listing() == []
    ran = shell.run("list")
    assert ran.stdout == ""
    assert ran.stderr.startswith("no backups in")


def test_an_empty_answer_says_what_was_asked_for(kept: Shell) -> None:
    for arguments, what in (
        (["nobody"], "no backups of 'nobody' in"),
        (["--state", "proven"], "no proven backups in"),
        (["app", "--tag", "weekly"], "no backups of 'app' with the tag weekly in"),
        (["app", "--state", "damaged"], "no damaged backups of 'app' in"),
    ):
        assert kept.run("list", *arguments).stderr.startswith(what)


@pytest.mark.parametrize("name", ["app", "one"])
def test_a_source_or_a_backup_that_is_a_link_is_not_followed_and_not_passed_over_in_silence(
    kept: Shell, ids: list[str], name: str
) -> None:
    path = kept.store / "app" if name == "app" else kept.store / "app" / ids[0]
    path.rename(kept.folder / "moved")
    path.symlink_to(kept.folder / "moved")
    place = str(path.relative_to(kept.store))
    for arguments in ([], ["app"]):
        ran = kept.run("list", "--json", *arguments)
        assert [record["id"] for record in ran.data] == ([] if name == "app" else ids[1:])
        assert ran.stderr == f"warning: {place} is a link or no folder, and is not followed: nothing in it is listed\n"


def test_a_folder_that_is_no_store_is_exit_10_and_stays_as_it_is(shell: Shell) -> None:
    (shell.folder / "photos").mkdir()
    (shell.folder / "photos" / "cat.jpg").write_bytes(b"x")
    for command in (["list"], ["show", "latest"], ["verify"], ["delete", "latest"], ["cat", "latest"]):
        shell.fails(10, *command, "--store", "photos")
    shell.fails(10, "restore", "latest", "sqlite:///x.db", "--store", "photos")
    assert shell.files(shell.folder / "photos") == ["cat.jpg"]


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_show_tells_all_of_one_backup(kept: Shell, ids: list[str], output: list[str]) -> None:
    kept.run("verify", ids[0])
    ran = kept.run("show", ids[0], *output)
    manifest = kept.store / "app" / ids[0] / "backup_manifest.json"
    checksum = hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert checksum in ran.stdout
    assert ids[0] in ran.stdout
    assert "verified" in ran.stdout
    if output:
        assert ran.data["manifest"] == json.loads(manifest.read_text())
        assert [finding["result"] for finding in ran.data["findings"]] == ["passed"]
        assert ran.data["checksum"] == checksum


def test_show_keeps_fields_of_the_manifest_that_this_version_does_not_know(kept: Shell, ids: list[str]) -> None:
    path = kept.store / "app" / ids[0] / "backup_manifest.json"
    document = json.loads(path.read_text())
    document["from_the_future"] = {"kept": True}
    path.write_text(json.dumps(document))
    assert kept.run("show", ids[0], "--json").data["manifest"]["from_the_future"] == {"kept": True}


def test_ids_prefixes_latest_and_name_latest_are_taken_alike(kept: Shell, ids: list[str]) -> None:
    for reference in (ids[1], ids[1][:-1], "latest", "app/latest", f"app/{ids[1]}", f"app/{ids[1][:-1]}"):
        assert kept.run("show", reference, "--json").data["id"] == ids[1]


def test_an_unknown_id_is_exit_10_for_every_command(kept: Shell) -> None:
    for reference in ("19990101T000000Z-aaaaaa", "nothing", "app/nothing", "nobody/latest", "../app", "", "--", "*"):
        where = [] if reference else [""]
        arguments = where or (["--", reference] if reference.startswith("-") else [reference])
        if reference == "--":
            continue
        kept.fails(10, "show", *arguments)
    for command in (["verify", "x"], ["delete", "x"], ["cat", "x"], ["restore", "x", "sqlite:///x.db"]):
        ran = kept.fails(10, *command)
        assert "x" in ran.error
    assert not (kept.folder / "x.db").exists()


def test_an_ambiguous_prefix_is_exit_2_and_names_the_candidates(kept: Shell, ids: list[str]) -> None:
    ran = kept.fails(2, "show", ids[0][:4])
    assert ids[0] in ran.error
    assert ids[1] in ran.error


def test_bare_latest_among_several_sources_is_exit_2_and_names_them(kept: Shell) -> None:
    make_database(kept.folder / "other.db")
    kept.backup("sqlite:///other.db")
    before = kept.files()
    for command in (["show", "latest"], ["verify", "latest"], ["delete", "latest"], ["cat", "latest"]):
        ran = kept.fails(2, *command)
        assert "app/latest" in ran.error
        assert "other/latest" in ran.error
    kept.fails(2, "restore", "latest", "sqlite:///x.db")
    assert kept.files() == before


def test_a_damaged_newest_is_exit_13_and_the_hint_names_the_newest_good_one(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[1] / "database.sqlite.zst").unlink()
    commands = (["show"], ["verify"], ["cat"], ["delete"], ["restore"])
    for (command,) in commands:
        target = ["sqlite:///x.db"] if command == "restore" else []
        for reference in ("latest", "app/latest"):
            ran = kept.run(command, reference, *target, code=13)
            assert ids[0] in ran.hint, command
    assert not (kept.folder / "x.db").exists()
    assert Path(kept.store, "app", ids[1]).exists()


def test_list_and_show_of_a_damaged_backup_say_why(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[1] / "database.sqlite.zst").unlink()
    ran = kept.run("list", "--json")
    assert [record["state"] for record in ran.data] == ["complete", "damaged"]
    assert "missing" in ran.data[1]["problem"]
    assert f"app/{ids[1]} is damaged" in ran.stderr
    assert "missing" in kept.run("show", ids[1]).stdout


def test_a_closed_pipe_ends_a_command_quietly(kept: Shell) -> None:
    process = kept.start("list")
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode in (0, 141)
    assert stderr == ""


def test_a_store_whose_path_is_no_utf8_can_be_listed(shell: Shell) -> None:
    """A path is bytes: JSON holds it so that Python gets it back, text as it is."""
    store = os.fsdecode(os.fsencode(shell.folder) + b"/caf\xe9")
    record = shell.run("backup", "sqlite:///app.db", "--store", store, "--json").last
    assert shell.run("list", "--store", store, "--json").data[0]["path"] == record["path"]
    assert os.fsencode(record["path"]).startswith(os.fsencode(store))
    output = subprocess.run(
        shell.arguments("show", "latest", "--store", store),
        cwd=shell.folder,
        env=shell.environment({"PYTHONIOENCODING": "utf-8"}),  # strict, as under most locales
        stdout=subprocess.PIPE,
        check=True,
    )
    assert os.fsencode(record["path"]) in output.stdout


def test_data_are_utf8_and_json_is_ascii_whatever_the_locale(kept: Shell, ids: list[str]) -> None:
    """Under cron there is none, and an older one may know nothing of the euro."""
    older = {"PYTHONIOENCODING": "latin-1"}
    kept.run("tag", ids[0], "100 €", "größe", "𝄞")
    ran = kept.run("list", "--json", env=older)
    assert ran.stdout.isascii()
    assert ran.data[0]["tags"] == ["100 €", "größe", "𝄞"]
    assert "100 €" in kept.run("show", ids[0], env=older).stdout
    ran = kept.run("prune", "--keep-last", "1", "--keep-tag", "100 €", "--json", env=older)
    assert ran.stdout.isascii()
    assert "tag 100 €" in ran.lines[0]["reasons"]
