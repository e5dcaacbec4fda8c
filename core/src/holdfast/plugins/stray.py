"""Children of a plugin that come back out of a call of it, as if they were the program.

A plugin may fork, and what it forks has to end by itself. A child that returns into the core, or raises there, would go
on with the run as its parent does: write into the same store, or clean up what the parent is still making.
"""

import os
from types import TracebackType

_CODE = 70  # EX_SOFTWARE: an internal error


class SameProcess:
    """A context that no process leaves but the one that has entered it: any other ends there, at once and silently."""

    __slots__ = ("_process",)

    def __enter__(self) -> None:
        self._process = os.getpid()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._process:
            os._exit(_CODE)
