"""--load-extension lends the library that an application has: to a backup as a script, its restore and its drill."""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

EXTENSION = str(import_module("sqlite_vec").loadable_path())
SCHEMA = """
    CREATE TABLE point(id INTEGER PRIMARY KEY, v TEXT, n AS (vec_length(v)) UNIQUE);
    CREATE TABLE plain(v TEXT);
    CREATE INDEX plain_length ON plain(vec_length(v));
    CREATE VIRTUAL TABLE near USING vec0(v float[2]);
    INSERT INTO point(v) VALUES ('[1, 2]'), ('[3, 4, 5]');
    INSERT INTO plain(v) VALUES ('[1, 2]'), ('[3, 4, 5]');
    INSERT INTO near(rowid, v) VALUES (1, '[1, 2]'), (2, '[3, 4]');
"""
_CAN_LOAD = "import sqlite3, sys; print(*sys.version_info[:2], hasattr(sqlite3.Connection, 'enable_load_extension'))"
_RUN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.enable_load_extension(True)
connection.load_extension(sys.argv[2])
for statement in sys.argv[3].split(";"):
    print(connection.execute(statement).fetchall())
"""


def loading_python() -> str | None:
    """A Python like this one whose sqlite3 module was built with extensions; many are built without."""
    for program in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if program is not None:
            done = subprocess.run([program, "-c", _CAN_LOAD], capture_output=True, text=True, check=True)
            if done.stdout.split() == [*map(str, sys.version_info[:2]), "True"]:
                return program
    return None


LOADING = loading_python()


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Our packages and those of the environment, but the other Python's own modules.
    paths = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [LOADING or sys.executable, "-m", "holdfast", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def extended(path: Path, sql: str) -> list[str]:
    """What SQLite with the extension says to each statement."""
    command = [LOADING or sys.executable, "-c", _RUN, str(path), EXTENSION, sql]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_script_is_made_restored_and_drilled_with_the_extension_that_it_needs(tmp_path: Path) -> None:
    """Where the sqlite3 module was built without extensions, all three say so."""
    source, store = tmp_path / "vectors.db", ("--store", str(tmp_path / "store"))
    given = ("--load-extension", EXTENSION)
    if LOADING is None:
        source.touch()
        for command in (("backup", f"sqlite:///{source}", "-o", "format=sql"),):
            done = holdfast(*command, *store, *given)
            assert done.returncode == 2
            assert "this Python's sqlite3 module cannot load extensions: it was built without" in done.stderr
        return
    extended(source, SCHEMA.strip().removesuffix(";"))
    backup = ("backup", f"sqlite:///{source}", "-o", "format=sql", *store)
    refused = holdfast(*backup)
    assert refused.returncode == 1
    assert "table 'point' would not be loaded" in refused.stderr
    assert "--load-extension" in refused.stderr
    done = holdfast(*backup, *given)
    assert done.returncode == 0, done.stderr
    assert "table 'point' needs what its application has" in done.stderr
    assert "index 'plain_length' needs what its application has (no such function: vec_length)" in done.stderr
    listing = holdfast("show", "latest", *store)
    assert "index 'plain_length' needs what its application has" in listing.stdout
    target = ("latest", f"sqlite:///{tmp_path / 'copy.db'}", *store)
    without = holdfast("restore", *target)
    assert without.returncode == 1
    assert "no such function: vec_length" in without.stderr
    assert "--load-extension" in without.stderr
    undecided = holdfast("drill", "latest", *store)
    assert undecided.returncode == 1
    assert holdfast("restore", *target, *given).returncode == 0
    query = "SELECT v, n FROM point INDEXED BY sqlite_autoindex_point_1 WHERE n > 2;SELECT count(*) FROM near"
    assert extended(tmp_path / "copy.db", query) == ["[('[3, 4, 5]', 3)]", "[(2,)]"]
    assert extended(tmp_path / "copy.db", "PRAGMA integrity_check") == ["[('ok',)]"]
    proven = holdfast("drill", "latest", *store, *given)
    assert proven.returncode == 0, proven.stderr
    assert proven.stdout.startswith("proven")
    extended(tmp_path / "more.db", "CREATE TABLE kept(x)")
    selected = ("latest", f"sqlite:///{tmp_path / 'more.db'}", "--select", "point", *store)
    assert holdfast("restore", *selected).returncode != 0
    merged = holdfast("restore", *selected, *given)
    assert merged.returncode == 0, merged.stderr
    assert extended(tmp_path / "more.db", "SELECT n FROM point;SELECT count(*) FROM kept") == ["[(2,), (3,)]", "[(0,)]"]


def test_an_extension_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    source, store = tmp_path / "empty.db", ("--store", str(tmp_path / "store"))
    source.touch()
    done = holdfast("backup", f"sqlite:///{source}", *store, "-o", "format=sql", "--load-extension", "no/such/library")
    assert done.returncode == 2
    reason = f"cannot load the extension '{Path('no/such/library').absolute()}'" if LOADING else "built without"
    assert reason in done.stderr
    assert holdfast("backup", f"sqlite:///{source}", *store).returncode == 0


def test_an_extension_is_named_in_one_way(tmp_path: Path) -> None:
    done = holdfast(
        "backup", f"sqlite:///{tmp_path / 'a.db'}", "-o", "load_extension=x", "--load-extension", "y", "--store", "s"
    )
    assert done.returncode == 2
    assert "option 'load_extension' is given twice" in done.stderr
    done = holdfast("backup", "postgres://localhost/x", "--load-extension", "y", "--store", str(tmp_path))
    assert done.returncode == 2
    assert "engine 'postgresql' has no option 'load_extension'" in done.stderr
