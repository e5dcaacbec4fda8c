"""The small disks of the tests: what happens where there can be none."""

from pathlib import Path

import pytest
from support.disks import small_disk


def _say(folder: Path, text: str) -> None:
    """Put an `unshare` that fails with a message into the folder."""
    (folder / "unshare").write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")
    (folder / "unshare").chmod(0o755)


def test_where_mounts_are_forbidden_a_test_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say(tmp_path, "unshare: unshare failed: Operation not permitted")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(pytest.skip.Exception, match=r"forbids mounts \(unshare: .*not permitted.*CAP_SYS_ADMIN"):
        small_disk(tmp_path, "1m").__enter__()


def test_any_other_failure_to_mount_is_one_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _say(tmp_path, "unshare: unrecognized option")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(AssertionError, match="unrecognized option"):
        small_disk(tmp_path, "1m").__enter__()
