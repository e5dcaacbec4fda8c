"""Calls of a service: tried again for minutes where that can help, and in the words of Holdfast where they fail."""

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from obstore import exceptions

from holdfast.api import FailedTry, HoldfastError, Retries, quote_name
from holdfast_obstore.failures import is_busy, is_cut_off, is_obstore, may_pass, meaning, told
from holdfast_obstore.interrupting import interruptible
from holdfast_obstore.place import Place

log = logging.getLogger("holdfast.storage")

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
        self.retries = Retries(_failed_try)

    def call(self, path: str, operation: Callable[[Any], _T], *, again: Callable[[], _T | None] | None = None) -> _T:
        """Call an operation for the object at a path.

        After a try of which nobody knows whether it was carried out, `again` is asked for the answer to it first: a
        service refuses what it has done already, as what somebody else did. So is it after a first try that is refused
        for that: what stands between us and the service may have sent it twice.
        """

        def note(error: Exception, pause: float) -> None:
            log.info("%s is tried again in %.1f s: %s", quote_name(path), pause, told(error))

        return self.retries.call(
            lambda: interruptible(lambda: operation(self.opened())),
            fail=lambda error: meaning(error, self.place, path),
            note=note,
            again=again,
        )

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


def _failed_try(error: Exception) -> FailedTry | None:
    """What an error of the library says to whoever would try again; what we have said ourselves passes as it is."""
    if isinstance(error, HoldfastError) or not is_obstore(error):
        return None
    return FailedTry(
        passes=may_pass(error),
        answered=not is_cut_off(error),
        busy=is_busy(error),
        doubtful=isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError),
    )
