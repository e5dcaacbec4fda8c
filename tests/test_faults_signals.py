"""SIGINT, SIGTERM and SIGKILL at every kind of moment: no half backup, no half restore, nothing left behind."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest
from support import interrupting
from support.commandline import Shell
from support.databases import dump, make_database
from support.distributions import write_distribution
from support.sweeps import tries

import holdfast

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -signal.SIGKILL}
MOMENTS = tries(6, long=12)


def interrupted(shell: Shell, number: int, at: int, *arguments: object) -> int:
    """Run a command that gets a signal at a step of its; returns the exit code."""
    env = interrupting.variables(
        shell.folder / "plugins", shell.store, shell.scratch, shell.folder / "t", at=at, number=number
    )
    process = shell.start(*arguments, env=env)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (0, CODES[signal.Signals(number)]), stderr
    assert "Traceback" not in stderr, stderr
    if process.returncode > 0:
        name = signal.Signals(number).name
        assert stderr.startswith("error: interrupted" if number == signal.SIGINT else f"error: terminated by {name}")
    return process.returncode


def moments(shell: Shell, *arguments: object) -> list[int]:
    """Some of the steps that a command takes, the first and the last among them."""
    interrupting.install(shell.folder / "plugins")
    assert interrupted(shell, signal.SIGTERM, 0, *arguments) == 0
    steps = len((shell.folder / "plugins" / "steps").read_text().splitlines())
    assert steps > MOMENTS
    return sorted({1 + round(n * (steps - 1) / (MOMENTS - 1)) for n in range(MOMENTS)})


def content(store: Path) -> dict[str, bytes]:
    """Every file of a store but leases."""
    paths = (path for path in store.rglob("*") if ".leases" not in path.parts)
    return {str(path.relative_to(store)): path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.mark.sweep(2)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_backup_that_is_interrupted_is_whole_or_not_there(shell: Shell, number: signal.Signals) -> None:
    make_database(shell.folder / "app.db.new", noise=2 << 20).replace(shell.folder / "app.db")
    steps = moments(shell, "backup", "sqlite:///app.db")
    whole = 0
    for at in steps:
        before = content(shell.store)
        known = {record.id for record in holdfast.list_backups(str(shell.store))}
        interrupted(shell, number, at, "backup", "sqlite:///app.db")
        fresh = [record for record in holdfast.list_backups(str(shell.store)) if record.id not in known]
        whole += len(fresh)
        for record in fresh:
            assert holdfast.verify(record.id, store=str(shell.store), read_data=True)[0].passed
        if number != signal.SIGKILL:
            assert fresh or content(shell.store) == before, at
            assert not list((shell.store / ".leases").iterdir()), at
            assert not list(shell.scratch.iterdir()), at
    assert whole < len(steps) // 2
    shell.backup("sqlite:///app.db")
    listed = {f"{record.name}/{record.id}" for record in holdfast.list_backups(str(shell.store))}
    there = {"/".join(path.split("/")[:2]) for path in content(shell.store) if path.count("/") > 1}
    assert there == listed, "the next backup removes what a killed one left"
    assert not list((shell.store / ".leases").iterdir())


@pytest.mark.sweep(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_backup_that_is_interrupted_leaves_nothing_beside_a_database_in_wal_mode(
    shell: Shell, number: signal.Signals
) -> None:
    app = make_database(shell.folder / "app.db.new", noise=2 << 20).replace(shell.folder / "app.db")
    with closing(sqlite3.connect(app)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    for at in moments(shell, "backup", "sqlite:///app.db"):
        interrupted(shell, number, at, "backup", "sqlite:///app.db")
        assert [path.name for path in shell.folder.glob("app.db*")] == ["app.db"], at


def test_after_a_kill_less_than_a_mebibyte_and_no_scratch_space_is_left_by_the_next_backup(shell: Shell) -> None:
    make_database(shell.folder / "app.db.new", noise=4 << 20).replace(shell.folder / "app.db")
    steps = moments(shell, "backup", "sqlite:///app.db")
    shutil.rmtree(shell.store)
    interrupted(shell, signal.SIGKILL, steps[MOMENTS // 2], "backup", "sqlite:///app.db")
    shell_list = subprocess.run(
        shell.arguments("list", "--json"), cwd=shell.folder, env=shell.environment(), capture_output=True, check=True
    )
    assert shell_list.stdout == b"[]\n"
    assert b"unfinished" in shell_list.stderr
    make_database(shell.folder / "small.db")
    shell.backup("sqlite:///small.db", "--name", "app", "--adopt")
    assert sum(map(len, content(shell.store).values())) < 1 << 20


@pytest.mark.sweep(3)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("way", ["new", "replace"])
def test_a_restore_that_is_interrupted_is_whole_or_not_there(shell: Shell, number: signal.Signals, way: str) -> None:
    make_database(shell.folder / "app.db.new", noise=2 << 20).replace(shell.folder / "app.db")
    shell.backup("sqlite:///app.db")
    folder = shell.folder / "t"
    folder.mkdir()
    target = folder / "target.db"
    old = make_database(shell.folder / "old.db", seed=7)
    arguments = ["restore", "latest", f"sqlite:///{target}", *(["--replace"] if way == "replace" else [])]
    if way == "replace":
        shutil.copy(old, target)
    steps = moments(shell, *arguments)[:: 2 if number == signal.SIGINT else 1]
    contents = {dump(old), dump(shell.folder / "app.db")}
    for at in steps:
        shutil.rmtree(folder)
        folder.mkdir()
        if way == "replace":
            shutil.copy(old, target)
        interrupted(shell, number, at, *arguments)
        if way == "replace" or target.exists():
            assert dump(target) in contents, at
        if number != signal.SIGKILL:
            assert {path.name for path in folder.iterdir()} <= {"target.db"}, at
            assert not list(shell.scratch.iterdir()), at
    shell.run("restore", "latest", f"sqlite:///{target}", "--replace")
    assert dump(target) == dump(shell.folder / "app.db")
    assert [path.name for path in folder.iterdir()] == ["target.db"], "the next restore removes what a killed one left"


HANGING = """
    import os, threading
    from contextlib import contextmanager
    from subprocess import Popen
    from holdfast.api import *

    READY = os.environ.get("READY")


    def hang():
        with open(READY, "w") as ready:
            ready.write(str(os.getpid()))
        threading.Event().wait()


    class Hanging:
        suffix = ".hang"
        count = 0

        def encode(self, block):
            self.count += 1
            if self.count > 2:
                hang()
            return bytes(block)

        def decoder(self):
            return self

        def decode(self, data):
            hang()
            yield data

        def finish(self):
            pass


    class Lines:
        streams = (Stream(name="lines"),)

        def read(self, stream):
            self.child = Popen(["sleep", "1000"])
            try:
                with open(READY, "w") as ready:
                    ready.write(str(self.child.pid))
                yield b"x"
                self.child.wait()
            finally:
                self.close()

        def close(self):
            self.child.kill()
            self.child.wait()

        def proof(self):
            return None

        def facts(self):
            return Facts()


    @contextmanager
    def dumping():
        lines = Lines()
        try:
            yield lines
        finally:
            lines.close()


    def holdfast_components():
        yield Component(kind=Kind.CODEC, name="hang")
        yield Component(kind=Kind.ENGINE, name="lines")


    def holdfast_compress(codec, options):
        return Hanging()


    def holdfast_dump(scheme, request):
        return dumping()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("what", ["codec", "engine"])
