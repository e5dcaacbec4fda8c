"""Runs the command line as a user does: as a subprocess, with its exit code, its data and its messages."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import forks
from support.cache import CACHE

HOLDFAST = (sys.executable, "-m", "holdfast")
# As root every file is readable and every folder writable; without its capabilities root is like everybody.
PLAIN_USER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()

_LONGEST = 60.0  # seconds for a command


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        """Its stdout, which must be one JSON document on one line."""
        assert self.stdout.endswith("\n")
        assert self.stdout.count("\n") == 1
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its stdout, which must be JSON objects with a type, one a line."""
        records = [json.loads(line) for line in self.stdout.splitlines()]
        assert all(isinstance(line, dict) and line["type"] for line in records)
        return records

    @property
    def last(self) -> dict[str, Any]:
        """The last JSON line."""
        return self.lines[-1]

    @property
    def error(self) -> str:
        """The message of its one error."""
        return _only(self.stderr, "error: ")

    @property
    def hint(self) -> str:
        """Its one hint."""
        return _only(self.stderr, "hint: ")


def _only(text: str, mark: str) -> str:
    matches = [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]
    assert len(matches) == 1, f"expected one line {mark!r} in:\n{text}"
    return matches[0]


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A private folder in which commands run; its default store is `folder/backups`.

    Scratch folders of commands go to `scratch`, which must be empty after every command.
    """

    folder: Path
    holdfast: Sequence[str] = HOLDFAST
    under: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "backups"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The surroundings of commands: nothing of ours is set but what a test sets."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOLDFAST_", "PYTHON"))}
        kept |= {"HOLDFAST_CACHE": CACHE}
        kept |= {"TMPDIR": str(self.scratch), "HOME": str(self.folder), "PYTHONWARNINGS": "error", "COLUMNS": "120"}
        return {**kept, **self.variables, **(env or {})}

    def arguments(self, *arguments: object) -> list[str]:
        return [*self.under, *self.holdfast, *map(str, arguments)]

    def start(self, *arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command and do not wait for it."""
        return subprocess.Popen(
            self.arguments(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, code: int | None = 0, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command to its end, which must be the exit code that is expected, or any where that is None."""
        environment = self.environment(env)
        if self.holdfast == HOLDFAST and not self.under and forks.is_enough(environment):
            words = [*map(str, arguments)]
            done = forks.run(words, folder=self.folder, environment=environment, timeout=_LONGEST)
        else:
            done = subprocess.run(
                self.arguments(*arguments),
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_LONGEST,
            )
        ran = Ran(code=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())
        assert code in (None, ran.code), f"exit {ran.code}, expected {code}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
        assert not list(self.scratch.iterdir()), "a scratch folder was left behind"
        return ran

    def fails(self, code: int, *arguments: object, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command that must fail with this exit code, one message on one line, and no traceback."""
        ran = self.run(*arguments, code=code, env=env)
        assert "Traceback" not in ran.stderr
        assert ran.error == ran.error.strip() != ""
        assert not ran.error.endswith(".")
        assert not ran.error[0].isupper() or ran.error[:2].isupper()
        return ran

    def backup(self, url: object, *arguments: object, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a backup and return its JSON record."""
        return self.run("backup", url, "--json", *arguments, env=env).last

    def listing(self, *arguments: object) -> Any:
        """The backups of the store."""
        return self.run("list", "--json", *arguments).data

    def files(self, folder: Path | None = None) -> list[str]:
        """Every file of the store, relative to it."""
        root = folder or self.store
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


def make_shell(folder: Path, **fields: Any) -> Shell:
    """Prepare a folder to run commands in."""
    shell = Shell(folder=folder, **fields)
    shell.scratch.mkdir(exist_ok=True)
    return shell
