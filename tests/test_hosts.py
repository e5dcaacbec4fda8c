"""Two hosts that keep files of the same path in one store, and a host that has another name now."""

import json
import os

import pytest
from support.commandline import Shell
from support.databases import add_row


def test_each_of_two_hosts_keeps_its_backups_when_either_prunes(shell: Shell) -> None:
    ids: dict[str, list[str]] = {"one": [], "two": []}
    for host in ("one", "two", "one", "two"):
        ids[host].append(shell.run("backup", "sqlite:///app.db", "--host", host).stdout.strip())
        add_row(shell.folder / "app.db")
    shell.run("prune", "--keep-last", "1")
    kept = {record["id"]: record["name"] for record in json.loads(shell.run("list", "--json").stdout)}
    assert kept == {ids["one"][1]: "app", ids["two"][1]: "app-two"}


def test_the_second_host_is_told_which_name_its_backups_have(shell: Shell) -> None:
    shell.run("backup", "sqlite:///app.db", "--host", "one")
    told = shell.run("backup", "sqlite:///app.db", "--host", "two").stderr
    assert "belongs to the backups of this path on host 'one'" in told
    assert "those of host 'two' get the name 'app-two'" in told
    assert "belongs to" not in shell.run("backup", "sqlite:///app.db", "--host", "two").stderr


def test_a_container_that_is_new_each_night_is_asked_who_it_is(shell: Shell) -> None:
    first = shell.run("backup", "sqlite:///app.db", "--host", "0123456789ab")
    assert "give it one that stays by --host or HOLDFAST_HOST" in first.stderr
    refused = shell.run("backup", "sqlite:///app.db", "--host", "fedcba987654", code=16)
    assert "HOLDFAST_HOST" in refused.stderr
    shell.run("backup", "sqlite:///app.db", "--host", "web1", "--adopt")
    assert "warning" not in shell.run("backup", "sqlite:///app.db", "--host", "web1").stderr.lower()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes into the store of another user")
def test_a_store_of_another_user_is_written_to_only_on_request_and_stays_usable_for_him(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db")
    for path in (shell.store, *shell.store.rglob("*")):
        os.chown(path, 65534, 65534)
    refused = shell.fails(16, "backup", "sqlite:///app.db")
    assert "belongs to nobody, and what is written now would be root's" in refused.stderr
    assert len(json.loads(shell.run("list", "--json").stdout)) == 1
    shell.run("drill", record["id"])
    shell.run("pin", record["id"])
    notes = [path for folder in ("findings", "labels") for path in shell.store.rglob(f"{folder}*")]
    notes += [path for folder in ("findings", "labels") for path in shell.store.rglob(f"{folder}/*")]
    assert len(notes) == 4
    assert {path.stat().st_uid for path in notes} == {65534}
    shell.backup("sqlite:///app.db", "--foreign-store")
    (shell.store / "holdfast.json").chmod(0o660)
    shell.backup("sqlite:///app.db")
