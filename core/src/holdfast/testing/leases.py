"""The contract of a storage's leases, as tests: `StorageSuite` has them."""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from holdfast.api import LockedError, Storage, SupportsSharedLease
from holdfast.testing.contract import states


class LeaseTests:
    """What leases promise of a storage."""

    patience: float
    ttl: float

    @states("storage 21")
    def test_a_lease_has_one_holder(self, storage: Storage, second: Storage) -> None:
        """Whoever comes second is told at once; other names are free, and are no objects."""
        with storage.lease("name"):
            for opened in (storage, second):
                began = time.monotonic()
                with pytest.raises(LockedError), opened.lease("name"):
                    pass
                assert time.monotonic() - began < self.patience
            with storage.lease("another"), second.lease("a.third-name"):
                pass

    @states("storage 22")
    @pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
    def test_a_lease_is_free_again_afterwards(
        self, storage: Storage, second: Storage, error: type[BaseException] | None
    ) -> None:
        """Also after an error, for everybody, as often as needed."""
        for opened in (storage, second, storage):
            with contextlib.suppress(*filter(None, [error])), opened.lease("name"):
                if error:
                    raise error

    @states("storage 22")
    def test_whoever_was_refused_does_not_end_the_lease(self, storage: Storage, second: Storage) -> None:
        """The third is refused as well."""
        with storage.lease("name"):
            for opened in (second, storage, second):
                with pytest.raises(LockedError), opened.lease("name"):
                    pass

    @states("storage 23")
    def test_leases_are_not_listed(self, storage: Storage, second: Storage) -> None:
        """While they are held, and afterwards."""
        with storage.lease("name"):
            assert list(storage.list()) == list(second.list()) == []
        assert list(storage.list()) == list(second.list()) == []
        with storage.writer("a/object") as writer:
            writer.write(b"x")
        with storage.lease("name"):
            assert [stat.path for stat in storage.list()] == ["a/object"]

    @states("storage 24")
    def test_a_lease_is_renewed_for_as_long_as_it_is_held(self, storage: Storage, second: Storage) -> None:
        """A backup may take days; its lease is short all the same."""
        with storage.lease("name", self.ttl):
            self._wait(lambda: self._locked(second), 2.5 * self.ttl)
        assert not self._locked(second)

    @states("storage 25")
    def test_the_lease_of_a_dead_holder_ends(
        self, storage: Storage, die: Callable[[str, str, float], bool] | None
    ) -> None:
        """After its ttl at the latest."""
        if die is None or not die("lease", "name", self.ttl):
            return
        deadline = time.monotonic() + 2 * self.ttl + self.patience
        while self._locked(storage):
            assert time.monotonic() < deadline, "the lease of a dead holder has not ended"
            threading.Event().wait(self.ttl / 10)

    @states("storage 26")
    def test_a_shared_lease_has_many_holders_and_no_other(self, storage: Storage, second: Storage) -> None:
        """Where a storage can: those who share keep out who wants it alone, and the reverse."""
        if not isinstance(storage, SupportsSharedLease) or not isinstance(second, SupportsSharedLease):
            return
        with storage.shared_lease("name"), second.shared_lease("name"):
            assert self._locked(storage)
            assert self._locked(second)
        with storage.lease("name"), pytest.raises(LockedError), second.shared_lease("name"):
            pass
        with storage.shared_lease("name"):
            with second.shared_lease("name"):
                pass
            assert self._locked(second)
        assert not self._locked(storage)

    def _locked(self, storage: Storage) -> bool:
        try:
            with storage.lease("name", self.ttl):
                return False
        except LockedError:
            return True

    @staticmethod
    def _wait(holds: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert holds(), "the lease has ended while it was held"
            threading.Event().wait(seconds / 12)
