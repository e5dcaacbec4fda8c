"""Each module can be the first one that a program imports, as a hook is."""

import subprocess
import sys
from pathlib import Path

import pytest

import holdfast_mysql

_SOURCES = Path(holdfast_mysql.__file__).parent
_HOOKS = ("plugin", "dump", "restore", "scratch", "catalog.databases")


@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", _HOOKS)
def test_a_module_that_hooks_name_can_be_imported_first(name: str) -> None:
    """A circle of imports shows in one order only, and tests have imported everything before."""
    assert (_SOURCES / (name.replace(".", "/") + ".py")).exists() or (_SOURCES / name / "__init__.py").exists()
    done = subprocess.run([sys.executable, "-c", f"import holdfast_mysql.{name}"], capture_output=True, check=False)
    assert done.stderr == b""
