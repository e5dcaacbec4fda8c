"""Whatever a plugin does, by the command line: no command succeeds without its work, and nobody else is blamed.

`make isolation` runs the long form, with every act at every point of every command.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commandline import Ran, make_shell
from support.distributions import write_distribution
from support.saboteur import ACTS, KINDS, MORE
from support.shelf_plugins import ALL, VARIABLE, make

import holdfast
from holdfast.plugins.registry import Registry

PATIENCE = 5.0  # seconds, far from the minute of the hang; on an idle machine it is less than one
LONG = os.environ.get("HOLDFAST_TEST_ISOLATION") == "long"
URL, COPY = "shelf://host/app", "shelf://host/copy"
OLD = "of yesterday\n"
TESTS = Path(__file__).parent
_MODULE = """
    import sys
    sys.path.insert(1, {tests!r})
    from support.shelf_plugins import make
    plugin = make({kind!r})
"""
# What is told otherwise than as a failure of the plugin (exit 1 or 14): see test_isolation.py.
KNOWN: Mapping[tuple[str, str], set[int]] = {
    ("storage.barrier", "skip"): {0},
    ("storage.barrier", "child"): {0},
    ("storage.writer.write", "skip"): {13},
    ("storage.writer.write", "child"): {13},
    # The child undoes what its parent has begun, in the plugin itself: a drill warns that nothing was recorded.
    ("storage.writer enter", "child raises"): {0, 1, 14},
    # None says that an engine makes none.
    **{("engine: scratch", act): {2} for act in ("none", "skip", "child")},
}


class Place:
    """A folder with plugins, a shelf, and a store of two backups of it, which each trial has anew."""

    def __init__(self, folder: Path) -> None:
        self.shell = make_shell(folder)
        self.trace, self.reached = folder / "trace", folder / "reached"
        for kind in ALL:
            source = _MODULE.format(tests=str(TESTS), kind=kind)
            module = f"{kind}_dist"
            write_distribution(folder, f"{kind}-dist", source, points={f"{kind}-dist": f"{module}:plugin"})
        (folder / "shelves" / "app").mkdir(parents=True)
        (folder / "shelves" / "app" / "books").write_bytes(b"theory of kelp\n" * 90_000)
        (folder / "shelves" / "app" / "empty").touch()
        self.make_older_backups(folder / "old")
        job = f'[job.app]\nsource = "{URL}"\nstore = "kept://{self.store}"\nbackup.codec = "plain"\n'
        (folder / "holdfast.toml").write_text(job)
        self.made = [self.run("backup", URL, "--codec", "plain").stdout.strip() for _ in range(2)]
        self.kept = folder / "kept"
        shutil.copytree(self.store, self.kept)

    @staticmethod
    def make_older_backups(folder: Path) -> None:
        folder.mkdir()
        with closing(sqlite3.connect(folder / "copy.db")) as connection, connection:
            connection.execute("CREATE TABLE t (a)")
        listed = {
            "backup_id": "a",
            "source": "copy.db",
            "destination": "copy.db",
            "format": "file_copy",
            "timestamp": 1,
        }
        (folder / "manifest.json").write_text(json.dumps([listed]))

    @property
    def store(self) -> Path:
        return self.shell.folder / "store"

    def environment(self, kind: str, point: str, act: str) -> dict[str, str]:
        wanted = {"kind": kind, "point": point, "act": act, "trace": str(self.trace)}
        return {
            "HOLDFAST_STORE": f"kept://{self.store}",
            "HOLDFAST_STATE": str(self.shell.folder / "state"),
            "HOLDFAST_PLUGINS": ",".join(("holdfast-sqlite", *(f"{each}-dist" for each in ALL))),
            VARIABLE: json.dumps(wanted),
            f"{VARIABLE}_REACHED": str(self.reached),
        }

    def run(self, *words: str, kind: str = "", point: str = "", act: str = "", code: int | None = 0) -> Ran:
        environment = self.environment(kind, point, act)
        if words[0] == "run":  # its children have no current folder to import from
            environment["PYTHONPATH"] = str(self.shell.folder)
        return self.shell.run(*words, env=environment, code=code)

    def reset(self) -> None:
        shutil.rmtree(self.store)
        shutil.copytree(self.kept, self.store)
        shutil.rmtree(self.shell.folder / "shelves" / "copy", ignore_errors=True)
        shutil.rmtree(f"{self.store}-copied", ignore_errors=True)
        (self.shell.folder / "told").write_text(OLD)
        self.trace.unlink(missing_ok=True)
        self.reached.unlink(missing_ok=True)

    def words(self, command: str) -> list[str]:
        return [word.format(id=self.made[0], store=self.store) for word in COMMANDS[command].words]

    def points(self, command: str, kind: str) -> list[str]:
        """Every point of a command at which a plugin of that kind is called."""
        self.reset()
        self.run(*self.words(command), kind=kind)
        return self.trace.read_text().splitlines()

    def is_passed_by(self, point: str) -> bool:
        """Whether the last trial has come by a point."""
        return self.trace.exists() and point in self.trace.read_text().splitlines()

    def listing(self) -> list[holdfast.Backup]:
        return list(holdfast.list_backups(f"kept://{self.store}", registry=sound()))

    def is_sound(self) -> bool:
        """Whether every backup that is listed is what was stored."""
        return _is_sound(f"kept://{self.store}")

    def is_copied(self) -> bool:
        """Whether the other store holds the backup, as it was stored."""
        other = f"kept://{self.store}-copied"
        copied = {record.id for record in holdfast.list_backups(other, registry=sound())}
        return copied == {self.made[0]} and _is_sound(other)

    @property
    def told(self) -> str:
        """What is in the file that commands write for other programs."""
        return (self.shell.folder / "told").read_text()

    def shelf(self, name: str) -> dict[str, bytes]:
        folder = self.shell.folder / "shelves" / name
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def _is_sound(store: str) -> bool:
    return all(result.passed for result in holdfast.verify(store=store, registry=sound(), read_data=True))


def sound() -> Registry:
    """The plugins of the commands, undisturbed, in this process."""
    return Registry(plugins=[make(kind) for kind in KINDS], discover=False, environ={})


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is called, and whether its work was done."""

    words: Sequence[str]
    done: Callable[[Place, Ran], bool]


