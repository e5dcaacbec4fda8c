"""Client programs as child processes that end with the session, however it ends."""

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.api import HoldfastError, os_error_text
from holdfast_postgres.client.pipes import READ, read_block, text_of, write_block
from holdfast_postgres.client.stalls import Stalls
from holdfast_postgres.errors import client_error, server_error
from holdfast_postgres.location import Location
from holdfast_postgres.silence import Peer, SilentServerError, Watch

# Runs a program, and kills it with its workers as soon as the lifeline, a pipe that we hold open, is closed by our
# death. A program that streams to us dies of its broken pipe anyway; pg_restore would build its indexes to the end,
# and PR_SET_PDEATHSIG does not reach the workers that it forks.
# By /dev/fd, since dash redirects from no descriptor of two digits.
_TIED = """
line=$1; shift
exec 3<&0
"$@" <&3 3<&- & program=$!
exec 3<&- </dev/null
(read -r _ <"/dev/fd/$line"; kill -KILL 0) & watch=$!
wait "$program"; code=$?
kill -KILL "$watch"
exit "$code"
"""
_F_SETPIPE_SZ = 1031
_LAST_QUESTION = 1.0  # seconds for the thread that asks after the server, which may wait for an answer just now
_KEPT = 200  # lines of standard error that are kept, half from the start and half from the end


class ClientProcesses:
    """All client programs of one session; leaving it kills those that still run, also from another thread.

    Where `peer` is the server that they talk to, they are killed as well once it is silent: they themselves would wait
    for it without an end. With `stalls`, so is one whose server waits for it: then a program that is tied may wait for
    nothing else but what we feed it.
    """

    def __init__(
        self, location: Location, scratch: Path, *, peer: Peer | None = None, stalls: Stalls | None = None
    ) -> None:
        self._location = location
        self._scratch = scratch
        self._peer = peer
        self._stalls = stalls
        self._watcher: threading.Thread | None = None
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._running: set[ClientProcess] = set()
        self._closed = False
        self._error: HoldfastError | None = None
        self._lifeline = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self,
        command: Sequence[str | bytes],
        *,
        before: Sequence[str] = (),
        location: Location | None = None,
        feed: bool = False,
        tied: bool = False,
        offline: bool = False,
        on_line: Callable[[str], object] | None = None,
    ) -> "ClientProcess":
        """Start a program on the session's database.

        `before` are the words of a program that runs it. `feed` gives it a pipe as standard input; `tied` is for one
        that works without streaming to us, which would not notice our sudden death. `offline` is for one that connects
        to no database. `on_line` is called with each line of its standard error, in a thread of its own.
        """
        _check_children()
        location = location or self._location
        mark = ""
        if self._stalls is not None and tied and not offline:
            location, mark = self._stalls.marked(location)
        environment = location.environment(self._scratch)
        program = os.fsdecode(command[0])
        with self._lock:
            if self._closed:
                raise HoldfastError("the session has been closed")
            if self._error is not None:
                raise self._error
            line = self._lifeline[0]
            database = () if offline else ("--dbname", location.argument(self._scratch))
            wrapper = ["/bin/sh", "-c", _TIED, "holdfast", str(line)] if tied else []
            try:
                process = subprocess.Popen(
                    [*wrapper, *before, *command, *database],
                    pass_fds=(line,) if tied else (),
                    stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    bufsize=0,
                    # Ctrl-C at a terminal is for us: a child that it kills would be reported as the failure.
                    process_group=0,
                )
            except OSError as error:
                raise HoldfastError(f"cannot start {program}: {os_error_text(error)}") from error
            child = ClientProcess(process, os.path.basename(program), on_line, self._forget)
            child.mark, child.waits = mark, not feed
            self._running.add(child)
            if self._peer is not None and self._watcher is None and not offline:
                self._watcher = threading.Thread(target=self._watch, name="holdfast-silence", daemon=True)
                self._watcher.start()
        return child

    def _watch(self) -> None:
        """Ask the server now and then whether it is there, for as long as programs run."""
        watch = Watch(peer=self._peer, patience=self._location.patience)
        while not self._end.wait(watch.pause):
            if not self._running:
                watch.reset()
                continue
            try:
                if watch.ask():
                    self._look_for_stalls(watch)
            except SilentServerError as error:
                self.abort(server_error(error, f"lost the server of {self._location.label}"))
                return

    def _look_for_stalls(self, watch: Watch) -> None:
        with self._lock:
            waiting = [child for child in self._running if child.mark and child.waits]
        for child in waiting:
            if self._stalls is not None and self._stalls.is_stalled(child.mark, child.pid):
                raise SilentServerError(
                    f"no answer from the server to {child.program}, where its sessions wait for us for "
                    f"{watch.seconds:.0f} s: what is between has lost an answer or a statement"
                )

    def _forget(self, child: "ClientProcess") -> None:
        with self._lock:
            self._running.discard(child)

    def abort(self, error: HoldfastError) -> None:
        """Kill what runs, from any thread; whoever waits for it, or starts more, gets this error."""
        with self._lock:
            self._error = error
            for child in self._running:
                child.callback_error = child.callback_error or error
                child.kill()

    def close(self) -> None:
        """Kill what still runs and wait for it; nothing starts any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        self._end.set()
        for child in running:
            child.kill()
        for child in running:
            child.wait()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join(_LAST_QUESTION)
        for descriptor in self._lifeline:
            os.close(descriptor)


def _check_children() -> None:
    """Refuse to start a program whose exit code the kernel would throw away."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        raise HoldfastError(
            "this process ignores SIGCHLD, so that nothing could be told of how PostgreSQL's programs end",
            hint="call signal.signal(signal.SIGCHLD, signal.SIG_DFL) first",
        )


