"""Leases in a service that keeps values, for storages of services."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.errors import LockedError, quote_name
from holdfast.lease_keeper import LeaseKeeper

_TRIES = 10  # at a value that others change at the same time

_Holders = dict[str, tuple[float, bool]]  # by holder when its lease ends, in seconds since 1970, and whether it shares


class Leases:
    """The leases of a storage, as values of a service that puts one only in the place of that which is expected.

    `get(name)` returns the value of a lease with its tag, or None where there is none; the tag is whatever the service
    tells that value by, such as an ETag, or the value itself. `put(name, value, tag)` puts a value in the place of the
    one with that tag, or where there is none for None, and returns whether that was so. Both are called in several
    threads at once, and a `put` that has worked may say that it has not, as that of a client does that has tried again
    by itself. An ended lease stays as a value of two bytes. The clocks of those who share a store have to agree
    to a few seconds.

    `check` raises `LockedError` once a lease that is held is lost: a storage calls it before it makes anything visible,
    and before it deletes.

    Example::

        def __init__(self, client):
            self.leases = Leases(client.get_with_etag, client.put_if_match)

        def lease(self, name, ttl=60.0):
            return self.leases.hold(name, ttl)

        def shared_lease(self, name, ttl=60.0):
            return self.leases.hold(name, ttl, shared=True)
    """

    def __init__(self, get: Callable[[str], tuple[bytes, Any] | None], put: Callable[[str, bytes, Any], bool]) -> None:
        self._get = get
        self._put = put
        self._keepers: set[LeaseKeeper] = set()

    @contextmanager
    def hold(self, name: str, ttl: float = 60.0, *, shared: bool = False) -> Iterator[None]:
        """Hold a name alone or beside others that share it, and renew that; `LockedError` if somebody else holds it."""
        holder = os.urandom(8).hex()

        def take(holders: _Holders) -> bool:
            # Its own name is there where a client has tried again what it had put already.
            if any(not (shared and other) for each, (_, other) in holders.items() if each != holder):
                return False
            holders[holder] = (time.time() + ttl, shared)
            return True

        def renew(holders: _Holders) -> bool:
            if holder not in holders:
                return False
            holders[holder] = (time.time() + ttl, shared)
            return True

        if not self._change(name, take):
            raise LockedError(f"another process is at work on {quote_name(name)}")
        try:
            with LeaseKeeper(name, lambda: self._change(name, renew), ttl) as keeper:
                self._keepers.add(keeper)
                try:
                    yield
                finally:
                    self._keepers.discard(keeper)
        finally:
            with contextlib.suppress(LockedError):  # then it ends by itself
                self._change(name, lambda holders: holders.pop(holder, None) is not None)

    def check(self) -> None:
        """Raise `LockedError` if a lease that is held is lost: somebody else may be at work by now."""
        for keeper in list(self._keepers):
            keeper.check()

    def _change(self, name: str, change: Callable[[_Holders], bool]) -> bool:
        """Change who holds a name, anew as often as others do so meanwhile; whether `change` wanted to."""
        import msgspec  # which whoever imports holdfast.api alone need not wait for

        for _ in range(_TRIES):
            value, tag = self._get(name) or (b"{}", None)
            try:
                holders = msgspec.json.decode(value, type=_Holders)
            except (msgspec.MsgspecError, ValueError) as error:
                raise LockedError(f"what stands for the lease of {name} is none, so that nobody can hold it") from error
            now = time.time()
            held = {holder: until for holder, until in holders.items() if until[0] > now}
            if not change(held):
                return False
            if self._put(name, msgspec.json.encode(held), tag):
                return True
        raise LockedError(f"others are at work on {quote_name(name)} all the time")
