"""What belongs to the process and not to a plugin: put back where the import of one has changed it.

A library that sets the working directory, a limit or a signal's handler for itself sets it for everybody. What comes of
that looks like a fault of somebody else: a database that is not there, an engine that fails, an exit code of a child
that nobody gets.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGXFSZ,
)
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = {
    resource.RLIMIT_AS: "memory",
    resource.RLIMIT_CPU: "CPU time",
    resource.RLIMIT_DATA: "data",
    resource.RLIMIT_FSIZE: "the size of files",
    resource.RLIMIT_NOFILE: "open files",
    resource.RLIMIT_STACK: "the stack",
}
_MOMENT, _UNLIKE = 0.001, 1.0  # seconds: in which an overdue timer ends, and by which one is another
_STREAMS = ("stdin", "stdout", "stderr")


class ProcessState:
    """The state of the process at one moment; `restore` puts it back, and tells what was not as it had been."""

    def __init__(self) -> None:
        self._folder = _working_directory()
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._timers = {timer: signal.getitimer(timer) for timer in _TIMERS}
        self._began = time.monotonic()
        self._limits = {limit: resource.getrlimit(limit) for limit in _LIMITS}
        self._descriptors = {number: _identity(number) for number in range(3)}
        self._copies = {number: _copy(number) for number, identity in self._descriptors.items() if identity}
        self._streams = {name: getattr(sys, name) for name in _STREAMS}
        self._path = [*sys.path]
        self._variables = dict(os.environ)
        self._recursion = sys.getrecursionlimit()
        self._interval = sys.getswitchinterval()
        self._hooks = sys.gettrace(), sys.getprofile()
        self._warnings = [*warnings.filters]
        self._logging = logging.root.manager.disable

    def close(self) -> None:
        """Let go of what was kept to be put back."""
        for copy in self._copies.values():
            with contextlib.suppress(OSError):  # whoever closes all descriptors has closed this one too
                os.close(copy)

    def restore(self) -> list[str]:
        """Put back what has changed; returns it in words, with those on what could not be put back."""
        self._restore_hooks()  # first: they see, or break, all that follows
        changed = [what if put_back() else f"{what} (which stays so)" for what, put_back in self._changes()]
        return list(dict.fromkeys(changed))

    def _restore_hooks(self) -> None:
        trace, profile = self._hooks
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        if sys.getprofile() is not profile:
            sys.setprofile(profile)

    def _changes(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        if self._folder and _working_directory() != self._folder:
            yield "the working directory", partial(_done, os.chdir, self._folder)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler:
                yield f"what {number.name} does", partial(_done, signal.signal, number, handler)
        for timer, (before, interval) in self._timers.items():
            # One that was running has gone on; that of CPU time by less than this.
            left = max(before - (time.monotonic() - self._began), _MOMENT) if before else 0.0
            now = signal.getitimer(timer)[0]
            if (now > 0) is not (left > 0) or not left - _UNLIKE < now < max(before, left) + _UNLIKE:
                yield "a timer that ends the process", partial(_done, signal.setitimer, timer, left, interval)
        for limit, limits in self._limits.items():
            if _is_lower(resource.getrlimit(limit), limits):
                yield f"the limit of {_LIMITS[limit]}", partial(_done, resource.setrlimit, limit, limits)
        yield from self._changed_streams()
        yield from self._changed_of_python()

    def _changed_streams(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        for number, identity in self._descriptors.items():
            if identity and _identity(number) != identity and number in self._copies:
                yield _STREAMS[number], partial(_done, os.dup2, self._copies[number], number)
        for name, stream in self._streams.items():
            if getattr(sys, name) is not stream:
                yield name, partial(_done, setattr, sys, name, stream)

    def _changed_of_python(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        if missing := [entry for entry in self._path if entry not in sys.path]:
            yield "where modules are found", partial(_done, sys.path.extend, missing)
        if gone := {name: value for name, value in self._variables.items() if name not in os.environ}:
            yield f"the variables {', '.join(sorted(gone))[:200]}", partial(_done, os.environ.update, gone)
        if sys.getrecursionlimit() < self._recursion:
            yield "the limit of recursion", partial(_done, sys.setrecursionlimit, self._recursion)
        if sys.getswitchinterval() > self._interval:
            yield "how long a thread runs", partial(_done, sys.setswitchinterval, self._interval)
        if any(each[0] == "error" and each not in self._warnings for each in warnings.filters):
            yield "what warnings do", self._restore_warnings
        if logging.root.manager.disable > self._logging:
            yield "which lines are logged", partial(_done, logging.disable, self._logging)
        if silenced := [each for each in _loggers() if each.disabled]:
            yield "which lines are logged", lambda: all(_done(setattr, each, "disabled", False) for each in silenced)

    def _restore_warnings(self) -> bool:
        added = [each for each in warnings.filters if each[0] != "error" or each in self._warnings]
        warnings.resetwarnings()  # which tells Python that there are others
        warnings.filters[:] = added  # type: ignore[index]
        return True


def _done(change: Callable[..., Any], *values: Any) -> bool:
    """Whether a change was made: a hard limit that is lower than the former one stays that of the process."""
    try:
        change(*values)
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _working_directory() -> str:
    """The working directory; empty where it is gone, or cannot be told."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _identity(descriptor: int) -> tuple[int, int, int] | None:
    """Which file a descriptor is of; None where it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_rdev


def _copy(descriptor: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _is_lower(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """Whether the limit that holds, the first of both, is lower than it was; -1 is none."""
    return now[0] != before[0] and now[0] != resource.RLIM_INFINITY and not 0 <= before[0] < now[0]


def _loggers() -> Iterator[logging.Logger]:
    """Our own loggers as far as there are any."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == "holdfast" and isinstance(logger, logging.Logger):
            yield logger
