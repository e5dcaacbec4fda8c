"""Programs that a run starts: bounded in time and output, and ended with everything that they have started."""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from holdfast.errors import os_error_text

MARK = "_HOLDFAST_STEP"  #: the variable by which all that a program has started is known, wherever it has gone to
PARENT = "_HOLDFAST_PARENT"
_GRACE = 10.0  # seconds to clean up after SIGTERM
_OUTPUT = 1 << 20  # bytes of each output that are kept, the last ones
_PIPES = 2.0  # seconds for what a program has left behind to close its outputs


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a program: its exit code, 126 or 127 where it could not be started, and the end of its output."""

    code: int
    output: bytes = field(default=b"", repr=False)
    errors: bytes = field(default=b"", repr=False)
    timed_out: bool = False
    seconds: float = 0.0


class Children:
    """The programs of one run; `stop` ends all of them, and those that are started later at once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.stopped = threading.Event()

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout: float,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        tied: bool = False,
        last: bool = False,
    ) -> Ended:
        """Run a program to its end; `given` is its standard input.

        One that is `tied` is ours, and ends by itself when this process is killed. `last` runs though all are stopped.
        """
        if self.stopped.is_set() and not last:
            return Ended(code=128 + signal.SIGTERM, errors=b"the run was ended before it")
        mark = secrets.token_hex(12)
        began = time.monotonic()
        variables = {**os.environ, **(environment or {}), MARK: mark}
        with contextlib.ExitStack() as pipe:
            passed: tuple[int, ...] = ()
            if tied:
                reader, writer = os.pipe()
                pipe.callback(os.close, writer)
                variables[PARENT] = str(reader)
                passed = (reader,)
            try:
                with self._lock:
                    process = subprocess.Popen(
                        arguments,
                        cwd=self._folder,
                        env=variables,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        start_new_session=True,
                        pass_fds=passed,
                    )
                    self._running[mark] = process
            except OSError as error:
                return Ended(code=127, errors=f"cannot run {arguments[0]}: {os_error_text(error)}".encode())
            finally:
                for descriptor in passed:
                    os.close(descriptor)
            try:
                return self._wait(process, mark, given, timeout, began, last=last)
            finally:
                with self._lock:
                    del self._running[mark]

    def _wait(
        self, process: "subprocess.Popen[bytes]", mark: str, given: bytes, timeout: float, began: float, *, last: bool
    ) -> Ended:
        tails = [_Tail(process.stdout), _Tail(process.stderr)]
        _Feed(process.stdin, given)
        ends, timed_out = began + timeout, False
        while (code := _poll(process)) is None:
            if time.monotonic() > ends:
                timed_out = True
                break
            if self.stopped.is_set() and not last:
                break
        if code is None:
            end_all(process, mark)
            code = process.wait()
        for tail in tails:
            tail.join(_PIPES)
        code = 128 - code if code < 0 else code
        seconds = time.monotonic() - began
        return Ended(code=code, output=tails[0].content, errors=tails[1].content, timed_out=timed_out, seconds=seconds)

    def stop(self) -> None:
        """End every program, each with all that it has started."""
        self.stopped.set()


def _poll(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit code, waited for a moment."""
    try:
        return process.wait(0.2)
    except subprocess.TimeoutExpired:
        return None


def end_all(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Ask a program to end, and after a while kill it with all that bears its mark, also in sessions of their own."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    _signal_group(process, signal.SIGKILL)
    for _ in range(20):  # what forks meanwhile is met by the next round
        others = _marked(mark)
        if not others:
            return
        for number in others:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _marked(mark: str) -> list[int]:
    """The processes whose environment has a mark, where the system shows that."""
    wanted = f"{MARK}={mark}".encode()
    numbers: list[int] = []
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0") and not _is_dead(name):
                    numbers.append(int(name))
    return numbers


def _is_dead(number: str) -> bool:
    with open(f"/proc/{number}/stat", "rb") as file:
        return file.read().rpartition(b") ")[2][:1] in (b"Z", b"X")


class _Tail(threading.Thread):
    """Reads an output to its end and keeps the last of it, so that whoever floods it fills nothing."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.start()

    def run(self) -> None:
        """Read until the last writer is gone."""
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError), self._stream:
            while piece := os.read(self._stream.fileno(), 1 << 16):
                self._pieces.append(piece)
                self._size += len(piece)
                while self._size - len(self._pieces[0]) >= _OUTPUT:
                    self._size -= len(self._pieces.popleft())

    @property
    def content(self) -> bytes:
        """What was read last."""
        return b"".join(list(self._pieces))[-_OUTPUT:]


class _Feed(threading.Thread):
    """Writes what a program is given, which may not read it."""

    def __init__(self, stream: IO[bytes] | None, given: bytes) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._given = given
        self.start()

    def run(self) -> None:
        """Write it and close."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError), self._stream:
                self._stream.write(self._given)
