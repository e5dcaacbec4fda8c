# mypy: ignore-errors
"""Storages that break one sentence each: leases."""

import threading
import time
from contextlib import contextmanager

from holdfast.api import LockedError, Stat
from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, suite_of


@breaks("storage 21")
class NoLease(Memory):
    """Everybody gets the lease."""

    def check_lease(self, name, alone):
        pass


@breaks("storage 21")
class OwnLeases(Memory):
    """A lease holds within one opening."""

    def check_lease(self, name, alone):
        super().check_lease(name, alone)

    @contextmanager
    def held(self, name, ttl, alone):
        with super().held(f"{id(self)}-{name}", ttl, alone):
            yield


@breaks("storage 21")
class OneLeaseForAll(Memory):
    """There is one lease for all names."""

    @contextmanager
    def held(self, name, ttl, alone):
        with super().held("all", ttl, alone):
            yield


@breaks("storage 21")
class WaitsForTheLease(Memory):
    """Whoever comes second waits a while."""

    def check_lease(self, name, alone):
        try:
            super().check_lease(name, alone)
        except LockedError:
            time.sleep(0.6)
            raise


@breaks("storage 21")
class LockedIsForeign(Memory):
    """That a lease is held is an error of another class."""

    def check_lease(self, name, alone):
        try:
            super().check_lease(name, alone)
        except LockedError as error:
            raise BlockingIOError(11, "held") from error


@breaks("storage 22")
class KeptAfterError(Memory):
    """After an error the lease stays until its ttl."""

    @contextmanager
    def held(self, name, ttl, alone):
        holder = object()
        self.check_lease(name, alone)
        self.place.leases.setdefault(name, {})[holder] = (self.until(ttl), alone)
        yield
        self.release(name, holder)


@breaks("storage 22")
class NeverReleased(Memory):
    """A lease ends by its ttl alone."""

    def release(self, name, holder):
        pass


@breaks("storage 22")
class RefusedReleases(Memory):
    """Whoever is refused ends the lease of the holder."""

    def check_lease(self, name, alone):
        try:
            super().check_lease(name, alone)
        except LockedError:
            self.place.leases.clear()
            raise

    def release(self, name, holder):
        self.place.leases.get(name, {}).pop(holder, None)

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        yield


@breaks("storage 23")
class LeaseListed(Memory):
    """A lease is an object like any other."""

    def list(self, prefix=""):
        held = [name for name, holders in self.place.leases.items() if holders]
        return super().list(prefix) + [Stat(path=f"leases/{name}", size=0) for name in held]


@breaks("storage 23")
class LeaseFolder(Memory):
    """Leases leave an object behind."""

    def release(self, name, holder):
        super().release(name, holder)
        self.place.objects["leases"] = b""


@breaks("storage 24")
class NotRenewed(Memory):
    """A lease ends after its ttl, whoever holds it."""

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        yield


@breaks("storage 24")
class RenewedOnce(Memory):
    """A lease is renewed once."""

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        timer = threading.Timer(ttl / 2, lambda: self.place.leases[name].update({holder: (self.until(ttl), alone)}))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


@breaks("storage 25")
class HeldForEver(Memory):
    """A lease ends only by its holder."""

    def until(self, ttl):
        return float("inf")


@breaks("storage 25")
class HeldForAMinute(Memory):
    """A lease ends after a minute, whatever its ttl is."""

    def until(self, ttl):
        return time.monotonic() + 60


@breaks("storage 26")
class SharedAlone(Memory):
    """A shared lease has one holder."""

    @contextmanager
    def shared_lease(self, name, ttl=60.0):
        with self.lease(name, ttl):
            yield


@breaks("storage 26")
class SharedWithAll(Memory):
    """A shared lease keeps nobody out."""

    @contextmanager
    def shared_lease(self, name, ttl=60.0):
        self.check_lease(name, False)
        yield


@breaks("storage 26")
class SharedDespite(Memory):
    """A shared lease is had while somebody holds it alone."""

    def check_lease(self, name, alone):
        if alone:
            super().check_lease(name, alone)


@breaks("storage 26")
class FirstEndsAll(Memory):
    """The first of those who share ends it for all."""

    def release(self, name, holder):
        self.place.leases[name].clear()

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        yield


@breaks("storage 29")
class PublishesLate(Memory):
    """Whoever has lost a lease publishes all the same."""

    def publish(self, path, data):
        with self.place.lock:
            self.place.objects.setdefault(path, data)


@breaks("storage 29")
class DeletesLate(Memory):
    """Whoever has lost a lease deletes all the same."""

    def delete(self, path):
        self.place.objects.pop(path, None)


@breaks("storage 29")
class TakesLeaseBack(Memory):
    """A renewal takes a lease back that somebody else has by now."""

    def still_held(self, name, holder):
        return True


@breaks("storage 29")
class ToldTooLate(Memory):
    """That a lease is lost is told once the object is visible."""

    def publish(self, path, data):
        lost = False
        try:
            self.check_held()
        except LockedError:
            lost = True
        self.place.objects.setdefault(path, data)
        if lost:
            raise LockedError("lost")


add_suites(globals(), suite_of)
