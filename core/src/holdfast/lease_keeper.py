"""Renews a lease for as long as it is held, for storages whose leases end by themselves."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from holdfast.errors import LockedError, quote_name

log = logging.getLogger("holdfast.storage")

_RENEWALS = 3  # in a ttl: two may fail


class LeaseKeeper:
    """A context in which a thread renews a lease three times in each `ttl` seconds.

    `renew` puts its end off by `ttl` from now on, and returns whether it is still this holder's. An error of it, such
    as a service that does not answer, is tried again at the next time. The lease is lost when `renew` says so, and when
    it has not succeeded for `ttl` seconds, as in a process that was suspended: another holder may have it then. `check`
    tells that, and the end of the context does, where nothing else was raised.
    """

    def __init__(self, name: str, renew: Callable[[], bool], ttl: float) -> None:
        self.name = name  #: what is held
        self._renew = renew
        self._ttl = ttl
        self._over = threading.Event()
        self.lost = threading.Event()  #: set once `renew` has said that it is another's
        self._ends = time.monotonic() + ttl
        self._thread = threading.Thread(target=self._run, name=f"lease of {name}", daemon=True)

    def __enter__(self) -> Self:
        """Begin to renew a lease that was taken just now."""
        self._ends = time.monotonic() + self._ttl
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, also one that a call hangs in; release the lease afterwards."""
        self._over.set()
        self._thread.join(self._ttl / _RENEWALS)
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise `LockedError` if the lease is lost; a storage asks before it makes anything visible, or deletes it."""
        if self.lost.is_set() or time.monotonic() >= self._ends:
            raise LockedError(
                f"the lease of {quote_name(self.name)} was lost: it could not be renewed within {self._ttl:g} s, or "
                "somebody has ended it",
                hint="look whether this machine was suspended, or cut off from the storage, and run it again",
            )

    def _run(self) -> None:
        while not self._over.wait(self._ttl / _RENEWALS):
            began = time.monotonic()
            try:
                held = self._renew()
            except Exception as error:  # noqa: BLE001 (whatever a client raises)
                log.info("the lease of %s could not be renewed: %s", quote_name(self.name), error)
                continue
            if not held or time.monotonic() >= self._ends:
                self.lost.set()
                return
            self._ends = began + self._ttl
