"""Which call of a plugin is waited for: whoever ends a run that hangs by Ctrl-C is told what has hung."""

import os
import threading
import time
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING

from holdfast.errors import note_waiting
from holdfast.plugins.stray import SameProcess

if TYPE_CHECKING:
    from holdfast.plugins.blame import Blame

_under_way: dict[int, list["Called | None"]] = {}


class Called(SameProcess):
    """A call of a plugin, as the block of it: which thread is in which call can be asked."""

    __slots__ = ("began", "blame", "what")

    def __init__(self, blame: "Blame", what: str) -> None:
        self.blame = blame
        self.what = what

    def __enter__(self) -> None:
        self._process = os.getpid()  # not by `super()`: a listing enters it for each of thousands of objects
        self.began = time.monotonic()
        thread = threading.get_ident()
        if thread in _under_way:
            _under_way[thread].append(self)
        else:
            _under_way[thread] = [self]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._process:
            super().__exit__(kind, error, trace)
        _leave()


class CalledBack:
    """The block of what the core does for a plugin that has called it: meanwhile nobody waits for that plugin."""

    def __enter__(self) -> None:
        _under_way.setdefault(threading.get_ident(), []).append(None)

    def __exit__(self, *_: object) -> None:
        _leave()


def _leave() -> None:
    thread = threading.get_ident()
    calls = _under_way[thread]
    calls.pop()
    if not calls:
        del _under_way[thread]


def calls_under_way() -> frozenset[Called]:
    """The innermost call of each other thread that is in any."""
    here = threading.get_ident()
    return frozenset(call for thread, calls in [*_under_way.items()] for call in calls[-1:] if call and thread != here)


def note_hung(error: BaseException, before: Collection[Called]) -> None:
    """Add to an ending what a thread still waits for that was in the same call before; of several, the longest."""
    hung = [call for call in before if call in calls_under_way()]
    if hung:
        call = min(hung, key=lambda call: call.began)
        note_call(error, call.what, call.blame.culprit())


def note_call(error: BaseException, what: str, whose: str) -> None:
    """Add to an ending which call of whom it came into, where none is said yet."""
    note_waiting(error, f"{what} of {whose.rstrip(',')}")