COMMANDS = {
    "backup": Command(
        words=("backup", URL, "--codec", "plain"), done=lambda place, _: len(place.listing()) == 3 and place.is_sound()
    ),
    "restore": Command(
        words=("restore", "{id}", COPY), done=lambda place, _: place.shelf("copy") == place.shelf("app")
    ),
    "verify": Command(words=("verify", "{id}", "--read-data"), done=lambda place, _: place.is_sound()),
    "drill": Command(
        words=("drill", "{id}"), done=lambda place, _: "proven" in [record.state for record in place.listing()]
    ),
    "prune": Command(words=("prune", "--keep-last", "1"), done=lambda place, _: len(place.listing()) == 1),
    "list": Command(words=("list",), done=lambda place, ran: all(each in ran.stdout for each in place.made)),
    "show": Command(words=("show", "{id}"), done=lambda place, ran: place.made[0] in ran.stdout),
    "cat": Command(
        words=("cat", "{id}", "books"), done=lambda place, ran: ran.stdout.encode() == place.shelf("app")["books"]
    ),
    "import": Command(words=("import", "old"), done=lambda place, _: len(place.listing()) == 3 and place.is_sound()),
    "delete": Command(words=("delete", "{id}"), done=lambda place, _: len(place.listing()) == 1),
    "rename": Command(
        words=("rename", "app", "shop"), done=lambda place, _: {record.name for record in place.listing()} == {"shop"}
    ),
    "copy": Command(
        words=("copy", "kept://{store}", "kept://{store}-copied", "{id}"),
        done=lambda place, _: place.is_copied(),
    ),
    # What it tells is what a backup would come by; that nothing can be deleted is an answer, and no failure.
    "check": Command(
        words=("check",),
        done=lambda place, ran: (
            re.findall(r"^(read|list|write|create only) +yes ", ran.stdout, re.MULTILINE)
            == ["read", "list", "write", "create only"]
        ),
    ),
    "pin": Command(words=("pin", "{id}"), done=lambda place, _: any(record.pinned for record in place.listing())),
    "tag": Command(
        words=("tag", "{id}", "nightly"), done=lambda place, _: any(record.tags for record in place.listing())
    ),
    "metrics": Command(words=("metrics", "--output", "told"), done=lambda place, _: "holdfast_backups{" in place.told),
    "report": Command(words=("report", "told"), done=lambda place, _: place.told.rstrip().endswith("</html>")),
    "run": Command(
        words=("run", "--all", "--config", "holdfast.toml"),
        done=lambda place, ran: len(place.listing()) == 3 and place.is_sound() and "backup ok" in ran.stdout,
    ),
}
COUNTING = ("run",)  # says of each database what failed, and with its own exit code that something did


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("isolation"))


