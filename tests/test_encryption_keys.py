"""Who can open encrypted backups: recipients are added and taken away by small files, and nothing is written anew."""

import json
import subprocess
from pathlib import Path

from support.commandline import Shell
from support.encrypting import Keys, _no_identity, made, me, restored, source, store, stranger

__all__ = ["_no_identity", "made", "me", "source", "store", "stranger"]


def test_a_new_recipient_is_one_small_file_for_each_backup(
    store: Path, me: Keys, stranger: Keys, tmp_path: Path, shell: Shell
) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    where = ("--store", str(store))
    refused = shell.run("key", "add-recipient", stranger.recipient, *where, "--identity", stranger.identity, code=12)
    assert "none of the identities" in refused.stderr
    for _ in range(2):  # the second time there is nothing to do
        shell.run("key", "add-recipient", stranger.recipient, *where, "--identity", me.identity)
    after = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    added = after.keys() - before.keys()
    assert {path.parent.name for path in added} == {"keys"}
    assert len(added) == 2
    for folder in {path.parent.parent for path in added}:
        subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert restored(store, tmp_path / "copy.db", identity=stranger.identity)
    assert len(json.loads(shell.run("key", "list", *where, "--json").stdout)) == 4
    shell.run("key", "remove-recipient", me.recipient, *where)
    shell.run("key", "test", *where, "--identity", me.identity, code=12)
    shell.run("key", "test", *where, "--identity", stranger.identity)
    last = shell.run("key", "remove-recipient", stranger.recipient, "latest", *where, code=16)
    assert "sealed to nobody else" in last.error


def test_a_key_is_made_and_that_of_a_backup_handed_out_alone(store: Path, me: Keys, shell: Shell) -> None:
    recipient = shell.run("key", "new", "mine").stdout.strip()
    assert recipient.startswith("age1")
    assert (shell.folder / "mine").stat().st_mode & 0o777 == 0o600
    assert "it exists already" in shell.run("key", "new", "mine", code=1).error
    exported = shell.run("key", "export", "latest", "--store", str(store), "--identity", me.identity).stdout
    key = shell.folder / "key"
    key.write_text(exported)
    folder = max((store / "nightly").glob("2*"))
    age = ["age", "-d", "-i", str(key)]
    opened = subprocess.run([*age, str(folder / "manifest.age")], check=True, capture_output=True)
    assert json.loads(opened.stdout)["id"] == folder.name
    other = min((store / "nightly").glob("2*"))
    assert subprocess.run([*age, str(other / "manifest.age")], check=False, capture_output=True).returncode
