"""Wheels and sdists of every distribution, and clean virtual environments made of them."""

import email
import fcntl
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FIRST_PARTY = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
# What brings a hundred packages of others; `make orchestrators` installs it.
GUESTS = frozenset({"holdfast-airflow"})
ACME = ROOT / "tests" / "third_party" / "acme"


def of_this_run(base: Path) -> Path:
    """The folder that the processes of one run share, and no other run: under pytest-xdist `base` lies in it."""
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(folder: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder once for all test processes of a run, whichever comes first."""
    folder.mkdir(exist_ok=True)
    place = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done := folder / f"{name}.done").exists():
            make(place)
            done.touch()
    return place


def build(folder: Path, distributions: Iterable[Path]) -> None:
    """Build the sdist of each distribution, and from that its wheel."""
    folder.mkdir()
    for distribution in distributions:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, distribution)


def run(*command: object) -> str:
    """Run a command that must succeed."""
    done = subprocess.run([*map(str, command)], env=_plain(), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _plain() -> dict[str, str]:
    """The environment without whatever could bring the checkout into another environment."""
    names = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_CONSTRAINT", "PYTHONWARNINGS")
    return {key: value for key, value in os.environ.items() if key not in names}


def requirements(wheel: Path) -> list[Requirement]:
    """What the distribution of a wheel asks for, extras included."""
    return [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]


def metadata(wheel: Path) -> Message:
    """The metadata of a wheel; its payload is the README."""
    with zipfile.ZipFile(wheel) as archive:
        path = next(path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(path))


def download_third_party(folder: Path, wheels: Path) -> None:
    """Fetch what first-party wheels need from others."""
    ours = {name(wheel) for wheel in wheels.glob("*.whl")}
    needed = {
        f"{requirement.name}{'[' + ','.join(sorted(requirement.extras)) + ']' if requirement.extras else ''}"
        for wheel in wheels.glob("*.whl")
        for requirement in requirements(wheel)
        if requirement.name not in ours and name(wheel) not in GUESTS
    }
    pinned = ["-c", ROOT / ".ci" / "constraints.txt"]
    run(sys.executable, "-m", "pip", "download", "-q", *pinned, "-d", folder, *sorted(needed))


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment that is filled from folders of wheels alone, never from an index."""

    folder: Path
    sources: tuple[Path, ...]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def holdfast(self) -> tuple[str, ...]:
        return (str(self.folder / "bin" / "holdfast"),)

    def create(self) -> None:
        """Make it, without a pip of its own: to unpack that takes longer than all that is installed here."""
        venv.create(self.folder, with_pip=False, symlinks=True)

    def install(self, *names: str) -> None:
        """Install distributions by name, with their extras."""
        links = [part for source in self.sources for part in ("--find-links", source)]
        self.pip("install", "-q", "--no-index", "--no-compile", *links, *names)

    def pip(self, *words: object) -> str:
        """Run our pip on it."""
        return run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python, *words)


def name(wheel: Path) -> str:
    """The name of the distribution of a wheel."""
    return wheel.name.partition("-")[0].replace("_", "-")
