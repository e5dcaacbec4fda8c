"""The clock of a store, which is that of its file system."""

import os
import time
from pathlib import Path

import pytest

from holdfast.store.folder import FolderStorage
from holdfast.store.store_clock import store_time


@pytest.mark.parametrize(
    ("stamp", "is_clock"), [(0, False), (315532800, False), (946684800, False), (1767225600, True)]
)
def test_a_file_system_that_keeps_no_times_is_no_clock(
    stamp: int, is_clock: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the year 1970, 1980 or 2000 of such a mount no backup would ever be too old."""
    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result([*fstat(file)[:8], stamp, stamp]))
    told = store_time(FolderStorage(str(tmp_path)))
    assert (told.timestamp() if told else None) == (stamp if is_clock else None)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_this_machine_has_its_clock(tmp_path: Path) -> None:
    told = store_time(FolderStorage(str(tmp_path)))
    assert told is not None
    assert abs(told.timestamp() - time.time()) < 60
