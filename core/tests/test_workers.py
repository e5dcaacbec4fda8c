"""Threads of a run: the first failure ends all of them, and nothing that hangs keeps it waiting."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.alive import our_threads

from holdfast.endings import Stopped
from holdfast.errors import cleanup_notes
from holdfast.streaming.workers import Stop, run_tasks


class Boom(Exception):  # noqa: N818 (what a foreign part raises is called anything)
    pass


def run(tasks: Sequence[Callable[[], Any]], *, stop: Stop | None = None, **more: Any) -> None:
    more = {"jobs": 4, "tick": lambda: None, "release": lambda: None, **more}
    run_tasks(tasks, stop=stop or Stop(), **more)


def test_every_task_runs_once_and_at_most_jobs_side_by_side() -> None:
    running = most = 0
    lock = threading.Lock()
    done: list[int] = []

    def task(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0)
        with lock:
            running -= 1
            done.append(number)

    run([lambda number=number: task(number) for number in range(50)], jobs=3)  # type: ignore[misc]
    assert sorted(done) == list(range(50))
    assert most <= 3


def test_no_tasks_are_no_work() -> None:
    run([])


@pytest.mark.parametrize("jobs", [0, -1])
def test_tasks_without_a_thread_to_run_them_are_refused(jobs: int) -> None:
    with pytest.raises(ValueError, match="jobs"):
        run([lambda: None], jobs=jobs)


def test_the_first_error_is_the_one_that_is_raised_and_the_others_end() -> None:
    stop = Stop()
    failed = threading.Event()

    def fails() -> None:
        failed.set()
        raise Boom("first")

    def waits() -> None:
        failed.wait(10)
        while True:
            stop.check()

    with pytest.raises(Boom, match="first"):
        run([fails, waits, waits], stop=stop)
    assert our_threads() == set()


def test_what_blocks_a_task_is_released_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    def fails() -> None:
        raise Boom

    with caplog.at_level(logging.WARNING, "holdfast"), pytest.raises(Boom):
        run([fails, *[lambda: released.wait(30) for _ in range(3)]], release=released.set)
    assert caplog.records == []  # every thread ended in time
    assert our_threads() == set()


def test_many_tasks_that_nothing_can_release_do_not_hold_the_failure_up(caplog: pytest.LogCaptureFixture) -> None:
    forever = threading.Event()

    def fails() -> None:
        raise Boom

    started = time.monotonic()
    try:
        with pytest.raises(Boom):
            run([*[lambda: forever.wait(60) for _ in range(60)], fails], jobs=61)
        assert time.monotonic() - started < 4  # 60 waits of a tick each would be 6 s
    finally:
        forever.set()
    assert "has not ended" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Boom("watcher")])
def test_an_error_in_the_waiting_thread_ends_the_tasks(error: BaseException) -> None:
    stop = Stop()

    def task() -> None:
        while True:
            stop.check()

    def tick() -> None:
        raise error

    with pytest.raises(type(error)):
        run([task, task], stop=stop, tick=tick)
    assert our_threads() == set()


class TimeLimit(BaseException):
    """As gevent, eventlet and dramatiq raise one in the thread or greenlet that a call runs in, whichever that is."""


def test_a_limit_that_is_no_exception_stays_what_it_is_outside_of_the_main_thread() -> None:
    errors: list[BaseException] = []

    def limited() -> None:
        try:
            test_an_error_in_the_waiting_thread_ends_the_tasks(TimeLimit())
        except BaseException as error:  # noqa: BLE001 (looked at below)
            errors.append(error)

    thread = threading.Thread(target=limited)
    thread.start()
    thread.join()
    assert errors == []


def test_an_error_while_releasing_is_told_with_the_first_one_and_does_not_hide_it() -> None:
    def fails() -> None:
        raise Boom("first")

    def release() -> None:
        raise RuntimeError("second")

    with pytest.raises(Boom, match="first") as caught:
        run([fails], release=release)
    assert cleanup_notes(caught.value) == "; the source or target was not released: RuntimeError: second"


def test_a_stop_keeps_the_first_error_and_no_echo_of_it() -> None:
    stop = Stop()
    stop.check()
    stop.set(Stopped())
    with pytest.raises(Stopped):
        stop.check()
    first = Boom("first")
    stop.set(first)
    stop.set(Boom("second"))
    assert stop.error is first
