"""A Dask cluster on loopback: a scheduler and workers, each a program of its own, as their users start them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE = 60.0  # seconds for a program to start or end


@dataclass(kw_only=True)
class DaskCluster:
    """The programs of a cluster, whose logs are in `folder`."""

    folder: Path
    port: int
    environment: Mapping[str, str]
    programs: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """What `--executor` takes."""
        return f"dask://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Start the scheduler, on the same port each time."""
        words = ("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        self._start("scheduler", words)
        self._wait_for("scheduler", lambda: _listens(self.port))

    def start_worker(
        self, name: str, *words: str, port: int | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start a worker of two threads, which restarts by itself what is killed of it."""
        local = self.folder / f"{name}-files"
        every = ("--name", name, "--no-dashboard", "--local-directory", str(local), "--host", "127.0.0.1", *words)
        begin = self.log(name).count("Registered to")
        self._start(name, ("worker", f"tcp://127.0.0.1:{port or self.port}", "--nthreads", "2", *every), env)
        self._wait_for(name, lambda: self.log(name).count("Registered to") > begin)

    def log(self, name: str) -> str:
        """What a program has said."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def process_of(self, name: str) -> int:
        """The process of a worker: that which its nanny watches over, or the program itself where it has none."""
        if "nanny" not in self.log(name):
            return self.programs[name].pid
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for child in children_of(self.programs[name].pid):
                if b"multiprocessing.spawn" in _arguments(child) or b"spawn_main" in _arguments(child):
                    return child
            time.sleep(0.05)
        raise AssertionError(f"{name} has no process:\n{self.log(name)[-3000:]}")

    def stop(self, name: str, *, kill: bool = False) -> None:
        """End a program and what belongs to it."""
        process = self.programs.pop(name)
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE)

    def _start(self, name: str, words: tuple[str, ...], env: Mapping[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", "dask", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**self.environment, **(env or {})},
                start_new_session=True,
            )

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            if self.programs[name].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} did not start:\n{self.log(name)[-3000:]}")
            time.sleep(0.05)


@contextmanager
def dask_cluster(folder: Path, *workers: str, env: Mapping[str, str] | None = None) -> Iterator[DaskCluster]:
    """A cluster for the length of a block; workers are started by the test as well, or with it, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOLDFAST_", "PYTHON"))}
    own = {"DASK_TEMPORARY_DIRECTORY": str(folder), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    cluster = DaskCluster(folder=folder, port=port, environment={**kept, **own, **(env or {})})
    try:
        cluster.start_scheduler()
        for name in workers:
            cluster.start_worker(name)
        yield cluster
    finally:
        for name in [*cluster.programs]:
            cluster.stop(name)


def children_of(number: int) -> list[int]:
    """The processes that a process has started and that are there."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{number}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{number}/task/{task}/children") as file:
                children += map(int, file.read().split())
    return children


def descendants_of(number: int) -> list[int]:
    """These, and what they have started."""
    return [each for child in children_of(number) for each in (child, *descendants_of(child))]


def steps_of(number: int) -> list[int]:
    """The steps of databases that a worker is at."""
    return [child for child in children_of(number) if b"-m\0holdfast" in _arguments(child)]


def _arguments(number: int) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{number}/cmdline", "rb") as file:
        return file.read()
    return b""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
