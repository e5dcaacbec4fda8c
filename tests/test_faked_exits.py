"""However a plugin ends the process: what was not done is no success, and what it prints stands among no data."""

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


TALKING = """
import os, subprocess
from holdfast.api import Event
def holdfast_components():
    return []
def holdfast_observe(event):
    print("in Python")
    os.write(1, b"below Python\\n")
    subprocess.run(["echo", "in a child"])
"""


def test_what_a_plugin_prints_later_goes_to_stderr(shell: Shell) -> None:
    plugins = write_distribution(shell.folder / "plugins", "holdfast-talking", TALKING)
    ran = shell.run("backup", "sqlite:///app.db", "--json", env={"PYTHONPATH": str(plugins)})
    assert [json.loads(line) for line in ran.stdout.splitlines()]
    for said in ("in Python", "below Python", "in a child"):
        assert said in ran.stderr


@pytest.mark.sweep(1)
@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='uploads').start()", "uploads"),
        ("import atexit, time\natexit.register(time.sleep, 600)", "at the end of Python"),
    ],
)
def test_what_a_plugin_never_ends_keeps_no_process(source: str, what: str, shell: Shell) -> None:
    source = f"{source}\ndef holdfast_components():\n    return []\n"
    plugins = write_distribution(shell.folder / "plugins", "holdfast-lasting", source)
    ran = shell.run("backup", "sqlite:///app.db", env={"PYTHONPATH": str(plugins)})
    assert ran.code == 0
    assert "warning: the process is ended: " in ran.stderr
    assert what in ran.stderr


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
