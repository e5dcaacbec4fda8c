"""What `make test` leaves out of a sweep is in `make sweeps`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_TESTS = """
import pytest

@pytest.mark.sweep(3)
@pytest.mark.parametrize("number", range(9))
def test_many(number):
    pass

@pytest.mark.sweep(0)
def test_long():
    pass

def test_other():
    pass
"""


def collected(folder: Path, form: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "HOLDFAST_TEST_SWEEPS": form, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(_TESTS)
    return tmp_path


def test_the_short_form_tries_cases_that_are_evenly_spread(folder: Path) -> None:
    assert collected(folder, "") == ["test_many[0]", "test_many[4]", "test_many[8]", "test_other"]


def test_the_long_form_tries_everything(folder: Path) -> None:
    assert len(collected(folder, "all")) == 11


def test_what_is_named_is_run(folder: Path) -> None:
    assert collected(folder, "", "test_it.py::test_long") == ["test_long"]
