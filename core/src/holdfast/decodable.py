"""Types that msgspec decodes into, made known to it by one thread at a time.

What it finds out of a class, at its first use, it keeps on the class part by part. A thread that decodes into the same
class meanwhile reads parts that are not there yet, and the process ends by a segmentation fault (msgspec 0.22).
"""

import threading
from typing import TypeVar

import msgspec

_Kind = TypeVar("_Kind")
_lock = threading.Lock()
_known: set[object] = set()


def decodable(kind: type[_Kind]) -> type[_Kind]:
    """The same class, once msgspec knows all of it: for every decoding that may be the first in several threads."""
    if kind not in _known:
        with _lock:
            msgspec.json.Decoder(kind)
            _known.add(kind)
    return kind
