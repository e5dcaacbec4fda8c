"""Stores that rot or lie: what is damaged is found and named, everything else goes on."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell
from support.databases import dump, make_database

import holdfast

BLOB = "database.sqlite.zst"
MANIFEST = "backup_manifest.json"


def flipped(folder: Path) -> None:
    content = bytearray((folder / BLOB).read_bytes())
    content[len(content) // 3] ^= 0x10
    (folder / BLOB).write_bytes(content)


def truncated(folder: Path) -> None:
    os.truncate(folder / BLOB, (folder / BLOB).stat().st_size - 1)


def emptied(folder: Path) -> None:
    os.truncate(folder / BLOB, 0)


def longer(folder: Path) -> None:
    with (folder / BLOB).open("ab") as file:
        file.write(b"\0")


def missing(folder: Path) -> None:
    (folder / BLOB).unlink()


def swapped(folder: Path) -> None:
    other = sorted(path for path in folder.parent.iterdir() if path.is_dir())[-2]  # the older of `kept`
    shutil.copy(other / BLOB, folder / BLOB)


def fifo(folder: Path) -> None:
    (folder / BLOB).unlink()
    os.mkfifo(folder / BLOB)


def link(folder: Path) -> None:
    (folder / BLOB).rename(folder.parent.parent / "elsewhere")
    (folder / BLOB).symlink_to("../../elsewhere")


def in_a_folder(folder: Path) -> None:
    (folder / BLOB).unlink()
    (folder / BLOB).mkdir()
    (folder / BLOB / "file").write_text("x")


def device(folder: Path) -> None:
    (folder / BLOB).unlink()
    (folder / BLOB).symlink_to("/dev/zero")


DAMAGES = [flipped, truncated, emptied, longer, missing, swapped, fifo, link, in_a_folder, device]


def copies(shell: Shell, backup_id: str, changes: Mapping[str, Callable[[Path], object]]) -> dict[str, str]:
    """Put a changed copy of a backup into the store for each change; returns their ids, by the change's name."""
    made = {}
    original = shell.store / "app" / backup_id
    for number, (name, change) in enumerate(changes.items()):
        made[name] = f"20200101T{number:06d}Z-copied"
        folder = shutil.copytree(original, original.parent / made[name])
        for path in (folder / MANIFEST, folder / "RESTORE.md", folder / "SHA256SUMS"):
            path.write_text(path.read_text().replace(backup_id, made[name]))
        digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MANIFEST, "RESTORE.md")}
        lines = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if line.split()[1] not in digests]
        lines += [f"{digest}  {name}" for name, digest in digests.items()]
        (folder / "SHA256SUMS").write_text("\n".join([*lines, ""]))
        change(folder)
    return made


def test_a_blob_that_is_not_what_was_stored_is_exit_13_everywhere_and_the_rest_is_spared(
    kept: Shell, ids: list[str]
) -> None:
    made = copies(kept, ids[1], {change.__name__: change for change in DAMAGES})
    for name, backup_id in made.items():
        kept.fails(13, "restore", backup_id, f"sqlite:///{name}.db")
        assert not list(kept.folder.glob(f"{name}.db*"))
        assert not list(kept.folder.glob(".holdfast-*"))
    ran = kept.run("verify", "--json", code=13)
    results = {line["id"]: line["passed"] for line in ran.lines if line["type"] == "verify"}
    assert results == {**dict.fromkeys(made.values(), False), **dict.fromkeys(ids, True)}
    states = {record["id"]: record["state"] for record in kept.listing()}
    assert states == {**dict.fromkeys(made.values(), "damaged"), **dict.fromkeys(ids, "verified")}
    assert kept.backup("sqlite:///app.db")["state"] == "complete"


def test_a_damaged_newest_stands_for_latest_until_it_is_deleted(kept: Shell, ids: list[str]) -> None:
    fifo(kept.store / "app" / ids[1])
    assert ids[0] in kept.fails(13, "restore", "latest", "sqlite:///copy.db").hint
    kept.run("delete", ids[1])
    kept.run("restore", "latest", "sqlite:///copy.db")


def test_an_extra_file_in_a_backup_does_not_make_it_damaged(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[0] / "notes.txt").write_text("by hand")
    os.mkfifo(kept.store / "app" / ids[0] / "pipe")
    kept.run("verify", ids[0], "--read-data")


