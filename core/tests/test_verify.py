"""Verify: damage is found at the depth that looks for it, and a check that could not be made records nothing."""

import errno
from typing import Any

import pytest

import holdfast
from holdfast.api import Component, Event, Kind, hookimpl
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, PluginError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.verify import VerifyResult, verify
from holdfast.plan import BackupPlan
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.store.removal import remove_backup
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry


@pytest.fixture
def storage() -> MemoryStorage:
    storage = MemoryStorage()
    streams = {"one": [b"hello"], "two": [b"world" * 100]}
    parts = Parts(engine=MemoryEngine(streams=streams), storage=storage)
    backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    return storage


def check(storage: MemoryStorage, **more: Any) -> VerifyResult:
    registry = more.pop("registry", None) or memory_registry()
    return verify(Catalog(storage).listing().entries[0], storage=storage, registry=registry, **more)


def path(storage: MemoryStorage, name: str) -> str:
    (match,) = [path for path in storage.objects if path.endswith(f"/{name}")]
    return match


def flip(storage: MemoryStorage, name: str) -> None:
    content = bytearray(storage.objects[path(storage, name)])
    content[0] ^= 1
    storage.objects[path(storage, name)] = bytes(content)


def findings(storage: MemoryStorage) -> list[str]:
    return [path for path in storage.objects if "/findings/" in path]


@pytest.mark.parametrize(("read_data", "depth"), [(False, "stored"), (True, "decode")])
def test_a_sound_backup_passes_and_is_verified_afterwards(storage: MemoryStorage, read_data: bool, depth: str) -> None:
    events: list[Event] = []
    result = check(storage, read_data=read_data, on_event=events.append)
    assert (result.passed, result.depth, result.state, result.problems) == (True, depth, "verified", ())
    assert Catalog(storage).listing().entries[0].state == "verified"
    assert events[-1].type == "finished"
    assert events[-1].done == 505 * (2 if read_data else 1)
    assert result.size_bytes == 505


@pytest.mark.parametrize("name", ["one.txt", "two.txt", "RESTORE.md", "SHA256SUMS"])
def test_a_flipped_bit_is_found_in_every_file(storage: MemoryStorage, name: str) -> None:
    flip(storage, name)
    result = check(storage)
    assert (result.passed, result.state) == (False, "damaged")
    assert len(findings(storage)) == 1
    assert check(storage).state == "damaged"


@pytest.mark.parametrize("name", ["one.txt", "RESTORE.md", "SHA256SUMS"])
def test_a_missing_file_is_found(storage: MemoryStorage, name: str) -> None:
    del storage.objects[path(storage, name)]
    result = check(storage)
    assert not result.passed
    assert name in result.problems[0]


def test_every_damaged_blob_is_named(storage: MemoryStorage) -> None:
    flip(storage, "one.txt")
    flip(storage, "two.txt")
    problems = "\n".join(sorted(check(storage, jobs=2).problems))
    assert "blob one.txt is not what was stored: its sha256 differs from the manifest" in problems
    assert "blob two.txt" in problems


def test_a_manifest_that_was_rewritten_is_found(storage: MemoryStorage) -> None:
    name = path(storage, "backup_manifest.json")
    storage.objects[name] = storage.objects[name].replace(b'"tags": []', b'"tags": ["x"]')
    assert check(storage).problems == ("backup_manifest.json is not what was stored",)


def test_a_backup_of_a_newer_format_cannot_be_checked_and_is_not_called_damaged_for_it(storage: MemoryStorage) -> None:
    name = path(storage, "backup_manifest.json")
    storage.objects[name] = storage.objects[name].replace(b'"format_version": 1', b'"format_version": 3')
    with pytest.raises(IntegrityError, match=r"cannot read backup .*: the manifest has format version 3") as caught:
        check(storage)
    assert caught.value.hint == "use a newer Holdfast"
    assert findings(storage) == []


@pytest.mark.parametrize("version", [b"0", b"-1", b'"1"'])
def test_a_manifest_of_a_format_that_never_was_is_damaged(storage: MemoryStorage, version: bytes) -> None:
    name = path(storage, "backup_manifest.json")
    storage.objects[name] = storage.objects[name].replace(b'"format_version": 1', b'"format_version": ' + version)
    assert not check(storage).passed
    assert len(findings(storage)) == 1


