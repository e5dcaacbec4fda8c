"""`.ci/prepare`, by which `make` finds out what is missing, and the pins of what it installs."""

import re
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


def test_the_pins_name_neither_an_index_nor_a_place_on_the_machine_that_made_them() -> None:
    for line in (PREPARE.parent / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.]+( ; .+)?", line), line
        assert "/" not in line
        assert "--" not in line
