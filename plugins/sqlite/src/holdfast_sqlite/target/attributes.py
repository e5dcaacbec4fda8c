"""Whom a restored file belongs to: owner, mode, access control lists and the other extended attributes.

A file that replaces another takes that one's. Where there is none any more, the next best witness tells: a log or
journal that it has left, which SQLite gives the owner and mode of its database; what the backup has recorded, if it
is restored to the path that it was made from; and else the folder.

The new file is its descriptor and not its name, which whoever owns the folder may have given to another file.
"""

import contextlib
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from holdfast.api import CredentialsError, UsageError, os_error_text, quote_name

_ACL = "system.posix_acl_access"
_DEFAULT_ACL = "system.posix_acl_default"
# Of the content and not of the file: a copy on other content would be wrong.
_OF_CONTENT = ("security.ima", "security.evm", "security.capability")
_NOBODYS = (1 << 32) - 1  # chown takes it for "leave it as it is": the ids of users and groups are below it


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who may do what with a file."""

    user: int
    group: int
    mode: int  #: the permission bits

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """That of a file."""
        return cls(user=status.st_uid, group=status.st_gid, mode=stat.S_IMODE(status.st_mode))

    @classmethod
    def recorded(cls, facts: Mapping[str, Any], path: str) -> tuple[Self | None, bool]:
        """That of a backup's source as the dump recorded it, if it did, and whether it was the source at `path`."""
        source = facts.get("file")
        if not isinstance(source, Mapping):
            return None, False
        try:
            mode = int(str(source["mode"]), 8) & 0o777
            owner = cls(user=int(source["user"]), group=int(source["group"]), mode=mode)
        except (KeyError, TypeError, ValueError):  # written by somebody else
            return None, False
        if not all(0 <= number < _NOBODYS for number in (owner.user, owner.group)):
            return None, False
        return owner, source.get("place") == _place(path)


def chosen_owner(text: str, path: str) -> tuple[int, int]:
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
    if (uid, gid) == (-1, -1) or max(uid, gid) >= _NOBODYS:
        raise UsageError(f"owner is {quote_name(text)}, expected USER, USER:GROUP, :GROUP or folder")
    return uid, gid


def give_to(image: int, path: str, owner: tuple[int, int]) -> None:
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
        whose = _user(Owner(user=wanted[0], group=wanted[1], mode=0))
        raise CredentialsError(
            f"{quote_name(path)} cannot be given to {whose}: {reason or 'the file system has another owner for it'}",
            hint="restore as that user, or as root",
        )


def describe_file(path: str) -> dict[str, Any]:
    """What a backup keeps of its source's owner, for `Owner.recorded`; `path` is a real one."""
    owner = Owner.of(os.stat(path))
    return {"place": _place(path), "user": owner.user, "group": owner.group, "mode": f"{owner.mode:04o}"}


def _place(path: str) -> str:
    """A path as a digest: a backup does not tell where on a machine its source was."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()


def dress_as(image: int, path: str, previous: os.stat_result) -> list[str]:
    """Give an image all that the file at `path` has, which it is to replace; what could not be given, as warnings."""
    owner = Owner.of(previous)
    lost = _give(image, owner)
    warnings = [f"{quote_name(path)} belonged to {_user(owner)}, and now belongs to {_user(lost)}"] if lost else []
    warnings += _copy_attributes(path, image)
    return warnings + _set_mode(image, path, owner.mode)


def dress_new(image: int, path: str, usual: os.stat_result, facts: Mapping[str, Any]) -> list[str]:
    """Give an image an owner and mode where there is no file any more; `usual` is a new file in the same folder."""
    folder = os.stat(os.path.dirname(path))
    recorded, same_place = Owner.recorded(facts, path)
    witness = _witness(_left_behind(path), recorded if same_place else None, folder)
    mode = _usual_mode(usual, witness or recorded, os.path.dirname(path))
    if witness is None:
        if os.geteuid() == 0:
            _give(image, Owner(user=folder.st_uid, group=folder.st_gid, mode=mode))
        return _set_mode(image, path, mode) or _unwritable(image, path, folder)
    lost = _give(image, witness)
    warnings = [f"{quote_name(path)} belonged to {_user(witness)}, and now belongs to {_user(lost)}"] if lost else []
    return warnings + _set_mode(image, path, mode if lost or os.geteuid() != 0 else witness.mode | 0o600)


def _usual_mode(usual: os.stat_result, wanted: Owner | None, folder: str) -> int:
    """The mode of a new file, no wider than the recorded one; a copy of read-only media has to be writable."""
    mode = stat.S_IMODE(usual.st_mode)
    if wanted is None or _DEFAULT_ACL in _attributes(folder):  # with such a list the mode is a mask for all of it
        return mode
    return mode & wanted.mode | 0o600


def _witness(left: Owner | None, recorded: Owner | None, folder: os.stat_result) -> Owner | None:
    """Who tells best what the file was; of a side file that is root's it is not certain that the database was."""
    if left is not None and (left.user != 0 or (recorded is None and folder.st_uid == 0)):
        return left
    return recorded


