"""The command line may be called again and again in one process, as tests and completion do."""

import pytest

from holdfast.cli import cli, run


def test_every_command_shows_its_help_in_one_process(capfd: pytest.CaptureFixture[str]) -> None:
    """A command's module becomes an attribute of the package, and one of them is called `list`."""
    for _ in range(2):
        for name in cli.list_commands(cli.make_context("holdfast", [], resilient_parsing=True)):
            assert run([name, "--help"]) == 0
            assert f"Usage: holdfast {name}" in capfd.readouterr().out
