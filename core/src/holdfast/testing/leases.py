"""The contract of a storage's leases, as tests: `StorageSuite` has them."""

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from holdfast.api import LockedError, Storage, SupportsDeleteMany, SupportsSharedLease
from holdfast.testing.contract import registry_of, states

# What the process does that is suspended while it holds a lease, has an object half written and another one whole.
_SUSPENDED = """
import json, sys
from holdfast.api import LockedError
from holdfast.testing.leases import open_storage
storage, told = open_storage(sys.argv[1], *sys.argv[4:]), []
def ends(context):
    try:
        context.__exit__(None, None, None)
    except BaseException as error:
        told.append(type(error).__name__)
    else:
        told.append("no error")
class Deleting:
    __exit__ = lambda self, *_: storage.delete("a/kept")
class DeletingMany:
    __exit__ = lambda self, *_: storage.delete_many(["a/kept"])
lease = storage.lease(sys.argv[2], float(sys.argv[3]))
lease.__enter__()
with storage.writer("a/kept") as writer:
    writer.write(b"kept")
late = storage.writer("a/late")
late.__enter__().write(b"too late")
print("ready", flush=True)
sys.stdin.readline()
ends(late)
ends(Deleting())
if hasattr(storage, "delete_many"):
    ends(DeletingMany())
result = json.dumps(told)
ends(lease)
print(result, flush=True)
"""


def open_storage(url: str, *plugins: str) -> Storage:
    """Open a storage that is installed, or of one of these plugins."""
    return registry_of(plugins).storage(url)


def search_path() -> dict[str, str]:
    """The environment of a process that finds the modules which this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(os.path.isdir, sys.path)))}


class LeaseTests:
    """What leases promise of a storage."""

    plugins: Sequence[str]
    patience: float
    ttl: float

    def lose_lease(self, storage: Storage, name: str) -> bool | None:
        """Take a lease away that this storage holds, as its service lets others once it was not renewed in time.

        Override it for a storage that has no `url`; of one that has, a process is suspended until its lease ends.
        False says that none can be lost, as a lock of the system, which ends with its process.
        """
        del storage, name
        pytest.skip(
            "no process can be suspended that holds a lease: give `url` instead of `storage`, or override "
            "`lose_lease`, which takes a lease away, or returns False where none can be lost"
        )

    @states("storage 21")
    def test_a_lease_has_one_holder(self, storage: Storage, second: Storage) -> None:
        """Whoever comes second is told at once; other names are free, and are no objects."""
        with storage.lease("name"):
            for opened in (storage, second):
                began = time.monotonic()
                with pytest.raises(LockedError), opened.lease("name"):
                    pass
                assert time.monotonic() - began < self.patience
            others = ("another", "a.third-name", "name2", "name.2", "na", "nam-")
            for first, other in itertools.pairwise(others):
                with storage.lease(first), second.lease(other):
                    pass
        with storage.lease("store-app-nightly"), second.lease("store-app-weekly"), second.lease("store-app"):
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
            self._wait(lambda: self._locked(second), 5.5 * self.ttl)
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

    @states("storage 29")
    def test_whoever_has_lost_a_lease_changes_nothing(
        self, storage: Storage, second: Storage, request: pytest.FixtureRequest
    ) -> None:
        """A machine was suspended, or cut off, and somebody else is at work by now, whose lease stays."""
        try:
            told = self._suspended(second, request.getfixturevalue("url"))
        except NotImplementedError:
            told = self._bereft(storage, second)
        if told:
            assert {*told} == {"LockedError"}, "of the end of a writer, and of deletions"
            assert [stat.path for stat in second.list() if stat.path in ("a/kept", "a/late")] == ["a/kept"]

    def _bereft(self, storage: Storage, second: Storage) -> list[str]:
        """What comes of a writer and of deletions once the lease is taken away; nothing where it cannot be."""
        told: list[str] = []
        with contextlib.ExitStack() as others:
            with contextlib.suppress(LockedError), storage.lease("name", self.ttl):
                with storage.writer("a/kept") as writer:
                    writer.write(b"kept")
                late = storage.writer("a/late")
                late.__enter__().write(b"too late")
                if self.lose_lease(storage, "name") is False:
                    late.__exit__(None, None, None)
                    return told
                threading.Event().wait(1.5 * self.ttl)
                changes: list[Callable[[], object]]
                changes = [lambda: late.__exit__(None, None, None), lambda: storage.delete("a/kept")]
                if isinstance(storage, SupportsDeleteMany):
                    changes.append(functools.partial(storage.delete_many, ["a/kept"]))
                for change in changes:
                    try:
                        change()
                    except BaseException as error:  # noqa: BLE001 (whatever it is, its class is looked at)
                        told.append(type(error).__name__)
                    else:
                        told.append("no error")
                with contextlib.suppress(LockedError):  # where it was taken away, and given to nobody
                    others.enter_context(second.lease("name"))
            assert self._locked(second), "the lease of its new holder has ended"
        return told

    def _suspended(self, second: Storage, url: str) -> list[str]:
        """The same of a process that was suspended; nothing where its lease stays, as a lock of the system does."""
        command = [sys.executable, "-c", _SUSPENDED, url, "name", str(self.ttl), *self.plugins]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=search_path()
        ) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "ready\n"
                process.send_signal(signal.SIGSTOP)
                deadline = time.monotonic() + 2 * self.ttl
                while self._locked(second):
                    if time.monotonic() > deadline:
                        return []
                    threading.Event().wait(self.ttl / 10)
                with second.lease("name"):
                    process.send_signal(signal.SIGCONT)
                    told: list[str] = json.loads(process.communicate("\n", timeout=60)[0])
                    assert self._locked(second), "the lease of its new holder has ended"
                    return told
            finally:
                process.kill()

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
