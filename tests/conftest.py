"""What the tests of the command line share."""

import shutil
from pathlib import Path

import pytest
from support.commandline import Shell, make_shell
from support.databases import add_row, make_database
from support.foreground import take_signals

take_signals()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A private folder to run commands in, with a database `app.db` and no store."""
    shell = make_shell(tmp_path)
    make_database(tmp_path / "app.db")
    return shell


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = make_shell(tmp_path_factory.mktemp("template"))
    make_database(shell.folder / "app.db", noise=3 << 20)
    shell.backup("sqlite:///app.db")
    add_row(shell.folder / "app.db")
    shell.backup("sqlite:///app.db")
    return shell


@pytest.fixture
def kept(tmp_path: Path, _template: Shell) -> Shell:
    """A private folder with a database `app.db` and a store that holds two backups of another."""
    shutil.copytree(_template.folder, tmp_path, dirs_exist_ok=True)
    return make_shell(tmp_path)


@pytest.fixture
def ids(kept: Shell) -> list[str]:
    """The two backups of `kept`, oldest first."""
    return sorted(path.name for path in (kept.store / "app").iterdir() if path.is_dir())
