"""Names and syncs on file systems that cannot do everything."""

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from holdfast.filesystem import give_name, sync_path


def refuse(number: int) -> Any:
    def call(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_text("content")
    return path


@pytest.mark.parametrize("number", [0, errno.EPERM, errno.EINVAL, errno.ENOENT, errno.EXDEV, errno.EIO])
def test_a_name_is_given_once(made: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    if number:
        monkeypatch.setattr(os, "link", refuse(number))
    name = made.parent / "name"
    give_name(str(made), str(name))
    assert (name.read_text(), made.exists()) == ("content", False)
    made.write_text("other")
    with pytest.raises(FileExistsError):
        give_name(str(made), str(name))
    assert (name.read_text(), made.read_text()) == ("content", "other")


def test_a_link_that_was_made_although_it_failed_counts(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over NFS the answer to a call may be lost, and its repetition finds the name taken, by itself."""
    link, name = os.link, made.parent / "name"

    def repeated(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", repeated)
    give_name(str(made), str(name))
    assert (name.read_text(), made.exists()) == ("content", False)


def test_what_cannot_be_removed_any_more_is_told(
    made: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "unlink", refuse(errno.EIO))
    give_name(str(made), str(made.parent / "name"))
    assert "is left over, remove it" in caplog.text


def test_a_sync_that_a_file_system_does_not_know_is_left_out(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync_path(str(made))
    sync_path(str(made.parent))
    sync_path(str(made.parent / "gone"))
    for number in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.ENOENT):
        monkeypatch.setattr(os, "fsync", refuse(number))
        sync_path(str(made.parent))
    for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
        monkeypatch.setattr(os, "fsync", refuse(number))
        with pytest.raises(OSError, match=os.strerror(number)):
            sync_path(str(made))
