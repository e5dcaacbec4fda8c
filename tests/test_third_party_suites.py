"""What somebody else could write, `acme-holdfast`, passes the public suites."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.venvs import ACME

from holdfast.api import Engine
from holdfast.plugins.engine import InstalledEngine
from holdfast.plugins.registry import Registry
from holdfast.testing import ChecksumSuite, CodecSuite, EngineSuite, StorageSuite


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Find the modules of the distribution, and forget them afterwards."""
    monkeypatch.syspath_prepend(str(ACME / "src"))
    yield
    for name in [name for name in sys.modules if name.startswith("acme_holdfast")]:
        del sys.modules[name]


def registry() -> Registry:
    modules = [import_module("acme_holdfast"), import_module("acme_holdfast.vault")]
    return Registry(plugins=[*modules, import_module("acme_holdfast.notes").Plugin])


class TestBzip2(CodecSuite):
    configurations = ("bz2:1",)
    plugins = ("acme_holdfast",)

    @pytest.fixture
    def codec(self) -> Any:
        return registry().codec(self.configuration)

    @pytest.fixture
    def reader(self) -> Any:
        return registry().codec("bzip2")


class TestCrc32(ChecksumSuite):
    vectors = {b"": "00000000", b"123456789": "cbf43926"}  # noqa: RUF012 (as published)

    def start(self) -> Any:
        return import_module("acme_holdfast").Crc32()


class TestVault(StorageSuite):
    plugins = ("acme_holdfast.vault",)
    password = ""
    many = 120  # each is a transaction

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"vault://{tmp_path}/vault.db"


class TestNotes(EngineSuite):
    plugins = ("acme_holdfast.notes:Plugin",)
    password = ""

    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        folder = tmp_path / "databases" / "notes"
        folder.mkdir(parents=True)
        (folder / "first").write_text("a note")
        (folder / "second").write_text("another " * 100_000)
        return f"notes://{folder}"

    @pytest.fixture
    def target(self, tmp_path: Path) -> str:
        return f"notes://{tmp_path}/databases/copy"

    def registry(self, *plugins: Any) -> Registry:
        return registry()

    def engine(self, url: str) -> Engine:
        engine = registry().engine("notes")
        assert isinstance(engine, InstalledEngine)
        return engine

    def content(self, url: str) -> dict[str, str] | None:
        folder = Path(url.removeprefix("notes://"))
        return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else None

    def surroundings(self, url: str) -> list[str]:
        folder = Path(url.removeprefix("notes://"))
        return sorted(path.name for path in folder.parent.iterdir() if path != folder)

    def foreign(self, source: str, target: str) -> Iterator[str]:
        path = Path(target.removeprefix("notes://"))
        path.write_text("of another program")
        yield target
        assert path.read_text() == "of another program"
        path.unlink()

    def leave_log(self, url: str) -> bool:
        return False
