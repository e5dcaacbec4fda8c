"""However a plugin ends the process: what was not done is no success."""

import json

import pytest
from support.commandline import Shell
from support.distributions import write_distribution

WAYS = {
    "at its import": "import os; os._exit(0)",
    "at the end of Python": "import atexit, os; atexit.register(os._exit, 0)",
    "at the end of Python, by name": "import atexit, os; atexit.register(lambda: os._exit(0))",
    "by an exit that ends nothing": "import sys; sys.exit = lambda *_: None",
}


PRINTING = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
print("loaded")
logging.warning("ready")
def holdfast_components():
    return []
"""


def test_what_a_plugin_prints_at_its_import_stands_among_no_data(shell: Shell) -> None:
    plugins = write_distribution(shell.folder / "plugins", "holdfast-printing", PRINTING)
    ran = shell.run("backup", "sqlite:///app.db", "--json", env={"PYTHONPATH": str(plugins)})
    assert [json.loads(line) for line in ran.stdout.splitlines()]
    assert "loaded" in ran.stderr
    assert "ready" in ran.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_plugin_that_ends_the_process_makes_no_success_of_a_failure(shell: Shell, way: str) -> None:
    source = f"{WAYS[way]}\ndef holdfast_components():\n    return []\n"
    plugins = write_distribution(shell.folder / "plugins", "holdfast-leaving", source)
    code = 14 if way == "at its import" else 15
    process = shell.start("backup", "sqlite:///missing.db", env={"PYTHONPATH": str(plugins)})
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert stderr.startswith("error: "), stderr
    if way != "at its import":
        process = shell.start("backup", "sqlite:///app.db", env={"PYTHONPATH": str(plugins)})
        assert process.communicate(timeout=60)
        assert process.returncode == 0
