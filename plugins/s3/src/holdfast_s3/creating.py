"""How an object is made and never overwritten: by a condition, or by a look before where a service knows none."""

import errno
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from holdfast.api import HoldfastError, UnsafeError
from holdfast_s3.client import Client, code_of, digest_of
from holdfast_s3.location import Location

_MARKER = "holdfast.json"
_CONDITION = {"IfNoneMatch": "*"}
_UNKNOWN = "NotImplemented"

log = logging.getLogger("holdfast.storage")

Put = Callable[[dict[str, str]], object]
"""Writes an object under a condition, or under none."""


class Creating(Protocol):
    """Makes objects."""

    def create(self, path: str, key: str, put: Put) -> None:
        """Make an object; `FileExistsError` where there is one."""
        ...


class ByCondition:
    """The service looks at conditions, as leases have found out."""

    def create(self, path: str, key: str, put: Put) -> None:
        """Let the service compare."""
        del path, key
        put(_CONDITION)


class ByTrial:
    """Whether the service looks at conditions is tried first, with the mark of the store, which stays as it is."""

    def __init__(self, client: Client, location: Location, *, required: bool) -> None:
        self._client = client
        self._location = location
        self._required = required
        self._lock = threading.Lock()
        self._holds: bool | None = None

    def create(self, path: str, key: str, put: Put) -> None:
        """Let the service compare, or look ourselves."""
        with self._lock:
            if self._holds is None:
                self._try_marker()
        if self._holds is not False:
            try:
                put(_CONDITION)
            except HoldfastError as error:
                if code_of(error) != _UNKNOWN:
                    raise
                with self._lock:
                    self._lacks("does not know", error)
            else:
                return
        try:
            self._client.call("head_object", path, {"Key": key})
        except FileNotFoundError:
            put({})
        else:
            raise FileExistsError(errno.EEXIST, "there is such an object", path)

    def _try_marker(self) -> None:
        """Write the mark of the store once more as it is: where that is not refused, nothing is lost."""
        key = self._location.prefix + _MARKER
        try:
            content, _ = self._client.content(_MARKER, {"Key": key})
        except FileNotFoundError:
            return  # there is none yet: it is the first thing that is written
        try:
            self._client.call(
                "put_object", _MARKER, {"Key": key, "Body": content, **digest_of(content, self._location), **_CONDITION}
            )
        except FileExistsError:
            self._holds = True
        except HoldfastError as error:
            if code_of(error) != _UNKNOWN:
                raise
            self._lacks("does not know", error)
        else:
            self._lacks("ignores", None)

    def _lacks(self, how: str, cause: HoldfastError | None) -> None:
        text = (
            f"the service of {self._location.text} {how} If-None-Match, by which nothing that is there is overwritten"
        )
        if self._required:
            raise UnsafeError(text, hint="use another service, or leave out --store-option create=require") from cause
        if self._holds is None:
            log.warning("%s: whether a name is free is looked before each object instead", text)
        self._holds = False
