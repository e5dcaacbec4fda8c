"""A codec: independent frames, and their decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from holdfast.api.aliases import Chunk


class Decoder(Protocol):
    """One running decompression over any number of frames."""

    def decode(self, data: Chunk, /) -> Iterator[bytes]:
        """Take stored bytes cut anywhere and yield plain pieces of at most a few MiB.

        Raises `IntegrityError` on bytes that are not of the format, after what could be decompressed before them.
        """
        ...

    def finish(self) -> None:
        """Say that no more comes; raises `IntegrityError` if the last frame is not whole."""
        ...


class Codec(Protocol):
    """A way to compress in independent frames."""

    @property
    def suffix(self) -> str:
        """The ending of file names, such as ".zst"."""
        ...

    def encode(self, block: Chunk, /) -> Chunk:
        """Return one whole frame that holds the block, which is about 1 MiB, or empty.

        Called from several threads at once. Frames put one after another are a valid file of the format.
        """
        ...

    def decoder(self) -> Decoder:
        """Start to decompress one blob."""
        ...


@runtime_checkable
class SupportsShellDecode(Protocol):
    """A codec that knows the command which decodes its files without Holdfast; RESTORE.md then shows it."""

    @property
    def command(self) -> str:
        """Shell words that decode the file named after them to standard output: "zstd -dc"."""
        ...


@runtime_checkable
class SupportsFrameSearch(Protocol):
    """A codec whose frames can be found again behind a damaged one: they all begin with the same bytes."""

    @property
    def frame_magic(self) -> bytes:
        """What each frame begins with; it may stand within one too, by chance."""
        ...

    def decoder(self) -> Decoder:
        """Start to decompress one blob."""
        ...
