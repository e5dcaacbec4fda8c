"""An executor whose tasks run on the workers of a cluster, and are submitted again when the scheduler has lost them.

A task may so run several times, also at once, as Dask itself repeats those of a worker that it has lost: what is
submitted here has to bear that, as the backups of a run do.
"""

import pickle
import queue
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from holdfast.api import HoldfastError, PluginError, UnreachableError
from holdfast_dask.scheduler import Scheduler
from holdfast_dask.worker import Call

_LOOK = 1.0  # seconds after which it is looked whether there is still a scheduler, and a worker
_GATHERING = 120.0  # seconds for a result of some kilobytes
_THREADS = 8  # that fetch results


class _Task:
    """A task, with its future here and the one of Dask, which is another each time that it is submitted."""

    def __init__(self, function: Callable[..., Any], plan: bytes) -> None:
        # A worker that cannot unpickle what a task calls loses its scheduler and ends (distributed 2026.8), and so do
        # all others, one after another. What everybody has is `pickle.loads`, whose error is one of the task alone.
        self.call = pickle.dumps(Call(function, plan))
        self.future: Future[Any] = Future()
        self.remote: Any = None

    def end(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give the future its outcome, unless it has been cancelled meanwhile."""
        with suppress(InvalidStateError):
            if error is None:
                self.future.set_result(value)
            else:
                self.future.set_exception(error)


class DaskExecutor(Executor):
    """Submits to the scheduler of a cluster; to connect to one that does not answer is an `UnreachableError`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._client = scheduler.client()
        self._tasks: set[_Task] = set()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._results = ThreadPoolExecutor(_THREADS, "dask results")
        self._seen = time.monotonic()  # when there was a worker
        self._thread = threading.Thread(target=self._serve, name="dask", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have a function called with one argument of bytes on a worker; its future never says that it is running."""
        (plan,) = args
        if kwargs or not isinstance(plan, bytes):
            raise TypeError("a task takes one argument of bytes, and nothing else")
        if self._closed.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        task = _Task(fn, plan)
        with self._lock:
            self._tasks.add(task)
        task.future.add_done_callback(partial(self._forget, task))
        self._waiting.put(task)
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster, once all tasks have ended, or at once with those cancelled that have not.

        What a worker is at then is told that nobody wants it, and ends with all that it has started.
        """
        with self._lock:
            tasks = list(self._tasks)
        if cancel_futures or not wait:
            for task in tasks:
                task.future.cancel()
        else:
            for task in tasks:
                with suppress(BaseException):
                    task.future.exception()
        self._closed.set()
        self._waiting.put(None)
        self._thread.join(self._scheduler.connect)
        self._results.shutdown(wait=False, cancel_futures=True)
        with suppress(Exception):
            self._client.close(timeout=5)

    def _forget(self, task: _Task, future: "Future[Any]") -> None:
        with self._lock:
            self._tasks.discard(task)
        remote = task.remote
        if future.cancelled() and remote is not None:
            with suppress(Exception):  # no scheduler: then it has forgotten the task as well
                self._client.cancel([remote], force=True, asynchronous=False)

    # --- in the thread that talks to the scheduler ---

    def _serve(self) -> None:
        """Submit what is waiting, and give up all of it once there has been no scheduler or worker for too long."""
        while not self._closed.is_set():
            task = None
            with suppress(queue.Empty):
                task = self._waiting.get(timeout=_LOOK)
            try:
                self._connect()
                if task is not None:
                    self._submit(task)
                else:
                    self._look_for_workers()
            except HoldfastError as error:
                self._give_up(error)
            except Exception as error:  # noqa: BLE001 (whatever it is, nobody else is there to hear of it)
                if task is not None:
                    task.end(error=HoldfastError(f"Dask refuses a task: {_text(error)}"))

    def _connect(self) -> None:
        """Wait until there is a client that is connected; the one before tries for a while by itself."""
        ends = time.monotonic() + self._scheduler.timeout
        while self._client.status != "running" and not self._closed.is_set():
            if self._client.status == "closed":
                try:
                    self._client = self._scheduler.client()
                except UnreachableError:
                    if time.monotonic() > ends:
                        raise
            self._closed.wait(0.2)
            self._seen = time.monotonic()

    def _submit(self, task: _Task) -> None:
        if task.future.done():
            return
        key = f"holdfast-{uuid.uuid4().hex}"
        task.remote = self._client.submit(pickle.loads, task.call, key=key, pure=False, retries=0)
        task.remote.add_done_callback(partial(self._hand_on, task))
        if task.future.cancelled():
            self._forget(task, task.future)

    def _look_for_workers(self) -> None:
        with self._lock:
            idle = not self._tasks
        if idle or self._client.scheduler_info(n_workers=1)["workers"]:
            self._seen = time.monotonic()
        elif time.monotonic() > self._seen + self._scheduler.timeout:
            raise UnreachableError(
                f"the Dask scheduler at {self._scheduler.address} has had no worker for {self._scheduler.timeout:g} s",
                hint="`dask worker` starts one, where holdfast, holdfast-dask and the plugins of the databases are",
            )

    def _give_up(self, error: HoldfastError) -> None:
        with self._lock:
            tasks = list(self._tasks)
        for task in tasks:
            task.end(error=error)
        self._seen = time.monotonic()

    # --- in threads of their own ---

    def _hand_on(self, task: _Task, remote: Any) -> None:
        with suppress(RuntimeError):  # it has been shut down
            self._results.submit(self._finish, task, remote)

    def _finish(self, task: _Task, remote: Any) -> None:
        """Give a future the outcome of its task; one that the scheduler has lost is submitted again."""
        if remote is not task.remote or task.future.done():
            return
        try:
            if remote.status == "error":
                task.end(error=self._meaning(remote.exception(timeout=_GATHERING)))
                return
            if remote.status == "finished":
                task.end(remote.result(timeout=_GATHERING))
                return
        except Exception:  # noqa: BLE001, S110 (the connection was lost meanwhile, and the result with it)
            pass
        if not self._closed.is_set():
            self._waiting.put(task)

    def _meaning(self, error: BaseException) -> BaseException:
        """What the error of a task means to whoever has submitted it."""
        from distributed.scheduler import KilledWorker

        if isinstance(error, HoldfastError):
            return error
        if isinstance(error, KilledWorker):
            return HoldfastError(
                f"Dask gave the task up: {_text(error)}",
                hint="workers ended while they were at it; look at their logs, and at the memory of their hosts",
            )
        if isinstance(error, ImportError | AttributeError):
            return PluginError(
                f"a worker of {self._scheduler.address} cannot run it: {_text(error)}",
                hint="install the same holdfast and holdfast-dask, and the plugins of the databases, for all workers",
            )
        return HoldfastError(f"the task failed on a worker: {_text(error)}")


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
