"""Durations as people write them: `7d`, `36h`, `90m`, `1w`."""

import re
from datetime import timedelta

from holdfast.errors import UsageError, quote_name

_TEXT = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Read a duration: a number and one of s, m, h, d, w; anything else is a `UsageError`."""
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(
            f"not a duration: {quote_name(text)}", hint="write a number and s, m, h, d or w, for instance 7d"
        )
    return timedelta(**{_UNITS[match[2]]: float(match[1])})
