"""Exceptions that end a program: from the handler of a signal they pass, from a plugin they are its failure.

A plugin that calls `sys.exit(0)` must not end a backup as if it had been made.
"""

import inspect
import signal
from functools import partial
from types import CodeType
from typing import Any

ENDINGS = (SystemExit, GeneratorExit)


def is_meant(error: BaseException) -> bool:
    """Whether an ending was raised by the handler of a signal, as many servers have one that calls `sys.exit`."""
    codes = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def describe_ending(error: BaseException) -> str:
    """Say what an ending was: `it ended by SystemExit: 0`."""
    return f"it ended by {type(error).__name__}: {error}".removesuffix(": ")


def _code(handler: Any) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    if not inspect.isroutine(handler) and callable(handler):
        handler = type(handler).__call__
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return code if isinstance(code, CodeType) else None
