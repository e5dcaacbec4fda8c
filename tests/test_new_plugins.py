"""What `holdfast plugins new` writes is built, installed and tested as it is."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.commandline import HOLDFAST, Shell, make_shell
from support.sweeps import swept
from support.venvs import FIRST_PARTY, Environment, build, download_third_party, of_this_run, once, run

KINDS = swept("storage", "engine", "wrapper", long=["codec", "checksum", "observer"])


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, Path]:
    """An environment with a new plugin of each kind, installed from their wheels, and the folder with their sources."""
    shared = of_this_run(tmp_path_factory.getbasetemp()) / "distributions"
    wheels = once(shared, "wheels", lambda folder: build(folder, FIRST_PARTY))
    others = once(shared, "third-party", lambda folder: download_third_party(folder, wheels))
    folder = tmp_path_factory.mktemp("author")
    built = folder / "built"
    for kind in KINDS:
        run(*HOLDFAST, "plugins", "new", f"my_{kind}", "--kind", kind, "--into", folder / kind)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", built, folder / kind)
    environment = Environment(folder=folder / "environment", sources=(wheels, others, built))
    environment.create()
    environment.install("holdfast[testing]", "holdfast-sha256", *(f"holdfast-my-{kind}" for kind in KINDS))
    return environment, folder


def test_a_new_plugin_of_each_kind_passes_its_tests(author: tuple[Environment, Path], tmp_path: Path) -> None:
    environment, folder = author
    tests = [folder / kind / "tests" for kind in KINDS]
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={folder}")
    said = run(environment.python, "-m", "pytest", *options, *tests)
    assert " passed" in said
    assert "failed" not in said
    user = make_shell(tmp_path, holdfast=environment.holdfast)
    names = {component["name"] for component in user.run("plugins", "--json").data["components"]}
    assert names >= {f"my_{kind}" for kind in KINDS if kind not in ("observer", "wrapper")}
    assert "PROBLEM" not in user.run("plugins", "doctor").stdout


def test_a_new_plugin_is_typed(author: tuple[Environment, Path]) -> None:
    _, folder = author
    modules = [path for kind in KINDS for path in (folder / kind / "src").glob("*")]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", f"--cache-dir={folder / 'mypy'}"]
    done = subprocess.run([*command, *map(str, modules)], capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_there_is_not_overwritten(shell: Shell) -> None:
    shell.run("plugins", "new", "lz5", "--kind", "codec")
    assert "holdfast-lz5" in shell.fails(2, "plugins", "new", "lz5", "--kind", "codec").error
    assert "Lz-5" in shell.fails(2, "plugins", "new", "Lz-5", "--kind", "codec").error
    assert "_lz" in shell.fails(2, "plugins", "new", "_lz", "--kind", "codec").error
    (shell.folder / "file").touch()
    assert "no empty folder" in shell.fails(2, "plugins", "new", "lz6", "--kind", "codec", "--into", "file").error


def test_a_name_that_is_taken_is_told(shell: Shell) -> None:
    told = shell.run("plugins", "new", "zstd", "--kind", "codec").stderr
    assert told.startswith("warning: codec 'zstd' is there already, of holdfast-zstd")
    assert shell.run("plugins", "new", "zstd", "--kind", "engine", "--into", "engine").stderr == ""
