"""The one error tree: a class per exit code, a message that names the object, a hint that says what to do.

Messages are lowercase, without a final full stop, and hold neither passwords nor tracebacks.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class HoldfastError(Exception):
    """An operation failed; nothing that looks like a result was left behind."""

    exit_code: ClassVar[int] = 1  #: what the command line returns for the class
    unforeseen = False  #: whether a plugin raised something else, of which nobody has yet said what was being done

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message  #: one line that says what was found and what was expected
        self.hint = hint  #: what to do next, or None

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by their positional arguments alone: the hint travels as state.
        return (type(self), (self.message,), {"hint": self.hint})


class UsageError(HoldfastError):
    """The call itself is wrong: a malformed URL, an unknown option, a value out of range."""

    exit_code = 2


class PartialError(HoldfastError):
    """Of several operations some failed; the others hold."""

    exit_code = 3


class NotFoundError(HoldfastError):
    """There is no such store, backup or stream, or the store cannot be read."""

    exit_code = 10


class LockedError(HoldfastError):
    """A lock of the store or of the database was not obtained in time."""

    exit_code = 11


class CredentialsError(HoldfastError):
    """The database or its file refuses us: authentication, permission, privilege."""

    exit_code = 12


class IntegrityError(HoldfastError):
    """Data is damaged, or is not what was recorded."""

    exit_code = 13


class PluginError(HoldfastError):
    """A plugin is missing, refused, in conflict with another, or breaks its contract."""

    exit_code = 14


class UnreachableError(HoldfastError):
    """The database does not answer, or does not exist."""

    exit_code = 15


class UnsafeError(HoldfastError):
    """Refused, because doing it could lose data that nobody said may be lost."""

    exit_code = 16


class OverdueError(HoldfastError):
    """Something that has to happen now and then has not happened for too long, such as a restore test."""

    exit_code = 17


def add_cleanup_failure(error: BaseException, failure: HoldfastError) -> None:
    """Add to an error, which is then raised, what the cleaning up after it could not do.

    The message and the hint of a `HoldfastError` take in those of the failure; any other exception, such as
    KeyboardInterrupt, stays what it is and gets a note, which the command line tells.
    """
    if not isinstance(error, HoldfastError):
        error.add_note(f"{failure.message} ({failure.hint})" if failure.hint else failure.message)
        return
    # An engine that knows why it cleans up begins with that.
    error.message = (
        failure.message if failure.message.startswith(error.message) else f"{error.message}; {failure.message}"
    )
    error.hint = "; ".join(dict.fromkeys(filter(None, (error.hint, failure.hint)))) or None
    error.args = (error.message,)


@contextmanager
def cleaning_up(error: BaseException, action: str) -> Iterator[None]:
    """Add what the system refuses while this cleans up to the error that it cleans up after, instead of hiding it."""
    try:
        yield
    except OSError as failure:
        add_cleanup_failure(error, HoldfastError(f"{action}: {os_error_text(failure)}"))


_WAITING = "while waiting for "


def note_waiting(error: BaseException, what: str) -> None:
    """Add to an ending what was waited for when it came, before what is told of its cleaning up; the first counts."""
    notes = getattr(error, "__notes__", [])
    if not any(note.startswith(_WAITING) for note in notes):
        error.__notes__ = [f"{_WAITING}{what}", *notes]


def cleanup_notes(error: BaseException) -> str:
    """What was waited for, and what `add_cleanup_failure` added to an error that is not ours, to end a message."""
    notes = (" ".join(note.split()) for note in getattr(error, "__notes__", ()))
    return "".join(f" {note}" if note.startswith(_WAITING) else f"; {note}" for note in notes)


NO_INODES = "no inode is left on the device for another file, however much space there is"

_REASONS = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "it does not exist",
    errno.EEXIST: "it exists already",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "it is a symbolic link, or its links form a loop",
    errno.EIO: "the device reports an input/output error",
    errno.EFBIG: "the file would be larger than the file system or a limit allows",
}


# What the system would number classes of errors, the first that fits; a plugin may raise them with nothing but a path.
ERROR_NUMBERS: dict[type[OSError], int] = {
    FileNotFoundError: errno.ENOENT,
    FileExistsError: errno.EEXIST,
    PermissionError: errno.EACCES,
    TimeoutError: errno.ETIMEDOUT,
}


def os_error_text(error: OSError) -> str:
    """Say in a few words why the system refused, without its number and without the path."""
    if error.errno == errno.ENOENT and not error.filename:
        try:
            os.getcwd()
        except FileNotFoundError:  # which is asked for wherever a path is not absolute
            return "the folder that this process is in has been deleted"
    if error.strerror == NO_INODES:  # as `holdfast.filesystem.making` has found
        return NO_INODES
    number = error.errno or ERROR_NUMBERS.get(type(error), 0)
    return _REASONS.get(number, (error.strerror or str(error) or type(error).__name__).lower())


def refusal_text(error: "OSError | HoldfastError") -> str:
    """Say in a few words why a storage refused: of a system as it does, of a service by its message."""
    return os_error_text(error) if isinstance(error, OSError) else error.message


def lower_first(text: str) -> str:
    """Begin a foreign message as ours begin: in lowercase, unless it begins with an acronym."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def quote_name(name: str | bytes) -> str:
    """Write a name so that it stays on one line and can be told apart from the words around it."""
    text = name.decode(errors="surrogateescape") if isinstance(name, bytes) else name
    # ascii() of what cannot be printed: newlines, escapes and undecodable bytes must not reach a terminal.
    return text if text.isprintable() and text and "'" not in text and " " not in text else repr(text)
