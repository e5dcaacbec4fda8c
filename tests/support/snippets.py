"""Reads the snippets of a Markdown page and runs them the way a reader would: in order, in one folder.

- A `console` block is a shell session: lines that begin with `$ ` run, the lines below them are what they print,
  compared loosely (`alike`). A command may fail only if `$ echo $?` comes next.
- A `python` block runs; a `text` block right below it is what it prints, compared in the same way.
- A `python` or `toml` block whose first line is `# name.py` or `# name.toml` is written to that file. The entry
  points of a `pyproject.toml` count as installed from then on, as after `pip install -e .`.
- `json` and other `toml` blocks are parsed, and `text` blocks are for reading.
- An id that a page shows as printed stands for the one that was really printed, from there on, and
  `/srv/app` for the folder.
- A block below a comment `<!-- not run: REASON -->` is left alone.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cache import CACHE

_FENCE = re.compile(
    r"^(?P<marks>`{3,})(?P<language>[\w{}-]*)[^\n]*\n(?P<body>.*?)^(?P=marks)[ ]*$", re.MULTILINE | re.DOTALL
)
_EXEMPT = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.(?:py|toml))\n")
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-z]{6}")
_LOOSE = (
    (_ID, "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "DIGEST"),
    (re.compile(r"\b\d[\d.,]*( ?)(B|kB|MB|GB|s|bytes)\b"), "SIZE"),
    (re.compile(r"\b0\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"\b\d+ jobs?\b"), "JOBS"),
    (re.compile(r"\s+"), " "),
)
HOME = "/srv/app"  # what pages call the folder in which their commands run


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """A fenced block; `exempt` says why it is not run, `follows` whether it adjoins the block before."""

    language: str
    body: str
    line: int
    exempt: str
    follows: bool


def snippets(text: str) -> list[Snippet]:
    """Every fenced block of a page, in order."""
    blocks: list[Snippet] = []
    end = 0
    for match in _FENCE.finditer(text):
        between = text[end : match.start()]
        exempt = _EXEMPT.search(between)
        blocks.append(
            Snippet(
                language=match["language"],
                body=match["body"],
                line=text.count("\n", 0, match.start()) + 1,
                exempt=exempt[1] if exempt else "",
                follows=bool(blocks) and not between.strip(),
            )
        )
        end = match.end()
    return blocks


def alike(expected: str, printed: str) -> bool:
    """Compare output: ids, times, digests, sizes, versions and white space may differ.

    `…` stands for any text in a line, and for any number of lines where it is alone in one.
    """
    pattern = ""
    for line in expected.strip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in _loose(line).split("…")) + "\n"
    lines = printed.strip().splitlines()
    return re.fullmatch(pattern, "".join(_loose(line) + "\n" for line in lines)) is not None


def _loose(line: str) -> str:
    for pattern, replacement in _LOOSE:
        line = pattern.sub(replacement, line)
    return line.strip()


class Page:
    """One page being tried out in `folder`."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.ran = 0
        self._ids: dict[str, str] = {}

    def run(self) -> None:
        """Run every snippet; an AssertionError says which one does not do what the page shows."""
        with self._importable():
            self._run(snippets(self.path.read_text()))

    def _run(self, blocks: list[Snippet]) -> None:
        for number, block in enumerate(blocks):
            after = blocks[number + 1] if number + 1 < len(blocks) else None
            where = f"{self.path.name}:{block.line}"
            if block.exempt:
                continue
            written = _FILE.match(block.body) if block.language in ("python", "toml") else None
            if written:
                (self.folder / written[1]).write_text(block.body)
                if written[1] == "pyproject.toml":
                    self._install(tomllib.loads(block.body))
            elif block.language == "console":
                self._console(block.body, where)
            elif block.language == "python":
                self._python(block, after, where)
            elif block.language == "json":
                json.loads(block.body)
            elif block.language == "toml":
                tomllib.loads(block.body)
            else:
                assert block.language in ("text", "{toctree}", "{automodule}", "{eval-rst}"), (
                    f"{where}: a block of '{block.language}' is neither run nor marked as not run"
                )
                continue
            self.ran += 1

    def _install(self, project: dict[str, Any]) -> None:
        """Lay down what an editable install of a project would: its entry points, found on PYTHONPATH."""
        about = project["project"]
        info = self.folder / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
        with (info / "entry_points.txt").open("w") as file:
            for group, points in about["entry-points"].items():
                file.write(f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()))

    def _console(self, body: str, where: str) -> None:
        """Run the commands of a block in one shell, each once the output of the one before has been compared."""
        commands = list(_commands(body))
        assert commands, f"{where}: a console block without a command"
        with self._shell() as shell:
            for number, (written, example) in enumerate(commands):
                command = self._real(written)
                status, output = _run(shell, command)
                expected = self._real(example)
                following = commands[number + 1][0] if number + 1 < len(commands) else ""
                assert status == 0 or following == "echo $?", f"{where}: '{command}' exits {status}:\n{output}"
                assert alike(expected, output), f"{where}: '{command}' prints\n{output}\nand the page shows\n{example}"
                self._learn(example, output)

    @contextlib.contextmanager
    def _shell(self) -> Iterator["subprocess.Popen[str]"]:
        shell = subprocess.Popen(
            ["bash"],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(400, shell.kill)  # on a busy machine the suite of an example takes minutes
        watchdog.start()
        try:
            with shell:
                yield shell
        finally:
            watchdog.cancel()

    def _python(self, block: Snippet, after: Snippet | None, where: str) -> None:
        printed = io.StringIO()
        code = "\n" * block.line + self._real(block.body)  # a traceback then names the line of the page
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(compile(code, str(self.path), "exec"), self.names)
        if after and after.follows and after.language == "text":
            output = printed.getvalue().replace(str(self.folder), HOME)
            assert alike(after.body, output), f"{where}: prints\n{output}\nand the page shows\n{after.body}"

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        """Find the modules that the page writes, and forget them afterwards."""
        modules = set(sys.modules)
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            sys.path.remove(str(self.folder))
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                    del sys.modules[name]

    def _learn(self, expected: str, output: str) -> None:
        """Note which real ids stand in the places of those that the page shows."""
        written, real = _ID.findall(expected), _ID.findall(output)
        if len(written) == len(real):
            known = set(self._ids.values())
            self._ids |= {example: new for example, new in zip(written, real, strict=True) if example not in known}

    def _real(self, text: str) -> str:
        """What the page means in this trial: its ids and its folder."""
        text = _ID.sub(lambda match: self._ids.get(match[0], match[0]), text)
        return re.sub(rf"{HOME}(?![\w.-])", str(self.folder), text)

    def _environment(self) -> dict[str, str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("HOLDFAST_", "COV_"))}
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        keep["HOLDFAST_CACHE"] = CACHE
        return keep | {"PATH": path, "HOME": str(self.folder), "PYTHONPATH": str(self.folder), "COLUMNS": "100"}


def _run(shell: "subprocess.Popen[str]", command: str) -> tuple[int, str]:
    """Run one command; `$?` is that of the command before."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(
        f"(exit ${{status:-0}})\n{{ {command}\n}} < /dev/null\nstatus=$?; printf '\\n\\036%d\\n' $status\n"
    )
    shell.stdin.flush()
    lines: list[str] = []
    for line in shell.stdout:
        if line.startswith("\036"):
            return int(line[1:]), "".join(lines).removesuffix("\n")
        lines.append(line)
    raise AssertionError(f"the shell ended in '{command}': {''.join(lines)}")


def _commands(body: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output shown below it."""
    command, output = "", ""
    for line in body.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        elif command.endswith("\\") and not output:
            command += f"\n{line}"
        else:
            output += f"{line}\n"
    if command:
        yield command, output
