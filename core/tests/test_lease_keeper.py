"""A lease is renewed while it is held, and whoever has lost it is told before anything is made of it."""

import contextlib
import threading

import pytest

from holdfast.api import LeaseKeeper, LockedError

TTL = 0.3


class Lease:
    """A lease that is renewed, and what its service says to that."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.renewed = threading.Semaphore(0)

    def renew(self) -> bool:
        self.renewed.release()
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, times: int) -> None:
        for _ in range(times):
            assert self.renewed.acquire(timeout=10)


def refuse(keeper: LeaseKeeper) -> None:
    """See that a lost lease is told, and raise that."""
    assert keeper.lost.wait(10)
    with pytest.raises(LockedError, match=r"within 0\.3 s"):
        keeper.check()


def fail(lease: Lease) -> None:
    lease.wait(1)
    raise ZeroDivisionError


def keepers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lease of ")]


def test_a_lease_is_renewed_until_its_context_is_left() -> None:
    lease = Lease()
    with LeaseKeeper("name", lease.renew, 1.0) as keeper:
        lease.wait(4)  # more than one ttl
        keeper.check()
    assert keepers() == []


def test_an_error_of_a_renewal_is_tried_again() -> None:
    lease = Lease(ConnectionError("away"))
    with LeaseKeeper("name", lease.renew, 2.0) as keeper:
        lease.wait(2)
        keeper.check()


def test_a_lease_that_another_has_is_lost() -> None:
    keeper = LeaseKeeper("name", Lease(False).renew, TTL)
    with pytest.raises(LockedError, match="the lease of name was lost"), keeper:
        refuse(keeper)
    assert keepers() == []


def test_a_lease_that_cannot_be_renewed_is_lost_after_its_ttl() -> None:
    lease = Lease(*[ConnectionError("away")] * 100)
    with pytest.raises(LockedError), LeaseKeeper("name", lease.renew, TTL):
        lease.wait(4)


def test_an_error_of_the_block_goes_first() -> None:
    lease = Lease(False)
    with pytest.raises(ZeroDivisionError), LeaseKeeper("name", lease.renew, TTL):
        fail(lease)


def test_a_renewal_that_hangs_does_not_keep_its_holder() -> None:
    hangs, over = threading.Event(), threading.Event()

    def renew() -> bool:
        hangs.set()
        return over.wait(60)

    with contextlib.suppress(LockedError), LeaseKeeper("name", renew, TTL):
        assert hangs.wait(10)
    assert len(keepers()) == 1
    over.set()
