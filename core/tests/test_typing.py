"""A type checker knows the whole public face: it refuses what is misspelt or of a wrong type, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

PROGRAMS = Path(__file__).parent / "typed"


Errors = dict[str, set[tuple[int, str]]]


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """What mypy says of both programs, as strictly as it can: the lines and the codes of the errors, by program."""
    folder = tmp_path_factory.mktemp("typed")
    options = ("--strict", "--config-file=", "--no-color-output", "--no-error-summary", f"--cache-dir={folder}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, PROGRAMS / "right.py", PROGRAMS / "wrong.py"],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 1), done.stdout
    errors: Errors = {}
    for match in re.finditer(r"(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE):
        errors.setdefault(match[1], set()).add((int(match[2]), match[3]))
    return errors


def test_each_line_of_a_wrong_program_is_refused_for_what_is_wrong_with_it(errors: Errors) -> None:
    text = (PROGRAMS / "wrong.py").read_text()
    marks = [(number, re.search(r"# error: ([\w-]+)$", line)) for number, line in enumerate(text.splitlines(), 1)]
    wanted = {(number, match[1]) for number, match in marks if match}
    assert len(wanted) > 50
    assert errors["wrong.py"] == wanted


def test_a_program_that_uses_every_public_name_is_accepted(errors: Errors) -> None:
    text = (PROGRAMS / "right.py").read_text()
    assert [name for name in holdfast.__all__ if not re.search(rf"\b{name}\b", text)] == []
    assert errors.keys() == {"wrong.py"}
