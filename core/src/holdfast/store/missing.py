"""What is said of a blob that can be decompressed only up to a damaged place."""

from collections.abc import Iterator

from holdfast.api import Codec, SupportsFrameSearch, SupportsShellDecode
from holdfast.errors import HoldfastError
from holdfast.store.manifest import StreamRecord
from holdfast.streaming.blocks import BLOCK
from holdfast.streaming.salvage import sound_end


def missing_text(stored: Iterator[bytes], record: StreamRecord, codec: Codec, read: int) -> str:
    """Which bytes of a stream came out, which did not, and which of these are sound; reads the whole blob for that."""
    # A frame is checked at its end: of the one that is damaged nobody can tell where it begins to be wrong.
    unchecked = f" (the last {min(read, BLOCK)} of them unchecked)" if read else ""
    text = f"the first {read} of {record.size} bytes were read{unchecked}, {record.size - read} are missing"
    if not isinstance(codec, SupportsFrameSearch):
        return text
    try:
        end = sound_end(stored, codec, most=record.size)
    except HoldfastError:  # what cannot be read has been said
        end = None
    if end is None:
        return f"{text}, and nothing at the end is sound"
    by_hand = ""
    if isinstance(codec, SupportsShellDecode):
        by_hand = f": tail -c +{end.offset + 1} {record.blob.path} | {codec.command}"
    return f"{text}, of which the last {end.size} are sound{by_hand}"
