"""The Zstandard codec of Holdfast (RFC 8878): a blob is a file of independent frames, which `zstd -d` reads.

Level 1 is the default: it costs half the CPU of level 3 and still stores less than gzip at level 6.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.api import Codec, Component, Kind, hookimpl


@dataclass(frozen=True, kw_only=True)
class ZstdOptions:
    """How to compress."""

    level: int = field(default=1, metadata={"help": "1 (fast) to 22 (small); 19 and more need much time"})

    def __post_init__(self) -> None:
        """Refuse levels that zstd has not, and 0, which it takes for its default."""
        if not 1 <= self.level <= 22:
            raise ValueError(f"level is {self.level}, expected 1 to 22")


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the codec."""
    yield Component(
        kind=Kind.CODEC, name="zstd", aliases=("zst",), summary="Zstandard, fast and small", options=ZstdOptions
    )


@hookimpl
def holdfast_compress(codec: str, options: ZstdOptions) -> Codec | None:
    """Make the codec."""
    if codec != "zstd":
        return None
    from holdfast_zstd.codec import ZstdCodec

    return ZstdCodec(level=options.level)
