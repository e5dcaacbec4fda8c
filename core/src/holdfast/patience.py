"""Patience: an operation that another process keeps out is tried again, for as long as its user wants to wait."""

import time
from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import LockedError

_Result = TypeVar("_Result")

_FIRST, _LAST = 0.05, 1.0  # seconds between two tries: the first, and what they grow to


class Patience:
    """What is left of a wait of so many seconds, which several operations may share.

    `say` is called once, with what is waited for, however often it is tried.
    """

    def __init__(self, seconds: float, say: Callable[[str], object]) -> None:
        self._seconds = seconds
        self._say = say
        self._deadline: float | None = None

    def until_free(self, action: Callable[[], _Result]) -> _Result:
        """Do it, again and again while it is locked out; `LockedError` once the time is up.

        An operation that is locked out has changed nothing, so that it may be repeated as a whole.
        """
        pause = _FIRST
        while True:
            try:
                return action()
            except LockedError as error:
                if not self.rest(error.message, pause):
                    raise
            pause = min(2 * pause, _LAST)

    def rest(self, why: str, pause: float = _LAST) -> bool:
        """Wait for a moment; False, at once, if the time is up."""
        if not self._seconds:
            return False
        if self._deadline is None:  # the time begins with the first refusal
            self._deadline = time.monotonic() + self._seconds
            self._say(f"{why}; waiting for up to {self._seconds:g} s")
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        return True