class ClientProcess:
    """One running program: its standard output is read in blocks of 1 MiB, its standard error kept."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        program: str,
        on_line: Callable[[str], object] | None,
        ended: Callable[["ClientProcess"], None],
    ) -> None:
        self.program = program
        self._process = process
        self._on_line = on_line
        self._ended = ended
        self._reaping = threading.Lock()
        self._is_lost = False  # whether somebody else has taken its exit code
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_KEPT // 2)
        self.callback_error: BaseException | None = None
        self.mark = ""  #: what the application_name of its sessions ends in, empty where nobody asks
        self.waits = False  #: whether it waits for nothing but its server
        self._reader = threading.Thread(target=self._read_stderr, name=f"holdfast-{program}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def pid(self) -> int:
        """The number of its process, and of the group of all that it starts."""
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """The lines that it wrote on standard error."""
        return [*self._first, *self._last]

    def _read_stderr(self) -> None:
        """Read standard error to its end: a program whose pipe is full would block."""
        assert self._process.stderr is not None  # noqa: S101 (it is a pipe)
        with text_of(self._process.stderr.fileno()) as stderr:
            for line in stderr:
                text = line.rstrip("\n")
                (self._first if len(self._first) < _KEPT // 2 else self._last).append(text[:10_000])
                if self._on_line is not None and self.callback_error is None:
                    try:
                        self._on_line(text)
                    except BaseException as error:  # noqa: BLE001 (raised by `finish`, in the thread that waits)
                        self.callback_error = error
                        self.kill()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of the bytes to its standard input; a program that has ended is found out by `finish`."""
        assert self._process.stdin is not None  # noqa: S101 (asked for by `feed=True`)
        self.waits = True
        write_block(self._process.stdin.fileno(), data)
        self.waits = False

    def end_input(self) -> None:
        """Close its standard input."""
        assert self._process.stdin is not None  # noqa: S101 (asked for by `feed=True`)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self.waits = True

    def write_script(self, script: bytes) -> None:
        """Give it a whole script to read."""
        with contextlib.suppress(BrokenPipeError):  # it failed before it had read all: `finish` says why
            self.feed(script)
        self.end_input()

    def chunks(self, action: str) -> Iterator[bytes | bytearray]:
        """Yield its standard output; raises what its failure means, before the end could be taken for one."""
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        # A pipe of 1 MiB instead of 64 KiB: a sixteenth of the switches between the program and us.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._process.stdout, _F_SETPIPE_SZ, READ)
        descriptor = self._process.stdout.fileno()
        try:
            while block := read_block(descriptor):
                yield block
            self.finish(action)
        finally:
            self.release()

    def finish(self, action: str) -> None:
        """Wait for its end; anything but a clean one is raised as what it means."""
        code = self.wait_checked()
        if code:
            raise client_error(self.program, code, self.lines, action)

    def wait_checked(self) -> int:
        """Wait for its end and return the exit code; raises what `on_line` raised, and where the code is lost."""
        code = self.wait()
        if self.callback_error is not None:
            raise self.callback_error
        if self._is_lost:
            raise HoldfastError(
                f"nothing can be told of how {self.program} has ended: another part of this process has waited for it",
                hint="run it in a process whose SIGCHLD handler does not wait for all children (waitpid(-1, …))",
            )
        return code

    def kill(self) -> None:
        """Kill it and the workers that it may have forked; from any thread."""
        if self._reaping.acquire(blocking=False):  # else somebody waits for it in this moment
            try:
                if self._reap(os.WNOHANG) is not None:
                    return
            finally:
                self._reaping.release()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self, flags: int) -> int | None:
        """Take its exit code, None while it runs; `Popen` would make a success of one that somebody else has taken."""
        if self._process.returncode is None:
            try:
                process, status = os.waitpid(self._process.pid, flags)
            except ChildProcessError:
                self._is_lost = True
                self._process.returncode = 0
            else:
                self._process.returncode = os.waitstatus_to_exitcode(status) if process else None
        return self._process.returncode

    def wait(self) -> int:
        """Wait until it has ended and all of its standard error is read; from any thread."""
        with self._reaping:
            code = self._reap(0)
        self._reader.join(10)
        self._ended(self)
        return code or 0

    def release(self) -> None:
        """End it and close its pipes; in the thread that uses them, since a closed descriptor is soon another's."""
        self.kill()
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
