"""Calls of the service: tried again for minutes where that can help, and in the words of Holdfast where they fail."""

import base64
import contextlib
import errno
import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import botocore.exceptions as broken
import botocore.session
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from urllib3.exceptions import HTTPError

from holdfast.api import (
    CredentialsError,
    FailedTry,
    HoldfastError,
    NotFoundError,
    Retries,
    UnreachableError,
    UnsafeError,
    UsageError,
    quote_name,
)
from holdfast_s3.location import Location
from holdfast_s3.part_buffer import Buffers, PartBuffer

log = logging.getLogger("holdfast.storage")

_CONNECT, _READ = 10, 60  # seconds
_CONNECTIONS = 64  # that are kept; of more the client warns
_BUSY = frozenset(
    {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded"}
)
_AGAIN = _BUSY | {"InternalError", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted"}
_SPOILT = frozenset({"BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"})  # on its way to the service
_AGAIN_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509, *range(520, 528)})  # the last are of proxies
_ARCHIVED = frozenset({"InvalidObjectState", "InvalidTargetStorageClass"})
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "Forbidden",
        "SignatureDoesNotMatch",
        "RequestTimeTooSkewed",
    }
)
_CUT_OFF = (
    broken.ConnectionError,
    broken.HTTPClientError,
    broken.IncompleteReadError,
    broken.ResponseStreamingError,
    ResponseParserError,
    HTTPError,  # which a body raises as it is where TLS breaks
)
_ELSEWHERE = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"}
)
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "EntityTooLarge", "XAmzQuotaExceeded"})


class Client:
    """One client for all threads, which tries nothing again itself: `Retries` knows what each call was."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._client: Any = None
        self._lock = threading.Lock()
        self.retries = Retries(_failed_try)
        self.buffers = Buffers()

    def call(
        self,
        operation: str,
        path: str,
        parameters: Mapping[str, Any],
        /,
        *,
        again: Callable[[], Any] | None = None,
    ) -> Any:
        """Call an operation for the object at a path.

        After a try of which nobody knows whether it was carried out, `again` is asked for the answer to it first: a
        service refuses what it has done already, as what somebody else did. So is it after a first try that is refused
        for that: what stands between us and the service may have sent it twice.
        """
        return self.attempt(getattr(self._opened(), operation), operation, path, parameters, again=again)

    def upload(
        self,
        operation: str,
        path: str,
        body: PartBuffer,
        parameters: Mapping[str, Any],
        /,
        *,
        again: Callable[[], Any] | None = None,
    ) -> Any:
        """Call an operation that takes the bytes of an object, without a copy of them; see `call`."""

        def send(**parameters: Any) -> Any:
            body.seek(0)  # of a try before it some may be read
            return getattr(self._opened(), operation)(Body=body, **parameters)

        return self.attempt(send, operation, path, parameters, again=again)

    def content(self, path: str, parameters: Mapping[str, Any]) -> tuple[bytes, str]:
        """All that a read of an object brings, with its ETag; one that breaks in the middle is made again."""

        def read(**parameters: Any) -> tuple[bytes, str]:
            answer = self._opened().get_object(**parameters)
            check_part(answer, parameters)
            with contextlib.closing(answer["Body"]) as body:
                return body.read(), answer.get("ETag", "")

        content: tuple[bytes, str] = self.attempt(read, "get_object", path, parameters)
        return content

    def attempt(
        self,
        method: Callable[..., Any],
        operation: str,
        path: str,
        parameters: Mapping[str, Any],
        /,
        *,
        again: Callable[[], Any] | None = None,
    ) -> Any:
        """Do what calls the service, and do it again for as long as that can help; see `call`."""
        parameters = {"Bucket": self._location.bucket, **parameters}
        if self._location.requester_pays:
            parameters["RequestPayer"] = "requester"

        def note(error: Exception, pause: float) -> None:
            log.info("%s of %s is tried again in %.1f s: %s", operation, quote_name(path), pause, _text(error))

        return self.retries.call(
            partial(method, **parameters),
            fail=lambda error: meaning(error, self._location, path),
            note=note,
            again=again,
        )

    def _opened(self) -> Any:
        """The client, which is made by the first call: to make several at once is not safe, to use one is."""
        with self._lock:
            if self._client is None:
                self._client = _make(self._location)
            return self._client


def _make(location: Location) -> Any:
    proxies = {"http": location.proxy, "https": location.proxy} if location.proxy else None
    style: Any = {"addressing_style": location.addressing}
    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},  # ours know what the call was
        request_checksum_calculation="when_required",  # others than AWS know no trailers
        response_checksum_validation="when_required",
        tcp_keepalive=True,
        proxies=proxies,
        s3=style,
        user_agent_extra="holdfast",
    )
    try:
        session = botocore.session.Session(profile=location.profile)
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
        region = location.region or session.get_config_variable("region") or "us-east-1"
        return session.create_client(
            "s3", region_name=region, endpoint_url=location.endpoint, verify=location.ca, config=config
        )
    except (broken.BotoCoreError, ValueError) as error:
        raise meaning(error, location, "") from error


def parse_time(value: str | float) -> datetime:
    """A time as services write it; the library's own way takes 0.1 ms, and a list has as many as there are objects."""
    if isinstance(value, str) and value.endswith("Z"):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    time: datetime = parse_timestamp(value)
    return time


