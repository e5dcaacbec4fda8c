"""One moment of several databases: a child process that holds them all, and copies each when its turn comes.

It holds locks and read transactions on files, so that it is one process for all of them, and copies are what it hands
over: a process that checks or writes a script has no part in these locks (`holdfast_sqlite.snapshot.moment`).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from holdfast.api import HoldfastError, MomentRequest, quote_name
from holdfast_sqlite.errors import source_error
from holdfast_sqlite.location.path import check_source, database_path, real_path
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.session import Child

log = logging.getLogger("holdfast.sqlite")

_AGAIN = "it was backed up before in this run"


@dataclass(frozen=True, kw_only=True)
class HeldCopy:
    """A file in the state of the moment."""

    path: str
    method: str  #: by which method it was copied
    frames: int | None  #: how many frames were taken from the log
    warnings: tuple[str, ...]  #: what was to be said of the file
    moment: str  #: what the moment is called


class HeldFiles:
    """The files of one moment; `missing` says by URL why a database is not among them."""

    def __init__(self, request: MomentRequest) -> None:
        self.name = request.name
        self.missing: dict[str, str] = {}
        self.warnings: list[str] = []
        self._unreachable = ""  # why some were not opened; their own backups say the same
        self._numbers: dict[str, int] = {}  # by path, the resolved one
        self._inodes: dict[tuple[int, int], str] = {}
        self._reasons: dict[str, str] = {}
        self._urls: dict[str, list[str]] = {}
        for url in request.urls:
            self._add(url)

    def _add(self, url: str) -> None:
        try:
            path = database_path(url)
            status = check_source(path)
        except HoldfastError as error:
            self._unreachable = error.message
            return
        real = real_path(path)
        # A process that closes one name of a file loses the locks that it has by the other.
        same = self._inodes.setdefault((status.st_dev, status.st_ino), real)
        if same != real:
            self._reasons[real] = f"it is the same file as {quote_name(same)}"
            self.missing[url] = self._reasons[real]
            return
        self._numbers.setdefault(real, len(self._numbers))
        self._urls.setdefault(real, []).append(url)

    @property
    def paths(self) -> list[str]:
        """The files to hold, by number."""
        return [*self._numbers]

    def hold(self, child: Child, request: MomentRequest) -> None:
        """Take the moment: returns once all is held that can be."""
        self._child = child
        self._lock_timeout = request.options.lock_timeout
        held = self._expect("held")
        self.warnings += held["warnings"]
        for path, reason in zip(self.paths, held["refusal"], strict=True):
            if reason:
                self._leave_out(path, reason)

    def _leave_out(self, path: str, reason: str) -> None:
        self._reasons[path] = reason
        self.missing |= dict.fromkeys(self._urls[path], reason)

    def copy(self, path: str) -> tuple[HeldCopy | None, str]:
        """Have a file copied, once; or None and why there is no copy."""
        if path not in self._numbers and path not in self._reasons:
            return None, self._unreachable
        if path not in self._reasons:
            self._child.send(str(self._numbers[path]))
            try:
                facts = self._expect("image")
            except HoldfastError as error:  # it has ended, and with it every lock
                facts = {"refusal": error.message}
            if not facts["refusal"]:
                self._reasons[path] = _AGAIN
                copy = HeldCopy(
                    path=facts["path"],
                    method=facts["method"],
                    frames=facts["frames"],
                    warnings=tuple(facts["warnings"]),
                    moment=self.name,
                )
                return copy, ""
            self._leave_out(path, facts["refusal"])
        return None, self._reasons[path]

    def end(self) -> None:
        """Let go of what is still held, and remove what opening has left beside it."""
        self._child.send("end")
        self._expect("ended")

    def _expect(self, event: str) -> dict[str, Any]:
        message = self._child.receive()
        if message["event"] == "error":
            raise source_error(message, "the databases", self._lock_timeout)
        if message["event"] != event:
            raise HoldfastError(f"the SQLite engine's child process said '{message['event']}', expected '{event}'")
        return message


def held_copy(stack: ExitStack, moment: object, path: str) -> tuple[HeldCopy | None, str]:
    """A copy of the file in the state of the moment, which is removed with the stack; or why there is none."""
    if not isinstance(moment, HeldFiles):
        return None, ""
    copy, late = moment.copy(path)
    if copy is not None:
        stack.callback(_remove, copy.path)
    return copy, late


def _remove(path: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


def open_moment(request: MomentRequest) -> AbstractContextManager[HeldFiles] | None:
    """Hold the databases of the request at one moment, as many of them as can be; None if that is not wanted."""
    return _hold(request) if request.options.one_moment else None


@contextmanager
def _hold(request: MomentRequest) -> Iterator[HeldFiles]:
    held = HeldFiles(request)
    with Child(
        "moment",
        scratch=request.scratch,
        paths=held.paths,
        uris=[sqlite_uri(path, "ro") for path in held.paths],
        lock_timeout=request.options.lock_timeout,
    ) as child:
        held.hold(child, request)
        yield held
        try:
            held.end()
        except HoldfastError as error:  # those that were not copied by then have said so
            log.warning("the databases of one moment were not let go of in the regular way: %s", error.message)
