"""A new option is one field, one line of its command and one field of a request: here by adding two.

The core is copied, six lines are added to the copy, and a small engine that says what it was asked for is put beside
it. Everything else follows: the keywords of every function and what a type checker says of them, plans and their JSON
Schema, the command line.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

# File of the core, what is inserted there, and after which class or before which decorator.
ADDED = [
    ("plan.py", "class BackupOptions", "    quiesce: bool = False\n"),
    ("plan.py", "class RestoreOptions", "    skip_indexes: bool = False\n"),
    ("api/dump.py", "class DumpRequest", "    quiesce: bool = False\n"),
    ("api/restore.py", "class RestoreRequest", "    skip_indexes: bool = False\n"),
    ("cli/backup.py", "@jobs_option", '@click.option("--quiesce", is_flag=True, help="Hold writers back.")\n'),
    ("cli/restore.py", "@jobs_option", '@click.option("--skip-indexes", is_flag=True, help="Without indexes.")\n'),
]

ENGINE = '''
"""An engine that dumps and restores what it was asked for."""

from contextlib import contextmanager
from pathlib import Path

from holdfast.api import Component, EngineHooks, Facts, Kind, Step, Stream


class Dump:
    def __init__(self, request):
        self.streams, self.asked = [Stream(name="asked", suffix=".txt")], f"quiesce={request.quiesce}"

    def read(self, stream):
        yield self.asked.encode()

    def proof(self):
        return None

    def facts(self):
        return Facts()


class Restore:
    def __init__(self, request):
        self.steps, self.request = [Step(stream="asked")], request

    def load(self, step, blob):
        text = b"".join(bytes(chunk) for chunk in blob.chunks()).decode()
        Path(self.request.url.removeprefix("echo:///")).write_text(f"{text} skip_indexes={self.request.skip_indexes}")

    def commit(self):
        pass


@contextmanager
def dump(request):
    yield Dump(request)


@contextmanager
def restore(request):
    yield Restore(request)


plugin = EngineHooks(Component(kind=Kind.ENGINE, name="echo"), dump="echo_engine:dump", restore="echo_engine:restore")
'''

PROGRAM = """
import json
import pickle
import tempfile
from pathlib import Path

import holdfast
from holdfast.tasks import backup_task

URL = "echo:///app"
work = Path(tempfile.mkdtemp())
store = work / "store"


def asked(**options: bool) -> str:
    holdfast.restore("latest", f"echo:///{work / 'copy'}", store=store, **options)
    return (work / "copy").read_text()


said = []
holdfast.backup(URL, store=store)
said.append(asked())
holdfast.backup(URL, store=store, quiesce=True)
said.append(asked())
pipeline = holdfast.Pipeline(source=URL, store=store).replace(quiesce=True)
pipeline.run()
said.append(asked(skip_indexes=True))
plan = pickle.loads(pickle.dumps(holdfast.BackupPlan.from_json(pipeline.plan.to_json())))
assert plan.quiesce and plan == pipeline.plan
holdfast.backup(plan)
said.append(asked())
backup_task(URL, store=store, quiesce=True)
said.append(asked())
restore = holdfast.RestorePlan(backup="latest", target=f"echo:///{work / 'copy'}", store=str(store), skip_indexes=True)
holdfast.restore(holdfast.RestorePlan.from_data(restore.as_data()))
said.append((work / "copy").read_text())
print(json.dumps(said))
"""

CHECKED = """
import holdfast

holdfast.backup("echo:///app", quiesce=True)
holdfast.restore("latest", "echo:///app", skip_indexes=True)
holdfast.backup("echo:///app", quiesce="yes")
holdfast.restore("latest", "echo:///app", skip_index=True)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the core as it would be, and an engine that is found as an installed one is."""
    root = tmp_path_factory.mktemp("new_option")
    shutil.copytree(Path(holdfast.__file__).parent, root / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
    for name, place, line in ADDED:
        text = (root / "holdfast" / name).read_text()
        # A field goes before the first one of its class, which begins behind the docstring.
        behind = rf"^{place}\b.*?\"\"\"$\n+" if place.startswith("class") else rf"^(?={place}$)"
        match = re.search(behind, text, re.MULTILINE | re.DOTALL)
        assert match, f"{name} has no {place}"
        (root / "holdfast" / name).write_text(text[: match.end()] + line + text[match.end() :])
    (root / "echo_engine.py").write_text(ENGINE)
    (root / "echo_engine-1.dist-info").mkdir()
    (root / "echo_engine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-engine\nVersion: 1\n")
    (root / "echo_engine-1.dist-info" / "entry_points.txt").write_text("[holdfast]\necho = echo_engine:plugin\n")
    return root


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "HOLDFAST_STORE": str(root / "store")}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=root, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_python_every_way_to_make_a_backup_or_restore_takes_it(root: Path) -> None:
    assert json.loads(run(root, "-c", PROGRAM)) == [
        "quiesce=False skip_indexes=False",
        "quiesce=True skip_indexes=False",
        "quiesce=True skip_indexes=True",
        "quiesce=True skip_indexes=False",
        "quiesce=True skip_indexes=False",
        "quiesce=True skip_indexes=True",
    ]


def test_on_the_command_line_it_is_an_option_and_in_the_schema_a_property(root: Path) -> None:
    assert "--quiesce" in run(root, "-m", "holdfast", "backup", "--help")
    assert "--skip-indexes" in run(root, "-m", "holdfast", "restore", "--help")
    run(root, "-m", "holdfast", "backup", "echo:///app", "--quiesce")
    run(root, "-m", "holdfast", "restore", "latest", f"echo:///{root / 'copy'}", "--skip-indexes")
    assert (root / "copy").read_text() == "quiesce=True skip_indexes=True"
    (schema,) = json.loads(run(root, "-m", "holdfast", "schema", "plan"))["$defs"].values()
    assert schema["properties"]["quiesce"] == {"type": "boolean", "default": False}


def test_a_type_checker_knows_it(root: Path) -> None:
    (root / "program.py").write_text(CHECKED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", "program.py"],
        capture_output=True, text=True, cwd=root, env={**os.environ, "MYPYPATH": str(root)}, check=False,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.partition(": ")[0] for line in errors] == ["program.py:6", "program.py:7"], done.stdout
    assert 'Argument "quiesce" to "backup" has incompatible type "str"' in errors[0]
    assert 'Unexpected keyword argument "skip_index" for "restore"' in errors[1]
