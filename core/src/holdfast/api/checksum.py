"""A checksum: a running digest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from holdfast.api.aliases import Chunk


class Hasher(Protocol):
    """A running digest; the objects of `hashlib` fit."""

    def update(self, data: Chunk, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest so far in lowercase hexadecimal."""
        ...


#: What starts a new digest, such as `hashlib.sha256`.
HasherFactory = Callable[[], Hasher]
