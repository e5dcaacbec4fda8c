"""A type checker knows the whole public face: it refuses what is misspelt or of a wrong type, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import holdfast

PROGRAMS = Path(__file__).parent / "typed"


def errors(program: str, cache: Path) -> set[tuple[int, str]]:
    """What mypy says of a program, as strictly as it can: the lines and the codes of the errors."""
    options = ("--strict", "--config-file=", "--no-color-output", "--no-error-summary", f"--cache-dir={cache}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, PROGRAMS / program],
        capture_output=True, text=True, cwd=cache, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode in (0, 1)) == ("", True), done.stdout
    lines = [re.search(r":(\d+): error: .*\[([\w-]+)\]$", line) for line in done.stdout.splitlines()]
    return {(int(match[1]), match[2]) for match in lines if match}


def test_each_line_of_a_wrong_program_is_refused_for_what_is_wrong_with_it(tmp_path: Path) -> None:
    text = (PROGRAMS / "wrong.py").read_text()
    marks = [(number, re.search(r"# error: ([\w-]+)$", line)) for number, line in enumerate(text.splitlines(), 1)]
    wanted = {(number, match[1]) for number, match in marks if match}
    assert len(wanted) > 50
    assert errors("wrong.py", tmp_path) == wanted


def test_a_program_that_uses_every_public_name_is_accepted(tmp_path: Path) -> None:
    text = (PROGRAMS / "right.py").read_text()
    assert [name for name in holdfast.__all__ if not re.search(rf"\b{name}\b", text)] == []
    assert errors("right.py", tmp_path) == set()
