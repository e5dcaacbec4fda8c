"""The documentation is right: what it shows runs, and what there is stands in it."""

import ast
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click
import msgspec
import pytest
from support.snippets import HOME, Page, alike, snippets

import holdfast
from holdfast import api, errors
from holdfast.cli import cli
from holdfast.jobs.model import Drill, Hooks, Job, Keep, Limits, Ping, Retry, Store, Verify
from holdfast.operations.restore import RestoreResult
from holdfast.operations.verify import VerifyResult
from holdfast.pipeline import PipelineOptions
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.plugins import hookspecs
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.store.findings import Depth, State
from holdfast.store.manifest import Manifest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DISTRIBUTIONS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    *(path / "README.md" for path in DISTRIBUTIONS),
]
NOTICES = [*sorted(path for path in ROOT.glob("*.md") if path not in PAGES), *sorted((ROOT / ".github").rglob("*.md"))]
TEXTS = [path for path in PAGES if path.is_relative_to(DOCS)]


def page(name: str) -> str:
    return (DOCS / name).read_text()


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- what is shown runs ---


def make_database(path: Path) -> None:
    """The database that the pages talk about: 2000 orders of 300 customers."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE)")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer REFERENCES customers, note TEXT)")
        people = ((f"Customer {number}", f"c{number}@example.org") for number in range(300))
        connection.executemany("INSERT INTO customers (name, email) VALUES (?, ?)", people)
        orders = ((number % 300 + 1, f"order {number * number} of something") for number in range(2000))
        connection.executemany("INSERT INTO orders (customer, note) VALUES (?, ?)", orders)


@pytest.mark.parametrize("path", PAGES, ids=title)
def test_every_snippet_of_a_page_does_what_the_page_shows(path: Path, tmp_path: Path) -> None:
    make_database(tmp_path / "app.db")
    Page(path, tmp_path).run()


def test_the_pages_that_show_commands_are_really_run() -> None:
    """A runner that found no blocks would find no faults either."""
    counts = {str(path.relative_to(DOCS)): len(snippets(path.read_text())) for path in TEXTS}
    assert counts["tutorial.md"] >= 8
    assert counts["python.md"] >= 8
    assert counts["plugins/codec.md"] >= 6
    exempt = [snippet for path in PAGES for snippet in snippets(path.read_text()) if snippet.exempt]
    assert len(exempt) < 20


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a  1.2 MB", "a 930 kB", True),
        ("a  1.2 MB", "b 930 kB", False),
        ("took 1.2 s", "took 0.7 s", True),
        ("20261124T203432Z-m4yrr1", "20270101T000000Z-aaaaaa", True),
        ("one\n…\nfour", "one\ntwo\nthree\nfour", True),
        ("one\n…\nfour", "one\nfour", True),
        ("one … four", "one two four", True),
        ("one", "one\ntwo", False),
        ("", "words", False),
        ("error: x", "error: y", False),
    ],
)
def test_output_is_compared_loosely_but_compared(expected: str, printed: str, same: bool) -> None:
    assert alike(expected, printed) is same


def test_a_page_whose_command_fails_or_prints_something_else_is_found_out(tmp_path: Path) -> None:
    for body in ("$ false\n", "$ echo a\nb\n", "$ echo a\n"):
        path = tmp_path / "page.md"
        path.write_text(f"```console\n{body}```\n")
        with pytest.raises(AssertionError):
            Page(path, tmp_path).run()
    path.write_text(f"```console\n$ pwd\n{HOME}\n$ false\n$ echo $?\n1\n```\n")
    Page(path, tmp_path).run()


# --- what there is stands in it ---


def hooks() -> Iterator[tuple[str, str]]:
    """Name and exact signature of each hook, without `self`, as its source writes them."""
    tree = ast.parse(Path(hookspecs.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("holdfast_"):
            node.args.args = node.args.args[1:]
            assert node.returns is not None
            yield node.name, f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}: ..."


def test_every_hook_is_documented_with_its_exact_signature() -> None:
    text = page("hooks.md")
    signatures = dict(hooks())
    assert len(signatures) >= 9
    missing = [signature for signature in signatures.values() if signature not in text]
    assert not missing
    gone = set(re.findall(r"\bholdfast_[a-z]+(?=\()", text)) - set(signatures)
    assert not gone


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


def sections(text: str) -> dict[str, str]:
    """The parts of a page by their headings of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {heading.strip("` "): body for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_is_documented_with_each_of_its_options(name: str, command: click.Command) -> None:
    documented = sections(page("cli.md"))
    text = documented[name.partition(" ")[0]]
    assert f"holdfast {name}" in text
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    for option in options:
        for switch in (*option.opts, *option.secondary_opts):
            assert re.search(rf"`[^`]*(?<![\w-]){re.escape(switch)}(?![\w-])[^`]*`", text), (name, switch)


def test_no_option_is_documented_that_a_command_does_not_have() -> None:
    documented = sections(page("cli.md"))
    known: dict[str, set[str]] = {}
    for name, command in commands():
        switches = {switch for option in command.params for switch in (*option.opts, *option.secondary_opts)}
        known.setdefault(name.partition(" ")[0], set()).update(switches)
    for name, switches in known.items():
        table = [line for line in documented[name].splitlines() if line.startswith("| `-")]
        listed = {switch for line in table for switch in re.findall(r"(?<![\w-])--?[a-z][\w-]*", line.split("|")[1])}
        assert listed <= switches, name


def test_the_options_of_all_commands_together_are_documented() -> None:
    text = sections(page("cli.md"))["Options of every command"]
    for option in cli.params:
        assert all(f"`{switch}`" in text or f"`{switch} " in text for switch in option.opts), option.opts


def error_tree() -> list[type[errors.HoldfastError]]:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    return [error for error in classes if issubclass(error, errors.HoldfastError)]


def test_every_exit_code_and_every_class_of_error_is_documented() -> None:
    table = sections(page("cli.md"))["Exit codes"]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert codes >= {0, 130, 143} | {error.exit_code for error in error_tree()}
    for error in error_tree():
        assert re.search(rf"^\| {error.exit_code} \|.*`{error.__name__}`", table, re.MULTILINE), error
        assert f"`{error.__name__}`" in page("python.md"), error


def test_every_environment_variable_is_documented() -> None:
    sources = [path for distribution in DISTRIBUTIONS for path in (distribution / "src").rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"\bHOLDFAST_[A-Z_]+[A-Z]\b", path.read_text())}
    text = sections(page("cli.md"))["Environment"]
    assert {name for name in named if f"`{name}`" not in text} == set()


