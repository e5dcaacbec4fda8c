"""Leases in a bucket: objects that are replaced only as they were read."""

import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.api import HoldfastError, Leases, UnsafeError
from holdfast_s3.client import Client, code_of, digest_of
from holdfast_s3.location import Location
from holdfast_s3.object_lock import ObjectLock
from holdfast_s3.upload import REFUSED_OVERRIDES

FOLDER = ".leases/"
_ID = re.compile(r"\d{8}T\d{6}Z-")
_INSTEAD = "update the service, or go without leases by --store-option lease=age in every command"


class ObjectLeases:
    """The leases of a store."""

    def __init__(self, client: Client, location: Location, lock: ObjectLock) -> None:
        self._client = client
        self._location = location
        self._lock = lock
        self._leases = Leases(self._get, self._put)
        self._probing = threading.Lock()
        self._probed = False

    def check(self) -> None:
        """Raise `LockedError` if a lease that is held is lost."""
        self._leases.check()

    @contextmanager
    def hold(self, name: str, ttl: float, *, shared: bool = False) -> Iterator[None]:
        """Hold a name alone, or beside others that share it."""
        with self._leases.hold(name, ttl, shared=shared):
            yield
        if not shared and _ID.match(name):  # of each backup there is one
            self._remove_ended(name)

    def _key(self, name: str) -> str:
        return self._location.prefix + FOLDER + name

    def _get(self, name: str) -> tuple[bytes, str] | None:
        try:
            return self._client.content(FOLDER + name, {"Key": self._key(name)})
        except FileNotFoundError:
            return None

    def _put(self, name: str, value: bytes, tag: str | None) -> bool:
        if not self._put_if(name, value, {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}):
            return False
        with self._probing:
            if not self._probed:
                self._probe(name, value)
                self._probed = True
        return True

    def _put_if(self, name: str, value: bytes, condition: dict[str, str]) -> bool:
        override = self._lock.override()
        how = {"Key": self._key(name), "Body": value, **digest_of(value, self._location), **condition, **override}
        try:
            self._client.call("put_object", FOLDER + name, how)
        except (FileExistsError, FileNotFoundError):  # changed, or removed, by another
            return False
        except HoldfastError as error:
            if not override or code_of(error) not in REFUSED_OVERRIDES:
                raise
            # Then a lease is kept as long as the bucket says; those after it are versions.
            self._lock.cannot_override()
            return self._put_if(name, value, condition)
        return True

    def _probe(self, name: str, value: bytes) -> None:
        """Find out whether the service looks at conditions: put the same once more where it must refuse to.

        One that ignores them answers as if all were well, and two runs would overwrite each other's backups.
        """
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"00000000000000000000000000000000"'}):
            if self._put_if(name, value, condition):
                raise UnsafeError(
                    f"the service of {self._location.text} ignores {' '.join(condition)}: it overwrites what is there",
                    hint=f"Holdfast needs conditional writes, so that no backup is ever overwritten; {_INSTEAD}",
                )

    def _remove_ended(self, name: str) -> None:
        """Remove a lease that nobody holds, if we may; else it stays as two bytes."""
        with contextlib.suppress(HoldfastError, OSError):
            value, tag = self._get(name) or (b"", "")
            if value == b"{}":
                self._client.call("delete_object", FOLDER + name, {"Key": self._key(name), "IfMatch": tag})
