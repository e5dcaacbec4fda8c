"""Whose a store is, where it is a folder: what another user writes there its owner can neither read nor delete.

And what root writes there, for instance of a database that is root's alone, would lie in the hands of that user.
"""

import contextlib
import os
import pwd

from holdfast.api import Storage, SupportsFolder, temporary_path
from holdfast.errors import UnsafeError, quote_name
from holdfast.store.names import MARKER


def check_owner(storage: Storage) -> None:
    """Refuse with `UnsafeError` to write backups into a folder that is another user's and that is not shared.

    Whose a new file is is tried: many mounts give all of them to one user, whoever writes.
    """
    if not isinstance(storage, SupportsFolder):
        return
    root = storage.folder
    try:
        marker = os.stat(os.path.join(root, MARKER))
    except OSError:
        return
    if marker.st_uid == os.geteuid() or marker.st_mode & 0o022:
        return
    made = _owner_of_new(root)
    if made is None or made == marker.st_uid:
        return
    owner, ours = _user(marker.st_uid), _user(made)
    raise UnsafeError(
        f"the store at {quote_name(root)} belongs to {owner}, and what is written now would be {ours}'s: {owner} could "
        "neither read nor prune it",
        hint=f"run it as {owner}, or say --foreign-store to write there all the same",
    )


def _owner_of_new(folder: str) -> int | None:
    """The user id that a new file in a folder has, None where none can be made."""
    path = temporary_path(os.path.join(folder, MARKER))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_uid
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(path)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