def _code(error: BaseException | None) -> tuple[str, int]:
    """The service's own name of an error, and the status of the answer."""
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return (
        str(response.get("Error", {}).get("Code", "")),
        int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
    )


def _failed_try(error: Exception) -> FailedTry | None:
    """What an error of the client says to whoever would try again."""
    code, status = _code(error)
    if isinstance(error, broken.ClientError):
        busy = code in _BUSY or status in (429, 503)
        passes = busy or code in _AGAIN | _SPOILT or status in _AGAIN_STATUS
        return FailedTry(passes=passes, busy=busy, doubtful=status == 412)
    if isinstance(error, _CUT_OFF):
        return FailedTry(passes=True, answered=False)
    return FailedTry(passes=False, answered=False) if isinstance(error, broken.BotoCoreError) else None


def digest_of(content: bytes, location: Location) -> dict[str, str]:
    """What tells a service that a small object has come whole; a bucket wants it of what it keeps."""
    if location.checksum:
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode()}
    return {"ContentMD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()}


def code_of(error: BaseException | None) -> str:
    """The service's own name of what caused an error; empty where the service did not."""
    return _code(error.__cause__ if error else None)[0]


def _text(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    code, status = _code(error)
    told = str(response.get("Error", {}).get("Message", "")) or code
    text = f"{told} ({status} {code})" if status else str(error)
    return " ".join(text.split())[:500]


def check_part(answer: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuse the whole of an object where a part was asked for: what is taken for other bytes looks like damage."""
    if "Range" in parameters and answer.get("ResponseMetadata", {}).get("HTTPStatusCode") != 206:
        answer["Body"].close()
        raise HoldfastError(
            f"the service ignores 'Range: {parameters['Range']}', and sends what was not asked for",
            hint="look what stands between this machine and the service",
        )


def is_missing(error: Exception) -> bool:
    """Whether there is no such object, as far as the service tells."""
    code, status = _code(error)
    return code in ("NoSuchKey", "404", "NotFound", "NoSuchVersion") or (
        status == 404 and code not in ("NoSuchBucket", "NoSuchUpload")
    )


def meaning(error: Exception, location: Location, path: str) -> Exception:
    """What an error of the client or of the service means, for whoever called the storage."""
    code, status = _code(error)
    text = _text(error)
    what = f"{location.text}{': ' + quote_name(path) if path else ''}: {text}"
    if (of_system := _as_of_the_system(error, path)) is not None:
        return of_system
    if code == "NoSuchBucket":
        return NotFoundError(
            f"there is no bucket {quote_name(location.bucket)}: {text}",
            hint="it is not made: make it first, or mend its name",
        )
    if code in _REFUSED or status in (401, 403):
        hint = "set the clock of this machine" if code == "RequestTimeTooSkewed" else None
        return CredentialsError(f"the service refuses {what}", hint=hint)
    if isinstance(error, broken.NoCredentialsError | broken.PartialCredentialsError | broken.CredentialRetrievalError):
        return CredentialsError(
            f"no key for {location.text}: {text}",
            hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if isinstance(error, broken.ProfileNotFound | broken.UnauthorizedSSOTokenError | broken.SSOTokenLoadError):
        return CredentialsError(f"no key for {location.text}: {text}")
    if code in _ELSEWHERE or status in (301, 302, 307, 308):
        return UsageError(
            f"the bucket is in another region than {location.region or 'the one that was taken'}, {what}",
            hint="name its region by ?region=",
        )
    if code == "NotImplemented" or status == 501:
        return UnsafeError(
            f"the service cannot do what a store needs, {what}",
            hint="Holdfast needs conditional writes (If-None-Match), so that no backup is ever overwritten; "
            "--store-option lease=age goes without them",
        )
    if isinstance(error, broken.SSLError):
        plain = "WRONG_VERSION_NUMBER" in text  # what a server without TLS says is taken for its first record
        ca = "?ca= names the file of certificates to trust"
        hint = "the server seems to speak no TLS there: ?endpoint=http://…" if plain else ca
        return UnreachableError(f"the service of {what}", hint=hint)
    if isinstance(error, _CUT_OFF) or status >= 500:
        return UnreachableError(f"the service of {what}")
    return HoldfastError(f"the service cannot do it, {what}")


def _as_of_the_system(error: Exception, path: str) -> OSError | None:
    """The error of a file system that says the same, None where there is none."""
    code, status = _code(error)
    if is_missing(error):
        return FileNotFoundError(errno.ENOENT, "there is no such object", path)
    if code in ("PreconditionFailed", "412") or status == 412:
        return FileExistsError(errno.EEXIST, "there is such an object", path)
    if code in _FULL or status == 507:
        return OSError(errno.ENOSPC, _text(error), path)
    if code in _ARCHIVED:
        text = f"it is archived by the service, and to be restored there first: {_text(error)}"
        return OSError(errno.EBUSY, text, path)
    return None
