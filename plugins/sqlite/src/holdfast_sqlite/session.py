"""Sessions with child processes, which open sources and targets: started, spoken to, and never left behind."""

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.api import HoldfastError
from holdfast_sqlite.interpreter import interpreter

log = logging.getLogger("holdfast.sqlite")

# -I and -S keep out what the environment and site-packages would load; so the way to this package is an argument.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from holdfast_sqlite.child.main import main; main()"
_ROOT = str(Path(__file__).resolve().parent.parent)
_OUT_OF_MEMORY = "the kernel does that where memory runs out (dmesg, journalctl -k), or somebody has done it: try again"
# Whoever stops a service sends this to all of its processes: ours is on its way then, and ends what waits for it.
_STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_SOON = 0.1  # seconds
_PIPE = 1 << 20  # bytes; the most that an unprivileged process may ask for


class Child:
    """One child process at its task; leaving the context ends it.

    Messages are taken by one thread; `end` may be called from any, and whoever waits for a message then gets the
    error that the process has ended.
    """

    def __init__(self, task: str, *, scratch: Path, **arguments: Any) -> None:
        python = interpreter()
        control, remote = os.pipe()
        self._errors = scratch / f"{task}-{control}.stderr"
        try:
            with open(self._errors, "wb") as errors:
                self._process = subprocess.Popen(
                    [python, "-I", "-S", "-c", _START, _ROOT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    pass_fds=(remote,),
                    # Ctrl-C in a terminal goes to the group of the parent, which then ends us in its own way.
                    process_group=0,
                )
        except BaseException:
            os.close(control)
            raise
        finally:
            os.close(remote)
        self._messages = open(control, "rb")  # noqa: SIM115 (closed by __exit__)
        self.send(json.dumps({"task": task, "control": remote, "scratch": str(scratch), **arguments}))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def pages(self) -> int:
        """The descriptor to read its pages from, its pipe as large as may be."""
        if self._process.stdout is None:
            raise RuntimeError(self._process.args)
        descriptor = self._process.stdout.fileno()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # the user's share of pipe memory is taken: slower, that is all
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        return descriptor

    def send(self, line: str) -> None:
        """Send a command; a child that has ended tells why when its next message is asked for."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                _write(self._process.stdin.fileno(), line.encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next message that is not a log record: `event` says what it is, `error` among others."""
        while (line := self._messages.readline()).endswith(b"\n"):  # what was cut short is no message
            message: dict[str, Any] = json.loads(line)
            if message["event"] != "log":
                return message
            log.info("%s", message["text"])
        raise self._death(self._process.wait())

    def _death(self, code: int) -> HoldfastError:
        """Why there are no more messages: a signal, or the last line of what it has written to standard error."""
        if code < 0:
            if -code in _STOPS:
                time.sleep(_SOON)
            name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
            return HoldfastError(
                f"the SQLite engine's child process was ended by {name}",
                hint=_OUT_OF_MEMORY if name == "SIGKILL" else None,
            )
        last = self._errors.read_text(errors="replace").strip().rpartition("\n")[2] if self._errors.exists() else ""
        return HoldfastError(f"the SQLite engine's child process ended with code {code}{': ' if last else ''}{last}")

    def end(self) -> None:
        """Kill the process: what it would have to put in order its watcher does."""
        if self._process.poll() is None:
            self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._process.wait()
        # What it has left beside a database is gone once nobody has the other end (`snapshot.side_files`).
        self._messages.read()
        self._messages.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not flushed has nobody to go to
                    pipe.close()


def _write(descriptor: int, data: bytes) -> None:
    """Write to a pipe; eventlet's `os.write`, and so all of its files, try for ever where nobody reads any more."""
    while data:
        try:
            data = data[os.writev(descriptor, [data]) :]
        except BlockingIOError:  # as gevent makes pipes
            select.select([], [descriptor], [])
