"""What the errors of SQLite and of the child processes mean for a backup or restore."""

import errno
import sqlite3
from collections.abc import Mapping
from typing import Any

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    IntegrityError,
    LockedError,
    PluginError,
    UnreachableError,
    UnsafeError,
    UsageError,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.child.schema import is_unreadable

KINDS: dict[str, type[HoldfastError]] = {
    "BUSY": LockedError,
    "LOCKED": LockedError,
    "PROTOCOL": LockedError,
    "CORRUPT": IntegrityError,
    "NOTADB": IntegrityError,
    "FORMAT": IntegrityError,
    "CANTOPEN": UnreachableError,
    "PERM": CredentialsError,
    "AUTH": CredentialsError,
    "READONLY": CredentialsError,
    # Of the child processes' own, not of SQLite:
    "damaged": IntegrityError,
    "notadb": IntegrityError,
    "newer": PluginError,
    "usage": UsageError,
    "unsafe": UnsafeError,
    "space": HoldfastError,
    "script": HoldfastError,
    "failed": HoldfastError,
}
WAIT_LONGER = "use -o lock_timeout=SECONDS to wait longer for other processes"
_ALLOW = "use --allow-damaged to back it up nevertheless, as a backup that is marked as damaged"
_NEWER = "use a newer SQLite, which may well be able to read it"
_ENCRYPTED = (
    "if it is encrypted (SQLCipher), use the program that has its key, or --allow-damaged to back up the encrypted "
    "pages as they are, those of its log included"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def error_class(kind: str) -> type[HoldfastError]:
    """The class for an error name of SQLite (`SQLITE_BUSY_SNAPSHOT`) or a kind of a child process."""
    return KINDS.get(kind.split("_")[1] if kind.startswith("SQLITE_") else kind, HoldfastError)


def database_error(error: sqlite3.Error, what: str) -> HoldfastError:
    """Say what SQLite's error means."""
    kind = "newer" if is_unreadable(error) else getattr(error, "sqlite_errorname", "")
    return error_class(kind)(f"{what}: {error}", hint=_NEWER if kind == "newer" else None)


def source_error(message: Mapping[str, Any], database: str, lock_timeout: float) -> HoldfastError:
    """Say what the error message of a dumping child means; `database` is the name to show."""
    kind, text, hint = str(message["kind"]), str(message["text"]), message.get("hint")
    if kind == "os" and message.get("errno") in (errno.EACCES, errno.EPERM) and message.get("file"):
        return CredentialsError(
            f"cannot read {database}: permission denied for {quote_name(str(message['file']))}",
            hint="run as a user who may read the database and the files beside it",
        )
    if kind == "os" and message.get("errno") == errno.ENOENT:
        return UnreachableError(f"{database} was removed or renamed while it was read", hint="try again")
    if kind == "os" and message.get("errno") in _FULL:  # the database is only read
        return HoldfastError(
            f"cannot write what is read of {database} to the folder for temporary files: {_os_reason(message)}",
            hint="set TMPDIR to a folder with more space",
        )
    if kind == "os":
        return HoldfastError(f"cannot read {database}: {_os_reason(message)}")
    if kind == "notadb":
        return IntegrityError(f"{database} is not an SQLite database: {text}", hint=_ENCRYPTED)
    if kind == "script":
        return HoldfastError(f"cannot write {database} as SQL: {text}", hint=hint)
    error = error_class(kind)
    hint = hint or (_NEWER if kind == "newer" else None)
    if error is IntegrityError:
        return IntegrityError(f"{database} is damaged: {text}", hint=hint or _ALLOW)
    if error is LockedError:
        return LockedError(f"could not lock {database} within {lock_timeout:g} s: {text}", hint=hint or WAIT_LONGER)
    if kind in ("space", "usage"):
        return error(text, hint=hint)
    return error(f"cannot read {database}: {text}", hint=hint)


def _os_reason(message: Mapping[str, Any]) -> str:
    number = message.get("errno")
    return os_error_text(OSError(number, message["text"])) if number else str(message["text"])
