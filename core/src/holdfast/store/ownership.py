"""Whose a store is, where it is a folder: what another user writes there its owner can neither read nor delete.

And what root writes there, for instance of a database that is root's alone, would lie in the hands of that user.
"""

import os
import pwd

from holdfast.api import Storage, SupportsFolder
from holdfast.errors import UnsafeError, quote_name
from holdfast.store.names import MARKER
from holdfast.store.store_clock import new_file_status


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
    made = new_file_status(root)
    if made is None or made.st_uid == marker.st_uid:
        return
    owner, ours = _user(marker.st_uid), _user(made.st_uid)
    raise UnsafeError(
        f"the store at {quote_name(root)} belongs to {owner}, and what is written now would be {ours}'s: {owner} could "
        "neither read nor prune it",
        hint=f"run it as {owner}, or say --foreign-store to write there all the same",
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
