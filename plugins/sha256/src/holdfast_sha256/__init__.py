"""SHA-256 for Holdfast, from the standard library (FIPS 180-4)."""

import hashlib
from collections.abc import Iterator

from holdfast.api import Component, Hasher, Kind, hookimpl


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the checksum."""
    yield Component(kind=Kind.CHECKSUM, name="sha256", summary="SHA-256, which every backup records")


@hookimpl
def holdfast_checksum(algorithm: str) -> Hasher | None:
    """Start a digest; about 1500 MB/s on one core with the processor's SHA extensions."""
    return hashlib.sha256() if algorithm == "sha256" else None
