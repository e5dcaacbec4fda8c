"""What the core itself offers keeps the contracts that plugins keep."""

from pathlib import Path

import pytest

from holdfast.api import Storage
from holdfast.store.folder import FolderStorage
from holdfast.testing import CodecSuite, StorageSuite


class TestNone(CodecSuite):
    spec = "none"


class TestFolder(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return FolderStorage.at(str(tmp_path / "store"))
