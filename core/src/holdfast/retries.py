"""Trying again what a service refused or did not answer, for storages of services."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.field_docs import explain_fields

_LONGEST_PAUSE = 20.0  # seconds
_FIRST_PAUSE = 0.5
_SHORTEST_PAUSE = 0.05

_Answer = TypeVar("_Answer")


@explain_fields
@dataclass(frozen=True, kw_only=True)
class FailedTry:
    """What an error of a call says to whoever would try it again."""

    passes: bool  #: whether it may help to try once more
    answered: bool = True  #: whether the service has answered at all, if only by a refused
    busy: bool = False  #: whether the service wants fewer requests, so that all threads wait
    doubtful: bool = False  #: whether it may be said of what an earlier try has done: there is such an object


class Retries:
    """The tries of all calls of one service, which is asked again for minutes, and never by many at once.

    Each pause is drawn between nothing and twice as long as the last could be (full jitter), up to 20 s. A call is
    given up `patience` seconds after its first failure, and, where the service has not once answered anybody, after
    `unknown_patience`: its address is wrong, or it is down. What is too busy makes all calls wait, not only the one
    that it refused. One object of it serves all threads.

    `read` tells what an error says, None for one that is no answer of the service and passes as it is; `fail` what to
    raise in its place in the end; `note` hears why a call is tried again, and in how many seconds.
    """

    def __init__(
        self,
        read: Callable[[Exception], FailedTry | None],
        *,
        patience: float = 300.0,
        unknown_patience: float = 8.0,
    ) -> None:
        self.patience = patience
        self.unknown_patience = unknown_patience
        self._read = read
        self._lock = threading.Lock()
        self._pause_until = 0.0
        self._answered = False

    def call(
        self,
        operation: Callable[[], _Answer],
        *,
        fail: Callable[[Exception], Exception],
        note: Callable[[Exception, float], object] = lambda _error, _pause: None,
        again: Callable[[], _Answer | None] | None = None,
    ) -> _Answer:
        """Call an operation until it succeeds, or no try can help.

        After a try of which nobody knows whether it was carried out, `again` is asked for the answer to it first, None
        where it was not: a service refuses what it has done already, as what somebody else did. So is it after a first
        try that is refused for that: what stands between us and the service may have sent it twice.
        """
        begun, tries, unsure = time.monotonic(), 0, False
        failed: float | None = None
        while True:
            self._wait_with_others()
            try:
                answer = operation()
            except Exception as error:
                refused = self._read(error)
                if refused is None:
                    raise
                self._answered |= refused.answered
                unsure |= refused.doubtful
                if unsure and again is not None and (given := again()) is not None:
                    return given
                failed = time.monotonic() if failed is None else failed
                pause = self._pause(refused, tries, time.monotonic() - (failed if self._answered else begun))
                if pause is None:
                    if not refused.answered:
                        self._answered = False  # what is to be tidied up now does not wait for it as long once more
                    raise fail(error) from error
                tries, unsure = tries + 1, True
                note(error, pause)
                time.sleep(pause)
            else:
                self._answered = True
                return answer

    def _pause(self, refused: FailedTry, tries: int, passed: float) -> float | None:
        """Seconds until the next try, None where there is none."""
        if not refused.passes:
            return None
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(tries, 10))
        pause = random.uniform(0, longest) + _SHORTEST_PAUSE  # noqa: S311 (no secret)
        if passed + pause > (self.patience if self._answered else self.unknown_patience):
            return None
        if refused.busy:
            with self._lock:
                self._pause_until = max(self._pause_until, time.monotonic() + pause)
        return pause

    def _wait_with_others(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0:
            time.sleep(left + random.uniform(0, 0.2))  # noqa: S311 (no secret)
