"""Threads of a run: the first failure ends all of them, and nothing that hangs keeps the process alive."""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from holdfast.api import Chunk
from holdfast.endings import Stopped, describe_ending, ending_behind
from holdfast.errors import HoldfastError, PluginError, add_cleanup_failure
from holdfast.plugins.waiting import calls_under_way, note_hung

log = logging.getLogger("holdfast.streaming")

TICK = 0.1  # seconds between two looks at the stop switch while waiting

# Seconds that threads get to end after a failure: by themselves, and again once what they wait for is released.
# A part that hangs all the same is left to its daemon thread, so that the whole ends after about a second.
_GRACE = 0.2

PATIENCE = 0.6


class Stop:
    """The common switch of one run; the first error that sets it is the one that is reported."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self.error: BaseException | None = None

    def set(self, error: BaseException) -> None:
        """End the run because of this error."""
        with self._lock:
            if self.error is None and not isinstance(error, Stopped):
                self.error = self._of_a_thread(error)
        self._event.set()

    def _of_a_thread(self, error: BaseException) -> BaseException:
        """The error to report: to a thread of ours nobody sends a signal or time limit: there it is a plugin's."""
        if isinstance(error, Exception) or threading.get_ident() == self._thread:
            return error
        failure = PluginError(f"a plugin failed: {describe_ending(error)}")
        failure.__cause__ = error
        return failure

    def check(self) -> None:
        """Raise `Stopped` once the run has to end."""
        if self._event.is_set():
            raise Stopped

    def result(self, future: "Future[Chunk]") -> Chunk:
        """Wait for a worker, but not beyond the end of the run."""
        while True:
            self.check()
            try:
                return future.result(timeout=TICK)
            except FutureTimeoutError:
                if future.done():
                    # It may have ended since, well or with a TimeoutError of the codec's own.
                    return future.result()


class Workers:
    """A pool of daemon threads: unlike an executor's, a codec that hangs cannot keep the process alive."""

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Chunk], Callable[[Chunk], Chunk], Chunk] | None]
        self._tasks = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"holdfast-worker-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, block = task
            try:
                future.set_result(function(block))
            except BaseException as error:  # noqa: BLE001 (travels to whoever waits for the future)
                future.set_exception(error)
            del task, future, function, block  # a waiting worker would keep a block alive

    def submit(self, function: Callable[[Chunk], Chunk], block: Chunk) -> "Future[Chunk]":
        """Have a block worked on."""
        future: Future[Chunk] = Future()
        self._tasks.put((future, function, block))
        return future

    def close(self, patience: float = PATIENCE) -> None:
        """End the threads."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        join(self._threads, patience)


def join(
    threads: Iterable[threading.Thread], patience: float, *, quietly: bool = False, ending: BaseException | None = None
) -> None:
    """Wait for threads to end, `patience` seconds altogether, and name those that do not.

    If they have to end because of a signal, that is the `ending`, to which is added which call of a plugin goes on.
    """
    deadline, before = time.monotonic() + patience, calls_under_way()
    for thread in threads:
        if thread.ident is None:
            continue  # it could not even be started
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive() and not quietly:
            log.warning("thread %s has not ended after %.1f s", thread.name, patience)
    meant = None if ending is None else ending_behind(ending)
    if meant is not None:
        note_hung(meant, before)


def run_tasks(
    tasks: Sequence[Callable[[], None]], *, jobs: int, stop: Stop, tick: Callable[[], None], release: Callable[[], None]
) -> None:
    """Run tasks in up to `jobs` threads; the first failure ends all of them and is raised here.

    `tick` is called here about ten times a second. After a failure, a signal included, `release` is called: it
    must free whatever a task could still be waiting for. The calling thread only waits, so that a signal is
    acted upon at once.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}, expected a whole number from 1")
    left: deque[Callable[[], None]] = deque(tasks)
    ended = threading.Semaphore(0)

    def work() -> None:
        try:
            while True:
                stop.check()
                try:
                    task = left.popleft()
                except IndexError:
                    return
                task()
        except BaseException as error:  # noqa: BLE001 (reported by the thread that waits)
            stop.set(error)
        finally:
            ended.release()

    threads = [
        threading.Thread(target=work, name=f"holdfast-task-{number}", daemon=True)
        for number in range(min(jobs, len(tasks)))
    ]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running and stop.error is None:
            if ended.acquire(timeout=TICK):
                running -= 1
            else:
                tick()
        if stop.error is None:
            tick()
    except BaseException as error:  # noqa: BLE001 (raised below, once everything is freed)
        stop.set(error)
    if stop.error is not None:
        join(threads, _GRACE, quietly=True, ending=stop.error)
        release_after_failure(stop.error, release)
        join(threads, PATIENCE)
        raise stop.error
    join(threads, PATIENCE)


def release_after_failure(failure: BaseException, release: Callable[[], None]) -> None:
    """Free what tasks wait for; the failure that led here is the one to report, with what the release left behind."""
    try:
        release()
    except HoldfastError as error:
        log.info("cleaning up after the failure failed too: %s", error.message, exc_info=error)
        add_cleanup_failure(failure, error)
    except Exception as error:
        log.info("cleaning up after the failure failed too: %s", error, exc_info=error)
        add_cleanup_failure(
            failure, HoldfastError(f"the source or target was not released: {type(error).__name__}: {error}")
        )
