"""A database is its inode, not its name: who uses one, and whether under the name that it is read by.

The write-ahead log lies beside the name by which a program has opened the file, and so does its index, whose locks
keep a reader's snapshot. Under another name (a hard link, a single file mounted into a container, a file renamed or
replaced while it is open) the same pages are read without that log, and change while they are read.
"""

from __future__ import annotations

import os
import time

from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.files import size_of
from holdfast_sqlite.holders import maps, open_files, process_names, processes
from holdfast_sqlite.mounts import describe
from holdfast_sqlite.snapshot.leases import is_written
from holdfast_sqlite.snapshot.lock_table import ATTACHED, LockTable, blocker
from holdfast_sqlite.snapshot.locks import PENDING
from holdfast_sqlite.snapshot.other_names import OtherNames, other_logs

_PAUSE = 0.02  # seconds; a connection that is being opened has one of its two locks for far less
_GONE = " (deleted)"  # how the kernel ends the name of a file that has none any more
_WRITING = 2  # bytes: who writes in rollback mode holds the second, RESERVED, or the first as well
_LOOKS = 3
_MANY_LOOKS = 10  # where nothing but the locks tells
_HIDDEN = 1 << 30  # until the time for locks is up: whoever cannot be seen may be about to open it by this name


class Objection:
    """What speaks against reading a database by this name; it may pass until it was met in `looks` looks in a row."""

    def __init__(self, text: str, hint: str, looks: int = _LOOKS) -> None:
        self.text = text
        self.hint = hint
        self.looks = looks


