"""`holdfast check`: what a store lets us do, tried without a trace."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commandline import Shell

import holdfast
from holdfast.api import Guarantee
from holdfast.errors import CredentialsError, HoldfastError, LockedError, PluginError
from holdfast.testing.memory import MemoryStorage, memory_registry


def content(store: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in store.rglob("*") if path.is_file() and ".leases" not in path.parts]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_store_is_tried_and_nothing_in_it_changes(kept: Shell) -> None:
    before = content(kept.store)
    ran = kept.run("check", kept.store)
    rows = [line.split(maxsplit=1) for line in ran.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["read", "list", "write", "create", "delete"]
    assert all("yes" in row[1] for row in rows), ran.stdout
    assert "2 backups" in ran.stdout
    assert content(kept.store) == before
    assert (
        kept.run("check", env={"HOLDFAST_STORE": str(kept.store)}).stdout.splitlines()[0] == ran.stdout.splitlines()[0]
    )


def test_the_store_is_named_as_by_every_other_command(kept: Shell) -> None:
    for arguments in (["--store", kept.store], [kept.store], [kept.store, "--store", kept.store]):
        assert "2 backups" in kept.run("check", *arguments, env={"HOLDFAST_STORE": "nowhere"}).stdout
    assert "two stores are named" in kept.fails(2, "check", kept.store, "--store", "other").error


@pytest.mark.parametrize("command", ["list", "verify", "prune --keep-last 1", "show", "drill", "delete", "cat", "tag"])
@pytest.mark.parametrize("store", ["./backups", "s3://bucket/prefix"])
def test_a_store_in_the_place_of_a_backup_gets_a_hint(kept: Shell, command: str, store: str) -> None:
    ran = kept.run(*command.split(), store, *["a-tag"] * (command == "tag"), code=None)
    assert ran.code in (2, 10)
    assert f"hint: a store is named by --store: --store {store}" in ran.stderr


def test_a_store_that_is_named_before_a_database_gets_a_hint(shell: Shell) -> None:
    ran = shell.fails(2, "backup", "./backups")
    assert "--store ./backups" in ran.stderr


def test_what_was_tried_is_data(kept: Shell) -> None:
    data = json.loads(kept.run("check", kept.store, "--json").stdout)
    assert data["location"] == str(kept.store)
    assert data["failure"] is None
    assert {each["name"]: each["holds"] for each in data["guarantees"]} == dict.fromkeys(
        ("read", "list", "write", "create only", "delete"), True
    )


def test_a_store_that_is_not_there_is_not_made(shell: Shell) -> None:
    shell.fails(10, "check", "nowhere")
    assert not (shell.folder / "nowhere").exists()


TRIED = ["read", "list", "write", "create only", "delete"]


class Loose(MemoryStorage):
    """Overwrites, gives leases to everybody, and refuses deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.objects["holdfast.json"] = b'{"format_version": 1}'
        self.written: list[bytes] = []

    def writer(self, path):  # type: ignore[no-untyped-def]
        self.written.append(self.objects.pop(path))
        return super().writer(path)

    def lease(self, name, ttl=60.0):  # type: ignore[no-untyped-def]
        del name, ttl
        return contextlib.nullcontext()

    def delete(self, path):  # type: ignore[no-untyped-def]
        raise CredentialsError(f"may not delete {path}")

    def guarantees(self):  # type: ignore[no-untyped-def]
        return [Guarantee(name="tides", holds=None, detail="nobody knows")]


def test_what_a_storage_does_not_guarantee_is_told_and_what_it_says_itself() -> None:
    storage = Loose()
    result = holdfast.check_store(storage, registry=memory_registry())
    assert {each.name: each.holds for each in result.guarantees} == {
        "read": True,
        "list": True,
        "write": False,
        "create only": False,
        "delete": False,
        "tides": None,
    }
    assert result.failure is None  # a backup can do without all of these, and says so
    assert storage.objects == {"holdfast.json": storage.written[0]}


def test_what_a_backup_would_fail_with_is_the_failure() -> None:
    storage = Loose()
    refused = CredentialsError("may not write")
    storage.lease = lambda *_: (_ for _ in ()).throw(refused)  # type: ignore[method-assign]
    result = holdfast.check_store(storage, registry=memory_registry())
    assert isinstance(result.failure, CredentialsError)
    with pytest.raises(HoldfastError, match="may not write"):
        result.raise_for_failure()


def test_a_lease_that_another_check_holds_is_no_failure_but_one_that_nobody_gets_is() -> None:
    storage = MemoryStorage()
    storage.objects["holdfast.json"] = b'{"format_version": 1}'
    with storage.lease("check"):
        assert holdfast.check_store(storage, registry=memory_registry()).failure is None
    storage.lease = lambda *_: (_ for _ in ()).throw(LockedError("held"))  # type: ignore[method-assign]
    result = holdfast.check_store(storage, registry=memory_registry())
    assert isinstance(result.failure, LockedError)
    assert [each.holds for each in result.guarantees if each.name == "write"] == [False]


def test_what_was_tried_is_told_where_a_storage_cannot_tell_its_guarantees() -> None:
    """Without an end, or with an error, foreseen or not: what it told before stays, and then comes the failure."""
    tides = Guarantee(name="tides", holds=True)

    def endless() -> Iterator[Guarantee]:
        return (Guarantee(name=f"{number}", holds=True) for number in itertools.count())

    def broken() -> Iterator[Guarantee]:
        yield tides
        raise RuntimeError("out of tea")

    def refused() -> Iterator[Guarantee]:
        raise CredentialsError("may not ask")

    for guarantees, names, error, text in (
        (endless, [f"{number}" for number in range(10)], PluginError, "more than 1000 guarantees"),
        (broken, ["tides"], HoldfastError, "out of tea"),
        (refused, [], CredentialsError, "may not ask"),
    ):
        storage = Loose()
        storage.guarantees = guarantees  # type: ignore[method-assign]
        result = holdfast.check_store(storage, registry=memory_registry())
        assert [each.name for each in result.guarantees] == [*TRIED, *names, "guarantees"]
        assert result.guarantees[-1].holds is None
        with pytest.raises(error, match=text):
            result.raise_for_failure()
