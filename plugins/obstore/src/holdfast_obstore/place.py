"""Where a store lies in a service, and how its URL says it: never with a key or a password."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdfast.api import DatabaseURL, UsageError, quote_name, redact

if TYPE_CHECKING:
    from holdfast_obstore.storage import ObstoreStorage

_SIZE = re.compile(r"(\d+)\s*([KMG])(?:i?B)?", re.IGNORECASE)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SMALLEST, _LARGEST = 5 << 20, 1 << 30  # bytes
_SECRET = re.compile("key|secret|token|passw|sig|sas")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A bucket or container, the keys below which a store lies, and what its service is like."""

    text: str  #: the URL, without what could be a secret
    service: str  #: what the service is called
    container: str  #: the name of the bucket or container
    prefix: str  #: empty, or with a slash at its end
    keys: str  #: where keys come from, for whoever has none
    part_size: int  #: bytes
    client: Mapping[str, Any]  #: options of the client
    fetch: Callable[[str], Sequence[str]]  #: how a folder of the place is fetched without us: lines of shell
    tells_versioning: bool = False  #: whether an object has a version only where the place keeps versions


def open_place(place: Place, make: Callable[..., Any], *, create_required: bool, ends_uploads: bool) -> ObstoreStorage:
    """A storage for a place; `make` is given options and makes the client when it is needed.

    `ends_uploads` says whether the service removes by itself what of unfinished uploads nobody sees.
    """
    from holdfast_obstore.client import Client
    from holdfast_obstore.storage import ObstoreStorage

    client = Client(place, lambda patience: make(client_options=place.client, retry_config=_retries(patience)))
    return ObstoreStorage(client, create_required=create_required, ends_uploads=ends_uploads)


def _retries(patience: float) -> dict[str, Any]:
    return {"max_retries": 30, "retry_timeout": timedelta(seconds=patience)} if patience else {"max_retries": 0}


def read_url(url: str, *, known: Collection[str], shape: str, keys: str) -> tuple[str, list[str], dict[str, str], str]:
    """The host, the parts of the path and the parameters of a URL, and the URL as it may be shown."""
    parsed = DatabaseURL.parse(url)
    redacted = redact(url)
    if parsed.user is not None or parsed.password is not None:
        raise UsageError(f"{redacted} holds a key, which a store's URL never does", hint=keys)
    if len(parsed.hosts) != 1 or parsed.hosts[0][1] is not None or not parsed.hosts[0][0]:
        raise UsageError(f"{redacted} names no place, expected {shape}", hint="?endpoint= names the server")
    given = dict(parsed.query)
    if unknown := sorted(given.keys() - set(known)):
        hint = keys if _SECRET.search(unknown[0]) else None
        names = ", ".join(sorted(known))
        raise UsageError(f"{redacted} has the parameter {quote_name(unknown[0])} (there are: {names})", hint=hint)
    parts = [part for part in parsed.path.split("/") if part]
    if {".", ".."} & set(parts) or re.search(r"[\0-\x1f\x7f]", parsed.path):
        raise UsageError(
            f"{redacted} has '.', '..' or a control character in its path, which services and proxies do not keep as "
            "it is"
        )
    return parsed.hosts[0][0], parts, given, redacted


def client_options(given: Mapping[str, str], redacted: str) -> dict[str, Any]:
    """What the client is told of connections, by the parameters of a URL."""
    options: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=120),
        "timeout": timedelta(days=1),  # of a whole object, which may be large
        "user_agent": "holdfast",
    }
    for name in ("endpoint", "proxy"):
        _check_server(name, given.get(name), redacted)
    if given.get("endpoint", "").startswith("http:"):
        options["allow_http"] = True
    if given.get("proxy"):
        options["proxy_url"] = given["proxy"]
    if given.get("ca"):
        try:
            with open(given["ca"], "rb") as file:
                options["root_certificate"] = file.read()
        except OSError as error:
            raise UsageError(f"cannot read {quote_name(given['ca'])}, which ca names: {error.strerror}") from error
    return options


def part_size(text: str | None, default: int, redacted: str) -> int:
    """How large the parts of large objects are."""
    if text is None:
        return default
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if not _SMALLEST <= size <= _LARGEST:
        raise UsageError(f"part_size is {quote_name(text)} in {redacted}, expected 5M to 1G, as in 64M")
    return size


def _check_server(name: str, value: str | None, redacted: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:  # of the port
        is_server = False
    if not is_server:
        raise UsageError(f"{name} is {quote_name(value)} in {redacted}, expected http://host:port or https://host")
    if "@" in value:
        raise UsageError(
            f"{name} holds a user in {redacted}, which everybody would see", hint="set HTTPS_PROXY, or connect without"
        )
