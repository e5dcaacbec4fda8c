"""A cipher: blobs sealed in chunks to a key of their backup, and that key sealed to recipients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from holdfast.api.aliases import Chunk


class Sealer(Protocol):
    """One blob on its way into the store; the core hands over each of its chunks once."""

    @property
    def head(self) -> bytes:
        """What the sealed blob begins with, the same at every call."""
        ...

    def seal(self, data: Chunk, position: int, last: bool, /) -> Chunk:
        """Seal whole chunks, of which the first is number `position`; called from several threads, in any order.

        With `last` they are the end of the blob, and the last of them may be short; only that of a blob of no bytes is
        empty. Each chunk is sealed with its number and whether it is the last, so that none can be left out, moved,
        doubled or appended unnoticed.
        """
        ...


class Opener(Protocol):
    """One sealed blob that is read, from its beginning or from any chunk."""

    @property
    def head_size(self) -> int:
        """The number of bytes that stand before the first chunk."""
        ...

    def open(self, data: Chunk, position: int, last: bool, /) -> bytes:
        """Return the bytes of whole sealed chunks, of which the first is number `position`; from several threads too.

        `last` says that the blob ends with them. Raises `IntegrityError` where they are not what was sealed, or not the
        last where they should be, or the last where they should not, and hands out nothing of them.
        """
        ...


class Cipher(Protocol):
    """A way to seal the blobs of a backup to a key that is made for it alone.

    The host that makes a backup holds that key for as long as it takes, and stores it only sealed to recipients, whose
    identities it does not know. Keys and identities are secrets: they stand in no error.
    """

    @property
    def suffix(self) -> str:
        """The ending of file names, such as ".age"."""
        ...

    @property
    def chunk_size(self) -> int:
        """The number of bytes of a chunk before it is sealed."""
        ...

    @property
    def overhead(self) -> int:
        """The number of bytes by which sealing makes a chunk longer."""
        ...

    @property
    def head_size(self) -> int:
        """The most bytes that a sealed blob may have before its first chunk."""
        ...

    def new_key(self) -> bytes:
        """Make the key of a new backup."""
        ...

    def sealer(self, key: bytes, /) -> Sealer:
        """Begin to seal one blob."""
        ...

    def opener(self, key: bytes, head: bytes, /) -> Opener:
        """Begin to open a blob; `head` is its beginning, of `head_size` bytes or all that it has.

        Raises `IntegrityError` where it is not sealed to this key, or was changed.
        """
        ...

    def recipient(self, text: str, /) -> str:
        """Return a recipient in the form that is the same for all ways to write it; `UsageError` for what is none."""
        ...

    def identities(self, text: str, /) -> Sequence[str]:
        """Return the identities that the text of a file holds; `CredentialsError` for what is none."""
        ...

    def wrap(self, key: bytes, recipient: str, /) -> bytes:
        """Seal the key of a backup to a recipient, as a small file."""
        ...

    def unwrap(self, sealed: bytes, identity: str, /) -> bytes | None:
        """Return the key that a small file holds, or None where it is sealed to somebody else.

        Raises `IntegrityError` where the file is damaged.
        """
        ...


@runtime_checkable
class SupportsIdentities(Protocol):
    """A cipher that makes identities, and knows whose they are."""

    def new_identity(self) -> str:
        """Make an identity of a person, as a line of text."""
        ...

    def recipient_of(self, identity: str, /) -> str:
        """Return the recipient of an identity; `UsageError` where that cannot be told from it."""
        ...
