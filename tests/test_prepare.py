"""`.ci/prepare`, by which `make` finds out what is missing."""

import subprocess
from pathlib import Path

import pytest

PREPARE = Path(__file__).resolve().parents[1] / ".ci" / "prepare"


@pytest.mark.parametrize("arguments", [["nothing"], ["keep_servers_off"], [""], []])
def test_a_purpose_that_nobody_knows_is_an_error(arguments: list[str]) -> None:
    done = subprocess.run([PREPARE, *arguments], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("expected python, demo, test or bench\n")


def test_a_purpose_whose_needs_are_met_passes_in_silence() -> None:
    done = subprocess.run([PREPARE, "demo"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