def test_strange_things_in_a_store_are_no_backups_and_disturb_nothing(kept: Shell, ids: list[str]) -> None:
    for name in ("README", "app/notes", "app/20990101T000000Z-zzzzzz", "Üpper/20990101T000000Z-zzzzzz/x", "a\nb/c/d"):
        path = kept.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    os.mkfifo(kept.store / "fifo")
    (kept.store / "loop").symlink_to(".")
    (kept.store / "app" / "20980101T000000Z-zzzzzz").symlink_to(ids[0])
    (kept.store / "linked").symlink_to("app")
    os.mkfifo(kept.store / "app" / "20970101T000000Z-zzzzzz")
    assert [record["id"] for record in kept.listing()] == ids
    kept.run("verify")
    kept.backup("sqlite:///app.db")


def test_a_half_deleted_backup_is_not_listed_and_said_to_be_no_backup(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[0] / MANIFEST).unlink()
    ran = kept.run("list", "--json")
    assert [record["id"] for record in ran.data] == [ids[1]]
    assert f"app/{ids[0]}" in ran.stderr
    assert "unfinished or half deleted" in ran.stderr
    kept.fails(10, "show", ids[0])
    kept.fails(10, "restore", ids[0], "sqlite:///copy.db")
    kept.backup("sqlite:///app.db", "--name", "app", "--adopt")
    assert not (kept.store / "app" / ids[0]).exists()


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / MANIFEST).read_text())
        change(document)
        (folder / MANIFEST).write_text(json.dumps(document))

    return apply


def stream(**values: Any) -> Callable[[Path], None]:
    return edit(lambda document: document["streams"][0].update(values))


def blob(**values: Any) -> Callable[[Path], None]:
    return edit(lambda document: document["streams"][0]["blob"].update(values))


def raw(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / MANIFEST).write_bytes(content)


def replaced_by_fifo(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)


def replaced_by_link(folder: Path) -> None:
    (folder / MANIFEST).rename(folder.parent.parent / "manifest")
    (folder / MANIFEST).symlink_to("../../manifest")


HOSTILE = {
    "newer": edit(lambda document: document.update(format_version=3)),
    "no-version": edit(lambda document: document.pop("format_version")),
    "version-as-text": edit(lambda document: document.update(format_version="1")),
    "up": blob(path="../../../etc/passwd"),
    "absolute": blob(path="/etc/passwd"),
    "dot": blob(path="."),
    "dot-dot": blob(path=".."),
    "empty-path": blob(path=""),
    "own-name": blob(path=MANIFEST),
    "own-name-in-capitals": blob(path=MANIFEST.upper()),
    "sums": blob(path="SHA256SUMS"),
    "backslash": blob(path="..\\..\\x"),
    "newline": blob(path="data\nbase"),
    "nul": blob(path="data\0base"),
    "escape": blob(path="\x1b[2Jx"),
    "dots-inside": blob(path="a/../../b"),
    "double-slash": blob(path="a//b"),
    "finding": blob(path="findings/x"),
    "long": blob(path="a" * 5000),
    "negative-stored": blob(size=-1),
    "negative-plain": stream(size=-1),
    "plain-beyond-any-file": stream(size=1 << 63),
    "codec-with-options": edit(lambda document: document["codec"].update(name="zstd:level=19,x=")),
    "codec-without-name": edit(lambda document: document["codec"].update(name=" ")),
    "size-as-text": blob(size="12"),
    "size-as-float": blob(size=1.5),
    "huge-size": blob(size=10**30),
    "no-digest": blob(digests={}),
    "short-digest": blob(digests={"sha256": "ab"}),
    "digest-in-capitals": blob(digests={"sha256": "A" * 64}),
    "no-streams": edit(lambda document: document.update(streams=[])),
    "same-stream-twice": edit(lambda document: document["streams"].append(document["streams"][0])),
    "empty-name": stream(name=""),
    "other-id": edit(lambda document: document.update(id="20990101T000000Z-zzzzzz")),
    "other-name": edit(lambda document: document["source"].update(name="other")),
    "encrypted": edit(lambda document: document.update(cipher={"name": "age"})),
    "no-time-zone": edit(lambda document: document.update(created_at="2026-01-01T00:00:00")),
    "not-json": raw(b"{"),
    "empty": raw(b""),
    "zeros": raw(b"\0" * 1000),
    "array": raw(b"[]"),
    "deep": raw(b"[" * 100_000),
    "deep-object": raw(b'{"format_version":1,"x":' * 20_000),
    "not-utf8": raw(b'{"format_version": 1, "id": "\xff"}'),
    "fifo": replaced_by_fifo,
    "link": replaced_by_link,
}
# Nobody can tell whether anything is wrong with these.
UNJUDGED = ("newer", "other-id", "other-name", "encrypted")


