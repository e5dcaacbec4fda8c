"""Imports go one way, floor by floor, and the command line pays only for what it uses."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast

SOURCE = Path(holdfast.__file__).parent
PLUGINS = SOURCE.parents[2] / "plugins"

# From the ground up: a module imports from its own floor and those below. A new module gets its floor here.
FLOORS = [
    {"errors", "url"},
    {"api", "duration", "policy", "proof", "signature"},
    {"plugins"},
    {"plan", "defaults"},
    {"streaming", "error_boundary", "run", "scratch"},
    {"store", "record", "setup"},
    {"operations"},
    {"pipeline", "functions", "legacy", "tasks"},
    {"cli", "testing", "__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Inside of a function, for the sake of import time or because the name is looked up once all is loaded.
LATE = {("plugins", "store"), ("api", "plugins")}
SIDEWAYS: set[tuple[str, str]] = set()
PLUGINS_MAY = {"holdfast.api"}


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[str]:
    """Everything that a tree imports by name, as module or `module.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name: str) -> str:
    """The part of an imported name that says which module of the core it is: `operations.backup`, `registry`."""
    parts = name.split(".")[1:]
    return ".".join(parts[:2]) if parts[:1] in (["operations"], ["store"], ["cli"]) else parts[0]


CORE = [(name, tree) for name, tree in modules(SOURCE) if name]


@pytest.mark.parametrize(("name", "tree"), CORE, ids=[name for name, _ in CORE])
def test_a_module_of_the_core_imports_only_from_its_floor_and_below(name: str, tree: ast.Module) -> None:
    place = name.split(".", maxsplit=1)[0]
    assert place in FLOOR, f"holdfast.{name} has no floor"
    for imported in imports(tree):
        target = imported.split(".")[1] if imported.startswith("holdfast.") else None
        if target is None or (place, target) in LATE or target == "__version__":
            continue
        assert FLOOR.get(target, len(FLOORS)) <= FLOOR[place], f"{name} imports {imported}, which is above it"


def test_operations_do_not_import_each_other() -> None:
    for name, tree in CORE:
        if not name.startswith("operations."):
            continue
        others = {ours(imported) for imported in imports(tree) if imported.startswith("holdfast.operations.")}
        others = {other for other in others if not other.startswith("operations._")}
        assert {(name, other) for other in others} <= SIDEWAYS


def test_the_registry_alone_calls_pluggy() -> None:
    users = {name for name, tree in CORE if any(imported.split(".")[0] == "pluggy" for imported in imports(tree))}
    assert users == {"api", "plugins.loading"}  # the former for its two markers


def test_the_core_imports_no_plugin_and_no_driver() -> None:
    allowed = {"click", "holdfast", "msgspec", "platformdirs", "pluggy", "rich"} | set(sys.stdlib_module_names)
    for name, tree in CORE:
        if name.startswith("testing"):
            allowed |= {"pytest"}  # the suites that plugins inherit
        foreign = {imported.split(".")[0] for imported in imports(tree)} - allowed
        assert foreign == set(), f"{name} imports {foreign}"
        assert "sqlite3" not in {imported.split(".")[0] for imported in imports(tree)}


@pytest.mark.parametrize("plugin", sorted(path.name for path in PLUGINS.iterdir() if (path / "src").is_dir()))
def test_a_plugin_imports_nothing_of_ours_but_the_api(plugin: str) -> None:
    (package,) = [path for path in (PLUGINS / plugin / "src").iterdir() if path.is_dir() and path.suffix == ""]
    for name, tree in modules(package):
        used = {imported.rpartition(".")[0] for imported in imports(tree) if imported.split(".")[0] == "holdfast"}
        assert used <= PLUGINS_MAY, f"{package.name}.{name} imports {used - PLUGINS_MAY}"


def loaded(*arguments: str) -> set[str]:
    """The modules that a call of the command line has loaded at its end."""
    code = (
        "import sys, json\nfrom holdfast.cli import run\n"
        f"code = run({list(arguments)!r})\n"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return set(names)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_no_command_no_registry_and_no_plugin(option: str) -> None:
    names = loaded(option)
    assert {name for name in names if name.startswith("holdfast.")} <= {
        *("holdfast.cli", "holdfast.errors", "holdfast.url", "holdfast.cli.console", "holdfast.api"),
    }
    heavy = {"msgspec", "zstandard", "isal", "sqlite3", "rich", "psycopg", "pymysql", "concurrent.futures", "asyncio"}
    assert not names & heavy
    assert not {name for name in names if name.startswith("holdfast_")}


def test_listing_plugins_loads_no_driver_and_no_codec() -> None:
    names = loaded("plugins", "--json")
    assert "holdfast_zstd" in names
    assert not names & {"zstandard", "isal", "sqlite3", "psycopg", "pymysql"}
    assert not {"holdfast_zstd.codec", "holdfast_gzip.codec", "holdfast_sqlite.dump"} & names


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, holdfast; print(sorted(name for name in sys.modules if name.startswith('holdfast.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    for name in holdfast.__all__:
        assert getattr(holdfast, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = holdfast.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", ["holdfast", "holdfast.api", "holdfast.store.folder", "holdfast.cli"])
def test_on_windows_an_import_says_that_it_is_not_supported(module: str) -> None:
    """Instead of the first module that is missing there, such as fcntl."""
    code = f"import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: holdfast does not run on Windows")
