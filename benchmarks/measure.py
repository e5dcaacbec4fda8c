"""Times commands as whole process trees, in alternating pairs, so that a drifting machine disturbs both alike."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SAMPLE = 0.05  # seconds between two looks at the memory of the tree
_PAGE = os.sysconf("SC_PAGE_SIZE")
PROGRAM = str(Path(sys.executable).with_name("holdfast"))  # what people run; `python -m` takes a little longer


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: seconds by the clock, CPU seconds of the whole tree, peak of the sum of its RSS in MB."""

    wall: float
    cpu: float
    rss: float


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A command to time: an argument list, or text for bash. `prepare` runs before each run and is not timed."""

    name: str
    command: str | Sequence[str]
    prepare: Callable[[], object] = lambda: None


def run(contender: Contender) -> Sample:
    """Run a contender once; one that fails ends the benchmark."""
    if not os.path.exists("/proc/thread-self/children"):
        raise SystemExit("error: memory is measured by a list of children that the kernel lacks (CONFIG_PROC_CHILDREN)")
    contender.prepare()
    os.sync()  # what an earlier run left to be written must not be paid for by this one
    shell = ["bash", "-c", f"set -euo pipefail; {contender.command}"]
    command = shell if isinstance(contender.command, str) else list(contender.command)
    before = os.times()
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(child.pid, peak, done := threading.Event()), daemon=True)
    watcher.start()
    _, errors = child.communicate()
    wall = time.monotonic() - started
    done.set()
    watcher.join()
    if child.returncode:
        raise SystemExit(f"{contender.name} failed with exit code {child.returncode}: {errors}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(wall=wall, cpu=cpu, rss=peak[0])


def _watch(root: int, peak: list[float], done: threading.Event) -> None:
    while not done.wait(_SAMPLE):
        peak[0] = max(peak[0], tree_rss(root))


def tree_rss(root: int) -> float:
    """Sum of the RSS of a process and its descendants, in MB.

    By way of /proc/PID/task/*/children: looking through all of /proc takes a tenth of a core, which whoever uses all
    cores would pay for. Between vfork and exec a child lives in the memory of its parent, which counts once: both then
    have the same size to the page.
    """
    total, todo = 0, [(str(root), "")]
    while todo:
        pid, size_of_parent = todo.pop()
        process = f"/proc/{pid}"
        size, resident = (_read(f"{process}/statm") or "0 0").split()[:2]
        if size != size_of_parent:
            total += int(resident)
        for task in _tasks(process):
            todo += [(child, size) for child in _read(f"{process}/task/{task}/children").split()]
    return total * _PAGE / 1e6


def _tasks(process: str) -> list[str]:
    try:
        return os.listdir(f"{process}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has just ended


def _read(path: str) -> str:
    """A file of a process or thread, empty once that has ended."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def compare(title: str, ours: Contender, peers: Sequence[Contender], *, runs: int) -> dict[str, float]:
    """Time ours and each peer in turn, after one warm-up; print medians and return peer/ours by peer.

    The ratio is the median of the ratios of neighbouring runs.
    """
    contenders = [ours, *peers]
    for contender in contenders:
        run(contender)
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for _ in range(runs):
        for contender in contenders:
            samples[contender.name].append(run(contender))
    print(f"\n{title} (medians of {runs} alternating runs)")
    print(f"  {'':44} {'wall s':>8} {'min-max':>13} {'CPU s':>7} {'RSS MB':>7} {'ratio':>6}")
    ratios: dict[str, float] = {}
    for contender in contenders:
        measured = samples[contender.name]
        pairs = [theirs.wall / mine.wall for theirs, mine in zip(measured, samples[ours.name], strict=True)]
        ratios[contender.name] = statistics.median(pairs)
        walls = [sample.wall for sample in measured]
        wall, cpu = statistics.median(walls), statistics.median(sample.cpu for sample in measured)
        spread = f"{min(walls):.2f}-{max(walls):.2f}"
        rss = max(sample.rss for sample in measured)
        print(
            f"  {contender.name:44} {wall:8.2f} {spread:>13} {cpu:7.2f} {rss:7.0f} {ratios[contender.name]:6.2f}",
            flush=True,
        )
    return ratios


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder on a disk (not in memory, as /tmp may be) that goes away at the end."""
    root = tempfile.mkdtemp(prefix="holdfast-bench-", dir=os.environ.get("TMPDIR", "/var/tmp"))
    try:
        yield Path(root)
    finally:
        shutil.rmtree(root)
