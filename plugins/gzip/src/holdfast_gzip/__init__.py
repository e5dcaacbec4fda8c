"""The gzip codec of Holdfast (RFC 1952): a blob is a file of independent members, which `gunzip` reads.

The standard library does it; with the extra `isal` levels 1 to 3 run on ISA-L, 3 to 7 times as fast.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from holdfast.api import Codec, Component, Kind, hookimpl


@dataclass(frozen=True, kw_only=True)
class GzipOptions:
    """How to compress."""

    level: int = field(default=1, metadata={"help": "1 (fast) to 9 (small); gzip's own default is 6"})
    library: Literal["auto", "zlib", "isal"] = field(
        default="auto", metadata={"help": "auto takes isal for levels 1 to 3 where it is installed"}
    )

    def __post_init__(self) -> None:
        """Refuse levels that the chosen library has not."""
        highest = 3 if self.library == "isal" else 9
        if not 1 <= self.level <= highest:
            raise ValueError(f"level is {self.level}, expected 1 to {highest}")


@hookimpl
def holdfast_components() -> Iterator[Component]:
    """List the codec."""
    yield Component(
        kind=Kind.CODEC, name="gzip", aliases=("gz",), summary="gzip, readable everywhere", options=GzipOptions
    )


@hookimpl
def holdfast_compress(codec: str, options: GzipOptions) -> Codec | None:
    """Make the codec."""
    if codec != "gzip":
        return None
    from holdfast_gzip.codec import GzipCodec

    return GzipCodec(level=options.level, library=options.library)
