"""Exceptions that end a program: from the handler of a signal they pass, from a plugin they are its failure.

A plugin that calls `sys.exit(0)` must not end a backup as if it had been made, and its
`KeyboardInterrupt` is no Ctrl-C. What a handler raises passes whatever its class: a task queue's time limit is an
exception like any other, for which the task looks by its class.
"""

import inspect
import signal
import sys
from functools import partial
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any

ENDINGS = (SystemExit, GeneratorExit, KeyboardInterrupt)


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was made at run time, as all of Python's own are


class Stopped(Exception):  # noqa: N818 (a signal between our threads, not an error that anybody sees)
    """This part of the run ends because another one failed."""


def is_meant(error: BaseException) -> bool:
    """Whether an ending was raised by the handler of a signal, as many servers have one that calls `sys.exit`.

    Python's own handler of SIGINT is written in C and leaves no frame: what it raises comes out of any instruction, and
    what a plugin raises comes out of `raise`. Where that may have thrown away the way that an exception has come, as in
    psycopg, nothing tells them apart: then it is Ctrl-C, which must never be taken for anything else. A time limit that
    another thread throws into this one comes out of any instruction as well.
    """
    codes = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    last, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes or _handles_signal(trace.tb_frame):
            return True
        last, trace = trace, trace.tb_next
    if isinstance(error, KeyboardInterrupt):
        return last is None or _forgets(last) or not _raises(last)
    return last is not None and not _raises(last) and _is_strange(type(error), error.__traceback__)


def is_failure(error: BaseException) -> bool:
    """Whether an error is a failure of what was done, and not the end of the program that somebody wants."""
    return isinstance(error, (Exception, *ENDINGS)) and not is_meant(error)


def ending_behind(error: BaseException) -> BaseException | None:
    """What the handler of a signal raised, if that led to an error: somebody may have taken it for one of a server."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        if is_meant(following):
            return following
        chain.append(following)
        following = following.__cause__ or following.__context__
    return None


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


def _handles_signal(frame: FrameType) -> bool:
    """Whether a function was called with a signal and a frame: handlers often replace themselves, as ours do."""
    code = frame.f_code
    arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]][-2:]
    match arguments:
        case [int(number), FrameType()]:
            return number in signal.valid_signals()
    return False


def _raises(trace: TracebackType) -> bool:
    """Whether a frame was left by a `raise` of its own."""
    from opcode import opmap

    code = trace.tb_frame.f_code.co_code
    return 0 <= trace.tb_lasti < len(code) and code[trace.tb_lasti] == opmap["RAISE_VARARGS"]


def _is_strange(kind: type[BaseException], trace: TracebackType | None) -> bool:
    """Whether none of the code that an exception has come through knows the library or program that its class is of.

    What a driver in C raises is of a library that whoever calls it has imported.
    """
    home = kind.__module__.partition(".")[0]
    if home == "builtins" or home in sys.stdlib_module_names or not kind.__flags__ & _HEAP_TYPE:
        return False
    while trace is not None:
        if home in map(_home, (trace.tb_frame.f_globals, *trace.tb_frame.f_globals.values())):
            return False
        trace = trace.tb_next
    return True


def _home(value: Any) -> str:
    """The library or program that a value of a module is of, or the module itself by its globals."""
    if isinstance(value, dict):
        name = value.get("__name__")
    else:
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return name.partition(".")[0] if isinstance(name, str) else ""


def _forgets(trace: TracebackType) -> bool:
    """Whether a frame may have raised what it caught without the frames before."""
    return not {"with_traceback", "__traceback__"}.isdisjoint(trace.tb_frame.f_code.co_names)
