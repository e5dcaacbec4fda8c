"""Object lock: objects that nobody can delete before a date, and what of ours must not become one of them."""

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    NotFoundError,
    Retention,
    RetentionMode,
    UnreachableError,
    UsageError,
    quote_name,
)
from holdfast_s3.client import Client, code_of
from holdfast_s3.creating import Creating
from holdfast_s3.location import Location
from holdfast_s3.upload import Upload

log = logging.getLogger("holdfast.storage")

NOT_LOCKED = ("NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError")
_UNKNOWN = ("InvalidRequest", "NotImplemented", "MethodNotAllowed", "MalformedXML")  # of buckets or services without it
_SKEW = timedelta(minutes=10)  # of a clock by which no date can be set
_FREE_IN = timedelta(seconds=60)  # about the shortest retention that a service takes


class ObjectLock:
    """What a storage in a bucket does with retentions."""

    _client: Client
    _location: Location
    _creating: Creating

    def __init__(self) -> None:
        self._settings: Mapping[str, Any] | None = None  # those of the bucket; None before they are asked for
        self._may_override = True
        self._asking = threading.Lock()

    def _check_leases(self) -> None:
        """Raise `LockedError` if a lease that is held is lost."""

    def check_retention(self, retention: Retention) -> None:
        """Ask whether the bucket has object lock, and whether its clock is ours; a key that may not ask goes on."""
        settings = self._lock_settings()
        if settings.get("ObjectLockEnabled") not in ("Enabled", None):
            raise UsageError(
                f"the bucket {quote_name(self._location.bucket)} has no object lock, and can keep no backup until "
                f"{retention.until:%Y-%m-%d}",
                hint="leave out --retain, or switch object lock on, for which the bucket has to keep versions",
            )
        with contextlib.suppress(ValueError):
            served, ours = parsedate_to_datetime(settings.get("date", "")).astimezone(UTC), settings["asked"]
            if abs(served - ours) > _SKEW:
                raise HoldfastError(
                    f"the clock of this machine says {ours:%Y-%m-%d %H:%M} (UTC), and that of the service "
                    f"{served:%Y-%m-%d %H:%M}: a retention would not end when it should",
                    hint="set the clock of this machine",
                )

    @contextmanager
    def retained_writer(self, path: str, retention: Retention | None) -> Iterator[Upload]:
        """Send an object with its retention, or, for None, with one that overrides the bucket's and ends at once."""
        with self._explaining(retention), self._uploading(path, lock_of(retention) if retention else {}) as upload:
            if retention is None:
                upload.override = self.override()
            yield upload
        if retention is None and not upload.override:
            self.cannot_override()

    def retain(self, path: str, retention: Retention) -> None:
        """Let a retention end later; one that does so already, or is stricter, stays as it is."""
        there = self.retention(path)
        if there is not None:
            strict = "compliance" in (there.mode, retention.mode)
            until = max(there.until, retention.until)
            retention = Retention(until=until, mode="compliance" if strict else "governance")
            if retention == there:
                return
        lock = {"Mode": retention.mode.upper(), "RetainUntilDate": retention.until}
        with self._explaining(retention):
            self._client.call("put_object_retention", path, {"Key": self._key(path), "Retention": lock})

    def retention(self, path: str) -> Retention | None:
        """Ask for that of the object that is read under this path, in a bucket that can have any."""
        if self._lock_settings().get("ObjectLockEnabled") == "Disabled":
            return None
        return self._retention(path, {})

    def override(self) -> dict[str, Any]:
        """What frees an object soon that the bucket would keep by itself; nothing where that is not so."""
        default = self._lock_settings().get("Rule", {}).get("DefaultRetention")
        if not default or not self._may_override:
            return {}
        return lock_of(Retention(until=datetime.now(UTC) + _FREE_IN))

    def cannot_override(self) -> None:
        """The key may set no retention: what the bucket would keep it keeps."""
        self._may_override = False

    def _retention(self, path: str, version: Mapping[str, str]) -> Retention | None:
        try:
            answer = self._client.call("get_object_retention", path, {"Key": self._key(path), **version})
        except (FileNotFoundError, HoldfastError) as error:
            if code_of(error) in (*NOT_LOCKED, *_UNKNOWN):
                return None
            raise
        given = answer.get("Retention", {})
        if given.get("RetainUntilDate") is None:
            return None
        mode: RetentionMode = "compliance" if str(given.get("Mode", "")).upper() == "COMPLIANCE" else "governance"
        return Retention(until=given["RetainUntilDate"].astimezone(UTC), mode=mode)

    def _lock_settings(self) -> Mapping[str, Any]:
        """Those of the bucket, asked for once; without `ObjectLockEnabled` where the key may not ask."""
        with self._asking:
            if self._settings is None:
                asked = datetime.now(UTC)
                try:
                    answer = self._client.call("get_object_lock_configuration", "", {})
                except CredentialsError as error:
                    log.info("it cannot be told whether the bucket has object lock: %s", error.message)
                    answer = {"ObjectLockConfiguration": {"ObjectLockEnabled": None}}
                except (UnreachableError, NotFoundError):
                    raise
                except (FileNotFoundError, HoldfastError) as error:
                    if code_of(error) not in (*NOT_LOCKED, *_UNKNOWN):  # no backup fails for an answer of another kind
                        log.info("it cannot be told whether the bucket has object lock: %s", error)
                    answer = {}
                date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
                given = answer.get("ObjectLockConfiguration", {})
                self._settings = {"ObjectLockEnabled": "Disabled", **given, "date": date, "asked": asked}
            return self._settings

    @contextmanager
    def _uploading(self, path: str, lock: Mapping[str, Any]) -> Iterator[Upload]:
        upload = Upload(self._client, self._location, self._key(path), path, self._creating, lock)
        self._client.buffers.take()
        try:
            yield upload
            upload.finish(self._check_leases)
        except BaseException:
            with contextlib.suppress(HoldfastError, OSError):  # then it is listed, and goes with the next prune
                upload.abort()
            raise
        finally:
            self._client.buffers.give_back()

    @contextmanager
    def _explaining(self, retention: Retention | None) -> Iterator[None]:
        """Say what a service means that refuses a retention with hardly a word."""
        try:
            yield
        except HoldfastError as error:
            if retention is None:
                raise
            if isinstance(error, CredentialsError) and code_of(error) == "AccessDenied":
                why = f"{error.message}; to keep it until {retention.until:%Y-%m-%d} takes the right to do so"
                raise CredentialsError(why, hint="grant s3:PutObjectRetention, or leave out --retain") from error
            if code_of(error) in ("InvalidRequest", "InvalidArgument", "InvalidRetentionPeriod", *NOT_LOCKED):
                raise UsageError(
                    f"the service keeps nothing until {retention.until:%Y-%m-%d %H:%M} UTC in mode {retention.mode}: "
                    f"{error.message}",
                    hint="see whether the bucket has object lock, whether it allows so long a time, and whether the "
                    "clock of this machine is right",
                ) from error
            raise

    def _key(self, path: str) -> str:
        return self._location.prefix + path


def lock_of(retention: Retention) -> dict[str, Any]:
    """What a write says of the retention of its object."""
    return {"ObjectLockMode": retention.mode.upper(), "ObjectLockRetainUntilDate": retention.until}
