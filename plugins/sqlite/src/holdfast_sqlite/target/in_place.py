"""Copying an image into a target as one transaction of SQLite's, for targets in use and for those that stay."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.api import HoldfastError, IntegrityError, LockedError, UnsafeError, quote_name
from holdfast_sqlite.errors import WAIT_LONGER, error_class
from holdfast_sqlite.files import free_bytes
from holdfast_sqlite.session import Child

STOP = "stop the programs that have it open, or use --live to restore into it while they run"
_EMPTY_IT = (
    "empty it by hand (: > FILE): as a mount by itself, or on a file system that renames nothing over a file, it "
    "cannot be replaced"
)


def copy_into(path: str, image: str, *, scratch: Path, lock_timeout: float, exclusive: bool = False) -> None:
    """Copy an image into the database at `path`; after a failure that holds what it held.

    `exclusive` is for a target that nobody uses, whose page size and encoding may change; otherwise they may not where
    connections that are open could not follow.
    """
    if not os.path.getsize(image):
        raise UnsafeError(
            f"the backup is of an empty file, and cannot be copied into {quote_name(path)}",
            hint=_EMPTY_IT if exclusive else "stop the programs that use it, and use --replace",
        )
    with Child(
        "copy", scratch=scratch, path=path, image=image, exclusive=exclusive, lock_timeout=lock_timeout
    ) as child:
        message = child.receive()
        if message["event"] == "error":
            raise _not_copied(path, message, needed=os.path.getsize(image), exclusive=exclusive)


def _not_copied(path: str, message: Mapping[str, Any], *, needed: int, exclusive: bool) -> HoldfastError:
    kind, text, hint = str(message["kind"]), str(message["text"]), message["hint"]
    error = error_class(kind)
    if error is LockedError and exclusive:
        return UnsafeError(f"{quote_name(path)} is in use: {text}", hint=STOP)
    if error is LockedError:
        hint = hint or WAIT_LONGER
    if kind == "SQLITE_FULL":
        free = free_bytes(path)
        text += f": {needed} bytes are needed" + (f", {free} are free" if free is not None else "")
    if error is IntegrityError and exclusive:
        hint = _EMPTY_IT
    return error(f"cannot restore into {quote_name(path)}: {text}", hint=hint)
