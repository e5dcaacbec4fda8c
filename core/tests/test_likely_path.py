"""Paths of stores that nobody can have meant, and such that lead nowhere."""

from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, UsageError
from holdfast.store.folder import FolderStorage


@pytest.mark.parametrize(
    "path",
    [
        '"/srv/backups"', "'backups'", "backups\r", "backups ", " backups", "$HOME/backups", "${STORE}", "$(pwd)/b",
        "`pwd`", "{{ store }}", "~nobody-of-that-name/backups", "C:\\backups", "my\\ backups", "file:///srv/$STORE",
    ],
)  # fmt: skip
def test_a_path_that_looks_like_a_slip_is_no_new_store(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As files of variables leave them: systemd and Docker replace nothing, and keep quotes."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^no store at .*, and that path "):
        FolderStorage.at(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["my $ backups", "it's", "50% {full}", "a~", "ünïcode", "a  b", "$1", "-x"])
def test_an_odd_path_is_a_store_all_the_same(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert FolderStorage.at(path).location == str(tmp_path / path)


def test_a_folder_that_is_there_is_a_store_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$HOME").mkdir()
    assert FolderStorage.at("$HOME").location == str(tmp_path / "$HOME")


@pytest.mark.parametrize("path", ["link", "link/backups", "link/a/b"])
def test_a_link_that_leads_nowhere_is_named_with_its_end(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one to a disk that is not mounted; the store's own marker is not what is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("mnt/disk")
    with pytest.raises(NotFoundError, match=f"link is a link to {tmp_path}/mnt/disk, which is not there$"):
        FolderStorage.at(path)
    (tmp_path / "mnt" / "disk").mkdir(parents=True)
    with FolderStorage.at(path).writer("object") as writer:
        writer.write(b"x")
    assert (tmp_path / path / "object").read_bytes() == b"x"
