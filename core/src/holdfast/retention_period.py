"""For how long a service is to keep a backup from everybody, as people say it."""

from datetime import timedelta

from holdfast.duration import parse_duration
from holdfast.errors import UsageError, quote_name

_SHORTEST, _LONGEST = timedelta(days=1), timedelta(days=36_500)  # a backup may take hours; no service takes more
_MODES = ("governance", "compliance")


def check_retention(retain: str | None, mode: str | None) -> None:
    """Refuse a period that no service could keep, and a mode that is none or has no period."""
    if mode is not None and mode not in _MODES:
        raise UsageError(f"retain_mode is {quote_name(str(mode))}, expected {' or '.join(_MODES)}")
    if mode is not None and retain is None:
        raise UsageError(f"retain_mode is {mode}, and nothing says for how long", hint="give --retain, such as 30d")
    if retain is not None:
        parse_period(retain)


def parse_period(retain: str) -> timedelta:
    """Read a period of 1 day to 100 years; anything else is a `UsageError`."""
    period = parse_duration(retain)
    if not _SHORTEST <= period <= _LONGEST:
        raise UsageError(
            f"retain is {quote_name(retain)}, which is too {'short' if period < _SHORTEST else 'long'}: expected 1d to "
            f"{_LONGEST.days}d"
        )
    return period
