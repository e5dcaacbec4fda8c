"""Calls of the library, in which no signal would be seen before the service answers or is given up."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")
_TICK = 0.2  # seconds: a signal that comes right before a wait does not end it, and is seen after it


def interruptible(operation: Callable[[], _T]) -> _T:
    """Do what may take minutes, and let whoever interrupts the program not wait for it.

    Signals come to the main thread alone, which has to run Python for that: it waits for another one that does it.
    """
    if threading.current_thread() is not threading.main_thread():
        return operation()
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(operation())
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            failure.append(error)

    thread = threading.Thread(target=run, name="holdfast-obstore", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_TICK)
    try:
        if failure:
            raise failure[0]
        result: _T = outcome[0]
        return result
    finally:
        failure.clear()  # an error holds its frames, and they hold it
