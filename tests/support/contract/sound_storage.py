# mypy: ignore-errors
"""Storages that break one sentence each."""

import shlex
import threading
import time
from contextlib import contextmanager

import pytest

from holdfast.api import LockedError, Stat
from holdfast.testing import StorageSuite


class Place:
    """What all openings of one storage share, as a service keeps it."""

    def __init__(self):
        self.objects = {}
        self.unfinished = set()
        self.leases = {}
        self.lock = threading.RLock()


class Writer:
    def __init__(self, storage, path):
        self.storage, self.path, self.data = storage, path, bytearray()

    def write(self, data):
        self.data += data


class Memory:
    """A storage of a service in memory, with leases that end and are renewed."""

    location = "memory://place"
    make_writer = Writer

    def __init__(self, place):
        self.place = place
        self.mine = {}

    @contextmanager
    def writer(self, path):
        if path in self.place.objects:
            raise FileExistsError(path)
        writer = self.make_writer(self, path)
        yield writer
        self.publish(path, bytes(writer.data))

    def publish(self, path, data):
        self.check_held()
        with self.place.lock:
            if path in self.place.objects:
                raise FileExistsError(path)
            self.place.objects[path] = data

    def data(self, path):
        try:
            return self.place.objects[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def read(self, path, offset=0, length=None):
        return self.data(path)[offset : None if length is None else offset + length]

    def list(self, prefix=""):
        folder = f"{prefix}/" if prefix else ""
        stats = [Stat(path=path, size=len(data)) for path, data in list(self.place.objects.items())]
        stats += [Stat(path=path, size=1) for path in list(self.place.unfinished)]
        return [stat for stat in stats if stat.path.startswith(folder)]

    def walk(self, prefix, enter):
        for stat in self.list(prefix):
            parts = stat.path.split("/")[:-1]
            above = ["/".join(parts[: number + 1]) for number in range(len(parts))]
            if all(enter(path) for path in above if path.startswith(f"{prefix}/") or not prefix):
                yield stat

    def fetch_steps(self, folder):
        lines = []
        for path in sorted(self.place.objects):
            if path.startswith(f"{folder}/"):
                name = shlex.quote(path.removeprefix(f"{folder}/"))
                content = shlex.quote(self.data(path).decode())
                lines += [f'mkdir -p "$(dirname {name})"', f"printf %s {content} > {name}"]
        return lines

    def stat(self, path):
        return Stat(path=path, size=len(self.data(path)))

    def delete(self, path):
        self.check_held()
        self.place.objects.pop(path, None)
        self.place.unfinished.discard(path)

    def barrier(self):
        pass

    @contextmanager
    def lease(self, name, ttl=60.0):
        with self.held(name, ttl, alone=True):
            yield

    @contextmanager
    def shared_lease(self, name, ttl=60.0):
        with self.held(name, ttl, alone=False):
            yield

    @contextmanager
    def held(self, name, ttl, alone):
        holder = object()
        with self.place.lock:
            self.check_lease(name, alone)
            self.place.leases.setdefault(name, {})[holder] = (self.until(ttl), alone)
        self.mine[holder] = name
        try:
            with self.renewing(name, holder, ttl, alone):
                yield
        finally:
            self.mine.pop(holder)
            self.release(name, holder)

    def check_lease(self, name, alone):
        now = time.monotonic()
        for until, other in self.place.leases.get(name, {}).values():
            if until > now and (alone or other):
                raise LockedError(f"{name} is held")

    def check_held(self):
        for holder, name in list(self.mine.items()):
            until, _ = self.place.leases.get(name, {}).get(holder, (0, True))
            if until <= time.monotonic():
                raise LockedError(f"the lease of {name} is lost")

    def until(self, ttl):
        return time.monotonic() + ttl

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        ended = threading.Event()

        def renew():
            while not ended.wait(ttl / 3):
                if self.still_held(name, holder):
                    self.place.leases[name][holder] = (self.until(ttl), alone)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def still_held(self, name, holder):
        return holder in self.place.leases[name]

    def release(self, name, holder):
        self.place.leases[name].pop(holder, None)

    # What another process would do that dies.

    def die_with_lease(self, name, ttl):
        self.place.leases.setdefault(name, {})[object()] = (self.until(ttl), True)

    def die_with_writer(self, path):
        self.place.unfinished.add(f"{path}.partial")


def suite_of(tested):
    class Suite(StorageSuite):
        password = "s3cret"
        patience = 0.3
        ttl = 0.15

        @pytest.fixture
        def place(self):
            return Place()

        @pytest.fixture
        def storage(self, place):
            return tested(place)

        @pytest.fixture
        def second(self, place, storage):
            return tested(place)

        def lose_lease(self, storage, name):
            storage.place.leases[name] = {object(): (storage.until(60), True)}

        @pytest.fixture
        def die(self, second):
            def die(what, name, ttl):
                if what == "lease":
                    second.die_with_lease(name, ttl)
                else:
                    second.die_with_writer(name)
                return True

            return die

    return Suite
