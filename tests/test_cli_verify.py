"""holdfast verify: how deep it looks, what it says, what it records."""

import json

import pytest
from support.commandline import PLAIN_USER, Shell, make_shell
from support.databases import make_database


def test_verify_without_an_id_checks_every_backup(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("verify")
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [["ok", identity] for identity in ids]
    assert {record["state"] for record in kept.listing()} == {"verified"}
    assert len(kept.run("verify", "--all").stdout.splitlines()) == 2


def test_verify_takes_several_ids_and_checks_each_once(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("verify", ids[1], "latest", ids[0], "--json")
    results = [line for line in ran.lines if line["type"] == "verify"]
    assert [line["id"] for line in results] == [ids[1], ids[0]]
    assert all(line["passed"] and line["depth"] == "stored" and line["state"] == "verified" for line in results)
    assert all("id" in line for line in ran.lines)


def test_verify_reads_all_data_when_asked(kept: Shell, ids: list[str]) -> None:
    ran = kept.run("verify", ids[0], "--read-data", "--json", "--jobs", "2")
    assert ran.last["depth"] == "decode"
    findings = list((kept.store / "app" / ids[0] / "findings").iterdir())
    assert len(findings) == 1
    assert json.loads(findings[0].read_text())["result"] == "passed"


def test_a_backup_that_cannot_be_checked_does_not_keep_the_others_from_it(kept: Shell, ids: list[str]) -> None:
    plain = make_shell(kept.folder, under=PLAIN_USER)
    (kept.store / "app" / ids[0] / "backup_manifest.json").chmod(0)
    ran = plain.run("verify", code=3)
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [["ok", ids[1]]]
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert ids[0] in errors[0]
    assert errors[1] == "error: 1 of 2 backups could not be checked"
    plain.fails(10, "verify", ids[0])


def test_all_and_ids_exclude_each_other(kept: Shell, ids: list[str]) -> None:
    kept.fails(2, "verify", "--all", ids[0])


@pytest.mark.parametrize("depth", [[], ["--read-data"]])
def test_a_flipped_bit_is_exit_13_and_the_backup_is_damaged_from_then_on(
    kept: Shell, ids: list[str], depth: list[str]
) -> None:
    flip(kept, ids[1])
    ran = kept.fails(13, "verify", *depth)
    assert [line.split()[0] for line in ran.stdout.splitlines() if not line.startswith(" ")] == ["ok", "DAMAGED"]
    assert ids[1] in ran.error
    assert [record["state"] for record in kept.listing()] == ["verified", "damaged"]
    ran = kept.fails(13, "verify", ids[1], "--json", *depth)
    assert [line["type"] for line in ran.lines[-2:]] == ["verify", "error"]
    assert ran.lines[-2]["problems"]
    assert ran.last["exit_code"] == 13


def test_a_backup_that_was_repaired_is_good_again_after_a_check_as_deep(kept: Shell, ids: list[str]) -> None:
    flip(kept, ids[1])
    kept.fails(13, "verify", ids[1], "--read-data")
    flip(kept, ids[1])
    kept.run("verify", ids[1])
    assert kept.listing()[1]["state"] in ("damaged", "verified")
    kept.run("verify", ids[1], "--read-data")
    assert kept.listing()[1]["state"] == "verified"


@pytest.mark.parametrize("name", ["RESTORE.md", "SHA256SUMS", "backup_manifest.json"])
def test_a_change_of_any_file_beside_the_blobs_is_found(kept: Shell, ids: list[str], name: str) -> None:
    with (kept.store / "app" / ids[0] / name).open("ab") as file:
        file.write(b" \n")
    if name == "SHA256SUMS":
        (kept.store / "app" / ids[0] / name).write_text("")
    ran = kept.fails(13, "verify", ids[0])
    assert ids[0] in ran.error


def test_a_check_that_cannot_be_carried_out_records_nothing(kept: Shell, ids: list[str]) -> None:
    without = {"HOLDFAST_DISABLE_PLUGINS": "holdfast-zstd"}
    kept.fails(14, "verify", ids[0], "--read-data", env=without)
    assert not (kept.store / "app" / ids[0] / "findings").exists()
    assert kept.listing()[0]["state"] == "complete"
    kept.run("verify", ids[0], env=without)
    assert kept.listing()[0]["state"] == "verified"


def test_a_check_that_cannot_be_carried_out_does_not_keep_others_from_being_checked(
    kept: Shell, ids: list[str]
) -> None:
    kept.run("backup", "sqlite:///app.db", "--name", "plain", "--codec", "none")
    without = {"HOLDFAST_DISABLE_PLUGINS": "holdfast-zstd"}
    ran = kept.run("verify", "--read-data", "--json", env=without, code=3)
    assert [line["type"] for line in ran.lines if line["type"] in ("verify", "error")] == 2 * ["error"] + [
        "verify",
        "error",
    ]
    assert ran.last["message"] == "2 of 3 backups could not be checked"
    states = {record["name"]: record["state"] for record in kept.listing()}
    assert states == {"app": "complete", "plain": "verified"}


def test_an_empty_store_has_nothing_to_verify(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db")
    shell.run("delete", record["id"], "--allow-last")
    assert shell.run("verify", "-q").stderr == shell.run("verify").stderr == "warning: there are no backups to verify\n"


def test_one_damaged_backup_does_not_keep_others_from_being_checked(kept: Shell, ids: list[str]) -> None:
    make_database(kept.folder / "zebra.db")
    kept.backup("sqlite:///zebra.db")
    (kept.store / "app" / ids[0] / "backup_manifest.json").write_text("{")
    kept.fails(13, "verify")
    assert [record["state"] for record in kept.listing()] == ["damaged", "verified", "verified"]


def flip(shell: Shell, backup_id: str) -> None:
    """Flip one bit in the middle of a blob."""
    path = shell.store / "app" / backup_id / "database.sqlite.zst"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
