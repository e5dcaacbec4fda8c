"""stdin, stdout and stderr as they were given to us: closed, in another encoding, or made non-blocking by somebody.

Standard output is for what commands say themselves. What plugins, libraries and children print while one runs goes to
stderr: a program that reads JSON, or a dump, would stumble over it.
"""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_replaced: list[TextIO] = []  # whoever let go of one might close its descriptor
_outputs: list[TextIO] = []  # of the commands that run, which in tests may be several


class _PatientFile(io.FileIO):
    """A descriptor that is written to until all is written.

    Whoever shares a terminal, socket or pipe with us (ssh, node.js, a task runner) can make it non-blocking, also while
    we write to it. Python then drops what did not fit, and `write` says so by its result alone, which no text stream
    looks at: `cat` gave the first 64 KiB, with exit code 0.
    """

    def write(self, data: object, /) -> int:
        """Write what fits, and wait until something does."""
        while (count := super().write(data)) is None:  # type: ignore[arg-type]
            import select

            waiting = select.poll()
            waiting.register(self, select.POLLOUT)
            waiting.poll()
        return count


def open_standard_streams() -> None:
    """Make the standard streams what commands can write to.

    /dev/null takes the place of each that was closed when we were started. Otherwise the next file to be opened, maybe
    a blob, would get the number of stdout or stderr, and what a child or a library prints would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    sys.stdout, sys.stderr = _patient(sys.stdout, 1), _patient(sys.stderr, 2)


def _patient(stream: TextIO, number: int) -> TextIO:
    """The same stream, none of whose text gets lost; a stream of somebody else's stays as it is."""
    if type(stream) is not io.TextIOWrapper or stream.fileno() != number:
        return stream
    stream.flush()
    _replaced.append(stream)
    return _wrapped(_PatientFile(number, "w", closefd=False), stream)


def _wrapped(file: io.FileIO, like: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )


def choose_encoding() -> None:
    """Write data as UTF-8 whatever the locale says (cron has none), and to a terminal what that can show.

    A path is bytes: those that are no UTF-8 go out as they are.
    """
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper):
        return
    if not output.isatty():
        output.reconfigure(encoding="utf-8", errors="surrogateescape")
    elif codecs.lookup(output.encoding).name == "utf-8":
        output.reconfigure(errors="surrogateescape")
    else:
        output.reconfigure(errors="backslashreplace")


def output() -> TextIO:
    """Where a command writes its data."""
    return _outputs[-1] if _outputs else sys.stdout


@contextmanager
def own_output() -> Iterator[None]:
    """Keep standard output for the data of a command: what is printed meanwhile by anything else goes to stderr."""
    printed = sys.stdout
    data, give_back = _moved(printed)
    _outputs.append(data)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = printed
        _outputs.remove(data)
        give_back()


def divert_output() -> None:
    """Let what is printed from now on, at the end of Python, go to stderr."""
    flush()
    if type(sys.stdout) is io.TextIOWrapper and sys.stdout.fileno() == 1:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)


def _moved(stream: TextIO) -> tuple[TextIO, Callable[[], None]]:
    """A stream to where stdout leads, whose own descriptor leads to stderr meanwhile, and what undoes that.

    A stream of somebody else's stays as it is, and so does one of which no copy can be had.
    """
    if type(stream) is not io.TextIOWrapper or stream.fileno() != 1:
        return stream, lambda: None
    import fcntl

    try:
        stream.flush()
        copy = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:  # which the command will meet where it writes
        return stream, lambda: None
    os.dup2(2, 1)
    moved = _wrapped(_PatientFile(copy, "w"), stream)

    def give_back() -> None:
        os.dup2(copy, 1)
        with contextlib.suppress(OSError, ValueError):  # told where it was written, and closed all the same
            moved.close()

    return moved, give_back


def flush() -> None:
    """Flush; a stream that cannot be written to is replaced by /dev/null, or Python would exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
