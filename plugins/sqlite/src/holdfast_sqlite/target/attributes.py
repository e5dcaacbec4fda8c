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

from holdfast.api import os_error_text, quote_name

_ACL = "system.posix_acl_access"
_DEFAULT_ACL = "system.posix_acl_default"
# Of the content and not of the file: a copy on other content would be wrong.
_OF_CONTENT = ("security.ima", "security.evm", "security.capability")
NOBODYS = (1 << 32) - 1  # chown takes it for "leave it as it is": the ids of users and groups are below it


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
        if not all(0 <= number < NOBODYS for number in (owner.user, owner.group)):
            return None, False
        return owner, source.get("place") == _place(path)


def describe_file(path: str) -> dict[str, Any]:
    """What a backup keeps of its source's owner, for `Owner.recorded`; `path` is a real one."""
    owner = Owner.of(os.stat(path))
    return {"place": _place(path), "user": owner.user, "group": owner.group, "mode": f"{owner.mode:04o}"}


def _place(path: str) -> str:
    """A path as a digest: a backup does not tell where on a machine its source was."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()


def dress_as(image: int, path: str, previous: os.stat_result, mode: int | None = None) -> list[str]:
    """Give an image all that the file at `path` has, which it is to replace; what could not be given, as warnings.

    `mode` is what its user has named in the place of that file's.
    """
    owner = Owner.of(previous)
    lost = _give(image, owner)
    warnings = (
        [f"{quote_name(path)} belonged to {user_text(owner)}, and now belongs to {user_text(lost)}"] if lost else []
    )
    warnings += _copy_attributes(path, image)
    return warnings + _set_mode(image, path, owner.mode if mode is None else mode)


def dress_new(
    image: int, path: str, usual: os.stat_result, facts: Mapping[str, Any], named: int | None = None
) -> list[str]:
    """Give an image an owner and mode where there is no file any more; `usual` is a new file in the same folder.

    `named` is the mode that its user has named.
    """
    folder = os.stat(os.path.dirname(path))
    recorded, same_place = Owner.recorded(facts, path)
    witness = _witness(_left_behind(path), recorded if same_place else None, folder)
    mode = _usual_mode(usual, witness or recorded, os.path.dirname(path)) if named is None else named
    if witness is None:
        if os.geteuid() == 0:
            _give(image, Owner(user=folder.st_uid, group=folder.st_gid, mode=mode))
        return _set_mode(image, path, mode) or ([] if named is not None else _unwritable(image, path, folder))
    lost = _give(image, witness)
    warnings = (
        [f"{quote_name(path)} belonged to {user_text(witness)}, and now belongs to {user_text(lost)}"] if lost else []
    )
    if named is None and not lost and os.geteuid() == 0:
        mode = witness.mode | 0o600
    return warnings + _set_mode(image, path, mode)


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
    change_mode(image, mode)
    status = stat.S_IMODE(os.stat(image).st_mode)
    return [] if status == mode else [f"{quote_name(path)} has the mode {status:04o}, expected {mode:04o}"]


def change_mode(image: int, mode: int) -> str:
    """Change the mode; why that was refused, as file systems do that have one mode for all."""
    try:
        os.chmod(image, mode)
    except OSError as error:
        return os_error_text(error)
    return ""


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
    who = f"{user_text(Owner.of(status))} with mode {stat.S_IMODE(status.st_mode):04o}"
    return [f"{quote_name(path)} belongs to {who}: others who may write its folder may not write it (chown, chmod)"]


def user_text(owner: Owner) -> str:
    """The user and group of a file, for messages."""
    return f"{_name(owner.user, 'user')}:{_name(owner.group, 'group')}"


def _name(number: int, kind: str) -> str:
    try:
        return quote_name(pwd.getpwuid(number).pw_name if kind == "user" else grp.getgrgid(number).gr_name)
    except KeyError:
        return str(number)
