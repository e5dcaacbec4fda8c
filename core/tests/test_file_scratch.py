"""The place of a drill for engines of files, and what tells their databases from others."""

from pathlib import Path

import pytest

from holdfast.api import FileScratch, Proof, ScratchRequest, Source, UsageError, file_path

PROOF = Proof(method="none")


def test_each_drill_has_a_place_of_its_own_in_its_scratch_folder(tmp_path: Path) -> None:
    request = ScratchRequest(id="20261129T000000Z-abc123", scratch=tmp_path)
    asked: list[str] = []

    def proof(path: str) -> Proof:
        asked.append(path)
        return PROOF

    with (
        FileScratch(request, "csvdir", proof=proof, server_version="3", check=lambda path: [f"{path} is bad"]) as first,
        FileScratch(request, "csvdir", proof=proof) as second,
    ):
        assert first.path != second.path
        assert Path(first.path).parent == tmp_path
        assert file_path(first.url, title="CSV") == first.path
        assert (first.server_version, first.check(), list(second.check())) == ("3", [f"{first.path} is bad"], [])
        assert first.proof(PROOF) is PROOF
        assert asked == [first.path]
    assert list(tmp_path.iterdir()) == []


def test_a_drill_on_a_server_is_refused(tmp_path: Path) -> None:
    request = ScratchRequest(id="20261129T000000Z-abc123", scratch=tmp_path, into="csvdir://host")
    with pytest.raises(UsageError, match="a backup of csvdir is drilled in a temporary place"):
        FileScratch(request, "csvdir", proof=lambda _: PROOF)


def test_a_file_or_folder_is_the_same_source_whatever_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "shop.v1").mkdir()
    (tmp_path / "app.db").touch()
    (tmp_path / "link.db").symlink_to("app.db")
    source = Source.of_path(tmp_path / "link.db")
    assert (source.name, source.identity, source.local) == ("app", str(tmp_path / "app.db"), True)
    assert Source.of_path(f"{tmp_path}/./shop.v1").name == "shop.v1"
