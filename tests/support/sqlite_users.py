"""Programs that use an SQLite database, alive or killed, each in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Runs statements, says that it is ready, and keeps its connection until its input ends.
USER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("ready", flush=True)
sys.stdin.read()
"""
#: Runs statements, says so, and is killed.
KILLED = USER.replace("sys.stdin.read()", "import os\nos.kill(os.getpid(), 9)")


@contextmanager
def running(code: str, *arguments: str | Path, within: tuple[str, ...] = ()) -> Iterator[int]:
    """A program that has said that it is ready; its process id. `within` is a command that runs it."""
    command = [*within, sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate()


def use_and_be_killed(path: Path, *statements: str) -> None:
    """Run statements in a program that is killed then, so that its log or journal stays."""
    with running(KILLED, path, *statements):
        pass
