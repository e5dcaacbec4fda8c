"""The file that a restore goes to: what it is now, who uses it, and how another one takes its place."""

import contextlib
import errno
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    LockedError,
    RestoreRequest,
    UnsafeError,
    give_name,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.errors import error_class
from holdfast_sqlite.holders import holders, process_names
from holdfast_sqlite.location.path import database_path, real_path
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.session import Child
from holdfast_sqlite.target.attributes import dress_as, dress_new
from holdfast_sqlite.target.image import SIDE_FILES, TemporaryImage
from holdfast_sqlite.target.in_place import STOP, copy_into
from holdfast_sqlite.target.named import Named
from holdfast_sqlite.target.place import check_place, is_mounted, sync_folder

PATIENCE = 1.0
"""Seconds to wait for somebody who has the target open before it counts as in use."""
# A rename over a file is refused so for what the file is, not for who asks: a mount by itself (a container's), file
# systems that join others (mergerfs, shfs), or that rename nothing over a file.
_NOT_RENAMED = (errno.EBUSY, errno.EXDEV, errno.EEXIST, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


log = logging.getLogger("holdfast.sqlite")


class Target:
    """A database file, there or not; `image` is the temporary file beside it which is to take its place."""

    def __init__(self, path: str, *, options: SqliteOptions, facts: Mapping[str, Any]) -> None:
        # A link stays a link: the file that it leads to is replaced.
        self.path = real_path(path)
        self.warnings: list[str] = []
        self._lock_timeout = options.lock_timeout
        self._facts = facts
        self._previous = check_place(self.path)
        self.named = Named.of(options, self.path)
        self._temporary = TemporaryImage(self.path)
        self.image = self._temporary.path

    @classmethod
    def of(cls, request: RestoreRequest) -> Self:
        """The target of a request; refused where no file could be put."""
        return cls(database_path(request.url), options=request.options, facts=request.facts)

    @property
    def exists(self) -> bool:
        """Whether there was a file when the restore began."""
        return self._previous is not None

    def claim(self) -> None:
        """Make the temporary file, and remove what killed restores into the same target have left."""
        self._temporary.claim()

    def confirm(self) -> None:
        """Make sure that the temporary file is still the one that was made."""
        _ = self._temporary.descriptor

    def abandon(self) -> None:
        """Remove the temporary file, if it is still there, and whatever SQLite may have put beside it."""
        replaced = self._is_replaced
        try:
            self._temporary.abandon()
        except HoldfastError as error:
            if not replaced:
                raise
            log.warning("%s", error.message)  # the restore is done

    def holds_data(self, scratch: Path) -> bool:
        """Whether the file is anything but an empty database."""
        if self._previous is None:
            return False
        if not os.access(self.path, os.R_OK):
            return True
        with Child(
            "probe", scratch=scratch, path=self.path, uri=sqlite_uri(self.path, "ro"), lock_timeout=PATIENCE
        ) as child:
            message = child.receive()
            return message["event"] != "probed" or bool(message["data"])

    def refuse_in_use(self, *, besides: tuple[int, ...] = ()) -> None:
        """Refuse a target that some process has open: it would go on with a file that is no longer there."""
        pids = holders(self.path, besides=besides)
        if pids:
            raise UnsafeError(f"{quote_name(self.path)} is in use by {process_names(pids)}", hint=STOP)

    def replace(self, scratch: Path) -> None:
        """Put the image in the target's place, with its mode, owner and attributes; where no rename can, copy it."""
        if self._previous is not None and is_mounted(self.path):
            self._copy_in_place(scratch, "is mounted by itself")
            return
        try:
            with self._errors():
                self._rename(scratch)
        except _NotRenamedError:
            self._copy_in_place(scratch, "cannot be renamed over")
        except HoldfastError as error:
            if not self._is_replaced:
                raise
            self.warnings += [f"{quote_name(self.path)} is restored, though {error.message}", *sync_folder(self.path)]
        except BaseException as error:  # a signal
            if self._is_replaced:
                sync_folder(self.path)
                error.add_note(f"{quote_name(self.path)} is restored all the same")
            raise

    @property
    def _is_replaced(self) -> bool:
        """Whether the point of no return is passed: the new file has the name of the old one."""
        return self._temporary.is_at(self.path)

    def _rename(self, scratch: Path) -> None:
        image = self._temporary.descriptor
        if self._previous is None:
            warnings = dress_new(image, self.path, self._temporary.usual, self._facts, self.named.mode)
            self.warnings += self.named.give(image, warnings)
            self._publish_new()
        else:
            warnings = self.named.give(image, dress_as(image, self.path, self._previous, self.named.mode))
            self._swap(scratch)
            self.warnings += [*warnings, *_other_names(self.path, self._previous.st_nlink - 1)]
        self.warnings += sync_folder(self.path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Say of the target, and not of a temporary file, what the system refuses."""
        try:
            yield
        except OSError as error:
            text = f"cannot replace {quote_name(self.path)}: {os_error_text(error)}"
            if error.errno not in (errno.EPERM, errno.EACCES):
                raise HoldfastError(text) from error
            hint = "it, its log or its folder may be immutable or append-only (lsattr, chattr), or another user's"
            raise CredentialsError(text, hint=hint) from error

    def _swap(self, scratch: Path) -> None:
        """Rename over the old file while nobody can begin to use it."""
        uri = sqlite_uri(self.path, "rw")
        with Child("hold", scratch=scratch, path=self.path, uri=uri, lock_timeout=PATIENCE) as child:
            try:
                message = child.receive()
                if message["event"] == "error":
                    raise _not_held(self.path, str(message["kind"]), str(message["text"]), child.pid)
                self.refuse_in_use(besides=(child.pid,))
                with self._aside():
                    self._rename_over()
            except BaseException:
                if self._is_replaced:
                    child.send("release")
                    raise
                child.send("undo")
                with contextlib.suppress(HoldfastError):  # of its end, before or after
                    while child.receive()["event"] != "undone":
                        pass
                raise
            child.send("release")

    def _rename_over(self) -> None:
        try:
            os.rename(self.image, self.path)
        except OSError as error:
            if error.errno in _NOT_RENAMED:
                raise _NotRenamedError from error
            raise

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Keep stale side files out of the way: gone once the new file is there, back where they were otherwise."""
        moved: list[str] = []
        try:
            for suffix in filter(lambda suffix: os.path.lexists(self.path + suffix), SIDE_FILES):
                moved.append(suffix)  # before it is, for a signal may come right after
                os.rename(self.path + suffix, f"{self.image}.old{suffix}")
            yield
        finally:
            # Beside the new file SQLite would play them into it.
            for suffix in moved:
                aside = f"{self.image}.old{suffix}"
                if self._is_replaced:
                    self._remove(aside)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(aside, self.path + suffix)

    def _remove(self, path: str) -> None:
        """Remove what is left once the new database is there; what cannot be is in nobody's way."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.warnings.append(f"{quote_name(path)} is left over, remove it: {os_error_text(error)}")

    def _publish_new(self) -> None:
        """Link the image to a name that was free, so that a file made meanwhile is not overwritten."""
        with self._aside():
            try:
                give_name(self.image, self.path)
            except FileExistsError as error:
                raise self._created_meanwhile() from error

    def _created_meanwhile(self) -> UnsafeError:
        return UnsafeError(f"{quote_name(self.path)} was created by another process meanwhile")

    def copy_live(self, scratch: Path) -> None:
        """Copy the image into the target as one transaction, which its users see like any other."""
        self.confirm()
        copy_into(self.path, self.image, scratch=scratch, lock_timeout=self._lock_timeout)
        self.warnings += self.named.same_file()

    def _copy_in_place(self, scratch: Path, reason: str) -> None:
        """The same for a file that nobody uses, and that no other one can take the place of."""
        self.confirm()
        copy_into(self.path, self.image, scratch=scratch, lock_timeout=PATIENCE, exclusive=True)
        self.warnings += self.named.same_file()
        self.warnings.append(
            f"{quote_name(self.path)} {reason}, so that the backup was copied into it, in one transaction; remove a "
            "-wal or -journal that lies beside it under another name before it is opened there"
        )


def _other_names(path: str, count: int) -> list[str]:
    if count < 1:
        return []
    names = "1 other name" if count == 1 else f"{count} other names"
    return [f"{quote_name(path)} had {names} (hard links), where the old database still is"]


def _not_held(path: str, kind: str, text: str, ours: int) -> HoldfastError:
    error = error_class(kind)
    if error is LockedError:
        users = holders(path, besides=(ours,))
        by = f" by {process_names(users)}" if users else f": {text}"
        return UnsafeError(f"{quote_name(path)} is in use{by}", hint=STOP)
    hint = None
    if kind.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        hint = "this user may not open its -wal, -shm or -journal: restore as their owner"
    return error(f"cannot replace {quote_name(path)}: {text}", hint=hint)


class _NotRenamedError(Exception):
    """No file can be renamed over the target."""
