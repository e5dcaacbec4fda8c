"""Every distribution builds, says what it is, and works when installed from its wheel alone."""

import json
import os
import re
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.commandline import Shell, make_shell
from support.databases import dump
from support.sweeps import swept
from support.venvs import (
    FIRST_PARTY,
    GUESTS,
    ROOT,
    Environment,
    build,
    download_third_party,
    metadata,
    name,
    of_this_run,
    once,
    requirements,
    run,
)

EXTRAS = {
    "sqlite": "holdfast-sqlite",
    "postgres": "holdfast-postgres",
    "mysql": "holdfast-mysql",
    "gzip": "holdfast-gzip",
    "zstd": "holdfast-zstd",
    "s3": "holdfast-s3",
    "gcs": "holdfast-gcs",
    "azure": "holdfast-azure",
    "sftp": "holdfast-sftp",
    "age": "holdfast-age",
    "dask": "holdfast-dask",
    "sha256": "holdfast-sha256",
    "progress": "rich",
}
RELEASED = os.environ.get("HOLDFAST_TEST_DISTRIBUTIONS")
NAMES = [path.name for path in FIRST_PARTY if f"holdfast-{path.name}" not in GUESTS]
# With requirements of their own; of what is to be released each is tried.
_SUITE = ("core", "mysql", "postgres")
DISTRIBUTIONS = NAMES if RELEASED else swept(*_SUITE, long=sorted({*NAMES} - {*_SUITE}))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what is made once a run."""
    return of_this_run(tmp_path_factory.getbasetemp()) / "distributions"


@pytest.fixture(scope="module")
def wheels(shared: Path) -> Path:
    """A folder with the sdist and the wheel of every distribution: what is to be released, or built once a run."""
    if RELEASED:
        return Path(RELEASED)
    return once(shared, "wheels", lambda folder: build(folder, FIRST_PARTY))


@pytest.fixture(scope="module")
def third_party(shared: Path, wheels: Path) -> Path:
    """A folder with the wheels of others that ours need."""
    return once(shared, "third-party", lambda folder: download_third_party(folder, wheels))


@pytest.fixture(scope="module")
def facts(wheels: Path) -> dict[str, Message]:
    """The metadata of each wheel by the name of its distribution."""
    return {name(wheel): metadata(wheel) for wheel in wheels.glob("*.whl")}


@pytest.fixture(scope="module")
def needs(wheels: Path) -> dict[str, list[Requirement]]:
    """What each distribution asks for, by its name."""
    return {name(wheel): requirements(wheel) for wheel in wheels.glob("*.whl")}


def test_every_distribution_has_a_wheel_and_an_sdist_of_one_version(wheels: Path) -> None:
    projects = [tomllib.loads((path / "pyproject.toml").read_text())["project"] for path in FIRST_PARTY]
    assert {"holdfast", "holdfast-sqlite", "holdfast-gzip", "holdfast-zstd", "holdfast-sha256"} <= {
        project["name"] for project in projects
    }
    expected = {f"{project['name'].replace('-', '_')}-{project['version']}" for project in projects}
    assert {path.name.removesuffix("-py3-none-any.whl") for path in wheels.glob("*.whl")} == expected
    assert {path.name.removesuffix(".tar.gz") for path in wheels.glob("*.tar.gz")} == expected
    assert len({project["version"] for project in projects}) == 1


def test_every_wheel_is_typed_and_holds_nothing_but_its_package(wheels: Path) -> None:
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        package = name(wheel).replace("-", "_")
        assert f"{package}/py.typed" in names
        tops = {path.partition("/")[0] for path in names}
        assert tops == {package, f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"}
        assert not [path for path in names if path.endswith((".pyc", "~")) or "__pycache__" in path]


def test_every_sdist_holds_its_sources_and_no_tests(wheels: Path) -> None:
    """Tests that do not run, since their helpers lie elsewhere, would only mislead who packages it."""
    for sdist in wheels.glob("*.tar.gz"):
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
        top = sdist.name.removesuffix(".tar.gz")
        package = f"src/{top.partition('-')[0]}"
        assert f"{top}/{package}/__init__.py" in names
        assert {path.removeprefix(f"{top}/") for path in names if not path.startswith(f"{top}/{package}/")} == {
            ".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml",
        }  # fmt: skip
        assert not [path for path in names if "__pycache__" in path or path.endswith(".pyc")]


def test_every_wheel_and_sdist_holds_the_licence(wheels: Path) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    for distribution in FIRST_PARTY:
        assert (distribution / "LICENSE").read_bytes() == licence, distribution
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (path,) = (path for path in archive.namelist() if path.endswith("/LICENSE"))
            assert archive.read(path) == licence, wheel


def test_every_distribution_says_what_it_is(facts: dict[str, Message]) -> None:
    for distribution, document in facts.items():
        assert document["Summary"], distribution
        assert document["Requires-Python"] == ">=3.11"
        assert document["License-Expression"] == "Apache-2.0"
        assert document["Author"] == "The Holdfast developers"
        assert document["Keywords"], distribution
        classifiers = document.get_all("Classifier", [])
        assert {"Typing :: Typed", "Operating System :: POSIX :: Linux"} <= set(classifiers)
        versions = [re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line) for line in classifiers]
        assert [match[1] for match in versions if match] == ["11", "12", "13", "14"]
        assert document["Description-Content-Type"] == "text/markdown"
        readme = str(document.get_payload())
        assert distribution in readme
        assert len(readme.split()) > 20
        links = re.findall(r"\]\(([^)]+)\)", readme)
        assert [link for link in links if "://" not in link] == [], "they lead nowhere from the package index"


def test_plugins_ask_for_the_core_of_their_series_and_the_core_for_no_plugin(
    needs: dict[str, list[Requirement]],
) -> None:
    always = {requirement.name for requirement in needs["holdfast"] if requirement.marker is None}
    assert always <= {"click", "msgspec", "platformdirs", "pluggy"}
    for distribution in needs.keys() - {"holdfast"}:
        (ours,) = (requirement for requirement in needs[distribution] if requirement.name == "holdfast")
        assert ours.specifier == SpecifierSet(">=0.1,<1"), distribution


def test_the_extras_of_the_core_bring_what_they_are_named_after(
    facts: dict[str, Message], needs: dict[str, list[Requirement]]
) -> None:
    extras = facts["holdfast"].get_all("Provides-Extra", [])
    brought = {
        extra: [
            requirement
            for requirement in needs["holdfast"]
            if requirement.marker and requirement.marker.evaluate({"extra": extra})
        ]
        for extra in extras
    }
    for extra, distribution in EXTRAS.items():
        assert [requirement.name for requirement in brought[extra]] == [distribution]
    # No plugins: what two have in common, and what Airflow has of ours.
    others = {"holdfast", "holdfast-obstore", *GUESTS}
    plugins = {distribution.removeprefix("holdfast-") for distribution in facts.keys() - others}
    assert plugins <= set(extras), "every plugin of ours is an extra"
    everything = {requirement.name for requirement in brought["all"]} | {
        inner.name
        for need in brought["all"]
        if need.name == "holdfast"
        for extra in need.extras
        for inner in brought[extra]
    }
    assert everything >= {requirement.name for extra in plugins | {"progress"} for requirement in brought[extra]}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_wheel_alone_brings_what_it_needs(
    distribution: str, wheels: Path, third_party: Path, tmp_path: Path
) -> None:
    clean = Environment(folder=tmp_path / "clean", sources=(wheels, third_party))
    clean.create()
    full_name = "holdfast" if distribution == "core" else f"holdfast-{distribution}"
    clean.install(full_name)  # whose resolver would refuse what `pip check` does in a folder that was empty
    data = json.loads(run(*clean.holdfast, "plugins", "--json"))
    assert data["plugins"] == [], "none is refused"
    assert full_name in {component["distribution"] for component in data["components"]}


def test_from_the_wheels_alone_a_user_gets_from_nothing_to_a_restored_database(
    wheels: Path, third_party: Path, shell: Shell
) -> None:
    clean = Environment(folder=shell.folder / "clean", sources=(wheels, third_party))
    clean.create()
    user = make_shell(shell.folder, holdfast=clean.holdfast)
    clean.install("holdfast")
    components = user.run("plugins", "--json").data["components"]
    assert {component["name"] for component in components} == {"none", "file", "threads"}
    ran = user.fails(14, "backup", "sqlite:///app.db")
    assert ran.error == "no engine for 'sqlite' (installed: none)"
    assert ran.hint == "pip install holdfast-sqlite"
    clean.install("holdfast[sqlite]")
    assert user.backup("sqlite:///app.db")["codec"] == "none"
    clean.install("holdfast[all]")
    record = user.backup("sqlite:///app.db")
    assert record["codec"] == "zstd:1"
    user.backup("sqlite:///app.db", "--codec", "gzip")
    assert len(user.run("verify", "--read-data").stdout.splitlines()) == 3
    for index, backup in enumerate(user.listing()):
        user.run("restore", backup["id"], f"sqlite:///copy-{index}.db")
        assert dump(shell.folder / f"copy-{index}.db") == dump(shell.folder / "app.db")
    data = user.run("plugins", "--json").data
    assert data["plugins"] == []
    of_plugins = {name(wheel) for wheel in wheels.glob("*.whl")} - {"holdfast-obstore", *GUESTS}
    assert {component["distribution"] for component in data["components"]} == of_plugins