def _left_behind(path: str) -> Owner | None:
    for suffix in ("-wal", "-journal", "-shm"):
        with contextlib.suppress(OSError):
            return Owner.of(os.lstat(path + suffix))
    return None


def _give(image: int, owner: Owner) -> Owner | None:
    """Give a file away; whose it still is, if that could not be done."""
    for user, group in ((owner.user, owner.group), (-1, owner.group)):  # a member of a group may give a file to that
        with contextlib.suppress(
            OSError, OverflowError
        ):  # not root, NFS that trusts no root, an id that a container does not map
            os.chown(image, user, group)
            break
    status = Owner.of(os.stat(image))
    return status if (status.user, status.group) != (owner.user, owner.group) else None


def _set_mode(image: int, path: str, mode: int) -> list[str]:
    with contextlib.suppress(OSError):  # file systems that have one mode for all
        os.chmod(image, mode)
    status = stat.S_IMODE(os.stat(image).st_mode)
    return [] if status == mode else [f"{quote_name(path)} has the mode {status:04o}, expected {mode:04o}"]


def _copy_attributes(path: str, image: int) -> list[str]:
    """Copy access control lists, security labels and what else there is, each on its own."""
    if not hasattr(os, "listxattr"):
        return []
    wanted, present = _attributes(path), _attributes(image)
    if _ACL in present and _ACL not in wanted:  # inherited from the folder
        with contextlib.suppress(OSError):
            os.removexattr(image, _ACL)
    warnings = []
    for name, value in wanted.items():
        if name in _OF_CONTENT or present.get(name) == value:
            continue
        try:
            os.setxattr(image, name, value)
        except OSError as error:
            what = "access control list" if name == _ACL else f"attribute {quote_name(name)}"
            warnings.append(f"the {what} of {quote_name(path)} could not be kept: {os_error_text(error)}")
    return warnings


def _attributes(path: str | int) -> dict[str, bytes]:
    attributes: dict[str, bytes] = {}
    with contextlib.suppress(OSError):  # a file system without any
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):  # not ours to read
                attributes[name] = os.getxattr(path, name)
    return attributes


def _unwritable(image: int, path: str, folder: os.stat_result) -> list[str]:
    """Say that those who may write the folder, and so used the database, may not write the new file."""
    status = os.stat(image)
    ours = folder.st_uid == status.st_uid and (status.st_uid != 0 or not folder.st_mode & 0o022)
    if folder.st_mode & stat.S_ISVTX or ours:
        return []
    shared = stat.S_IWGRP if folder.st_mode & stat.S_IWGRP else 0
    shared |= stat.S_IWOTH if folder.st_mode & stat.S_IWOTH else 0
    owned = folder.st_uid in (0, status.st_uid) or status.st_mode & stat.S_IWGRP
    if owned and status.st_mode & shared == shared:
        return []
    who = f"{_user(Owner.of(status))} with mode {stat.S_IMODE(status.st_mode):04o}"
    return [f"{quote_name(path)} belongs to {who}: others who may write its folder may not write it (chown, chmod)"]


def _user(owner: Owner) -> str:
    return f"{_name(owner.user, 'user')}:{_name(owner.group, 'group')}"


def _name(number: int, kind: str) -> str:
    try:
        return quote_name(pwd.getpwuid(number).pw_name if kind == "user" else grp.getgrgid(number).gr_name)
    except KeyError:
        return str(number)
