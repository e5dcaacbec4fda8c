"""Which failures are tried again: what may be otherwise soon, and nothing else."""

from holdfast.errors import HoldfastError, LockedError, UnreachableError

_SOON = frozenset({LockedError.exit_code, UnreachableError.exit_code})


def may_pass(error: HoldfastError) -> bool:
    """Whether another attempt can succeed without anybody doing anything: a lock (11), a server without answer (15)."""
    return error.exit_code in _SOON


def message(error: HoldfastError) -> str:
    """An error and what to do about it, in one line, without secrets."""
    text = f"{error.message} (exit code {error.exit_code})"
    return f"{text}; hint: {error.hint}" if error.hint else text
