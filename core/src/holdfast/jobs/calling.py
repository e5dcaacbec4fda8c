"""The short way in Python to the jobs of a `holdfast.toml`: check it, show what holds, and run what is due."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from queue import Empty, SimpleQueue
from typing import IO, Any

import msgspec

from holdfast import errors
from holdfast.errors import HoldfastError, PartialError, UsageError
from holdfast.jobs.checking import check, checked
from holdfast.jobs.children import PARENT
from holdfast.jobs.reading import find_config
from holdfast.jobs.settings import choose, origins

log = logging.getLogger("holdfast.jobs")

_PROGRAM = (sys.executable, "-P", "-m", "holdfast")  # -P: no module comes from the folder that it works in
_AGAIN = 0.3  # seconds
_GRACE = 30.0  # seconds for a run that is ended to clean up
_CLASSES = {
    kind.exit_code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HoldfastError)
}

__all__ = [
    "ConfigCheck",
    "ConfigProblem",
    "DatabaseRun",
    "FailedJob",
    "JobSetting",
    "JobsResult",
    "PlannedRun",
    "SkippedJob",
    "StepRun",
    "check_config",
    "run_jobs",
    "show_config",
]

Path = str | os.PathLike[str] | None


@dataclass(frozen=True, kw_only=True)
class ConfigProblem:
    """One thing that is wrong with a `holdfast.toml`."""

    key: str  #: which key of it, such as `job.app.every`
    line: int  #: where it stands
    message: str  #: what is there, and what was expected
    hint: str | None  #: what to do, or None


@dataclass(frozen=True, kw_only=True)
class ConfigCheck:
    """What a `holdfast.toml` is."""

    path: str  #: where it is
    trusted: bool  #: whether programs may be run because it says so
    jobs: tuple[str, ...]  #: the names of its jobs, none where something is wrong with it
    problems: tuple[ConfigProblem, ...]  #: what is wrong with it

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    def raise_for_problems(self) -> None:
        """Raise `UsageError` if something is wrong with it."""
        if self.problems:
            first = self.problems[0]
            more = f"; and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            raise UsageError(f"{self.path}:{first.line}: {first.key}: {first.message}{more}", hint=first.hint)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class JobSetting:
    """A setting of a job, as it holds."""

    key: str  #: which it is, such as `drill.every`
    value: Any  #: what holds, as plain data
    origin: str  #: where that is from: a line of the file, the environment, or `built in`


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """What became of a step of a database."""

    step: str  #: `backup`, `verify`, `drill`, `copy` or `prune`
    exit_code: int  #: that of its last attempt, 0 if it went well
    attempts: int  #: how many there were
    seconds: float  #: how long they took
    reused: bool = False  #: of a backup: whether it had been made before
    message: str = ""  #: why it failed, else empty
    hint: str | None = None  #: what to do then, or None


@dataclass(frozen=True, kw_only=True)
class DatabaseRun:
    """What became of a database: its steps up to the first that failed."""

    job: str  #: the job that it is of
    source: str  #: its URL, without secrets
    run: str  #: the occurrence that it was for
    name: str  #: the name of the source in the store, empty where nothing was made
    id: str  #: the id of its backup, empty where nothing was made
    exit_code: int  #: that of the step that failed, else 0
    steps: tuple[StepRun, ...]  #: its steps, in order
    warnings: tuple[str, ...] = ()  #: what else to know


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job that failed as a whole: it could not be looked at, a hook failed, or databases have vanished."""

    job: str  #: its name
    exit_code: int  #: of what failed
    message: str  #: what did
    hint: str | None = None  #: what to do, or None


@dataclass(frozen=True, kw_only=True)
class SkippedJob:
    """A job that was not run now."""

    job: str  #: its name
    reason: str  #: why not


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """What a dry run would do with a database."""

    job: str  #: the job that it is of
    source: str  #: its URL, without secrets
    run: str  #: the occurrence that it would be for
    due: tuple[str, ...]  #: the steps


@dataclass(frozen=True, kw_only=True)
class JobsResult:
    """What a run of jobs did, or would do."""

    databases: tuple[DatabaseRun, ...] = ()  #: the databases for which something was due
    failed_jobs: tuple[FailedJob, ...] = ()  #: the jobs that failed as a whole
    skipped: tuple[SkippedJob, ...] = ()  #: the jobs that were not run now
    planned: tuple[PlannedRun, ...] = ()  #: of a dry run: what would be done
    warnings: tuple[str, ...] = ()  #: what else to know

    @property
    def failed(self) -> tuple[DatabaseRun, ...]:
        """The databases of which a step failed."""
        return tuple(database for database in self.databases if database.exit_code)

    def raise_for_failures(self) -> None:
        """Raise `PartialError` if anything failed."""
        texts = [f"{each.source}: {each.steps[-1].message}" for each in self.failed if each.steps]
        texts += [f"{each.job}: {each.message}" for each in self.failed_jobs]
        if texts:
            more = f"; and {len(texts) - 3} more" if len(texts) > 3 else ""
            raise PartialError(f"{len(texts)} failed: {'; '.join(texts[:3])}{more}")

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def check_config(config: Path = None) -> ConfigCheck:
    """Look what is wrong with a `holdfast.toml`: the one that is named, else the one that `holdfast run` would take.

    What is wrong is a result, not an error: look at `passed`, or call `raise_for_problems`. A file that is not there,
    or that is no TOML, is an error.
    """
    file = find_config(_text(config), log.warning)
    known, problems = check(file)
    return ConfigCheck(
        path=file.path,
        trusted=file.trusted,
        jobs=tuple(known.job) if known and not problems else (),
        problems=tuple(ConfigProblem(**each.as_data(), line=file.lines.of(each.path)) for each in problems),
    )


