"""What a plugin shares with the whole program, and has to leave as it is."""

import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)


def process_state() -> dict[str, Any]:
    """What there is one of in a process."""
    root, umask = logging.getLogger(), os.umask(0o077)
    os.umask(umask)
    return {
        "signal handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "current folder": Path.cwd(),
        "environment": dict(os.environ),
        "umask": umask,
        "locale": locale.setlocale(locale.LC_ALL),
        "timeout of sockets": socket.getdefaulttimeout(),
        "root logger": (root.level, [*root.handlers]),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "limits": [resource.getrlimit(limit) for limit in _LIMITS],
        "limit of recursion": sys.getrecursionlimit(),
        "filters of warnings": [*warnings.filters],
        "streams": (sys.stdin, sys.stdout, sys.stderr),
    }


@contextmanager
def unchanged(captured: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The block of what must change nothing of the process, and write nothing to standard output."""
    before = process_state()
    captured.readouterr()
    try:
        yield
        after = process_state()
    finally:
        _put_back(before)
    assert [name for name, value in after.items() if value != before[name]] == [], "of the process it changes"
    assert captured.readouterr().out == "", "what is written to standard output stands among data"


def _put_back(state: dict[str, Any]) -> None:
    """What the tests after this one would suffer from."""
    os.chdir(state["current folder"])
    os.environ.clear()
    os.environ.update(state["environment"])
    os.umask(state["umask"])
    locale.setlocale(locale.LC_ALL, state["locale"])
    socket.setdefaulttimeout(state["timeout of sockets"])
    root = logging.getLogger()
    level, root.handlers[:] = state["root logger"]
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = state["hooks"]
    for limit, values in zip(_LIMITS, state["limits"], strict=True):
        resource.setrlimit(limit, values)
    sys.setrecursionlimit(state["limit of recursion"])
    if warnings.filters != state["filters of warnings"]:
        warnings.resetwarnings()
        warnings.filters[:] = state["filters of warnings"]  # type: ignore[index]
    sys.stdin, sys.stdout, sys.stderr = state["streams"]
