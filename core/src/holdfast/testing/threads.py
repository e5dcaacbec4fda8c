"""Threads of a test, whose errors are the test's."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

_Argument = TypeVar("_Argument")


def run_threads(
    work: Callable[[_Argument], object], arguments: Iterable[_Argument], *, patience: float | None = None
) -> None:
    """Call `work` with each of the arguments, in threads of their own, and raise what one of them raised first.

    A barrier that was aborted because of it breaks for all the others: that is not what went wrong.
    """
    errors: list[BaseException] = []

    def call(argument: _Argument) -> None:
        try:
            work(argument)
        except threading.BrokenBarrierError as error:
            errors.append(error)
        except BaseException as error:  # noqa: BLE001 (raised below)
            errors.insert(0, error)

    threads = [threading.Thread(target=call, args=(argument,), daemon=True) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
    if errors:
        raise errors[0]
    running = sum(thread.is_alive() for thread in threads)
    assert not running, f"{running} of {len(threads)} threads have not ended after {patience} s"