def trials(place: Place, command: str) -> Iterator[tuple[str, str, str]]:
    """Kinds, points and acts: all of them in the long form, and else a few that differ from command to command."""
    points = [(kind, point) for kind in KINDS for point in place.points(command, kind)]
    acts = [*ACTS, *MORE]
    first = [*COMMANDS].index(command)
    if LONG:  # a quarter of the acts at each point: another one in the next command that comes by it
        yield from (
            (kind, point, act) for number, (kind, point) in enumerate(points) for act in acts[(first + number) % 4 :: 4]
        )
        return
    for number in range(3):
        kind, point = points[(7 * first + number * len(points) // 3) % len(points)]
        yield kind, point, acts[(first + 5 * number) % len(acts)]


def judge(place: Place, command: str, kind: str, point: str, act: str) -> str:
    """What is wrong with what came of a trial; empty where nothing is."""
    place.reset()
    try:
        ran = place.run(*place.words(command), kind=kind, point=point, act=act, code=None)
    except subprocess.TimeoutExpired:
        return "it does not end"
    told = " ".join(line for line in ran.stderr.splitlines() if line.startswith(("error: ", "hint: ")))
    if command in COUNTING:
        told += ran.stdout
    if not ran.code:
        done = COMMANDS[command].done(place, ran)
        return (
            "" if done or 0 in KNOWN.get((point, act), ()) else f"success without the work: {ran.stdout} {ran.stderr}"
        )
    if ran.code not in KNOWN.get((point, act), {1, 14}) | ({3} if command in COUNTING else set()):
        return f"exit {ran.code}: {ran.stderr}"
    if "Traceback" in ran.stderr:
        return f"a traceback: {ran.stderr}"
    # A child of a plugin may undo what its parent has begun; what the system then says is told as it is.
    blamed = set(re.findall(r"\w+-dist", told))
    if blamed - {f"{kind}-dist"} or not (blamed or act.startswith("child ") or ran.code == 2):
        return f"names {blamed or 'nobody'}: {ran.stderr}"
    if [path.name for path in (place.shell.folder / "shelves").iterdir() if "drill" in path.name]:
        return "leaves a scratch database"
    if command != "report" and place.told != OLD:  # a page tells what could not be read
        return "has written its file all the same"
    kept = {record.id for record in place.listing()}
    if command not in ("delete", "prune") and kept != set(place.made):
        return f"leaves {len(kept)} backups: {ran.stderr}"
    return "" if place.is_sound() else "leaves a damaged backup"


@pytest.mark.sweep(8)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_fault_of_a_plugin_makes_a_command_succeed_or_blame_another(place: Place, command: str) -> None:
    wrong = [
        f"{point}, {act}: {problem}"
        for kind, point, act in trials(place, command)
        if (problem := judge(place, command, kind, point, act))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_observer_changes_nothing_about_a_command(place: Place, command: str) -> None:
    acts = [act for act in (*ACTS, *MORE) if act not in ("skip", "child", "garbage", "none", "text")]
    for act in acts if LONG else acts[[*COMMANDS].index(command) % len(acts) :][:1]:
        place.reset()
        ran = place.run(*place.words(command), kind="observer", point="observer: observe", act=act)
        assert COMMANDS[command].done(place, ran)
        named = ran.stderr.count("'observer-dist' of observer-dist 1.0 failed to observe")
        assert named == (place.is_passed_by("observer: observe") and "child" not in act), ran.stderr


HANGING = [
    ("backup", "engine", "engine: import"),
    ("list", "storage", "storage: components"),
    ("cat", "codec", "codec.decoder.decode next"),
    ("import", "storage", "storage.barrier"),
    ("delete", "storage", "storage.delete"),
    ("verify", "observer", "observer: observe"),
    ("restore", "codec", "codec.decoder"),
]


def hangs() -> list[tuple[str, str, str]]:
    """Every point of every command in the long form."""
    return [(command, kind, "") for command in COMMANDS for kind in ALL] if LONG else HANGING


@pytest.mark.parametrize(("command", "kind", "point"), hangs())
def test_ctrl_c_ends_a_command_whose_plugin_hangs(place: Place, command: str, kind: str, point: str) -> None:
    for each in [point] if point else place.points(command, kind):
        place.reset()
        environment = place.environment(kind, each, "hang")
        process = place.shell.start(*place.words(command), env=environment)
        told: list[str] = []
        # What it writes is read all the time: at some points `cat` has written more than a pipe holds.
        reading = threading.Thread(target=lambda process=process, told=told: told.extend(process.communicate()))
        reading.start()
        try:
            while not place.reached.exists():
                assert process.poll() is None, (each, told)
                time.sleep(0.01)
            began = time.monotonic()
            # As whoever presses it again: Python does not see a signal that comes just before it waits for a lock.
            while process.poll() is None and time.monotonic() - began < 20:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
            seconds = time.monotonic() - began
        finally:
            process.kill()
            reading.join()
        said = told[1]
        assert process.returncode == 130, (each, seconds, said)
        assert seconds < PATIENCE, f"{each}: {seconds:.2f} s"
        # `cat` may still be writing what came before, and wait for nobody.
        is_writing = command == "cat" and "decode" in each and said.endswith("error: interrupted\n")
        waited = re.search(rf"error: interrupted while waiting for .* of .*{kind}-dist 1\.0", said)
        assert waited or is_writing, (each, said)
        done = place.shelf("copy") or {record.id for record in place.listing()} - {*place.made}
        # What hangs at the end of a commit has worked, and nobody can tell.
        assert not done or "all the same" in said or each.startswith("restore.commit"), (each, said)
