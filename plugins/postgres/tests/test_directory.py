"""pg_dump's directories as one stream."""

import io
import tarfile
from pathlib import Path

import pytest

from holdfast.api import IntegrityError
from holdfast_postgres.formats.directory import directory_chunks, unpack


def test_a_directory_goes_through_a_tar_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "directory"
    folder.mkdir()
    content = {"toc.dat": b"x" * 700, "3000.dat": b"", "blobs.toc": b"y" * 512, "blob_1.dat": bytes(3 << 20)}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    tar = b"".join(directory_chunks(folder))
    assert not list(folder.iterdir())
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert set(archive.getnames()) == set(content)
    unpack([tar[start : start + 1000] for start in range(0, len(tar), 1000)], tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == content


@pytest.mark.parametrize("name", ["../toc.dat", "/etc/passwd", "toc.dat/x", "x.sh"])
def test_a_tar_that_pg_dump_would_not_write_is_refused(tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(IntegrityError):
        unpack([out.getvalue()], tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())
