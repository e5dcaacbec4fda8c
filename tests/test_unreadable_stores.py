"""A store in which something cannot be read: all the rest goes on, and nothing unknown is deleted or called damaged."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.commandline import PLAIN_USER, Shell


@pytest.fixture
def closed() -> Iterator[list[Path]]:
    """Folders that are closed to everybody, and opened again at the end of the test."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        folder.chmod(0o700)


@pytest.fixture
def reader(kept: Shell) -> Shell:
    """The same folder for somebody whom permissions bind."""
    return replace(kept, under=PLAIN_USER)


def close(folder: Path, closed: list[Path], mode: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    closed.append(folder)


@pytest.mark.parametrize("name", ["lost+found", ".snapshot", "#recycle"])
def test_a_foreign_folder_stops_nothing(reader: Shell, ids: list[str], closed: list[Path], name: str) -> None:
    close(reader.store / name, closed)
    assert [record["id"] for record in reader.listing()] == ids
    assert reader.run("verify").stderr == ""
    reader.run("backup", "sqlite:///app.db", "--name", "app", "--adopt")
    reader.run("restore", "latest", "sqlite:///copy.db")
    assert "warning" not in reader.run("prune", "--keep-last", "1").stderr


def test_a_source_that_cannot_be_read_is_said_and_its_backups_are_left_alone(
    reader: Shell, ids: list[str], closed: list[Path]
) -> None:
    reader.backup("sqlite:///app.db", "--name", "other")
    close(reader.store / "app", closed)
    ran = reader.run("list", "--json", code=3)
    assert [record["name"] for record in ran.data] == ["other"]
    expected = "the folder app cannot be read, and no backup in it is known: permission denied"
    assert expected in ran.stderr
    assert expected in reader.run("verify", code=3).stderr
    assert expected in reader.run("prune", "--keep-last", "1").stderr
    closed[0].chmod(0o700)
    assert {record["id"] for record in reader.listing()} >= set(ids)


@pytest.mark.parametrize("hidden", ["", "findings", "labels"])
def test_what_cannot_be_told_of_a_backup_keeps_it(
    reader: Shell, ids: list[str], closed: list[Path], hidden: str
) -> None:
    reader.run("pin", ids[0])
    reader.run("verify", ids[0])
    reader.backup("sqlite:///app.db", "--name", "app", "--adopt")
    close(reader.store / "app" / ids[0] / hidden, closed)
    first = reader.listing()[0]
    assert first["state"] == ("verified" if hidden == "labels" else "unknown")
    assert "permission denied" in first["problem"]
    ran = reader.run("prune", "--keep-last", "1", "--json")
    assert f"kept app/{ids[0]}: its folder {hidden and hidden + ' '}cannot be read" in ran.stderr
    assert [line["id"] for line in ran.lines if line["type"] == "delete"] == [ids[1]]
    told = "is pinned" if hidden == "findings" else "cannot be told whether it is good or pinned"
    assert told in reader.fails(16, "delete", ids[0]).stderr
    unknown = [record["id"] for record in reader.run("list", "--state", "unknown", "--json").data]
    assert unknown == ([] if hidden == "labels" else [ids[0]])
    reader.run("backup", "sqlite:///app.db")
    if hidden:
        reader.run("restore", ids[0], "sqlite:///copy.db")
    else:
        assert "cannot read backup" in reader.fails(10, "restore", ids[0], "sqlite:///copy.db").stderr


def test_a_source_whose_folder_was_renamed_is_kept_whole(kept: Shell, ids: list[str]) -> None:
    os.rename(kept.store / "app", kept.store / "shop")
    assert {record["state"] for record in kept.listing()} == {"unknown"}
    kept.run("backup", "sqlite:///app.db", "--name", "shop", "--adopt")
    ran = kept.run("prune", "--keep-last", "1")
    assert ran.stdout == ""
    assert f"kept shop/{ids[0]}: the manifest is of app/{ids[0]}, but lies in shop/{ids[0]}" in ran.stderr
    failed = kept.run("verify", ids[0], code=13)
    assert "give it back its name" in failed.hint
