"""What errors of obstore mean. It tells the answer of a service only in its text: a status, and a code in XML."""

import errno
import re

from obstore import exceptions

from holdfast.api import CredentialsError, HoldfastError, NotFoundError, UnreachableError, quote_name
from holdfast_obstore.place import Place

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_TOLD = re.compile(r"<Message>(.*?)(?:\s*RequestId:.*?)?</Message>", re.DOTALL)
_NO_CONTAINER = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"})
_TAKEN = frozenset({"", "BlobAlreadyExists", "PreconditionFailed", "ConditionNotMet", "UnmodifiedSince"})
_FULL = frozenset({"AccountLimitExceeded", "QuotaExceeded", "InsufficientStorage", "StorageQuotaExceeded"})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 509, *range(520, 528)})  # the last are of proxies
_ARCHIVED = frozenset({"BlobArchived", "BlobBeingRehydrated"})
# A conflict too, and no other request's that will have ended: somebody holds the object, or a policy does.
_HELD = frozenset(
    {
        "BlobImmutableDueToPolicy",
        "ImmutabilityPolicyDeleteOnLockedPolicy",
        "LeaseIdMissing",
        "LeaseIdMismatchWithBlobOperation",
        "SnapshotsPresent",
    }
)
_NO_KEY = ("token request", "credential", "service account", "metadata server", "bearer token", "az account")


def is_obstore(error: Exception) -> bool:
    """Whether an error comes from the library: it raises some of Python's own as well."""
    return isinstance(error, exceptions.BaseError | FileNotFoundError | OSError | ValueError)


def told(error: Exception) -> str:
    """What an error says, without the library's own debugging, in one line."""
    text = str(error).partition("\n\nDebug source")[0]
    if match := _TOLD.search(text):
        return f"{' '.join(match[1].split())} ({_status(text) or ''} {code_of(error)})"
    return " ".join(text.split())[:500]


def code_of(error: BaseException) -> str:
    """The service's own name of an error; empty where the answer had none, as that to HEAD."""
    match = _CODE.search(str(error).partition("\n\nDebug source")[0])
    return match[1] if match else ""


def _status(text: str) -> int:
    match = _STATUS.search(text)
    return int(match[1]) if match else 0


def is_past_the_end(error: Exception) -> bool:
    """Whether a read began at the end of an object, or behind it."""
    text = str(error)
    return isinstance(error, exceptions.BaseError) and ("StartTooLarge" in text or _status(text) == 416)


def is_cut_off(error: Exception) -> bool:
    """Whether there was no answer, or none that could be read."""
    text = str(error).partition("\n\nDebug source")[0]
    return isinstance(error, exceptions.GenericError) and not _status(text) and not is_past_the_end(error)


def may_pass(error: Exception) -> bool:
    """Whether it may help to try once more."""
    text = str(error).partition("\n\nDebug source")[0]
    if isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError):
        return code_of(error) not in _TAKEN | _HELD | _ARCHIVED  # 409 is somebody else at the same time too
    return isinstance(error, exceptions.GenericError) and (_status(text) in _AGAIN or is_cut_off(error))


def is_busy(error: Exception) -> bool:
    """Whether the service wants fewer requests."""
    return _status(str(error).partition("\n\nDebug source")[0]) in (429, 503)


def meaning(error: Exception, place: Place, path: str) -> Exception:
    """What an error means for whoever called the storage."""
    text, code = told(error), code_of(error)
    status = _status(str(error).partition("\n\nDebug source")[0])
    what = f"{place.text}{': ' + quote_name(path) if path else ''}: {text}"
    if code in _NO_CONTAINER:
        return NotFoundError(
            f"there is no place {quote_name(place.container)} in {place.service}: {text}",
            hint="it is not made: make it first, or mend its name",
        )
    if code in _FULL or status == 507:
        return OSError(errno.ENOSPC, text, path)
    if code in _ARCHIVED:
        return OSError(errno.EBUSY, f"it is archived by the service, and to be made hot there first: {text}", path)
    if code in _HELD:
        return HoldfastError(
            f"the service keeps what is there, {what}",
            hint="end the lease of it, or wait until its policy does",
        )
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such object", path)
    if isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError) and code in _TAKEN:
        return FileExistsError(errno.EEXIST, "there is such an object", path)
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError) or status in (401, 403):
        return CredentialsError(f"the service refuses {what}", hint=place.keys)
    if any(word in text.lower() for word in _NO_KEY):
        return CredentialsError(f"no key for {what}", hint=place.keys)
    if is_cut_off(error) or status >= 500 or status in _AGAIN:
        return UnreachableError(f"the service of {what}")
    if status == 404:  # of a listing
        return NotFoundError(f"there is no place {quote_name(place.container)} in {place.service}: {text}")
    return HoldfastError(f"the service cannot do it, {what}")
