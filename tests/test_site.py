"""The documentation as a site: it builds, its reference is complete and in order, its pictures are up to date."""

import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from sphinx.pycode import ModuleAnalyzer
from support.snippets import alike
from support.venvs import of_this_run, once

import holdfast
from holdfast import api, tasks, testing
from holdfast.operations.backup import Preview
from holdfast.operations.prune import Choice
from holdfast.plugins.hookspecs import HoldfastSpecs
from holdfast.plugins.loading import Owned, Plugin
from holdfast.proof import Difference

ROOT = Path(__file__).parent.parent
API = [f"holdfast.api.{module.name}" for module in pkgutil.iter_modules(holdfast.api.__path__)]
DOCS = ROOT / "docs"


@dataclass(frozen=True, kw_only=True)
class Built:
    """What came of building the site."""

    folder: Path
    messages: str

    def page(self, name: str) -> str:
        return (self.folder / f"{name}.html").read_text()

    def names(self, name: str) -> list[str]:
        """What a page documents, in the order of the page: `holdfast.api.Kind.ENGINE`."""
        return re.findall(r'<dt class="sig[^"]*" id="([\w.]+)"', self.page(name))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The site, which is built once a run: each of the tests' processes would take a minute for it."""

    def build(folder: Path) -> None:
        options = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "trees")]
        command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (folder / "messages").write_text(done.stderr or f"exit {done.returncode}" * bool(done.returncode))

    folder = once(of_this_run(tmp_path_factory.getbasetemp()) / "site", "built", build)
    return Built(folder=folder / "html", messages=(folder / "messages").read_text())


def test_the_site_builds_without_a_warning(site: Built) -> None:
    assert site.messages == ""
    assert 'id="unreleased"' in site.page("changes")


def test_code_can_be_copied_without_its_prompts(site: Built) -> None:
    assert "copybutton.js" in site.page("tutorial")
    assert ".go" in (site.folder / "_static/copybutton.js").read_text()


# --- the reference ---

ON_THE_PAGE_OF_THE_API = {name for name in holdfast.__all__ if "Error" in name} | {"Event"}


def exported(module: ModuleType, names: Any) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


REFERENCE = {
    "reference/api": {**exported(api, api.__all__), "Watcher": api.Watcher, "HasherFactory": api.HasherFactory},
    "reference/holdfast": {
        **exported(holdfast, sorted(set(holdfast.__all__) - ON_THE_PAGE_OF_THE_API)),
        **{kind.__name__: kind for kind in (Preview, Choice, Difference, Plugin, Owned)},
    },
    "reference/testing": exported(testing, testing.__all__),
    "reference/tasks": {
        name: value for name, value in vars(tasks).items() if isinstance(value, FunctionType) and name.endswith("_task")
    },
    "reference/hookspecs": {"HoldfastSpecs": HoldfastSpecs},
}


def comments(module: str) -> dict[tuple[str, str], list[str]]:
    """The documentation of the names and fields of a module, by class and name, as autodoc reads it."""
    return ModuleAnalyzer.for_module(module).find_attr_docs()


def ours(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base.__module__.startswith("holdfast")]


def members(kind: type) -> Iterator[tuple[str, str]]:
    """Every public member and field of a class with its own documentation; those of a documented base are left out."""
    seen: set[str] = set()
    elsewhere = {other for _, other in classes()} - {kind}
    for base in ours(kind):
        if base in elsewhere:
            continue
        for name in [*vars(base), *inspect.get_annotations(base)]:
            if not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, documentation(kind, name)


def documentation(kind: type, name: str) -> str:
    texts = (comments(base.__module__).get((base.__qualname__, name)) for base in ours(kind))
    if comment := next((text for text in texts if text), None):
        return "\n".join(comment)
    value = inspect.getattr_static(kind, name, None)
    documented = isinstance(value, FunctionType | property | classmethod | staticmethod)  # a str has a docstring too
    fixture = type(value).__module__.startswith("_pytest")
    return (inspect.getdoc(value) or "") if documented or fixture else ""


def classes() -> list[tuple[str, type]]:
    return [(page, value) for page, names in REFERENCE.items() for value in names.values() if isinstance(value, type)]


@pytest.mark.parametrize(("page", "kind"), classes(), ids=lambda value: getattr(value, "__name__", None))
def test_every_member_and_field_has_its_own_line_and_stands_in_the_reference(
    page: str, kind: type, site: Built
) -> None:
    described = [name.rpartition(".")[2] for name in site.names(page) if f".{kind.__name__}." in name]
    listed = dict(members(kind))
    assert [name for name, text in listed.items() if not text.strip()] == []
    assert set(listed) - set(described) == set()
    if issubclass(kind, Enum):
        assert {member.name for member in kind} <= set(described)


@pytest.mark.parametrize("page", REFERENCE)
def test_every_public_name_stands_in_the_reference_with_its_documentation(page: str, site: Built) -> None:
    described = {name.rpartition(".")[2] for name in site.names(page)}
    assert set(REFERENCE[page]) - described == set()
    for name, value in REFERENCE[page].items():
        if isinstance(value, type | FunctionType) and value.__module__.startswith("holdfast"):
            assert inspect.getdoc(value), name
        elif not name.startswith("__"):
            assert any(comments(module).get(("", name)) for module in API), name


def test_the_reference_of_the_api_is_in_the_order_of_the_source(site: Built) -> None:
    names = [name.removeprefix("holdfast.api.") for name in site.names("reference/api")]
    compared = 0
    for module in API:
        order = ModuleAnalyzer.for_module(module).find_tags()
        lines = [order[name][1] for name in names if name in order]
        assert lines == sorted(lines), module
        compared += len(lines)
    assert compared > 60


def test_nothing_is_shown_as_if_it_took_any_arguments(site: Built) -> None:
    for page in REFERENCE:
        assert not re.search(r"<em[^>]*>.*\*args.*</em>", site.page(page)), page


# --- the pictures ---


def test_the_drawn_pictures_are_what_their_script_draws(tmp_path: Path) -> None:
    script = tmp_path / "pictures"
    script.write_text((DOCS / "pictures").read_text())
    (tmp_path / "images").mkdir()
    subprocess.run([sys.executable, script], check=True)
    for name in ("architecture.svg", "pipeline.svg"):
        assert (tmp_path / "images" / name).read_text() == (DOCS / "images" / name).read_text(), "run docs/pictures"


def test_the_terminal_session_shows_what_the_commands_print(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    command = [sys.executable, str(DOCS / "terminal_session"), str(tmp_path / "session.svg")]
    subprocess.run(command, env={"PATH": path, "TMPDIR": str(tmp_path)}, check=True)
    recorded, printed = ("\n".join(texts(folder / "session.svg")) for folder in (DOCS / "images", tmp_path))
    assert "$ holdfast drill latest" in recorded
    assert alike(recorded, printed), f"run docs/terminal_session: it now shows\n{printed}"


def texts(path: Path) -> list[str]:
    lines = re.findall(r"<text[^>]*>(.*)</text>", path.read_text())
    return [re.sub(r"<[^>]+>", "", line) for line in lines]
