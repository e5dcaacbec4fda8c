"""Sizes as people write them: `512`, `20kB`, `8MB`, `1.5GB`."""

import re
from typing import Any

from holdfast.errors import UsageError

_TEXT = re.compile(r"(\d{1,12}) ?b?|(\d{1,9}(?:\.\d{1,3})?) ?([kmgt])i?b?")
_SHIFTS = {"k": 10, "m": 20, "g": 30, "t": 40}


def parse_size(what: str, value: Any) -> int:
    """The bytes of a size: a number of bytes, or a text with one of kB, MB, GB and TB, each 1024 of the one before.

    Anything else is a `UsageError` that calls it `what`.
    """
    if type(value) is int and value >= 0:
        return value
    match = _TEXT.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        raise UsageError(
            f"{what} is {value!r}, expected a size such as 20MB",
            hint="write a number of bytes, or a number and kB, MB, GB or TB",
        )
    return int(match[1]) if match[1] else int(float(match[2]) * (1 << _SHIFTS[match[3]]))