class Names:
    """Watches over the names of a database while it is read. Descriptors stay open: closing one drops all locks."""

    def __init__(self, path: str, descriptor: int, lock_timeout: float) -> None:
        self.warnings: list[str] = []
        self.in_use = False
        self._path = path
        self._file = descriptor
        self._timeout = lock_timeout
        self._index: int | None = None
        self._index_hidden = False
        self._identity = _identity(os.fstat(descriptor))

    def check(self) -> None:
        """Refuse a database that somebody uses under another name; sets `in_use`, for somebody who does by this one.

        Looks several times: between opening and its first lock of the index every connection looks like a stranger.
        """
        deadline = time.monotonic() + self._timeout
        looks = 0
        while (objection := self._objection()) is not None:
            looks += 1
            if looks >= objection.looks or time.monotonic() > deadline:
                raise TaskError("unsafe", objection.text, hint=objection.hint)
            time.sleep(_PAUSE)

    def check_at_rest(self, *, wal: bool) -> None:
        """Refuse a database that nobody uses and whose log or hot journal lies beside another name of it."""
        if self.in_use or size_of(f"{self._path}-wal"):
            return
        others = OtherNames(self._path, os.fstat(self._file), everywhere=wal)
        for name in others.names:
            for _ in range(_LOOKS):
                log = self._log_beside(name)
                if log is None:
                    break
                time.sleep(_PAUSE)
            else:
                raise TaskError(
                    "unsafe",
                    f"it has another name, {describe(name)}, and {log} beside that is not merged into it",
                    hint="open it once by that name with a program that uses it, or back it up by that name",
                )
        self.warnings += others.unknown

    def _log_beside(self, name: str) -> str | None:
        """What lies beside another name and waits to be merged or rolled back, not what is being written."""
        log = next(other_logs(name, self._path), None)
        return None if log is None or blocker(self._file, PENDING, _WRITING) is not None else log

    def _objection(self) -> Objection | None:
        self._open_index()
        table = LockTable(self._file, self._index)
        self.in_use = bool(table.attached)
        if self._index_hidden and (table.readers or table.unseen):
            raise TaskError("SQLITE_PERM", f"it is in use, and the index of its log, {self._path}-shm, is not readable")
        strangers = table.readers - table.attached
        for pid in strangers & table.elsewhere:
            if (objection := self._under_another_name(pid)) is not None:
                return objection
        for pid in strangers | (set() if table.readers | table.attached else self.openers()):
            if (objection := self._without_locks(pid)) is not None:
                return objection
        for pid in table.attached - table.readers:
            if (objection := self._without_the_file(pid)) is not None:
                return objection
        if table.unseen:
            return Objection(
                "somebody whom this process cannot see has it open, and does not use the log beside this name",
                "back it up in that container, or mount the folder of the database into both instead of the file alone",
                _HIDDEN,
            )
        return None

    def _open_index(self) -> None:
        """Have the index open that is beside the name now."""
        name = f"{self._path}-shm"
        try:
            if self._index is None or _identity(os.fstat(self._index)) != _identity(os.stat(name)):
                self._index = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            self._index_hidden = False
        except OSError as error:
            self._index = None  # an old descriptor stays open, with the locks that SQLite may have by now
            self._index_hidden = isinstance(error, PermissionError)

    def openers(self) -> set[int]:
        """Processes that have the file open, as far as can be seen; looked for only if somebody could write to it."""
        if is_written(self._file) is False:
            return set()
        own = os.getpid()
        return {pid for pid in processes() if pid != own and self._identity in (open_files(pid) or {}).values()}

    def _under_another_name(self, pid: int) -> Objection | None:
        """What a process is about that has the file locked and the index of another log."""
        files = open_files(pid)
        if files is not None:
            return self._by_files(pid, files)
        return Objection(
            f"it is in use under another name, by {process_names({pid})}, whose log is beside that name",
            "back it up by the name that is in use",
            _MANY_LOOKS,
        )

    def _by_files(self, pid: int, files: dict[str, tuple[int, int]]) -> Objection | None:
        """What the open files of a process tell: under which name it has this one, and which log."""
        ours = _identity_of(f"{self._path}-wal")
        bare = {name.removesuffix(_GONE) for name in files}
        logs = {name.removesuffix(_GONE): name for name, identity in files.items() if identity != ours}
        for name in (name for name, identity in files.items() if identity == self._identity):
            log = logs.get(f"{name.removesuffix(_GONE)}-wal")
            # Renamed while it is open: of the logs that the process has, it is the one without a database.
            alone = (log for log in logs if log.endswith("-wal") and log.removesuffix("-wal") not in bare)
            if (log := log or next(alone, None)) is not None:
                return self._another_log(pid, name, logs.get(log, log))
        return None

    def _another_log(self, pid: int, name: str, log: str) -> Objection:
        who = process_names({pid})
        if log.endswith(_GONE):
            return Objection(
                f"its log was removed while {who} has it open, which goes on writing to that",
                "end that program in the regular way: it merges its log into the file when it closes it",
            )
        if log != f"{name}-wal":
            return Objection(
                f"it was renamed while {who} has it open, whose log is {log}",
                "end that program in the regular way: it merges its log into the file when it closes it",
            )
        here = _identity_of(name) == self._identity and _same_mounts(pid)
        where = name if here else f"{name} of its own container"
        return Objection(
            f"it is in use under another name: {who} has it open as {where}, and writes the log beside that",
            f"back it up by that name, {name}"
            if here
            else "back it up in that container, or mount the folder of the database into it instead of the file alone",
        )

    def _without_locks(self, pid: int) -> Objection | None:
        """Whether a process writes this log and holds no lock on its index.

        One that has the index in its memory uses it by itself, and has lost its locks by closing a copy of the file;
        its next transaction takes new ones. One that has not serves others, whose locks do not reach here.
        """
        files = open_files(pid, to_write=True)
        if files is None or self._identity not in files.values():
            return None
        ours = _identity_of(f"{self._path}-shm")
        index = next((name for name, identity in files.items() if identity == ours), None)
        if index is None:
            files = {name: identity for name, identity in files.items() if self._belongs(name, files)}
            return self._by_files(pid, files)
        if maps(pid, index):
            self._warn(
                f"{process_names({pid})} has it open and has lost its locks, as a program does that opens and closes "
                "the file besides: SQLite cannot protect the database from others then"
            )
            return None
        return Objection(
            f"{process_names({pid})} has it and its log open without SQLite's locks, for others whose locks do not "
            "reach here",
            "back it up from where it is used, or stop what uses it there",
            _MANY_LOOKS,
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _belongs(self, name: str, files: dict[str, tuple[int, int]]) -> bool:
        """Whether an open file is this database, or the log of one of its names."""
        bare = name.removesuffix(_GONE).removesuffix("-wal")
        return any(files.get(other) == self._identity for other in (name, bare, bare + _GONE))

    def _without_the_file(self, pid: int) -> Objection | None:
        """Whether a process uses this log and has another file open as its database."""
        files = open_files(pid)
        if files is None or self._identity in files.values():
            return None  # not to see; or it has lost its lock, which no reader of the log needs
        return Objection(
            f"the log beside it belongs to another file: {process_names({pid})} has the log open, and not this file, "
            "which has taken the other one's place meanwhile",
            "restart that program, and look which of the two files holds its data",
        )


def used_elsewhere_alone(path: str, descriptor: int) -> bool:
    """Whether everybody who has a database open has it by another name, so that nobody has a file beside this one."""
    index = os.open(f"{path}-shm", os.O_RDONLY | os.O_CLOEXEC)
    table = LockTable(descriptor, index)
    if table.attached or table.writers or table.unseen or blocker(index, ATTACHED, 1) is not None:
        return False
    log = _identity_of(f"{path}-wal")
    files = [open_files(pid) for pid in table.readers]
    return all(names is not None and log not in names.values() for names in files)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        return _identity(os.stat(path))
    except OSError:
        return None


def _same_mounts(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return True
