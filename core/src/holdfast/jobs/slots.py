"""So many databases at once: places that all runs of a user on this host share, given back when they are closed."""

import threading
from contextlib import ExitStack

from holdfast.defaults import default_jobs
from holdfast.jobs.limits import HostLocks, lock_name
from holdfast.jobs.model import Limits
from holdfast.jobs.steps import Database
from holdfast.url import DatabaseURL

_PAUSE = 0.2  # seconds until a place is asked for again that another process may have given back
_ELSEWHERE = 256  # databases that one run has at an executor at once, where nothing else is said


class Slots:
    """The places of `[limits]`; waiting for one ends once `stopped` is set.

    For a run whose databases are carried out `elsewhere` the CPUs of this host are no bound: without a limit there is
    none but that of the executor.
    """

    def __init__(self, locks: HostLocks, limits: Limits, stopped: threading.Event, *, elsewhere: bool = False) -> None:
        self._locks = locks
        self._stopped = stopped
        self._free = threading.Condition()
        self._parallel = limits.parallel or (None if elsewhere else default_jobs())
        self._per_host = limits.per_host or self._parallel
        self.most = self._parallel or _ELSEWHERE  #: at once, as far as this run is concerned
        self._own = threading.Semaphore(self.most)

    def take(self, database: Database) -> ExitStack:
        """A place of its host and one of all, for as long as the stack is open."""
        host = lock_name("host", host_of(database.url))
        groups = [(host, self._per_host), ("parallel", self._parallel)]
        while True:
            with ExitStack() as stack:
                if self._all(stack, [(name, count) for name, count in groups if count]):
                    taken = ExitStack()
                    taken.callback(self._notify)  # once all are given back
                    taken.push(stack.pop_all())
                    return taken
            with self._free:
                self._free.wait(_PAUSE)
            if self._stopped.is_set():
                return ExitStack()

    def _all(self, stack: ExitStack, groups: list[tuple[str, int]]) -> bool:
        """Whether there was a place in each group; those that were taken are in the stack."""
        if not self._own.acquire(blocking=False):
            return False
        stack.callback(self._own.release)
        for name, count in groups:
            if (place := self._locks.try_slot(name, count)) is None:
                return False
            stack.push(place)
        return True

    def _notify(self) -> None:
        with self._free:
            self._free.notify_all()


def host_of(url: str) -> str:
    """The host of a URL, for the limit of each; one without is on this one."""
    hosts = DatabaseURL.parse(url).hosts
    return ",".join(sorted(name.lower() for name, _ in hosts)) or "localhost"