def test_a_part_that_hangs_does_not_hold_up_the_end(shell: Shell, what: str, number: signal.Signals) -> None:
    make_database(shell.folder / "app.db.new", noise=4 << 20).replace(shell.folder / "app.db")
    ready = shell.folder / "ready"
    os.mkfifo(ready)
    plugins = write_distribution(shell.folder / "plugins", "holdfast-hanging", HANGING)
    arguments = ["lines://somewhere"] if what == "engine" else ["sqlite:///app.db", "--codec", "hang"]
    process = shell.start("backup", *arguments, env={"PYTHONPATH": str(plugins), "READY": str(ready)})
    hanging = int(ready.read_text())
    process.send_signal(number)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert "error: " in stderr
    assert "Traceback" not in stderr
    assert not Path(f"/proc/{hanging}").exists(), "a child is left"
    assert content(shell.store).keys() <= {"holdfast.json"}
    assert not list(shell.scratch.iterdir())
    assert shell.listing() == []


def test_a_restore_whose_codec_hangs_ends_at_once_and_leaves_nothing(shell: Shell) -> None:
    plugins = write_distribution(shell.folder / "plugins", "holdfast-hanging", HANGING)
    ready = shell.folder / "ready"
    os.mkfifo(ready)
    env = {"PYTHONPATH": str(plugins), "READY": str(ready)}
    shell.run("backup", "sqlite:///app.db", "--codec", "hang", "--verify-written", "none", env=env)
    process = shell.start("restore", "latest", "sqlite:///copy.db", env=env)
    ready.read_text()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 143
    assert sorted(path.name for path in shell.folder.glob("*.db*")) == ["app.db"]
    assert not list(shell.folder.glob(".holdfast-*"))