def manifest_fields(kind: Any, prefix: str = "") -> Iterator[str]:
    """The path of every field of the manifest: `source.name`, `streams[].blob.size`."""
    for name, hint in get_type_hints(kind).items():
        path = f"{prefix}{name}"
        yield path
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and (issubclass(part, msgspec.Struct) or is_dataclass(part)):
                yield from manifest_fields(part, f"{path}{'[]' if get_origin(hint) is list else ''}.")


def test_every_field_of_the_manifest_is_specified() -> None:
    paths = list(manifest_fields(Manifest))
    assert "streams[].blob.digests" in paths
    assert [path for path in paths if f"`{path}`" not in page("format.md")] == []


def test_the_depths_of_findings_and_the_states_are_specified() -> None:
    text = page("format.md")
    assert all(f"`{name}`" in text for name in [*(depth.name.lower() for depth in Depth), *State])


@pytest.mark.parametrize(
    "kind", [Backup, BackupPlan, RestorePlan, PipelineOptions, RestoreResult, VerifyResult, api.Event]
)
def test_every_field_that_programs_see_is_documented(kind: Any) -> None:
    names = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else [field.name for field in fields(kind)]
    assert [name for name in names if f"`{name}`" not in page("python.md")] == []


def test_every_key_of_the_configuration_is_documented() -> None:
    text = page("reference/toml.md")
    tables = {"verify": Verify, "drill": Drill, "keep": Keep, "retry": Retry, "hooks": Hooks, "ping": Ping}
    keys = [*Job.__struct_encode_fields__, *Limits.__struct_encode_fields__, *Store.__struct_encode_fields__, "trusted"]
    keys = [key for key in keys if key not in tables]
    keys += [f"{name}.{key}" for name, table in tables.items() for key in table.__struct_encode_fields__]
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_every_public_name_of_the_package_is_documented() -> None:
    text = page("python.md")
    assert [name for name in holdfast.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_capability_is_documented() -> None:
    text = page("plugins/engine.md")
    assert [capability for capability in api.Capability if f"`{capability.name}`" not in text] == []


ENGINES = {"SQLite": "sqlite", "PostgreSQL": "postgres", "MySQL": "mysql"}


def layout(distribution: str) -> set[str]:
    """The modules and packages of an engine, as the page on the layout of engines writes them."""
    package = ROOT / f"plugins/{distribution}/src/holdfast_{distribution}"
    modules = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    return modules | {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}


def test_the_layout_of_every_engine_is_as_documented() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page("engines.md").splitlines() if "|" in line]
    documented: dict[str, set[str]] = {name: set() for name in ENGINES}
    for row in rows:
        if row[0] in ENGINES:
            documented[row[0]].add(row[1].strip("`"))
        elif row[0].startswith("`"):
            for name in ENGINES:
                documented[name].add(row[0].strip("`") + ("/" if name in row[2].split(", ") else ".py"))
    assert documented == {name: layout(distribution) for name, distribution in ENGINES.items()}


