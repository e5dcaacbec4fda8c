"""Imports go one way, floor by floor, and the command line pays only for what it uses."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast

SOURCE = Path(holdfast.__file__).parent
ROOT = SOURCE.parents[2]
PLUGINS = ROOT / "plugins"
PACKAGES = {"holdfast": SOURCE, **{path.parent.name: path.parent for path in PLUGINS.glob("*/src/*/__init__.py")}}
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "tests" / "third_party").rglob("*.py")),
]

# From the ground up: a module imports from its own floor and those below. A new module gets its floor here, and
# CONTRIBUTING.md the table that the test of it prints.
FLOORS = {
    "ground": ("command_text", "decodable", "errors", "field_docs", "url"),
    "what plugins see": (
        "api",
        "changes",
        "chunks",
        "duration",
        "endings",
        "error_meanings",
        "failure",
        "file_scratch",
        "file_urls",
        "filesystem",
        "forwarding",
        "frame_decoder",
        "garbage",
        "host",
        "kinds",
        "lease_keeper",
        "part_writer",
        "policy",
        "proof",
        "retention_period",
        "retries",
        "selection",
        "service_leases",
        "signature",
        "sizes",
        "staging",
        "table_digest",
        "table_rows",
        "temporary_names",
    ),
    "plugins, looked up and called": ("plugins",),
    "what describes and surrounds a run": ("plan", "defaults", "identities"),
    "how bytes flow, and what every run has": ("streaming", "error_boundary", "patience", "run", "scratch"),
    "what is kept": ("store", "record", "setup"),
    "what is done: one verb each, which do not import each other": ("operations",),
    "what programs call": (
        "backup_set",
        "pipeline",
        "functions",
        "housekeeping",
        "jobs",
        "rendering",
        "tasks",
        "watching",
        "legacy",
    ),
    "commands, one file each, and what authors of plugins test with": ("cli", "testing", "__main__"),
}
FLOOR = {name: number for number, names in enumerate(FLOORS.values()) for name in names}
# Inside of a function, for the sake of import time or because the name is looked up once all is loaded.
LATE = {("plugins", "store"), ("api", "plugins")}
SIDEWAYS: set[tuple[str, str]] = set()
PLUGINS_MAY = {"holdfast.api"}
CALLERS = {"airflow"}  # distributions that are no plugins: they call Holdfast, as any program does
# What is promised to stay; everything else of the core is internal, whether it has an underscore or not.
PUBLIC = {"holdfast", "holdfast.api", "holdfast.errors", "holdfast.tasks", "holdfast.testing"}


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


def floors_table() -> str:
    """The floors as CONTRIBUTING.md shows them."""

    def label(name: str) -> str:
        return f"`{name}/*`" if (SOURCE / name).is_dir() else f"`{name}`"

    rows = [f"| {title} | {', '.join(map(label, names))} |" for title, names in FLOORS.items()]
    return "\n".join(["| floor | modules of `holdfast` |", "|---|---|", *rows])


def private_imports(package: str, root: Path) -> Iterator[str]:
    """Imports of names with an underscore from outside the package that they are in."""
    for path in sorted(root.rglob("*.py")):
        own = ".".join((package, *path.relative_to(root).parent.parts))
        for imported in imports(ast.parse(path.read_text())):
            private = re.match(r"(.*?)\._(?!_)", imported)
            if private and imported.split(".")[0] == package and private[1] != own:
                yield f"{path.relative_to(root)} imports {imported}"


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


def test_the_floors_are_those_that_contributors_read_of() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert floors_table() in page, f"CONTRIBUTING.md has another table; paste this one:\n\n{floors_table()}\n"
    assert page.count("| floor |") == 1
    (sentence,) = re.findall(r"(?s)Public are (.*?\.)\s", page)
    assert set(re.findall(r"`(holdfast[.\w]*)`", sentence)) == PUBLIC


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_what_has_an_underscore_is_imported_only_inside_of_its_package(package: str) -> None:
    assert list(private_imports(package, PACKAGES[package])) == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_and_a_plugin_that_is_a_model_import_only_what_is_public(page: Path) -> None:
    imported = set(re.findall(r"(?m)^\s*(?:from|import) (holdfast(?:\.\w+)*)(?=\s)", page.read_text()))
    assert imported <= PUBLIC


def test_operations_do_not_import_each_other() -> None:
    for name, tree in CORE:
        if not name.startswith("operations."):
            continue
        others = {ours(imported) for imported in imports(tree) if imported.startswith("holdfast.operations.")}
        others = {other for other in others if not other.startswith("operations._")}
        assert {(name, other) for other in others} <= SIDEWAYS


def test_the_registry_alone_calls_pluggy() -> None:
    users = {name for name, tree in CORE if any(imported.split(".")[0] == "pluggy" for imported in imports(tree))}
    assert users == {"api.component", "plugins.loading"}  # the former for its two markers


def test_the_core_imports_no_plugin_and_no_driver() -> None:
    allowed = {"click", "holdfast", "msgspec", "platformdirs", "pluggy", "rich"} | set(sys.stdlib_module_names)
    for name, tree in CORE:
        if name.startswith("testing"):
            allowed |= {"pytest"}  # the suites that plugins inherit
        foreign = {imported.split(".")[0] for imported in imports(tree)} - allowed
        assert foreign == set(), f"{name} imports {foreign}"
        if name != "store.manifest_cache":  # a file of its own, and no database of anybody's
            assert "sqlite3" not in {imported.split(".")[0] for imported in imports(tree)}


@pytest.mark.parametrize("plugin", sorted(path.name for path in PLUGINS.iterdir() if (path / "src").is_dir()))
def test_a_plugin_imports_nothing_of_ours_but_the_api(plugin: str) -> None:
    (package,) = [path for path in (PLUGINS / plugin / "src").iterdir() if path.is_dir() and path.suffix == ""]
    for name, tree in modules(package):
        used = {imported.rpartition(".")[0] for imported in imports(tree) if imported.split(".")[0] == "holdfast"}
        may = PUBLIC if plugin in CALLERS else PLUGINS_MAY
        assert used <= may, f"{package.name}.{name} imports {used - may}"


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
        *(
            "holdfast.cli",
            "holdfast.errors",
            "holdfast.field_docs",
            "holdfast.url",
            "holdfast.cli.console",
            "holdfast.cli._waits",
            "holdfast.cli.standard_streams",
            "holdfast.api",
        ),
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