UNRAISABLE = """
    import os, threading

    class Dropped:
        def __del__(self):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

    Dropped()
    threading.Event().wait(20)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_that_comes_where_nothing_can_be_raised_is_obeyed(shell: Shell, number: signal.Signals) -> None:
    """In a finalizer, or a callback of a weak reference such as an import has, Python drops what a handler raises."""
    plugins = write_distribution(shell.folder / "plugins", "holdfast-dropping", UNRAISABLE)
    env = {"PYTHONPATH": str(plugins), "SIGNAL": str(int(number))}
    process = shell.start("backup", "sqlite:///app.db", env=env)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == CODES[number], stderr
    assert "Traceback" not in stderr, stderr
    assert not shell.store.exists()


# From the import of the program on, a fork gets a SIGINT at each: how it ended, and whether in a traceback.
EARLY = """
    import os, sys

    forks = True
    begun = False

    def watch(event, arguments):
        global begun, forks
        if event != "import" or not forks:
            return
        begun = begun or arguments[0] == "holdfast"
        if not begun:
            return
        reading, writing = os.pipe()
        if not (child := os.fork()):
            forks = False
            os.dup2(writing, 2)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
            return
        os.close(writing)
        with open(reading, "rb") as said:
            traceback = b"Traceback" in said.read()
        print(arguments[0], os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), traceback, flush=True)
        if arguments[0] == "click":
            os._exit(0)

    sys.addaudithook(watch)
"""


def test_ctrl_c_shows_no_traceback_once_the_program_is_found(shell: Shell) -> None:
    """A shell reports its end by SIGINT as 130. Before, Python itself answers, and nothing that takes time is ours."""
    (shell.folder / "sitecustomize.py").write_text(dedent(EARLY))
    process = shell.start("list", env={"PYTHONPATH": str(shell.folder), "SIGNAL": str(int(signal.SIGINT))})
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    moments = [line.split() for line in output.splitlines()]
    assert [name for name, _, traceback in moments if traceback == "True"] == ["holdfast"]
    assert {status for _, status, _ in moments} == {str(-signal.SIGINT)}
    assert moments[-1][0] == "click"


LATE = """
    import os, signal, sys, traceback
    from holdfast import cli

    def late(module, name):
        function = getattr(module, name)
        def call(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)
            return function(*arguments)
        setattr(module, name, call)

    late({"report": traceback, "end": cli}[sys.argv[1]], {"report": "format_exception", "end": "flush"}[sys.argv[1]])
    cli.main(["list", "--store", "nowhere"])
"""


@pytest.mark.parametrize(("moment", "code"), [("report", 143), ("end", 10)])
def test_a_signal_that_comes_when_all_is_over_is_no_traceback(shell: Shell, moment: str, code: int) -> None:
    """As of a service that is stopped: a child of ours ends by it, of which we tell when our own comes."""
    command = [sys.executable, "-c", dedent(LATE), moment]
    done = subprocess.run(
        command, cwd=shell.folder, env=shell.environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert ("terminated by SIGTERM" in done.stderr) == (code == 143)


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(shell: Shell) -> None:
    interrupting.install(shell.folder / "plugins")
    env = interrupting.variables(shell.folder / "plugins", shell.store, at=5, number=signal.SIGHUP)
    done = subprocess.run(
        ["nohup", *shell.arguments("backup", "sqlite:///app.db")],
        cwd=shell.folder,
        env=shell.environment(env),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert len(shell.listing()) == 1


def test_who_has_started_us_may_ignore_how_children_end_and_we_do_not() -> None:
    """Else every exit code of a client program would be a success."""
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); from holdfast.cli import _catch_signals; "
        "_catch_signals(); import subprocess; print(subprocess.run(['false']).returncode)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1\n"