def test_hostile_manifests_are_refused_with_exit_13_and_the_list_goes_on(kept: Shell, ids: list[str]) -> None:
    made = copies(kept, ids[1], HOSTILE)
    listed = kept.run("list", "--json")
    states = {record["id"]: record["state"] for record in listed.data}
    unjudged = [made[name] for name in UNJUDGED]
    expected = {**dict.fromkeys(made.values(), "damaged"), **dict.fromkeys(unjudged, "unknown")}
    assert states == {**expected, **dict.fromkeys(ids, "complete")}
    for record in listed.data:
        assert record["problem"].isprintable()
        what = "cannot be judged" if record["id"] in unjudged else "is damaged"
        assert (f"app/{record['id']} {what}: " in listed.stderr) == bool(record["problem"])
    for name, backup_id in made.items():
        with pytest.raises(holdfast.IntegrityError) as caught:
            holdfast.restore(backup_id, f"sqlite:///{kept.folder}/{name}.db", store=str(kept.store))
        assert backup_id in caught.value.message
        assert caught.value.message.isprintable()
        assert not list(kept.folder.glob(f"{name}.db*"))
        assert not list(kept.folder.glob(".holdfast-*"))
    judged = [backup_id for backup_id in made.values() if backup_id not in unjudged]
    ran = kept.run("verify", "--json", code=13)
    results = {line["id"]: line["passed"] for line in ran.lines if line["type"] == "verify"}
    assert results == {**dict.fromkeys(judged, False), **dict.fromkeys(ids, True)}
    codes = {line["id"]: line["exit_code"] for line in ran.lines if line["type"] == "error"}
    assert {backup_id: codes[backup_id] for backup_id in unjudged} == dict.fromkeys(unjudged, 13)


def test_a_manifest_of_a_newer_format_says_so_and_what_to_do(kept: Shell, ids: list[str]) -> None:
    HOSTILE["newer"](kept.store / "app" / ids[1])
    ran = kept.fails(13, "restore", ids[1], "sqlite:///copy.db")
    assert "format version 3" in ran.error
    assert "newer Holdfast" in ran.hint


@pytest.mark.parametrize("name", ["up", "fifo"])
def test_every_other_command_names_a_hostile_backup_and_spares_the_rest(kept: Shell, ids: list[str], name: str) -> None:
    HOSTILE[name](kept.store / "app" / ids[1])
    for command in (["show", ids[1]], ["cat", ids[1]], ["verify", ids[1]], ["restore", "latest", "sqlite:///x.db"]):
        assert ids[1] in kept.fails(13, *command).error
    kept.fails(13, "restore", ids[1], "sqlite:///x.db", "--allow-damaged")
    kept.fails(13, "verify")
    table = kept.run("list").stdout
    assert "damaged" in table
    kept.fails(16, "delete", ids[0])
    make_database(kept.folder / "other.db")
    kept.backup("sqlite:///other.db")
    kept.backup("sqlite:///app.db")
    kept.run("delete", ids[1])
    assert len(kept.listing()) == 3


def test_a_manifest_edited_by_hand_no_longer_verifies(kept: Shell, ids: list[str]) -> None:
    edit(lambda document: document["source"].update(url="sqlite:///elsewhere.db"))(kept.store / "app" / ids[1])
    ran = kept.fails(13, "verify", ids[1])
    assert f"{MANIFEST} is not what was stored" in ran.stdout


def test_a_manifest_that_promises_too_few_bytes_lets_no_more_through(kept: Shell, ids: list[str]) -> None:
    stream(size=4096)(kept.store / "app" / ids[1])
    kept.fails(13, "restore", ids[1], "sqlite:///copy.db")
    assert not (kept.folder / "copy.db").exists()
    assert not list(kept.folder.glob("copy.db*"))
    assert not list(kept.folder.glob(".holdfast-*"))


def test_a_claim_that_is_not_valid_is_named(kept: Shell) -> None:
    (kept.store / "app" / "source.json").write_text("{")
    ran = kept.fails(13, "backup", "sqlite:///app.db")
    assert "app/source.json" in ran.error


@pytest.mark.parametrize("content", ["{", "", '{"format_version": 99}', "[]"])
def test_a_marker_that_is_not_valid_is_exit_13(kept: Shell, content: str) -> None:
    (kept.store / "holdfast.json").write_text(content)
    kept.fails(13, "list")
    kept.fails(13, "backup", "sqlite:///app.db")


