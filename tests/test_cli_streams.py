"""stdout and stderr that are closed, full or hostile: the work is done, the exit code is right, nothing is forged."""

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest
from support.commandline import Ran, Shell
from support.distributions import write_distribution

READERS = [
    *(["list"], ["list", "--json"], ["show", "latest"], ["verify", "--json"], ["cat", "latest"], ["plugins"]),
    *(["metrics"], ["check"], ["config", "validate"], ["config", "show", "--json"], ["completion", "bash"]),
    *(["schedule", "cron"], ["run", "--all", "-n"], ["copy", "backups", "other", "--json"]),
]
JOBS = ("app", "other", "third")


@pytest.fixture
def kept(kept: Shell) -> Shell:
    """With jobs, of which each has a store of its own."""
    jobs = (f'[job.{name}]\nsource = "sqlite:///app.db"\nstore = "./store-{name}"\n' for name in JOBS)
    (kept.folder / "holdfast.toml").write_text("".join(jobs))
    return kept


def through(shell: Shell, redirection: str, *arguments: str) -> Ran:
    """Run a command by way of a shell that redirects it."""
    line = ["sh", "-c", f'"$@" {redirection}', "sh", *shell.arguments(*arguments)]
    done = subprocess.run(line, cwd=shell.folder, env=shell.environment(), capture_output=True, check=False, timeout=60)
    assert b"Traceback" not in done.stderr
    assert b"internal error" not in done.stderr
    return Ran(code=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())


@pytest.mark.parametrize("command", READERS)
def test_a_full_stdout_is_exit_1_and_one_message_that_names_it(kept: Shell, command: list[str]) -> None:
    ran = through(kept, ">/dev/full", *command)
    assert ran.code == 1
    assert ran.error == "cannot write to stdout: no space left on the device"


def test_a_full_stdout_ends_a_backup_that_writes_json_before_anything_is_stored(kept: Shell) -> None:
    before = kept.files()
    ran = through(kept, ">/dev/full", "backup", "--json", "sqlite:///app.db", "--name", "other")
    assert (ran.code, ran.error) == (1, "cannot write to stdout: no space left on the device")
    assert kept.files() == before


@pytest.mark.parametrize(("redirection", "code"), [(">/dev/full", 1), ("| true", 0)])
def test_a_run_makes_every_backup_though_nobody_can_be_told(kept: Shell, redirection: str, code: int) -> None:
    """A disk that is full of logs is no reason to have no backups; that of the pipe is the code of its last program."""
    ran = through(kept, redirection, "run", "--all")
    assert ran.code == code
    assert [len(kept.listing("--store", f"store-{name}")) for name in JOBS] == [1, 1, 1]
    if code:
        assert ran.error == "cannot write to stdout: no space left on the device"
        (kept.folder / "app.db").write_bytes(b"no database" * 1000)
        ran = through(kept, redirection, "run", "--all")
        assert (ran.code, ran.error) == (3, "3 of 3 failed, and cannot write to stdout: no space left on the device")


@pytest.mark.sweep(1)
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_talk_that_cannot_be_said_changes_neither_the_work_nor_the_exit_code(kept: Shell, redirection: str) -> None:
    ran = through(kept, redirection, "backup", "sqlite:///app.db")
    assert ran.code == 0
    assert ran.stdout.strip() in {record["id"] for record in kept.listing()}
    assert through(kept, redirection, "show", "missing").code == 10
    assert through(kept, redirection, "show", "missing", "--log-format", "json").code == 10
    assert through(kept, redirection, "show").code == 2


