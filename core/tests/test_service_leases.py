"""Leases in a service that puts a value only in the place of the one that is expected."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.api import Leases, LockedError

TTL = 0.3


class Service:
    """Values with numbers as tags; `before_put` is called once before the next value is put."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, int]] = {}
        self.lock = threading.Lock()
        self.before_put: Callable[[], object] | None = None

    def get(self, name: str) -> tuple[bytes, int] | None:
        return self.values.get(name)

    def put(self, name: str, value: bytes, tag: Any) -> bool:
        if self.before_put is not None:
            before, self.before_put = self.before_put, None
            before()
        with self.lock:
            there = self.values.get(name)
            if (there[1] if there else None) != tag:
                return False
            self.values[name] = (value, (tag or 0) + 1)
            return True


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def leases(service: Service) -> Leases:
    return Leases(service.get, service.put)


def test_an_ended_lease_leaves_a_value_of_two_bytes(leases: Leases, service: Service) -> None:
    with leases.hold("name"):
        pass
    assert service.values["name"][0] == b"{}"


def test_of_two_who_take_a_lease_at_once_one_gets_it(leases: Leases, service: Service) -> None:
    other = Leases(service.get, service.put).hold("name")
    service.before_put = other.__enter__
    with pytest.raises(LockedError, match="another process is at work on name"), leases.hold("name"):
        pass
    other.__exit__(None, None, None)
    with leases.hold("name"):
        pass


def test_a_value_that_was_put_though_its_service_denies_it_is_held(service: Service) -> None:
    def put(name: str, value: bytes, tag: Any) -> bool:
        return service.put(name, value, tag) and answers.pop()

    answers = [True, True, False]
    denied, other = Leases(service.get, put), Leases(service.get, service.put)
    with denied.hold("name"), pytest.raises(LockedError), other.hold("name"):
        pass
    with Leases(service.get, service.put).hold("name"):
        pass


def test_those_who_share_do_not_lose_it_to_each_other(leases: Leases, service: Service) -> None:
    with leases.hold("name", TTL, shared=True):
        other = Leases(service.get, service.put).hold("name", TTL, shared=True)
        service.before_put = other.__enter__  # between the reading and the putting of the first renewal
        threading.Event().wait(2 * TTL)
        leases.check()
        other.__exit__(None, None, None)
        with pytest.raises(LockedError), leases.hold("name"):
            pass


def test_a_lease_that_was_taken_away_is_lost(leases: Leases, service: Service) -> None:
    lease = leases.hold("name", TTL)
    lease.__enter__()
    leases.check()
    service.values["name"] = (b"{}", 99)
    threading.Event().wait(TTL)
    with pytest.raises(LockedError, match="the lease of name was lost"):
        leases.check()
    with pytest.raises(LockedError, match="the lease of name was lost"):
        lease.__exit__(None, None, None)


def test_a_service_in_which_others_always_are_quicker_is_locked(service: Service) -> None:
    leases = Leases(service.get, lambda *_: False)
    with pytest.raises(LockedError, match="others are at work on name all the time"), leases.hold("name"):
        pass


def test_a_value_that_stands_for_no_lease_is_held_by_somebody_else(service: Service) -> None:
    leases = Leases(service.get, service.put)
    service.values["name"] = (b"\x00 of another program", 7)
    with pytest.raises(LockedError, match="what stands for the lease of name is none"), leases.hold("name", TTL):
        pass
    assert service.values["name"] == (b"\x00 of another program", 7)
