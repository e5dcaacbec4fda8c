"""The side files that opening a database makes beside it: gone again when it is read, however this process ends."""

from __future__ import annotations

import json
import os

from holdfast_sqlite.snapshot.locks import claim, give_up, is_claimed, remove_unused

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from typing import NoReturn

_LEFT_BEHIND = ("-wal", "-shm")
# Bytes of the database file, far behind its end and all locks of SQLite.
_CLAIMS = {"-wal": 1 << 40, "-shm": (1 << 40) + 1}


class SideFiles:
    """The side files of one database that were not there before this process, or another such one, opened it.

    `watch` before it is opened, `remove` once its connections are closed. Whatever ends this process in between, a
    signal that nothing can catch included, the process that `watch` has forked removes them then. Of several processes
    that have it open at once the last one removes what the first has made: each of them holds a lock that says so.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._absent = self._missing()
        self._descriptor: int | None = None

    def watch(self) -> None:
        """Have them removed also if this process is killed."""
        # Closed with the process: sooner it would drop the locks of its connections.
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        before = self._missing()
        made = [suffix for suffix in _LEFT_BEHIND if is_claimed(self._descriptor, _CLAIMS[suffix])]
        self._absent = list({*self._absent, *before, *made, *self._missing()})
        for suffix in self._absent:
            claim(self._descriptor, _CLAIMS[suffix])
        if self._absent:
            _tell(self._path, self._absent)

    def remove(self) -> None:
        """Remove those that nobody else uses by now."""
        if self._absent:
            remove_unused(self._path, self._absent)
            _forget(self._path)
        if self._descriptor is not None:
            for suffix in self._absent:
                give_up(self._descriptor, _CLAIMS[suffix])

    def _missing(self) -> list[str]:
        return [suffix for suffix in _LEFT_BEHIND if not os.path.exists(self._path + suffix)]


_watcher: tuple[int, int] | None = None  # its id, and where its pipe is: one watches over all that a process opens
_watched: set[str] = set()


def _tell(path: str, absent: list[str]) -> None:
    global _watcher  # noqa: PLW0603 (a process has one)
    if _watcher is None:
        try:
            _watcher = _fork()
        except OSError:
            return  # no process to be had: the regular end removes them, and only a kill leaves something
    os.write(_watcher[1], json.dumps([path, absent]).encode() + b"\n")
    _watched.add(path)


def _forget(path: str) -> None:
    """Say that nothing is left to do for a path; with the last one the watcher ends and is waited for.

    In a container the first process may never wait for those that others leave behind.
    """
    global _watcher  # noqa: PLW0603 (as above)
    if _watcher is None or path not in _watched:
        return
    _watched.remove(path)
    process, pipe = _watcher
    os.write(pipe, json.dumps([path, []]).encode() + b"\n")
    if not _watched:
        _watcher = None
        os.close(pipe)
        try:  # noqa: SIM105 (contextlib would take a fiftieth of the time in which this process starts)
            os.waitpid(process, 0)
        except ChildProcessError:
            pass  # it has ended: the program that we run in ignores SIGCHLD


def _fork() -> tuple[int, int]:
    """Begin the watcher, and return its id and the pipe to it, once no signal to this process or its group can end it.

    It keeps the channel to the parent open: whoever waits for its end has also waited for this. To its locks nothing
    happens here, for those of a process are not those of its children (fcntl(2)).
    """
    source, target = os.pipe()
    ready, starting = os.pipe()
    if process := os.fork():
        os.close(source)
        os.close(starting)
        os.read(ready, 1)  # its end
        os.close(ready)
        return process, target
    try:
        os.close(target)
        os.close(ready)
        _ignore_signals()
        os.close(starting)
        _watch(source)
    finally:
        os._exit(1)


def _ignore_signals() -> None:
    import signal

    os.setsid()  # what is sent to the group of the process is not for us
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _watch(pipe: int) -> NoReturn:
    os.close(0)
    os.close(1)
    watched: dict[str, list[str]] = {}
    with open(pipe, "rb") as lines:
        for line in lines:
            path, absent = json.loads(line)
            watched[path] = absent
    for path, absent in watched.items():
        remove_unused(path, absent)
    os._exit(0)
