"""Runs jobs: so many databases at once on this host, so many of each host, each job by one process at a time."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from holdfast.error_boundary import error_message, translate_errors
from holdfast.errors import HoldfastError
from holdfast.jobs.children import Children
from holdfast.jobs.due import job_run
from holdfast.jobs.elsewhere import Elsewhere
from holdfast.jobs.hooks import SKIP, Hook, Pinger, run_hooks
from holdfast.jobs.limits import HostLocks, lock_name
from holdfast.jobs.model import Commands, Hooks, Limits
from holdfast.jobs.reading import ConfigFile
from holdfast.jobs.selecting import Selector
from holdfast.jobs.settings import JobSettings
from holdfast.jobs.slots import Slots
from holdfast.jobs.steps import Database, DatabaseResult, carry_out

_JOBS = 32  # at once: most of them wait for a place
_MOST = 1024  # databases that are at work or wait for a place
_LAST = 60.0  # seconds for what is still to end when a run is ended

Data = dict[str, Any]


@dataclass
class Runner:
    """One call of `holdfast run`: `tell` gets one line of data for each database, and for each job that was not run."""

    file: ConfigFile
    selector: Selector
    children: Children
    locks: HostLocks
    limits: Limits
    tell: Callable[[Data], object]
    warn: Callable[[str], object]
    threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(_MOST))
    elsewhere: Elsewhere | None = None  #: what hands the databases to other hosts
    failures: int = 0
    databases: int = 0
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _broken: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Share the places of this host."""
        self.slots = Slots(self.locks, self.limits, self.children.stopped, elsewhere=self.elsewhere is not None)

    def run(self, jobs: Iterable[JobSettings]) -> None:
        """Run them; whatever ends this early ends everything that was started."""
        waiting = deque(_by_turns(jobs))
        at_once = _JOBS if self.elsewhere is None else max(_JOBS, self.slots.most)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), name=f"job {number}", daemon=True)
            for number in range(min(at_once, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)
        except BaseException:
            waiting.clear()
            self.children.stop()
            if self.elsewhere is not None:
                self.elsewhere.stop()
            deadline = time.monotonic() + _LAST
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            raise
        if self.elsewhere is not None:
            self.elsewhere.close()
        if self._broken:
            raise self._broken[0]

    def _work(self, waiting: deque[JobSettings]) -> None:
        while not self.children.stopped.is_set():
            try:
                settings = waiting.popleft()
            except IndexError:
                return
            try:
                self._run_job(settings)
            except BaseException as error:  # noqa: BLE001 (raised in the thread that waits for this one)
                self._broken.append(error)
                waiting.clear()
                return

    def _run_job(self, settings: JobSettings) -> None:
        lock = self.locks.try_lock(lock_name("job", self.file.path, settings.name))
        if lock is None:
            self.skip(settings, "another process is running it")
            return
        with lock:
            try:
                with translate_errors(f"cannot look at the job {settings.name}", settings.job.source):
                    databases = self.selector.databases(settings, lambda text: self.caution(f"{settings.name}: {text}"))
            except HoldfastError as error:
                self._fail_job(settings, error)
                return
            missing = self.selector.missing.get(settings.name, "")
            if databases or missing:
                _JobRun(self, settings, databases, missing).run()

    def begin(self, database: Database) -> "Future[DatabaseResult]":
        """Begin with the steps of a database, which wait for a place."""
        if self.elsewhere is not None:
            return self.threads.submit(self.elsewhere.carry_out, database, self.slots.take)
        return self.threads.submit(carry_out, database, self.children, self.slots.take)

    def report(self, data: Data, *, failed: bool) -> None:
        """Tell a line of data."""
        with self._telling:
            self.failures += failed
            self.databases += data["type"] == "database"
            self.tell(data)

    def caution(self, text: str) -> None:
        """Tell of what keeps nothing from being done."""
        with self._telling:
            self.warn(text)

    def skip(self, settings: JobSettings, why: str) -> None:
        """Tell of a job that is not run now."""
        self.report({"type": "skipped", "job": settings.name, "reason": why}, failed=False)

    def _fail_job(self, settings: JobSettings, error: HoldfastError) -> None:
        self.report(
            {
                "type": "job",
                "job": settings.name,
                "exit_code": error.exit_code,
                "message": error_message(error),
                "hint": error.hint,
            },
            failed=True,
        )
        self._finish_ping(settings, error.exit_code)

    def _finish_ping(self, settings: JobSettings, code: int) -> None:
        if settings.job.ping and (self.file.trusted or not settings.job.ping.command):
            Pinger(settings.name, settings.job.ping, self.children, self.caution).end(code)


class _JobRun:
    """One run of one job, whose databases are known: hooks and pings around them."""

    def __init__(self, runner: Runner, settings: JobSettings, databases: Sequence[Database], missing: str) -> None:
        self._runner = runner
        self._settings = settings
        self._databases = databases
        self._missing = missing
        self._results: list[DatabaseResult] = []
        self._hooks: list[Hook] = []

    def run(self) -> None:
        hooks = (self._databases and self._settings.job.hooks) or Hooks()
        ping = Pinger(self._settings.name, self._settings.job.ping, self._runner.children, self._runner.caution)
        if self._run_hooks("before", hooks.before) == SKIP:
            self._runner.skip(self._settings, f"{self._hooks[-1].command} said so (exit {SKIP})")
            self._run_hooks("finally", hooks.finally_, last=True)
            return
        ping.start()
        try:
            self._carry_out()
        finally:
            code = self._exit_code
            self._run_hooks("failed" if code else "after", hooks.failed if code else hooks.after)
            self._run_hooks("finally", hooks.finally_, last=True)
            ping.end(self._exit_code)
        failed = [hook for hook in self._hooks if hook.exit_code]
        if failed or self._missing:
            problems = [_hook_text(hook) for hook in failed] + ([self._missing] if self._missing else [])
            data = {"type": "job", "job": self._settings.name, "exit_code": 1, "message": "; ".join(problems)}
            self._runner.report({**data, "hint": None}, failed=True)

    @property
    def _exit_code(self) -> int:
        codes = [result.exit_code for result in self._results if result.exit_code]
        codes += [1] if self._missing or any(hook.exit_code for hook in self._hooks) else []
        if len(self._results) < len(self._databases):
            codes.append(1)
        return 0 if not codes else codes[0] if len(self._databases) == 1 else 3

    def _carry_out(self) -> None:
        """All databases of the job, several at once."""
        waiting = deque(self._databases)
        running: set[Future[DatabaseResult]] = set()
        while running or (waiting and not self._runner.children.stopped.is_set()):
            while waiting and len(running) < self._runner.slots.most and not self._runner.children.stopped.is_set():
                running.add(self._runner.begin(waiting.popleft()))
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                self._results.append(result)
                self._runner.report(result.as_data(), failed=bool(result.exit_code))

    def _run_hooks(self, event: str, commands: Commands | None, *, last: bool = False) -> int:
        """Run the programs of an event; the exit code of the last of them."""
        if not commands:
            return 0
        record = {
            "job": self._settings.name,
            "run": job_run(self._databases[0].run) if self._databases else "",
            "exit_code": self._exit_code if event != "before" else None,
            "databases": [result.as_data() for result in self._results],
        }
        timeout = self._settings.hook_timeout
        done = run_hooks(event, commands, record, children=self._runner.children, timeout=timeout, last=last)
        self._hooks += done
        return done[-1].exit_code


def _hook_text(hook: Hook) -> str:
    what = "did not end in time and was killed" if hook.timed_out else f"ended with {hook.exit_code}"
    return f"{hook.command} ({hook.event}) {what}{f': {hook.output[-500:]}' if hook.output else ''}"


def _by_turns(jobs: Iterable[JobSettings]) -> list[JobSettings]:
    """Jobs of all hosts in turn, so that those of a busy one keep out no other."""
    groups: dict[str, list[JobSettings]] = defaultdict(list)
    for settings in jobs:
        groups[settings.job.source.partition("@")[2].partition("/")[0] or settings.job.source.partition(":")[0]].append(
            settings
        )
    turns = zip_longest(*groups.values())
    return [settings for turn in turns for settings in turn if settings is not None]