def show_config(*jobs: str, config: Path = None) -> dict[str, tuple[JobSetting, ...]]:
    """Tell every setting that holds for jobs, all of a `holdfast.toml` if none is named, and where each is from."""
    file = find_config(_text(config), log.warning)
    names = choose(checked(file), jobs, file)
    return {name: tuple(JobSetting(**row) for row in origins(name, file)) for name in names}


def run_jobs(
    *jobs: str,
    due: bool = False,
    config: Path = None,
    dry_run: bool = False,
    on_result: Callable[[DatabaseRun], object] | None = None,
) -> JobsResult:
    """Run jobs of a `holdfast.toml`: those that are named, else all of them; with `due` only what is due.

    What fails is a result, not an error: look at `failed` and `failed_jobs`, or call `raise_for_failures`. `on_result`
    is called with each database once it is done, in this thread. A `dry_run` writes nothing and returns what would be
    done as `planned`. It runs in a process of its own, which ends with this one, as do those that it starts.

    Example::

        holdfast.run_jobs(due=True, config="/etc/holdfast/holdfast.toml").raise_for_failures()
    """
    words = ["run", *(["--due"] if due else [] if jobs else ["--all"]), *(["--dry-run"] if dry_run else [])]
    words += ["--config", os.fspath(config)] if config is not None else []
    lines = _Lines(on_result)
    code = _call([*words, "--json", "--log-format", "json", "--", *jobs], lines)
    error = lines.errors.pop() if lines.errors else None  # the last says why it ended as it did
    if code not in (0, PartialError.exit_code):
        message = (
            str(error["message"]) if error else f"the run of the jobs ended with exit code {code} and said nothing"
        )
        raise _CLASSES.get(code, HoldfastError)(message, hint=error.get("hint") if error else None)
    return lines.result()


_KINDS: dict[str, Any] = {"database": DatabaseRun, "job": FailedJob, "skipped": SkippedJob, "plan": PlannedRun}
_FIELDS = {"database": "databases", "job": "failed_jobs", "skipped": "skipped", "plan": "planned"}


@dataclass
class _Lines:
    """What a run has told so far."""

    on_result: Callable[[DatabaseRun], object] | None
    errors: list[Mapping[str, Any]] = field(default_factory=list)
    _of_type: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    _warnings: list[str] = field(default_factory=list)

    def take(self, data: dict[str, Any]) -> None:
        """Take a line of its results in."""
        kind = str(data.pop("type", ""))
        if kind == "error":
            self.errors.append(data)
        elif kind in _KINDS:
            line = msgspec.convert(data, _KINDS[kind])
            self._of_type[kind].append(line)
            if kind == "database" and self.on_result is not None:
                self.on_result(line)

    def take_log(self, file: IO[bytes]) -> None:
        """Take its log in, until it ends."""
        with file:
            for line in file:
                with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
                    record = msgspec.json.decode(line)
                    if record["level"] == "warning":
                        self._warnings.append(str(record["message"]))

    def result(self) -> JobsResult:
        """All of it."""
        failed = [  # jobs that a dry run could not look at
            FailedJob(job=job, exit_code=error["exit_code"], message=text, hint=error.get("hint"))
            for error in self.errors
            for job, _, text in [str(error["message"]).partition(": ")]
        ]
        self._of_type["job"] += failed
        told = {name: tuple(self._of_type[kind]) for kind, name in _FIELDS.items()}
        return JobsResult(**told, warnings=tuple(self._warnings))


def _call(words: list[str], lines: _Lines) -> int:
    """Run ourselves to the end, whatever becomes of this process; each line of data is taken as it comes."""
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, writer)
        try:
            process = subprocess.Popen(
                [*_PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, PARENT: str(reader)},
                pass_fds=(reader,),
                start_new_session=True,
            )
        finally:
            os.close(reader)
        stack.callback(_end, process)
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 (for the type checker)
        told: SimpleQueue[bytes] = SimpleQueue()
        logs = threading.Thread(target=lines.take_log, args=(process.stderr,), name="log of jobs", daemon=True)
        data = threading.Thread(target=_hand_on, args=(process.stdout, told), name="results of jobs", daemon=True)
        logs.start()
        data.start()
        for line in _handed_on(told):
            lines.take(msgspec.json.decode(line))
        while logs.is_alive():
            logs.join(_AGAIN)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_AGAIN)


def _hand_on(stream: IO[bytes], told: "SimpleQueue[bytes]") -> None:
    """Put each line into a queue, and at the end an empty one."""
    with stream:
        for line in stream:
            told.put(line)
    told.put(b"")


def _handed_on(told: "SimpleQueue[bytes]") -> Iterator[bytes]:
    """The lines, looked for again and again: a Ctrl-C that comes right before a wait ends nothing by itself."""
    while True:
        with contextlib.suppress(Empty):
            if not (line := told.get(timeout=_AGAIN)):
                return
            yield line


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what an error or a signal here has left running, by the way on which it cleans up."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _text(config: Path) -> str | None:
    return None if config is None else os.fspath(config)
