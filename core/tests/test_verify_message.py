"""What verify says of damage: each problem once, and which backup to take instead."""

from pathlib import Path

import pytest

import holdfast
from holdfast.cli import run


def test_the_error_of_verify_names_the_damaged_and_its_hint_the_newest_good_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.db").touch()
    good, bad = (holdfast.backup("sqlite:///app.db") for _ in range(2))
    blob = Path(bad.path, "database.sqlite.zst")
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    assert run(["verify", "--all"]) == 13
    output = capfd.readouterr()
    assert output.err == (f"error: 1 of 2 backups is damaged: {bad.id}\nhint: use {good.id}, the newest good backup\n")
    assert output.out.count("is not what was stored") == 1


def test_where_no_backup_is_good_verify_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.db").touch()
    bad = holdfast.backup("sqlite:///app.db")
    Path(bad.path, "database.sqlite.zst").unlink()
    assert run(["verify"]) == 13
    assert f"error: 1 of 1 backup is damaged: {bad.id}\nhint: no backup of 'app' is good\n" in capfd.readouterr().err
