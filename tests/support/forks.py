"""Commands as forks of a process that has imported the command line already, which is most of what a short one takes.

Each is a process of its own, with its own arguments, folder, environment, descriptors and exit code, and runs
`holdfast.__main__.main` as the installed program does. What depends on how Python itself starts is not for a fork:
see `is_enough`. With `HOLDFAST_TEST_FORKS=0` no command is one.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What commands import besides the modules of the command line, so that none does it anew.
_IMPORTED = (
    "holdfast.defaults", "holdfast.operations.backup", "holdfast.operations.restore", "holdfast.operations.drill",
    "holdfast.operations.verify", "holdfast.operations.prune", "holdfast.operations.labels",
    "holdfast.operations.listing", "holdfast.operations.rename", "holdfast.store.folder",
    "holdfast_gzip.codec", "holdfast_sha256", "holdfast_zstd.codec",
    "holdfast_sqlite.plugin", "holdfast_sqlite.dump", "holdfast_sqlite.restore", "holdfast_sqlite.scratch",
    "holdfast_postgres.plugin", "holdfast_postgres.driver", "holdfast_postgres.dump.session",
    "holdfast_postgres.restore.session",
    "holdfast_mysql.plugin", "holdfast_mysql.dump.session", "holdfast_mysql.restore",
    "_strptime", "encodings.ascii",
)  # fmt: skip
# Variables that Python, its libraries and libc read once.
_OF_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "PSYCOPG", "LD_", "MALLOC_", "GLIBC_", "SSL_", "OPENSSL_")


@dataclass(frozen=True, kw_only=True)
class _Server:
    """The process that forks, and what it was started with."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    environment: Mapping[str, str]

    def end(self) -> None:
        self.channel.close()
        self.process.wait()


_servers: list[_Server] = []


def _server() -> _Server:
    """The one of this test process, which ends with it; another where somebody has killed that, which is told."""
    while _servers and (code := _servers[-1].process.poll()) is not None:
        print(f"the process that forks commands has ended: {code}", file=sys.__stderr__)
        _servers.pop().channel.close()
    if not _servers:
        _servers.append(_start_server())
    return _servers[-1]


def _start_server() -> _Server:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOLDFAST_", "PYTHON"))}
    environment["PYTHONWARNINGS"] = "error"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], env=environment, pass_fds=[theirs.fileno()], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    server = _Server(process=process, channel=ours, environment=environment)
    atexit.register(server.end)
    return server


def is_enough(environment: Mapping[str, str]) -> bool:
    """Whether a command with this environment does as a fork what it does anew."""
    if os.environ.get("HOLDFAST_TEST_FORKS") == "0":
        return False
    started = _server().environment
    names = {name for name in {*environment, *started} if name.startswith(_OF_THE_START)}
    return all(environment.get(name) == started.get(name) for name in names)


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end, as `subprocess.run` does with `capture_output` and an empty stdin."""
    request = {"arguments": [*arguments], "folder": str(folder), "environment": {**environment}, "umask": _umask()}
    with contextlib.ExitStack() as stack:
        control, outputs = _start(request, stack)
        process = int(control.recv(20))
        deadline = time.monotonic() + timeout
        try:
            texts = _read(outputs, deadline)
            control.settimeout(max(0.1, deadline - time.monotonic()))
            code = int(control.recv(20))
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired([*arguments], timeout) from None
    return subprocess.CompletedProcess([*arguments], code, *texts)


def _start(request: Mapping[str, Any], stack: contextlib.ExitStack) -> tuple[socket.socket, list[int]]:
    """Let a command begin; where its process id and its exit code come, and the ends of its output."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.enter_context(control)
    pipes = [os.pipe() for _ in range(2)]
    for output, _ in pipes:
        stack.callback(os.close, output)
    told = os.memfd_create("request")
    os.write(told, json.dumps(request).encode())
    given = [theirs.fileno(), told, os.open(os.devnull, os.O_RDONLY), *(writer for _, writer in pipes)]
    try:
        socket.send_fds(_server().channel, [b"go"], given)
    finally:
        theirs.close()
        for descriptor in given[1:]:
            os.close(descriptor)
    return control, [output for output, _ in pipes]


def _read(outputs: Sequence[int], deadline: float) -> list[bytes]:
    """All that comes out, until nobody holds the other ends any more: children of the command neither."""
    texts = {output: bytearray() for output in outputs}
    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready and time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                texts[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    return [bytes(text) for text in texts.values()]


def _umask() -> int:
    """That of this process, without a moment in which it is another."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
    return int(line.split()[1], 8)


def import_commands() -> None:
    """Import what commands would import, and leave it alone from now on, so that forks of this process share it."""
    cli = importlib.import_module("holdfast.cli")
    for name in (*_IMPORTED, *(f"holdfast.cli.{module.name}" for module in pkgutil.iter_modules(cli.__path__))):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _serve(channel: socket.socket) -> Callable[[], object] | None:
    """Fork for each request, until nobody can ask any more; what a fork has to run is returned in it."""
    import_commands()
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _tell_end(key.fd, *key.data)
                    continue
                data, descriptors, *_ = socket.recv_fds(channel, 10, 5)
                if not data:
                    return None
                if not (process := os.fork()):
                    for other in selector.get_map().values():
                        os.close(other.fd)
                        if other.data is not None:
                            os.close(other.data[0])
                    channel.detach()
                    return functools.partial(_become, *descriptors)
                control, *files = descriptors
                for descriptor in files:
                    os.close(descriptor)
                _tell(control, process)
                selector.register(os.pidfd_open(process), selectors.EVENT_READ, (control, process))


def _tell_end(watched: int, control: int, process: int) -> None:
    """Tell what became of a command that has ended."""
    os.close(watched)
    _, status = os.waitpid(process, 0)
    _tell(control, os.waitstatus_to_exitcode(status))
    os.close(control)


def _tell(control: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(control, str(number).encode())


def _become(control: int, told: int, *files: int) -> None:
    """Be the command, in a process that has nothing of the server's but its modules."""
    with open(told) as file:
        file.seek(0)
        request = json.load(file)
    os.close(control)
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1)  # noqa: SIM115
    from holdfast import __main__

    sys.argv = [__main__.__file__, *request["arguments"]]
    __main__.main()


if __name__ == "__main__":
    if begin := _serve(socket.socket(fileno=int(sys.argv[1]))):
        begin()
