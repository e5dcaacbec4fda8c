"""`holdfast copy`: byte for byte, whole or not at all, as often as wanted; what is wrong is named."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commandline import PLAIN_USER, Shell, make_shell
from support.databases import add_row
from support.disks import small_disk

import holdfast
from holdfast.defaults import installed
from holdfast.errors import IntegrityError, LockedError, UnsafeError
from holdfast.operations.copy import Copying
from holdfast.store.readers import reader_lease
from holdfast.tasks import backup_task, copy_task, drill_task


def listed(shell: Shell, store: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(shell.run("list", "--store", store, "--json").stdout)
    return rows


def copied(shell: Shell, *arguments: str) -> list[dict[str, object]]:
    lines = shell.run("copy", str(shell.store), *arguments, "--json").lines
    return [line for line in lines if line["type"] == "result"]


def files(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and ".leases" not in path.parts
    }


def blob(store: Path, backup_id: object) -> Path:
    return next(store.glob(f"*/{backup_id}/database.sqlite*"))


@pytest.fixture
def two(shell: Shell) -> list[str]:
    """The ids of two backups of one source, of which the first is pinned and the second proven."""
    first = str(shell.backup("sqlite:///app.db", "--tag", "kept")["id"])
    add_row(shell.folder / "app.db")
    second = str(shell.backup("sqlite:///app.db")["id"])
    shell.run("pin", first)
    shell.run("drill", second)
    shell.run("verify", first)
    return [first, second]


def test_a_copy_is_the_same_byte_for_byte_with_what_holds_for_the_content(shell: Shell, two: list[str]) -> None:
    other = shell.folder / "other"
    assert [line["copied"] for line in copied(shell, "other")] == [True, True]
    ours, theirs = files(shell.store), files(other)
    lost = ours.keys() - theirs.keys()
    assert all("-stored-passed-" in path for path in lost)  # says something of the disk that it lies on
    assert lost
    assert theirs == {path: data for path, data in ours.items() if path not in lost}
    rows = listed(shell, "other")
    assert [row["id"] for row in rows] == two
    assert [(row["pinned"], row["state"]) for row in rows] == [(True, "complete"), (False, "proven")]
    assert shell.run("drill", two[0], "--store", "other").code == 0
    assert [(line["copied"], line["stored_bytes"], line["notes"]) for line in copied(shell, "other")] == [
        (False, 0, 0),
        (False, 0, 0),
    ]
    # Later backups of the source, and later notes, go the same way; the next backup into the copy has the same name.
    shell.run("unpin", two[0])
    assert [line["notes"] for line in copied(shell, "other", two[0][:-2])] == [1]
    assert not listed(shell, "other")[0]["pinned"]
    add_row(shell.folder / "app.db")
    assert shell.backup("sqlite:///app.db", "--store", "other")["name"] == "app"
    assert [line["id"] for line in copied(shell, "back", "app")] == two


def test_what_was_chosen_is_copied_and_nothing_else(shell: Shell, two: list[str]) -> None:
    assert shell.run("copy", str(shell.store), "other", "app/latest", "-n").stdout.split()[0] == f"app/{two[1]}"
    assert not (shell.folder / "other").exists()
    assert [line["id"] for line in copied(shell, "other", "latest")] == [two[1]]
    assert shell.run("copy", str(shell.store), "other", "-n").stdout.split()[0] == f"app/{two[0]}"
    assert copied(shell, "third", "--since", "0s") == []
    assert len(copied(shell, "third", "--since", "1d", "app")) == 2
    assert "no backup" in shell.fails(10, "copy", str(shell.store), "other", "shop").error
    (shell.folder / "link").symlink_to(shell.store)
    for other in (shell.store, shell.store / "copies", shell.folder, "link"):
        assert "the same store" in shell.fails(2, "copy", str(shell.store), str(other)).error
    assert "--all" in shell.fails(2, "copy", str(shell.store), "other", two[0], "--all").error
    assert "not a duration" in shell.fails(2, "copy", str(shell.store), "other", "--since", "soon").error
    assert "no store" in shell.fails(10, "copy", "nowhere", "other").error
    assert "not to be made" in shell.fails(10, "copy", str(shell.store), "nowhere", "--no-create").error
    assert not (shell.folder / "nowhere").exists()


@pytest.mark.sweep(4)
@pytest.mark.parametrize("part", ["blob", "RESTORE.md", "SHA256SUMS", "short", "long", "gone"])
def test_a_backup_that_is_not_what_was_stored_is_named_and_not_published(
    shell: Shell, two: list[str], part: str
) -> None:
    path = blob(shell.store, two[0])
    if part in ("RESTORE.md", "SHA256SUMS"):
        path = path.with_name(part)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if part != "gone":
        path.write_bytes(data[:-1] if part == "short" else data + b"x" if part == "long" else data)
    failed = shell.fails(13, "copy", str(shell.store), "other", two[0])
    assert f"backup {two[0]} is damaged and was not copied" in failed.error
    assert files(shell.folder / "other").keys() == {"holdfast.json"}
    failed = shell.run("copy", str(shell.store), "other", code=13)
    assert f"error: 1 of 2 backups could not be copied; damaged: {two[0]}" in failed.stderr
    assert [row["id"] for row in listed(shell, "other")] == [two[1]]
    done = holdfast.copy(store=str(shell.store), to=str(shell.folder / "other"))
    assert [copy.copied for copy in done.copies] == [False]
    assert [failure.id for failure in done.failed] == [two[0]]
    with pytest.raises(IntegrityError):
        done.raise_for_failures()


def test_what_is_wrong_in_the_other_store_is_said_or_completed(shell: Shell, two: list[str]) -> None:
    other = shell.folder / "other"
    copied(shell, "other")
    whole = files(other)
    path = blob(other, two[0])
    path.unlink()
    line = copied(shell, "other", two[0])[0]
    assert (line["copied"], line["stored_bytes"]) == (False, len(whole[str(path.relative_to(other))]))
    assert files(other) == whole
    path.unlink()
    path.write_bytes(b"short")
    failed = shell.fails(13, "copy", str(shell.store), "other", two[0])
    assert f"the copy of {two[0]} in {other} is damaged" in failed.error
    shell.run("unpin", two[0], "--store", "other")
    shell.run("delete", two[0], "--allow-last", "--store", "other")
    assert copied(shell, "other", two[0])[0]["copied"]
    # Another backup of the same id.
    manifest = path.with_name("backup_manifest.json")
    text = manifest.read_text()
    manifest.unlink()
    manifest.write_text(text.replace('"python": "', '"python": "9'))
    assert "another backup" in shell.fails(16, "copy", str(shell.store), "other", two[0]).error
    manifest.unlink()
    manifest.write_text("")
    assert (
        f"the copy of {two[0]} in {other} is damaged"
        in shell.fails(13, "copy", str(shell.store), "other", two[0]).error
    )


def test_a_copy_that_verify_knows_to_be_damaged_is_not_taken_for_one(shell: Shell, two: list[str]) -> None:
    copied(shell, "other")
    path = blob(shell.folder / "other", two[1])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    shell.run("verify", "--store", "other", two[1], code=13)
    failed = shell.fails(13, "copy", str(shell.store), "other", two[1])
    assert "a check of it has failed" in failed.error
    assert "delete it there" in failed.hint


@pytest.mark.parametrize("line", ["blob", "RESTORE.md"])
def test_sums_that_do_not_name_what_is_there_are_damage(shell: Shell, two: list[str], line: str) -> None:
    path = blob(shell.store, two[0]).with_name("SHA256SUMS")
    name = blob(shell.store, two[0]).name if line == "blob" else line
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace(f"  {name}", f" {name}"))
    assert "differ on" in shell.fails(13, "copy", str(shell.store), "other", two[0]).error


def test_a_backup_is_gone_only_where_it_has_been_deleted(shell: Shell, two: list[str]) -> None:
    def rest(change: Callable[[], object]) -> list[str]:
        """What becomes of the second backup where something happens after the first."""
        copying = Copying([], store=str(shell.store), to=str(shell.folder / "other"), registry=installed())
        results = iter(copying)
        next(results)
        change()
        after = [type(result).__name__ for result in results]
        shutil.rmtree(shell.folder / "other", ignore_errors=True)
        return after

    other, aside = shell.folder / "other", shell.folder / "aside"
    assert rest(lambda: shell.run("delete", two[1], "--allow-last", code=None)) == []
    second = str(shell.backup("sqlite:///app.db")["id"])
    assert rest(lambda: other.rename(aside)) == ["FailedCopy"]  # and no new store is made
    assert not other.exists()
    assert rest(lambda: shell.run("rename", "app", "shop")) == ["FailedCopy"]
    assert rest(lambda: shell.run("rename", "shop", "app", "--store", "other")) == ["FailedCopy"]
    assert rest(lambda: shell.store.rename(shell.folder / "away")) == ["FailedCopy"]
    (shell.folder / "away").rename(shell.store)
    (other / "shop").parent.mkdir()
    (other / "shop").write_text("a file in the place of the source")
    assert {line["type"] for line in shell.run("copy", str(shell.store), "other", "--json", code=None).lines} == {
        "error"
    }
    assert second


def test_what_an_ended_copy_left_is_used_where_it_is_whole_and_else_made_anew(shell: Shell, two: list[str]) -> None:
    other = shell.folder / "other"
    copied(shell, "other", two[0])
    whole = files(other)
    folder = other / "app" / two[0]
    (folder / "backup_manifest.json").unlink()
    (folder / "foreign").write_text("of nobody")
    assert copied(shell, "other", two[0])[0]["stored_bytes"] == 0
    assert files(other) == whole
    # A loss of power can leave the size of a file and not its bytes.
    (folder / "backup_manifest.json").unlink()
    path = blob(other, two[0])
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(bytes(size))
    assert copied(shell, "other", two[0])[0]["stored_bytes"] == size
    assert files(other) == whole


def test_names_belong_to_the_same_database_in_both(shell: Shell, two: list[str]) -> None:
    store = str(shell.store)
    copied(shell, "other")
    shell.run("rename", "app", "shop")
    failed = shell.fails(16, "copy", store, "other", "shop/latest")
    assert "'shop' is still called 'app'" in failed.error
    assert "holdfast rename app shop --store" in failed.hint
    shell.run("rename", "app", "shop", "--store", "other")
    assert [line["copied"] for line in copied(shell, "other", "shop")] == [False, False]
    assert [line["copied"] for line in copied(shell, "third")] == [True, True]
    assert "was called 'app' is now 'shop'" in shell.run("list", "app", "--store", "third").stderr
    shell.run("rename", "shop", "app", "--store", "third")
    failed = shell.fails(16, "copy", store, "third", "latest")
    assert "'shop' is still called 'app'" in failed.error
    shell.run("rename", "app", "store", "--store", "third")
    failed = shell.fails(16, "copy", store, "third", "latest")
    assert "'shop' is called 'store' in" in failed.error
    # The name of another database.
    (shell.folder / "elsewhere").mkdir()
    shutil.copy(shell.folder / "app.db", shell.folder / "elsewhere" / "shop.db")
    shell.backup("sqlite:///elsewhere/shop.db", "--store", "fourth")
    failed = shell.fails(16, "copy", store, "fourth", "latest")
    assert "the name 'shop' belongs to the backups of another database" in failed.error
    assert [row["source_url"] for row in listed(shell, "fourth")] == [
        row["source_url"] for row in listed(shell, "fourth") if "elsewhere" in str(row["source_url"])
    ]


def test_adopted_backups_go_along(shell: Shell, two: list[str]) -> None:
    shutil.copy(shell.folder / "app.db", shell.folder / "moved.db")
    third = shell.backup("sqlite:///moved.db", "--name", "app", "--adopt")["id"]
    assert [line["id"] for line in copied(shell, "other")] == [*two, third]
    assert shell.run("list", "--store", "other").stderr == ""
    shell.backup("sqlite:///moved.db", "--store", "other", "--name", "app")
    # A copy from before the adoption takes it over.
    copied(shell, "third", two[0])
    assert [line["copied"] for line in copied(shell, "third")] == [False, True, True]
    assert shell.run("list", "--store", "third").stderr == ""
    # One that was made before the database had a successor at all.
    copied(shell, "before", two[0])
    assert shell.run("list", "--store", "before").stderr == ""
    # And one that knows only the later database.
    copied(shell, "fourth", str(third))
    assert sum(bool(line["copied"]) for line in copied(shell, "fourth")) == 2
    assert shell.run("list", "--store", "fourth").stderr == ""


def test_a_database_that_is_adopted_after_a_copy_is_copied_on(shell: Shell, two: list[str]) -> None:
    copied(shell, "other")
    shutil.copy(shell.folder / "app.db", shell.folder / "moved.db")
    third = shell.backup("sqlite:///moved.db", "--name", "app", "--adopt")["id"]
    assert [line["copied"] for line in copied(shell, "other")] == [False, False, True]
    assert shell.run("list", "--store", "other").stderr == ""
    assert listed(shell, "other")[-1]["id"] == third
    shell.run("rename", "app", "shop")
    assert "still called 'app'" in shell.fails(16, "copy", str(shell.store), "other", "latest").error
    (shell.folder / "other" / "app" / "source.json").write_text("{")
    shell.run("rename", "shop", "app")
    shell.backup("sqlite:///moved.db", "--name", "app")
    failed = shell.fails(1, "copy", str(shell.store), "other", "latest")
    assert "app/source.json in the store is not valid, as storage 'file' of holdfast" in failed.error


def test_a_backup_that_is_being_deleted_is_waited_for(shell: Shell, two: list[str]) -> None:
    with installed().storage(str(shell.store)).lease(reader_lease(two[0])):
        done = holdfast.copy(two[0], store=str(shell.store), to=str(shell.folder / "other"))
    assert isinstance(done.failed[0].error, LockedError)
    assert holdfast.list_backups(str(shell.folder / "other")) == []


def test_a_store_that_cannot_be_written_to_is_the_one_that_is_named(shell: Shell, two: list[str]) -> None:
    other = shell.folder / "other"
    copied(shell, "other", two[0])
    other.chmod(0o500)
    (other / "app").chmod(0o500)
    try:
        plain = make_shell(shell.folder, under=PLAIN_USER)
        failed = plain.fails(1, "copy", str(shell.store), "other", two[1])
    finally:
        other.chmod(0o700)
        (other / "app").chmod(0o700)
    assert str(other) in failed.error


def test_notes_that_cannot_be_read_are_told_of(shell: Shell, two: list[str]) -> None:
    labels = shell.store / "app" / two[0] / "labels"
    labels.chmod(0)
    try:
        ran = make_shell(shell.folder, under=PLAIN_USER).run("copy", str(shell.store), "other", two[0])
    finally:
        labels.chmod(0o700)
    assert f"pins, tags or findings of {two[0]} may be missing in the copy" in ran.stderr
    assert [line["notes"] for line in copied(shell, "other", two[0])] == [1]


def test_a_workflow_hands_a_backup_on_to_its_copy(shell: Shell) -> None:
    record = backup_task(f"sqlite:///{shell.folder}/app.db", store=str(shell.store))
    copy = copy_task(record, to=str(shell.folder / "other"))
    assert copy["store"] == str(shell.folder / "other")
    assert drill_task(copy)["state"] == "proven"
    with pytest.raises(UnsafeError):
        holdfast.delete(copy["id"], store=copy["store"])


def test_a_check_tells_which_sources_lack_copies(shell: Shell, two: list[str]) -> None:
    check = ("list", "--copies", "2", "--other-store", "other")
    assert "no store" in shell.fails(10, *check).error
    copied(shell, "other", two[0])
    failed = shell.fails(17, *check)
    assert f"1 source without 2 copies of the newest good backup: app ({two[1]} in 1)" in failed.error
    assert "holdfast copy" in failed.hint
    assert two[1] in failed.stdout
    copied(shell, "other")
    assert "lies in 2 stores" in shell.run(*check).stderr
    assert shell.run(*check, "--json", "app").data == []
    # A copy that is damaged is none, nor is another backup of the same id.
    path = blob(shell.folder / "other", two[1])
    path.rename(path.with_name("away"))
    assert f"app ({two[1]} in 1)" in shell.fails(17, *check).error
    assert "cannot be in 2 stores" in shell.fails(2, "list", "--copies", "3", "--other-store", "other").error
    (shell.folder / "link").symlink_to(shell.store)
    for twice in (str(shell.store), "link"):
        assert "named twice" in shell.fails(2, "list", "--copies", "2", "--other-store", twice).error
    assert "go together" in shell.fails(2, "list", "--other-store", "other").error
    shutil.rmtree(shell.store / "app")
    assert "no backup" in shell.fails(17, *check).error


def test_a_command_that_a_hint_names_can_be_pasted_into_a_shell(shell: Shell, two: list[str]) -> None:
    """Also where the store has spaces, quotes or a line break in its path."""
    odd = shell.folder / "o'hara's\n backups $HOME"
    shell.store.rename(odd)
    shell.run("copy", str(odd), "other", two[0])
    failed = shell.fails(17, "list", "--store", str(odd), "--copies", "2", "--other-store", "other")
    command = failed.hint.removeprefix("copy what is missing: ").replace("OTHER_STORE", "other")
    pasted = subprocess.run(
        ["bash", "-c", f'holdfast() {{ printf "%s\\0" "$@"; }}; {command}'], capture_output=True, check=True
    )
    assert pasted.stdout.decode().split("\0")[:-1] == ["copy", str(odd), "other", "app"]
    assert [
        line["id"] for line in shell.run("copy", str(odd), "other", "app", "--json").lines if line.get("copied")
    ] == [two[1]]


def test_a_full_disk_names_the_file_that_it_has_no_space_for(shell: Shell, two: list[str]) -> None:
    """The claim of a name is the first file of a copy, and has no error of its own."""
    (shell.folder / "disk").mkdir()
    with small_disk(shell.folder / "disk", "64k") as enter:
        full = make_shell(shell.folder, under=enter)
        script = "mkdir disk/other && cp backups/holdfast.json disk/other && head -c 64k /dev/zero > disk/fill"
        fill = [*enter, "sh", "-c", script]
        subprocess.run(fill, capture_output=True, check=False)
        failed = full.fails(1, "copy", str(shell.store), "disk/other", two[0])
        assert "disk/other/app/source.json: no space left" in failed.error


def test_a_source_that_is_a_link_to_another_disk_is_not_left_out_in_silence(shell: Shell, two: list[str]) -> None:
    shell.backup("sqlite:///app.db", "--name", "large")
    (shell.store / "large").rename(shell.folder / "large")
    (shell.store / "large").symlink_to(shell.folder / "large")
    (shell.store / "current").symlink_to("app")  # what is seen anyway
    failed = shell.run("copy", str(shell.store), "other", code=3)
    assert "the folder large cannot be read, and no backup in it is known: it is a link" in failed.stderr
    assert "the folder current" not in failed.stderr
    assert {line["id"] for line in listed(shell, "other")} == {*two}
    check = ("list", "--copies", "2", "--other-store", "other")
    assert "it is a link" in shell.fails(10, *check).error
    (shell.store / "large").unlink()
    (shell.folder / "large").rename(shell.store / "large")
    assert len(copied(shell, "other")) == 3
    shell.run(*check)
