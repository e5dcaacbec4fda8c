"""What the tests of a storage have in common: its place, how it is opened again, and processes that die."""

import contextlib
import subprocess
import sys
from collections.abc import Callable

import pytest

from holdfast.api import Chunk, Storage, SupportsAge
from holdfast.testing.contract import Configured
from holdfast.testing.leases import open_storage, search_path

# What the process does that dies: without the end of the block, or of anything else.
_DIES = """
import os, sys
from holdfast.testing.leases import open_storage
storage = open_storage(sys.argv[1], *sys.argv[5:])
context = storage.lease(sys.argv[3], float(sys.argv[4])) if sys.argv[2] == "lease" else storage.writer(sys.argv[3])
held = context.__enter__()
if sys.argv[2] == "writer":
    for piece in (b"half", bytes(9_000_000), bytes(9_000_000)):  # more than services take at once
        held.write(piece)
os._exit(9)
"""
# What does not hold for a place that has no leases.
_OF_LEASES = frozenset(f"storage {number}" for number in (21, 22, 24, 25, 26, 29))


class StorageParts(Configured):
    """Where the storage under test is, and how it is opened again."""

    password: str = ""  #: a secret of the URL, which must be shown nowhere
    patience: float = 5.0  #: seconds in which a call that must not wait returns
    ttl: float = 0.8  #: seconds; the shortest lease that the storage can keep
    many: int = 1_100  #: objects that are listed at once: many services list at most 1,000

    @pytest.fixture
    def url(self) -> str:
        """The URL of an empty place that is there for one test, of a storage that is installed or one of `plugins`."""
        raise NotImplementedError("override the fixture `url`, or `storage` for a storage that has none")

    @pytest.fixture
    def storage(self, request: pytest.FixtureRequest) -> Storage:
        """The storage under test."""
        return open_storage(request.getfixturevalue("url"), *self.plugins)

    @pytest.fixture
    def second(self, storage: Storage, request: pytest.FixtureRequest) -> Storage:
        """The same place opened a second time; override it where `storage` is overridden and another process can."""
        with contextlib.suppress(NotImplementedError):
            return open_storage(request.getfixturevalue("url"), *self.plugins)
        return storage

    @pytest.fixture
    def die(self, request: pytest.FixtureRequest) -> Callable[[str, str, float], bool] | None:
        """Has a process die that holds a lease or has an object half written; None where there can be no other.

        It is called with `lease` or `writer`, a name and the lease's ttl. Override it where `storage` is overridden.
        """
        try:
            url = request.getfixturevalue("url")
        except NotImplementedError:
            pytest.skip(
                "no process can be started that dies: give `url` instead of `storage`, or override the fixture `die`, "
                "which is None where no other process can get at the place"
            )

        def start(what: str, name: str, ttl: float) -> bool:
            command = [sys.executable, "-c", _DIES, url, what, name, str(ttl), *self.plugins]
            died = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=search_path())
            assert died.returncode == 9, died.stderr
            return True

        return start

    @pytest.fixture(autouse=True)
    def _leases(self, request: pytest.FixtureRequest) -> None:
        if _OF_LEASES.intersection(getattr(request.function, "sentences", ())) and isinstance(
            request.getfixturevalue("storage"), SupportsAge
        ):
            pytest.skip("its leases hold nobody off, which `age` says of a storage")

    def put(self, storage: Storage, path: str, *pieces: Chunk) -> None:
        """Write one object."""
        with storage.writer(path) as writer:
            for piece in pieces:
                writer.write(piece)

    def paths(self, storage: Storage, prefix: str = "") -> list[str]:
        """What is listed, without folders."""
        return sorted(stat.path for stat in storage.list(prefix) if not stat.path.endswith("/"))
