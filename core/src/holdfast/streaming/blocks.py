"""Blocks: what streams are cut into, and what is read from a store at a time."""

from collections.abc import Iterable, Iterator

from holdfast.api import Chunk
from holdfast.errors import PluginError

BLOCK = 1 << 20
SMALL = BLOCK // 4  # a block with fewer bytes is the last one: its stream has been read to the end


def blocks(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Cut chunks of any size into blocks of about 1 MiB, without copying those that fit."""
    pending = bytearray()
    for chunk in chunks:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise PluginError(f"the engine yielded {type(chunk).__name__} where bytes are expected")
        if not pending and SMALL <= len(chunk) <= BLOCK and not isinstance(chunk, memoryview):
            yield chunk
            continue
        view = memoryview(chunk).cast("B")
        while view:
            if not pending and len(view) >= BLOCK:
                yield view[:BLOCK]
                view = view[BLOCK:]
                continue
            room = BLOCK - len(pending)
            pending += view[:room]
            view = view[room:]
            if len(pending) == BLOCK:
                yield pending
                pending = bytearray()
    if pending:
        yield pending
