"""What the URL of a store says: which bucket and prefix, and how to connect; never a key or a password."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from holdfast.api import DatabaseURL, UsageError, quote_name, redact
from holdfast_s3 import PARAMETERS

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]|arn:.*")
_SIZE = re.compile(r"(\d+)\s*([KMG])(?:i?B)?", re.IGNORECASE)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SMALLEST, _LARGEST = 5 << 20, 5 << 30  # bytes; what S3 takes as a part
_KEYS = "keys come from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE), ~/.aws, or the role of the machine"
_CHOICES = {
    "addressing": ("auto", "path", "virtual"),
    "checksum": ("sha256", "none"),
    "requester_pays": ("true", "false"),
}

PART_SIZE = 24 << 20  # bytes: 9,000 of them are 216 GB, and three writers hold 72 MiB


@dataclass(frozen=True, kw_only=True)
class Location:
    """A bucket, the keys below which a store lies, and how to connect."""

    text: str
    bucket: str
    prefix: str = ""  # empty, or with a slash at its end
    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    addressing: str = "auto"
    ca: str | None = None
    proxy: str | None = None
    part_size: int = PART_SIZE
    storage_class: str | None = None
    sse: str | None = None
    sse_key: str | None = None
    checksum: bool = True
    requester_pays: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL, or say which part of it cannot be used."""
        parsed = DatabaseURL.parse(url)
        redacted = redact(url)
        if parsed.user is not None or parsed.password is not None:
            raise UsageError(f"{redacted} holds a key, which a store's URL never does", hint=_KEYS)
        if len(parsed.hosts) != 1 or parsed.hosts[0][1] is not None or not _BUCKET.fullmatch(parsed.hosts[0][0]):
            raise UsageError(
                f"{redacted} names no bucket, expected s3://bucket/prefix", hint="?endpoint= names the server"
            )
        given = dict(parsed.query)
        if unknown := sorted(given.keys() - PARAMETERS):
            hint = _KEYS if re.search("key|secret|token|passw", unknown[0]) else None
            names = ", ".join(sorted(PARAMETERS))
            raise UsageError(f"{redacted} has the parameter {quote_name(unknown[0])} (s3 takes: {names})", hint=hint)
        for name, choices in _CHOICES.items():
            if name in given and given[name] not in choices:
                raise UsageError(f"{name} is {quote_name(given[name])} in {redacted}, expected {' or '.join(choices)}")
        for name in ("endpoint", "proxy"):
            _check_server(name, given.get(name), redacted)
        if "sse_key" in given and given.get("sse") != "aws:kms":
            raise UsageError(f"{redacted} has sse_key without sse=aws:kms")
        parts = [part for part in parsed.path.split("/") if part]
        if {".", ".."} & set(parts) or re.search(r"[\0-\x1f\x7f]", parsed.path):
            raise UsageError(
                f"{redacted} has '.', '..' or a control character in its prefix, which services and proxies do not "
                "keep as it is"
            )
        texts = {name: given.get(name) or None for name in PARAMETERS - _CHOICES.keys() - {"part_size"}}
        return cls(
            text=redacted,
            bucket=parsed.hosts[0][0],
            prefix="".join(f"{part}/" for part in parts),
            addressing=given.get("addressing", "auto"),
            checksum=given.get("checksum") != "none",
            requester_pays=given.get("requester_pays") == "true",
            part_size=_part_size(given.get("part_size"), redacted),
            **texts,
        )


def _check_server(name: str, value: str | None, redacted: str) -> None:
    if not value:
        return
    if not _is_server(value):
        raise UsageError(f"{name} is {quote_name(value)} in {redacted}, expected http://host:port or https://host")
    if "@" in value:
        raise UsageError(
            f"{name} holds a user in {redacted}, which everybody would see", hint="set HTTPS_PROXY, or connect without"
        )


def _is_server(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:  # of the port
        return False


def _part_size(text: str | None, redacted: str) -> int:
    if text is None:
        return PART_SIZE
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if not _SMALLEST <= size <= _LARGEST:
        raise UsageError(f"part_size is {quote_name(text)} in {redacted}, expected 5M to 5G, as in 64M")
    return size