def test_a_codec_that_lies_is_found_by_reading_all_of_the_data(storage: MemoryStorage) -> None:
    class Lying:
        suffix = ""

        def encode(self, block: Any) -> Any:
            return block

        def decoder(self) -> "Lying":
            return self

        def decode(self, data: Any) -> Any:
            yield bytes(len(data))

        def finish(self) -> None: ...

    class Plugin:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.CODEC, name="lying")]

        @hookimpl
        def holdfast_compress(self, codec: str) -> Any:
            return Lying()

    registry = memory_registry(Plugin())
    other = MemoryStorage()
    parts = Parts(engine=MemoryEngine(), storage=other)
    backup(BackupPlan(source=URL, codec="lying", verify_written="none"), registry=registry, parts=parts)
    assert check(other, registry=registry).passed
    with pytest.raises(PluginError, match=r"codec 'lying' of Plugin-\d does not decode what it encodes"):
        check(other, registry=registry, read_data=True)
    with pytest.raises(PluginError, match="no codec 'lying'"):
        check(other, read_data=True)
    assert len(findings(other)) == 1  # a check that could not be made is none


@pytest.mark.parametrize("name", ["one.txt", "backup_manifest.json", "SHA256SUMS", "RESTORE.md"])
def test_a_store_that_cannot_be_read_is_no_damage(
    storage: MemoryStorage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = storage.read

    def read(path: str, *more: Any) -> bytes:
        if path.endswith(name):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *more)

    monkeypatch.setattr(storage, "read", read)
    with pytest.raises(HoldfastError, match="input/output error") as caught:
        check(storage)
    assert type(caught.value) in (HoldfastError, NotFoundError)
    assert findings(storage) == []


@pytest.mark.parametrize("when", ["started", "progress"])
def test_a_backup_that_is_deleted_meanwhile_is_not_damaged_and_nothing_is_left_of_it(
    storage: MemoryStorage, when: str
) -> None:
    entry = Catalog(storage).listing().entries[0]

    def watch(event: Event) -> None:
        if event.type == when:
            remove_backup(Catalog(storage), entry)

    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        check(storage, on_event=watch)
    assert [path for path in storage.objects if entry.id in path] == []


def test_of_a_whole_store_what_is_deleted_meanwhile_is_left_out(storage: MemoryStorage) -> None:
    parts = Parts(engine=MemoryEngine(), storage=storage)
    backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    first, second = Catalog(storage).listing().entries

    def watch(event: Event) -> None:
        if event.type == "finished" and event.id == first.id:
            remove_backup(Catalog(storage), second)

    checked = holdfast.verify(store=storage, registry=memory_registry(), on_event=watch)
    assert [result.id for result in checked] == [first.id]


def test_a_watcher_that_fails_records_nothing(storage: MemoryStorage) -> None:
    def watch(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(storage, on_event=watch)
    assert findings(storage) == []


def test_a_result_that_cannot_be_recorded_is_a_warning(storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def writer(path: str) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(storage, "writer", writer)
    result = check(storage)
    assert result.passed
    assert result.warnings == ("the result could not be recorded in the store: permission denied",)


@pytest.mark.parametrize("jobs", [0, -1, 257])
def test_a_number_of_jobs_that_checks_nothing_is_refused(storage: MemoryStorage, jobs: int) -> None:
    with pytest.raises(UsageError, match="jobs"):
        check(storage, jobs=jobs)
    assert findings(storage) == []


def test_a_plugin_that_claims_the_codec_none_does_not_stop_a_check_of_stored_digests(storage: MemoryStorage) -> None:
    class Claiming:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.CODEC, name="none")]

    assert check(storage, registry=memory_registry(Claiming())).passed


def test_a_checksum_that_is_not_installed_is_a_warning() -> None:
    import hashlib

    storage = MemoryStorage()
    parts = Parts(engine=MemoryEngine(), storage=storage, checksums={"blake2b": hashlib.blake2b})
    backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    result = check(storage)
    assert result.passed
    assert result.warnings == ("checksum 'blake2b' is not installed and was not compared",)