def test_every_component_stands_in_the_table_of_what_plugs_in() -> None:
    for owned in Registry(environ={}).components():
        component, plugin = owned.component, owned.plugin
        if plugin.distribution.startswith("holdfast"):
            row = rf"^\| {component.kind} \| `{component.name}`.*\| `{plugin.distribution}` \|"
            assert re.search(row, (ROOT / "README.md").read_text(), re.MULTILINE), component.name


def test_every_option_of_a_first_party_component_stands_in_the_readme_of_its_distribution() -> None:
    readmes = {
        tomllib.loads((path / "pyproject.toml").read_text())["project"]["name"]: (path / "README.md").read_text()
        for path in DISTRIBUTIONS
    }
    for owned in Registry(environ={}).components():
        if owned.component.options is not None and owned.plugin.distribution in readmes:
            for option in fields(owned.component.options):
                assert f"`{option.name}`" in readmes[owned.plugin.distribution], option.name


def test_every_extra_is_documented() -> None:
    extras = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name in extras if f"`{name}`" not in (ROOT / "README.md").read_text()] == []


def test_every_distribution_has_a_readme_that_says_something() -> None:
    for path in DISTRIBUTIONS:
        text = (path / "README.md").read_text()
        assert len(text) > 500, path
        assert snippets(text), path


# --- and it holds together ---


@pytest.mark.parametrize("path", [*PAGES, *NOTICES], ids=title)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_changelog_has_an_entry_for_what_is_unreleased_and_for_the_version_of_the_distributions() -> None:
    version = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]
    assert len(set(headings)) == len(headings)


def test_the_demo_runs_in_one_screen_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = subprocess.run([DOCS / "demo"], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100 + len(str(tmp_path))
    assert [line for line in lines if line.startswith("DAMAGED")]
    assert list(tmp_path.iterdir()) == []


def test_a_step_of_the_demo_that_goes_wrong_ends_it_with_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "zstd").write_text("#!/bin/sh\necho no >&2; exit 1\n")
    (broken / "zstd").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    path = f"{broken}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    environment = {"PATH": path, "TMPDIR": str(tmp_path / "scratch")}
    done = subprocess.run([DOCS / "demo"], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("error: exit 1, expected 0: cd backups")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_entry_points_of_the_documentation_do_not_stay() -> None:
    """The plugins that pages write exist only in their folders."""
    assert "holdfast-xz" not in {point.dist.name for point in entry_points(group="holdfast") if point.dist}
