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


def test_the_hint_of_verify_is_about_each_source_of_which_a_backup_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of one without a good backup it says where the commands for a restore by hand are."""
    monkeypatch.chdir(tmp_path)
    for name in ("app", "shop"):
        Path(f"{name}.db").touch()
    whole = holdfast.backup("sqlite:///app.db")
    damaged = [holdfast.backup(f"sqlite:///{name}.db") for name in ("app", "shop")]
    for backup in damaged:
        Path(backup.path, "database.sqlite.zst").unlink()
    assert run(["verify"]) == 13
    hint = capfd.readouterr().err.partition("hint: ")[2]
    assert f"app: use {whole.id}, the newest good backup; shop: no backup of 'shop' is good: SHA256SUMS" in hint
