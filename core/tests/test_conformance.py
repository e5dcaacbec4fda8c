"""What the core itself offers keeps the contracts that plugins keep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Capability, Engine, Storage
from holdfast.plugins.registry import Registry
from holdfast.testing import CodecSuite, EngineSuite, MemoryEngine, MemoryStorage, StorageSuite, memory_registry
from holdfast.testing.memory import TARGET, URL


class TestNone(CodecSuite):
    spec = "none"


class TestFolder(StorageSuite):
    password = ""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return str(tmp_path / "store")


class TestMemoryStorage(StorageSuite):
    password = ""

    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()

    @pytest.fixture
    def second(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def die(self) -> None:
        """No other process can get at it."""

    def lose_lease(self, storage: Storage, name: str) -> bool:
        del storage, name
        return False


class TestMemoryEngine(EngineSuite):
    password = ""

    @pytest.fixture(autouse=True)
    def server(self) -> None:
        capabilities = frozenset({Capability.PROOF, Capability.SNAPSHOT, Capability.ATOMIC_RESTORE})
        self.memory = MemoryEngine(capabilities=capabilities, streams={"a": [b"1" * 5000], "b": [], "c": [b"3", b"4"]})

    def engine(self, url: str) -> Engine:
        return self.memory

    @pytest.fixture
    def source(self) -> str:
        return URL

    @pytest.fixture
    def target(self) -> str:
        return TARGET

    def content(self, url: str) -> dict[str, bytes] | None:
        return self.memory.content(url)

    def surroundings(self, url: str) -> list[str]:
        return sorted(name for name in self.memory.contents if name != url.rpartition("/")[2])

    def into(self, target: str) -> None:
        return None

    def foreign(self, source: str, target: str) -> Iterator[str]:
        del source, target
        yield from ()  # a dictionary of our own holds nothing of others

    def leave_log(self, url: str) -> bool:
        del url
        return False

    def rows(self, content: dict[str, bytes]) -> dict[str, int]:
        return {name: len(data) for name, data in content.items()}

    def kill_restore(self, record: holdfast.Backup, target: str, store: str) -> bool:
        del record, target, store
        return False  # no other process can get at it

    def change(self, url: str) -> None:
        self.memory.contents[url.rpartition("/")[2]]["c"] = [b"35"]


class TestMemoryPlugin(TestMemoryEngine):
    def registry(self, *plugins: Any) -> Registry:
        return memory_registry(*plugins, engine=self.memory)

    def engine(self, url: str) -> Engine:
        return self.registry().engine("memory")