def test_allow_damaged_restores_as_far_as_it_goes_and_warns(shell: Shell) -> None:
    record = shell.backup("sqlite:///app.db", "--codec", "none")
    path = Path(record["path"]) / "database.sqlite"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    shell.fails(13, "restore", record["id"], "sqlite:///copy.db")
    ran = shell.run("restore", record["id"], "sqlite:///copy.db", "--allow-damaged")
    assert ran.stderr.startswith("warning: ")
    assert (shell.folder / "copy.db").read_bytes() == bytes(content)


def test_a_store_can_be_moved_and_copied(kept: Shell, ids: list[str]) -> None:
    moved = kept.folder / "moved store ß"
    shutil.copytree(kept.store, moved)
    shutil.rmtree(kept.store)
    kept.run("verify", "--store", moved, "--read-data")
    kept.run("restore", ids[1], "sqlite:///copy.db", "--store", moved)
    assert dump(kept.folder / "copy.db") == dump(kept.folder / "app.db")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose stream has several frames, each of 1 MiB, and a few bytes more."""
    return make_database(tmp_path_factory.mktemp("large") / "app.db", noise=3 << 20)


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_up_to_a_damaged_frame_all_is_given_and_what_is_missing_is_said(shell: Shell, large: Path, codec: str) -> None:
    """The third of four frames; what comes behind it is sound, and the command that is named decompresses it."""
    plain = large.read_bytes()
    record = shell.backup(f"sqlite:///{large}", "--codec", codec)
    (blob,) = Path(record["path"]).glob("database.sqlite.*")
    content = bytearray(blob.read_bytes())
    content[len(content) * 3 // 4] ^= 0x10
    blob.write_bytes(content)
    code, read, told = cat(shell, record["id"])
    assert (code, len(read) >= 2 << 20) == (13, True)
    assert read[: 2 << 20] == plain[: 2 << 20]
    end, missing = len(plain) - (3 << 20), len(plain) - len(read)
    text = f"the first {len(read)} of {len(plain)} bytes were read (the last 1048576 of them unchecked), "
    text += f"{missing} are missing, of which the last {end} are sound: tail -c +"
    ran = shell.run("restore", record["id"], "sqlite:///copy.db", "--allow-damaged", code=3)
    assert f"blob {blob.name} is damaged: not valid {codec}: " in told
    assert text in told
    assert text in ran.error
    assert (shell.folder / "copy.db").read_bytes() == read
    by_hand = ran.error.rpartition("sound: ")[2]
    assert (
        subprocess.run(["sh", "-c", by_hand], cwd=blob.parent, capture_output=True, check=True).stdout == plain[-end:]
    )


def cat(shell: Shell, backup_id: str) -> tuple[int, bytes, str]:
    """Exit code, bytes and message of `cat --allow-damaged`."""
    arguments = shell.arguments("cat", backup_id, "--allow-damaged")
    done = subprocess.run(arguments, cwd=shell.folder, env=shell.environment(), capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.sweep(3)
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("damage", ["checksum", "longer", "half", "emptied"])
def test_a_single_frame_that_is_cut_or_followed_by_something_is_read_as_far_as_it_goes(
    shell: Shell, codec: str, damage: str
) -> None:
    plain = (shell.folder / "app.db").read_bytes()
    record = shell.backup("sqlite:///app.db", "--codec", codec)
    (blob,) = Path(record["path"]).glob("database.sqlite.*")
    content = blob.read_bytes()
    half = content[: len(content) // 2]
    blob.write_bytes({"checksum": content[:-4], "longer": content + b"x", "half": half, "emptied": b""}[damage])
    for depth in ([], ["--read-data"]):
        shell.fails(13, "verify", record["id"], *depth)
    code, read, told = cat(shell, record["id"])
    restoring = ["restore", record["id"], "sqlite:///copy.db", "--allow-damaged"]
    assert (code, read) == (13, plain[: len(read)])
    if damage in ("checksum", "longer"):
        assert read == plain
        told += shell.run(*restoring).stderr
        assert told.count(f"all {len(plain)} bytes that were recorded came out before it") == 2
    else:
        assert f"the first {len(read)} of {len(plain)} bytes were read" in told
        assert f"{len(plain) - len(read)} are missing, and nothing at the end is sound" in told
        shell.run(*restoring, code=3 if read else 13)
    target = shell.folder / "copy.db"
    assert (target.read_bytes() if target.exists() else b"") == read
