"""The owner and mode that the user of a restore has named, in the place of those that the file had."""

import contextlib
import grp
import os
import pwd
import re
import stat
from dataclasses import dataclass
from typing import Self

from holdfast.api import CredentialsError, UsageError, os_error_text, quote_name
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.target.attributes import NOBODYS, Owner, change_mode, user_text


@dataclass(frozen=True, kw_only=True)
class Named:
    """What was named for the file at `path`; None where nothing was."""

    path: str
    owner: tuple[int, int] | None = None
    mode: int | None = None

    @classmethod
    def of(cls, options: SqliteOptions, path: str) -> Self:
        """What options say for the file at a path; `UsageError` for what is no owner or no mode."""
        return cls(
            path=path,
            owner=_owner(options.owner, path) if options.owner else None,
            mode=_mode(options.mode) if options.mode else None,
        )

    def give(self, image: int, warnings: list[str]) -> list[str]:
        """Give an image what was named, of which nothing else is to be said then, or raise `CredentialsError`."""
        if self.owner is not None:
            _give_to(image, self.path, self.owner)
            warnings = [warning for warning in warnings if "belong" not in warning]
        if self.mode is not None:
            _allow_only(image, self.path, self.mode)
        return warnings

    def same_file(self) -> list[str]:
        """Say what the file does not get that is written into and not replaced."""
        kept = [what for what, named in (("owner", self.owner), ("mode", self.mode)) if named is not None]
        return [f"{quote_name(self.path)} is the same file as before, and keeps its {' and '.join(kept)}"] * bool(kept)


def _owner(text: str, path: str) -> tuple[int, int]:
    """The ids of the user and group that a text names for a file at a path, -1 for what it leaves as it is."""
    if text == "folder":
        status = os.stat(os.path.dirname(path))
        return status.st_uid, status.st_gid
    user, colon, group = text.partition(":")
    uid = gid = -1
    try:
        if user:
            uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
        if group:
            gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        elif user and not colon:
            with contextlib.suppress(KeyError):  # of an id that has no account, the group stays
                gid = pwd.getpwuid(uid).pw_gid
    except KeyError as error:
        raise UsageError(
            f"owner is {quote_name(text)}, and there is no such user or group here", hint="give it by its number"
        ) from error
    if (uid, gid) == (-1, -1) or max(uid, gid) >= NOBODYS:
        raise UsageError(f"owner is {quote_name(text)}, expected USER, USER:GROUP, :GROUP or folder")
    return uid, gid


def _mode(text: str) -> int:
    """The permission bits that a text names, in octal digits as chmod takes them."""
    if not re.fullmatch("(0o?)?[0-7]{1,3}", text):
        raise UsageError(f"mode is {quote_name(text)}, expected octal digits from 0000 to 0777, such as 0640")
    return int(text, 8)


def _give_to(image: int, path: str, owner: tuple[int, int]) -> None:
    """Give a file to whom its user has named, or raise `CredentialsError`."""
    status = os.fstat(image)
    user, group = owner
    wanted = (status.st_uid if user == -1 else user, status.st_gid if group == -1 else group)
    reason = ""
    if wanted != (status.st_uid, status.st_gid):
        try:
            os.chown(image, *wanted)
        except OSError as error:
            reason = os_error_text(error)
    status = os.fstat(image)
    if (status.st_uid, status.st_gid) != wanted:
        whose = user_text(Owner(user=wanted[0], group=wanted[1], mode=0))
        raise CredentialsError(
            f"{quote_name(path)} cannot be given to {whose}: {reason or 'the file system has another owner for it'}",
            hint="restore as that user, or as root",
        )


def _allow_only(image: int, path: str, mode: int) -> None:
    """Give a file the mode that its user has named, or raise `CredentialsError`."""
    reason = change_mode(image, mode)
    status = stat.S_IMODE(os.fstat(image).st_mode)
    if status != mode:
        raise CredentialsError(
            f"{quote_name(path)} cannot be given the mode {mode:04o}: "
            f"{reason or f'the file system has {status:04o} for it'}",
            hint="restore to another file system, or without a mode",
        )
