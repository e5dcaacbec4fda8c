"""Calls of a service: tried again for minutes where that can help, and in the words of Holdfast where they fail."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from obstore import exceptions

from holdfast.api import HoldfastError, quote_name
from holdfast_obstore.failures import is_cut_off, is_obstore, may_pass, meaning, told
from holdfast_obstore.interrupting import interruptible
from holdfast_obstore.place import Place

log = logging.getLogger("holdfast.storage")

_PATIENCE = 300.0  # seconds from the first failure of a call to the last try
_UNKNOWN_PATIENCE = 8.0  # where the service has not answered once: its address is wrong, or it is down
_LONGEST_PAUSE = 20.0
_WITHIN_UPLOADS = 180.0  # seconds for which the library itself tries a part again

_T = TypeVar("_T")


class Client:
    """One client for all threads, which tries nothing again itself: ours can be interrupted, and know what it was.

    Another, which does, is for the parts of uploads, which nobody but the library has.
    """

    def __init__(self, place: Place, make: Callable[[float], Any]) -> None:
        self.place = place
        self._make = make
        self._lock = threading.Lock()
        self._stores: dict[float, Any] = {}
        self._answered = False

    def call(self, path: str, operation: Callable[[Any], _T], *, again: Callable[[], _T | None] | None = None) -> _T:
        """Call an operation for the object at a path.

        After a try of which nobody knows whether it was carried out, `again` is asked for the answer to it first: a
        service refuses what it has done already, as what somebody else did. So is it after a first try that is refused
        for that: what stands between us and the service may have sent it twice.
        """
        begun, tries, unsure = time.monotonic(), 0, False
        failed: float | None = None
        while True:
            try:
                answer = interruptible(lambda: operation(self.opened()))
            except Exception as error:
                if isinstance(error, HoldfastError) or not is_obstore(error):
                    raise
                self._answered |= not is_cut_off(error)
                unsure |= isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError)
                if unsure and again is not None and (given := again()) is not None:
                    return given
                failed = time.monotonic() if failed is None else failed
                pause = self._pause(error, tries, time.monotonic() - (failed if self._answered else begun))
                if pause is None:
                    if is_cut_off(error):
                        self._answered = False  # what is to be tidied up now does not wait for it as long once more
                    raise meaning(error, self.place, path) from error
                tries, unsure = tries + 1, True
                log.info("%s is tried again in %.1f s: %s", quote_name(path), pause, told(error))
                time.sleep(pause)
            else:
                self._answered = True
                return answer

    def opened(self, *, for_upload: bool = False) -> Any:
        """The library's client, which is made by the first call."""
        patience = _WITHIN_UPLOADS if for_upload else 0.0
        with self._lock:
            if patience not in self._stores:
                try:
                    self._stores[patience] = self._make(patience)
                except (exceptions.BaseError, ValueError, OSError) as error:
                    raise meaning(error, self.place, "") from error
            return self._stores[patience]

    def _pause(self, error: Exception, tries: int, passed: float) -> float | None:
        """Seconds until the next try, None where there is none; from zero on, so that many do not come back at once."""
        if not may_pass(error):
            return None
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.5 * 2**tries)) + 0.05  # noqa: S311 (no secret)
        return None if passed + pause > (_PATIENCE if self._answered else _UNKNOWN_PATIENCE) else pause
