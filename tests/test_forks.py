"""Commands that tests run as forks do what the program itself does."""

import os
import stat
from typing import Any

import pytest
from support import forks
from support.commandline import Ran, Shell


def both(shell: Shell, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int, **options: Any) -> tuple[Ran, Ran]:
    """The same command as a fork and as a program."""
    assert forks.is_enough(shell.environment())
    as_fork = shell.run(*arguments, code=code, **options)
    monkeypatch.setenv("HOLDFAST_TEST_FORKS", "0")
    assert not forks.is_enough(shell.environment())
    as_program = shell.run(*arguments, code=code, **options)
    monkeypatch.delenv("HOLDFAST_TEST_FORKS")
    return as_fork, as_program


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["restore", "--help"], 0),
        (["plugins", "--json"], 0),
        (["schema", "postgresql"], 0),
        (["list", "--nothing-like-it"], 2),
        (["backup", "sqlite:///missing.db"], 15),
        (["verify", "nobody/latest"], 10),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_output_and_exit_code_are_those_of_the_program(
    arguments: list[str], code: int, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.backup("sqlite:///app.db")
    as_fork, as_program = both(shell, monkeypatch, *arguments, code=code)
    assert as_fork == as_program


def test_folder_and_environment_are_those_of_the_command(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"HOLDFAST_STORE": "elsewhere", "HOLDFAST_HOST": "hoatzin"}
    record = shell.backup("sqlite:///app.db", env=variables)
    assert record["path"].startswith(str(shell.folder / "elsewhere"))
    assert not forks.is_enough(shell.environment({"LC_ALL": "C"})), "Python chooses encodings by it when it starts"
    assert not forks.is_enough(shell.environment({"PYTHONPATH": "/nowhere"}))
    as_fork, as_program = both(shell, monkeypatch, "list", "--json", code=0, env=variables)
    assert as_fork == as_program
    assert as_fork.data[0]["id"] == record["id"]


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_the_umask_is_that_of_the_test(umask: int, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(umask)
    try:
        shell.backup("sqlite:///app.db", "--store", "by-fork")
        monkeypatch.setenv("HOLDFAST_TEST_FORKS", "0")
        shell.backup("sqlite:///app.db", "--store", "by-program")
    finally:
        os.umask(before)
    by_fork, by_program = (stat.S_IMODE((shell.folder / name).stat().st_mode) for name in ("by-fork", "by-program"))
    assert by_fork == by_program
    assert not by_fork & umask
