"""Calls of the file system that fail one at a time, each with every errno, in forks of this process.

Interposed are the functions of `os`, `fcntl` and `io` by which Python reaches the system, for files below a folder: the
n-th of them fails with an errno, and all others work. What a child process or SQLite's own library does is for
`support.refused_calls`, which refuses a call everywhere.
"""

import builtins
import contextlib
import errno
import fcntl
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_E = errno
_ALWAYS = (_E.EIO, _E.EACCES, _E.ESTALE)
# What Linux, macOS, CIFS, NFS and FUSE answer, besides those that any call gives.
ERRNOS: dict[str, tuple[int, ...]] = {
    "open": (_E.ENOSPC, _E.EROFS, _E.EMFILE, _E.EPERM),
    "write": (_E.ENOSPC, _E.EDQUOT, _E.EFBIG),
    "fsync": (_E.EINVAL, _E.ENOTSUP, _E.ENOSPC, _E.EBADF),
    "link": (_E.EPERM, _E.ENOTSUP, _E.EMLINK, _E.ENOSYS, _E.EXDEV, _E.ENOSPC),
    "rename": (_E.EPERM, _E.EBUSY, _E.EXDEV, _E.ENOSPC, _E.ETXTBSY),
    "replace": (_E.EPERM, _E.EBUSY, _E.EXDEV, _E.ENOSPC, _E.ETXTBSY),
    "unlink": (_E.EPERM, _E.EBUSY, _E.EROFS),
    "rmdir": (_E.EPERM, _E.EBUSY, _E.EROFS, _E.ENOTEMPTY),
    "mkdir": (_E.ENOSPC, _E.EROFS, _E.EDQUOT, _E.EMLINK),
    "chmod": (_E.EPERM, _E.ENOTSUP, _E.EROFS),
    "fchmod": (_E.EPERM, _E.ENOTSUP, _E.EROFS),
    "chown": (_E.EPERM, _E.ENOTSUP, _E.EINVAL),
    "flock": (_E.ENOLCK, _E.ENOTSUP, _E.ENOSYS, _E.EINVAL),
    "posix_fallocate": (_E.ENOTSUP, _E.EINVAL, _E.ENOSYS, _E.ENOSPC),
    "posix_fadvise": (_E.EINVAL, _E.ENOSYS),
    "truncate": (_E.EINVAL, _E.ENOSPC, _E.ETXTBSY),
    "ftruncate": (_E.EINVAL, _E.ENOSPC),
    "pwrite": (_E.ENOSPC, _E.EDQUOT, _E.EFBIG),
    "listxattr": (_E.ENOTSUP, _E.ENODATA),
    "getxattr": (_E.ENOTSUP, _E.ENODATA),
    "setxattr": (_E.ENOTSUP, _E.EPERM, _E.ENOSPC),
    "statvfs": (_E.ENOSYS,),
}
_PLAIN = ("stat", "lstat", "fstat", "scandir", "listdir", "read", "pread", "close")


def errnos_of(name: str) -> tuple[int, ...]:
    """What a call can fail with."""
    return _ALWAYS + ERRNOS.get(name, ())


class Interposed:
    """Counts the calls for files below a folder, and lets one of them fail."""

    def __init__(
        self, folder: str, at: int | None = None, number: int = 0, fault: signal.Signals | None = None
    ) -> None:
        self.calls: list[str] = []
        self._folder, self._at, self._number, self._fault = folder, at, number, fault
        self._places: dict[int, str] = {}
        self._readlink = os.readlink

    def install(self) -> None:
        """Take the place of the functions, in this process and for ever."""
        for name in {*ERRNOS, *_PLAIN} - {"flock", "open", "close"}:
            setattr(os, name, self._of(name, getattr(os, name)))
        os.open = self._of("open", os.open)
        fcntl.flock = self._of("flock", fcntl.flock)
        opening = self._of("open", builtins.open)
        builtins.open = io.open = opening

    def _of(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            place = self._place(arguments[0] if arguments else ".")
            if place is None:
                return real(*arguments, **more)
            self.calls.append(name)
            if len(self.calls) - 1 != self._at:
                return real(*arguments, **more)
            if self._fault is not None:
                os.kill(os.getpid(), self._fault)
            else:
                raise OSError(self._number, os.strerror(self._number), place)
            return real(*arguments, **more)

        return call

    def _place(self, where: Any) -> str | None:
        """The path that a call is about, None for one elsewhere."""
        if hasattr(where, "fileno"):
            where = where.fileno()
        if isinstance(where, bool | type(None)):
            return None
        if isinstance(where, int):
            try:
                where = self._readlink(f"/proc/self/fd/{where}")
            except OSError:
                return None
            if not where.startswith("/"):  # such as a pipe
                return None
        path = os.path.abspath(os.fsdecode(where))
        return path if path.startswith(self._folder) else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did: `call` failed, None where all worked."""

    code: int
    stdout: str
    stderr: str
    calls: Sequence[str]


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    at: int | None = None,
    number: int = 0,
    fault: signal.Signals | None = None,
    environment: dict[str, str],
) -> Outcome:
    """Run a command in a fork whose `at`-th call below a folder fails with an errno, or begins with a signal."""
    pipes = [os.pipe() for _ in range(3)]
    process = os.fork()
    if not process:
        try:
            _become(
                arguments,
                folder,
                Interposed(str(folder), at, number, fault),
                [writer for _, writer in pipes],
                environment,
            )
        finally:
            os._exit(99)
    texts = []
    for _, writer in pipes:
        os.close(writer)
    for reader, _ in pipes:
        with open(reader, errors="replace") as file:
            texts.append(file.read())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Outcome(code=code, stdout=texts[0], stderr=texts[1], calls=texts[2].split())


def _become(
    arguments: Sequence[str], folder: Path, interposed: Interposed, outputs: Sequence[int], environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(outputs[0], 1)
    os.dup2(outputs[1], 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    calls = os.fdopen(outputs[2], "w")
    code = 98
    try:
        from holdfast.cli import _catch_signals
        from holdfast.cli import run as command

        _catch_signals()
        interposed.install()
        code = command([*arguments])
    except BaseException:  # noqa: BLE001 (the command must not end so: it is a finding)
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    calls.write(" ".join(interposed.calls))
    calls.close()
    os._exit(code)


def points(calls: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    """Each call with each errno that it can fail with."""
    for at, name in enumerate(calls):
        for number in errnos_of(name):
            yield at, name, number
