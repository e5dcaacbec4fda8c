"""The assets of the documentation in Dagster; run by `make orchestrators` alone."""

import os
import subprocess
from pathlib import Path

import pytest
from orchestrators.page import make_app, manifests, write_example

PROGRAM = Path(os.environ["HOLDFAST_TEST_ORCHESTRATORS"]) / "dagster" / "bin" / "dagster"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_app(tmp_path / "app.db")
    write_example("assets.py", tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path


def run(folder: Path, url: str) -> tuple[int, str]:
    """Run the job as a process for each step; its exit code, and what it says."""
    done = subprocess.run(
        [PROGRAM, "job", "execute", "-f", "assets.py", "-j", "nightly"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))},
            "DATABASE_URL": url,
            "RETRY_WAIT": "1",
            "HOLDFAST_CACHE": str(folder / "cache"),
            "DAGSTER_HOME": str(folder / "home"),
        },
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_backup_is_an_asset_whose_check_proves_it(folder: Path) -> None:
    code, said = run(folder, "sqlite:///app.db")
    assert code == 0, said[-3000:]
    assert "Asset check 'can_be_restored' on 'shop_backup' passed" in said
    assert "Materialized value pruned" in said
    (manifest,) = manifests(folder / "store")
    assert manifest["run"].startswith("shop_backup/")


def test_a_backup_that_cannot_be_restored_blocks_what_comes_after(folder: Path) -> None:
    """The byte that is spoilt before the check is one that a broken disk would spoil."""
    text = (folder / "assets.py").read_text()
    spoil = (
        "    import glob\n"
        "    (path,) = glob.glob(record['path'] + '/database*')\n"
        "    data = open(path, 'rb').read()\n"
        "    open(path, 'wb').write(data[:-1] + bytes([data[-1] ^ 1]))\n"
        "    return dg.Output(record"
    )
    (folder / "assets.py").write_text(text.replace("    return dg.Output(record", spoil))
    code, said = run(folder, "sqlite:///app.db")
    assert "Asset check 'can_be_restored' on 'shop_backup' did not pass" in said, said[-3000:]
    assert "Materialized value pruned" not in said
    assert code == 1


@pytest.mark.parametrize(("url", "retried"), [("postgresql://127.0.0.1:1/x", 2), ("sqlite:///app.db?no=1", 0)])
def test_only_what_may_pass_is_tried_again(url: str, retried: int, folder: Path) -> None:
    code, said = run(folder, url)
    assert code == 1
    assert said.count("STEP_RESTARTED") == retried, said[-3000:]


def test_no_secret_is_kept(folder: Path) -> None:
    code, said = run(folder, "postgresql://u:s3cr%2Fet-of-shop@127.0.0.1:1/x")
    assert (code, "et-of-shop" in said) == (1, False)
    for path in (path for path in (folder / "home").rglob("*") if path.is_file()):
        assert b"et-of-shop" not in path.read_bytes(), path
