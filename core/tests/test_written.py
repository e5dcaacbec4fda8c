"""What is published was read back: storages that lose something, codecs that return garbage."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.api import Stat
from holdfast.errors import HoldfastError, IntegrityError, PluginError
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.plugins.builtin import NoCodec
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.streaming.blocks import BLOCK
from holdfast.streaming.samples import Sampler
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

LARGE = 9  # blocks


def run(storage: MemoryStorage, *, codec: Any = None, **plan: Any) -> None:
    engine = MemoryEngine(streams={"small": lambda: iter([b"row"]), "large": lambda: numbered(LARGE)})
    parts = Parts(engine=engine, storage=storage, codec=codec or NoCodec())
    backup(BackupPlan(source=URL, **plan), registry=memory_registry(engine=engine), parts=parts)


def numbered(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4) * (BLOCK // 4)


def nothing_listed(storage: MemoryStorage) -> bool:
    return not Catalog(storage).listing().entries


class Forgetful(MemoryStorage):
    """Publishes what a function makes of each blob."""

    def __init__(self, change: Callable[[bytes], bytes | None]) -> None:
        super().__init__()
        self.change = change

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        content = self.objects.get(path)
        if content is not None and path.endswith("large.txt"):
            changed = self.change(content)
            if changed is None:
                raise FileNotFoundError(path)
            return changed[offset : None if length is None else offset + length]
        return super().read(path, offset, length)

    def stat(self, path: str) -> Stat:
        return Stat(path=path, size=len(self.read(path)))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        for stat in super().list(prefix):
            changed = self.change(self.objects[stat.path]) if stat.path.endswith("large.txt") else b""
            if changed is not None:
                yield Stat(path=stat.path, size=len(changed)) if changed else stat


def flipped(at: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return change


@pytest.mark.parametrize(
    "change",
    [lambda _: None, lambda content: content[:-1], lambda content: content + b"x"],
    ids=["gone", "cut", "longer"],
)
@pytest.mark.parametrize("how", ["none", "sample", "all"])
def test_a_blob_that_is_lost_or_of_another_size_is_never_published(change: Any, how: str) -> None:
    storage = Forgetful(change)
    with pytest.raises(IntegrityError, match="does not hold what was written"):
        run(storage, verify_written=how)
    assert nothing_listed(storage)


@pytest.mark.parametrize("at", [0, LARGE * BLOCK - 1, 8 * BLOCK + 5], ids=["first", "last", "ninth"])
def test_a_flipped_bit_in_a_sample_is_found(at: int) -> None:
    storage = Forgetful(flipped(at))
    with pytest.raises(IntegrityError, match=r"blob large\.txt at byte .* is not what was written"):
        run(storage)
    assert nothing_listed(storage)


def test_all_finds_what_lies_between_the_samples() -> None:
    storage = Forgetful(flipped(6 * BLOCK))
    with pytest.raises(IntegrityError, match="does not hold what was written"):
        run(storage, verify_written="all")
    assert nothing_listed(storage)
    run(storage, verify_written="none")


class Garbage(NoCodec):
    def encode(self, block: Any) -> bytes:
        return bytes(len(block))


class Undecodable(NoCodec):
    def decoder(self) -> Any:
        raise IntegrityError("no frame of this format")


@pytest.mark.parametrize("how", ["sample", "all"])
def test_a_codec_that_returns_garbage_is_named(how: str) -> None:
    storage = MemoryStorage()
    with pytest.raises((PluginError, IntegrityError)) as caught:
        run(storage, codec=Garbage(), verify_written=how)
    assert isinstance(caught.value, PluginError)
    assert "codec 'garbage' does not decode what it encoded" in str(caught.value)
    assert nothing_listed(storage)


def test_a_store_that_cannot_be_read_back_is_no_success() -> None:
    class Unreadable(MemoryStorage):
        def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
            if path.endswith(".txt"):
                raise OSError(errno.EIO, "")
            return super().read(path, offset, length)

    storage = Unreadable()
    with pytest.raises(HoldfastError, match=r"cannot read blob .* back from the store: the device reports"):
        run(storage)
    assert nothing_listed(storage)


def test_a_store_that_cannot_list_what_was_written_is_not_said_to_have_lost_it() -> None:
    class Closed(MemoryStorage):
        def list(self, prefix: str = "") -> Iterator[Stat]:
            if prefix.count("/") == 1:
                yield Stat(path=f"{prefix}/", size=0, regular=False, problem="permission denied")
            else:
                yield from super().list(prefix)

    storage = Closed()
    with pytest.raises(HoldfastError, match=r"cannot read app/.*/ back from the store: permission denied") as caught:
        run(storage)
    assert not isinstance(caught.value, IntegrityError)
    assert not [path for path in storage.objects if path.endswith("backup_manifest.json")]


def test_samples_are_the_first_the_last_and_few_between() -> None:
    def samples(count: int) -> list[int]:
        sampler = Sampler()
        for number in range(count):
            sampler.add(number, b"", b"")
        return [sample.offset for sample in sampler.finish()]

    assert samples(0) == samples(1) == []  # the digests of the stream are those of its only frame
    assert samples(2) == [0, 1]
    assert samples(3) == [0, 2]
    assert samples(10) == [0, 8, 9]
    assert samples(100) == [0, 8, 64, 99]