@pytest.mark.sweep(1)
@pytest.mark.parametrize("redirection", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_like_dev_null(kept: Shell, redirection: str) -> None:
    for command in READERS:
        assert through(kept, redirection, *command).code == 0
    assert through(kept, redirection, "backup", "sqlite:///app.db", "--name", "other").code == 0
    assert [record["name"] for record in kept.listing("other")] == ["other"]
    kept.run("verify", "other/latest", "--read-data")
    assert through(kept, redirection, "show", "missing").code == 10


def crowded(shell: Shell, stream: int, *arguments: str) -> bytes:
    """What comes out of a stream that is non-blocking, takes 4 KiB at a time, and is read slowly."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with subprocess.Popen(
        shell.arguments(*arguments),
        cwd=shell.folder,
        env=shell.environment(),
        stdout=writer if stream == 1 else subprocess.DEVNULL,
        stderr=writer if stream == 2 else None,
    ):
        os.close(writer)
        pieces = []
        with os.fdopen(reader, "rb", buffering=0) as file:
            while piece := file.read(1500):
                pieces.append(piece)
                os.sched_yield()
    return b"".join(pieces)


@pytest.mark.parametrize("command", [["cat", "latest"], ["schema", "manifest"], ["plugins", "api"], ["backup", "-h"]])
def test_a_stdout_that_is_non_blocking_gets_all_of_it(kept: Shell, command: list[str]) -> None:
    """node.js, ssh and task runners leave pipes and terminals so, for all that share them."""
    line = kept.arguments(*command)
    whole = subprocess.run(line, cwd=kept.folder, env=kept.environment(), capture_output=True, check=True, timeout=60)
    assert crowded(kept, 1, *command) == whole.stdout


def test_a_stderr_that_is_non_blocking_gets_all_of_it(kept: Shell) -> None:
    missing = [f"sqlite:///missing-{number}-{'x' * 100}.db" for number in range(80)]
    told = crowded(kept, 2, "backup", *missing)
    assert told == through(kept, "", "backup", *missing).stderr.encode()
    assert told.count(b"\n") >= len(missing)


def forged(kept: Shell, backup_id: str) -> str:
    """Make a manifest that steers terminals and adds lines; it is valid all the same."""
    text = "\x1b[2Jforged\n20990101T000000Z-000000  app  sqlite  proven"
    path = kept.store / "app" / backup_id / "backup_manifest.json"
    document = json.loads(path.read_text())
    document["source"] |= {"engine": text, "url": text}
    document["codec"]["spec"] = text
    document |= {"warnings": [text], "tags": [text], "checksums": ["sha256", text]}
    path.write_text(json.dumps(document))
    return text


def test_a_hostile_manifest_neither_steers_the_terminal_nor_forges_lines(kept: Shell, ids: list[str]) -> None:
    text = forged(kept, ids[1])
    for command in (
        ["list"],
        ["show", "latest"],
        ["verify", ids[1]],
        ["restore", ids[1], "sqlite:///new.db", "--allow-damaged"],
    ):
        done = through(kept, "", *command)
        said = done.stdout + done.stderr
        assert "\x1b" not in said
        assert not [line for line in said.splitlines() if line.startswith("20990101")]
    (record,) = [record for record in kept.listing() if record["id"] == ids[1]]
    assert record["engine"] == record["codec"] == record["database_url"] == text


def test_a_path_that_is_no_utf_8_is_in_json_what_python_reads(shell: Shell) -> None:
    name = os.fsdecode(b"st\xffre")
    if not _can_be_made(shell.folder / name):
        pytest.fail("the tests need a file system that keeps names of any bytes")
    record = shell.backup("sqlite:///app.db", "--store", name)
    assert record["path"] == str(shell.folder / name / "app" / record["id"])
    assert shell.listing("--store", name) == [{key: value for key, value in record.items() if key != "type"}]
    shell.run("show", "latest", "--store", name, "--json", "--log-format", "json", "-v")


def _can_be_made(path: Path) -> bool:
    try:
        path.mkdir()
        path.rmdir()
    except OSError:
        return False
    return True


def test_what_a_plugin_leaves_for_the_end_is_done(shell: Shell) -> None:
    source = "import atexit, threading\natexit.register(print, 'last words')\n"
    source += "threading.Thread(target=lambda: threading.main_thread().join() or print('thread')).start()\n"
    write_distribution(shell.folder / "plugins", "acme-late", source)
    ran = shell.run("plugins", env={"PYTHONPATH": str(shell.folder / "plugins")})
    assert ran.stderr.splitlines()[-2:] == ["thread", "last words"]
