"""What a bucket guarantees besides what is asked of any storage: versions, locks, ends of unfinished uploads, time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from holdfast.api import CredentialsError, Guarantee, HoldfastError
from holdfast_s3.client import Client, code_of
from holdfast_s3.listing import time_of

_NONE = ("ObjectLockConfigurationNotFoundError", "NoSuchLifecycleConfiguration", "NoSuchObjectLockConfiguration")
_UNKNOWN = ("NotImplemented", "MethodNotAllowed", "InvalidRequest", "MalformedXML")  # operations that a service has not
_AHEAD = 30.0  # seconds between two clocks by which leases would be taken for ended


def guarantees(client: Client, prefix: str) -> Iterator[Guarantee]:
    """Ask for one after the other; what the key may not read cannot be told."""
    yield _asked("versioning", client, "get_bucket_versioning", _versioning)
    yield _asked("object lock", client, "get_object_lock_configuration", _lock)
    rules = "get_bucket_lifecycle_configuration"
    yield _asked("unfinished uploads end", client, rules, lambda answer: _lifecycle(answer, prefix))
    yield _asked("old versions end", client, rules, lambda answer: _old_versions(answer, prefix))
    yield _clock(client, prefix)


def _asked(
    name: str, client: Client, operation: str, answer: Callable[[dict[str, Any]], tuple[bool, str]]
) -> Guarantee:
    try:
        holds, detail = answer(client.call(operation, "", {}))
    except CredentialsError:
        return Guarantee(name=name, holds=None, detail=f"the key may not ask ({operation})")
    except (HoldfastError, FileNotFoundError) as error:
        if code_of(error) in _UNKNOWN:
            return Guarantee(name=name, holds=None, detail="the service has no such question")
        if code_of(error) not in _NONE:
            return Guarantee(name=name, holds=None, detail=str(error))
        holds, detail = answer({})
    return Guarantee(name=name, holds=holds, detail=detail)


def _versioning(answer: dict[str, Any]) -> tuple[bool, str]:
    if answer.get("Status") == "Enabled":
        return True, "what is deleted or overwritten stays as a version"
    return False, "what is deleted is gone"


def _lock(answer: dict[str, Any]) -> tuple[bool, str]:
    lock = answer.get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        return False, "who has the right to delete can delete backups"
    retention = lock.get("Rule", {}).get("DefaultRetention", {})
    if not retention:
        return True, "without a default retention"
    unit = "day" if "Days" in retention else "year"
    count = retention.get("Days") or retention.get("Years")
    period = f"{count} {unit}{'s' if count != 1 else ''}"
    mode = str(retention.get("Mode", "")).lower()
    return (
        True,
        f"each object is kept for {period} ({mode}), but no lease or claim, if the key has s3:PutObjectRetention",
    )


def _old_versions(answer: dict[str, Any], prefix: str) -> tuple[bool, str]:
    for rule in _rules(answer, prefix):
        if days := rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"):
            return True, f"after {days} days, by a rule of the bucket"
    return False, "where versions are kept, what is deleted is never free"


def _rules(answer: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """The rules that hold for all of the store."""
    for rule in answer.get("Rules", ()):
        covered = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
        if rule.get("Status") == "Enabled" and prefix.startswith(covered or ""):
            yield rule


def _lifecycle(answer: dict[str, Any], prefix: str) -> tuple[bool, str]:
    for rule in _rules(answer, prefix):
        if days := rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"):
            return True, f"after {days} days, by a rule of the bucket"
    return False, "a prune ends those of runs that were killed; no rule of the bucket does"


def _clock(client: Client, prefix: str) -> Guarantee:
    """How far the clock of the service is from ours, by the time of an answer."""
    began = datetime.now(UTC)
    answer = client.call("list_objects_v2", "", {"Prefix": prefix, "MaxKeys": 1})
    served = time_of(answer)
    if served is None:
        return Guarantee(name="clock", holds=None, detail="the service does not say its time")
    behind = (datetime.now(UTC) - began) / 2 + began - served
    seconds = round(behind.total_seconds())
    apart = f"{abs(seconds)} s {'behind' if seconds > 0 else 'ahead of'} ours" if abs(seconds) > 1 else "as ours"
    return Guarantee(name="clock", holds=abs(seconds) <= _AHEAD, detail=f"that of the service is {apart}")
