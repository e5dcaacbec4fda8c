"""A server that loses its power and gets it back."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.mariadb import MariaDB, listens


class Power:
    """The power of a running server; only the process that started the server may cut it."""

    def __init__(self, server: MariaDB) -> None:
        self._server = server
        self._pid = server.pid
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0")[:-1]
        root = os.environ.get("HOLDFAST_TEST_MARIADB_ROOT", "")
        # Its own name may be one of /usr/sbin, where an ordinary user's shell does not look.
        program = os.readlink(f"/proc/{server.pid}/exe").removeprefix(os.path.realpath(root) if root else "")
        self._command = [*(["chroot", root] if root else []), program, *(part.decode() for part in arguments[1:])]
        self._process: subprocess.Popen[bytes] | None = None

    def cut(self) -> None:
        """Kill the server and start it again on the same files; returns when it listens."""
        os.kill(self._pid, signal.SIGKILL)
        while self._running():
            time.sleep(0.01)
        with (self._server.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        self._pid = self._process.pid
        while not listens(self._server.socket):
            if self._process.poll() is not None:
                raise AssertionError("the server does not start again")
            time.sleep(0.05)

    def _running(self) -> bool:
        if self._process:
            return self._process.poll() is None
        # The one that started it has not waited for it: it is a zombie, and gone when the last of its threads is.
        folder = Path(f"/proc/{self._pid}")
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list((folder / "task").iterdir())) > 1

    def end(self) -> None:
        """End the server that was started last, if it was."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=60)


@contextmanager
def power_of(server: MariaDB) -> Iterator[Power]:
    """What cuts a server's power; a server that was started again ends with the context."""
    power = Power(server)
    try:
        yield power
    finally:
        power.end()
