"""The short form of the soak: backups under a writer that never rests are whole, every one."""

from pathlib import Path
from typing import Any

import pytest
from soak import busy


@pytest.mark.sweep(2)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_backups_under_a_heavy_writer_are_whole(mode: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "busy.db"
    busy.make(source, mode=mode, megabytes=5)
    with busy.writing(source, 400):
        for number in range(8):
            record = backups.make(source, options={"method": "backup" if number == 7 else "auto"})
            copy = backups.restore(record, tmp_path / f"copy-{number}.db")
            assert busy.problems(copy) == []
