"""A file or folder that is made next to a target and takes its place at once, for engines whose databases are such."""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from holdfast.errors import (
    CredentialsError,
    HoldfastError,
    UnreachableError,
    UnsafeError,
    os_error_text,
    quote_name,
)
from holdfast.filesystem import file_kind, give_name, making, sync_path

log = logging.getLogger("holdfast.staging")

_AFTER_COMMIT = "the restore is done, but"


class Staging:
    """What is to take the place of a target: a file of mode 0600, or a folder of 0700, that `claim` makes next to it.

    Its lock tells a running restore from a killed one, whose leftovers the next `claim` for the same target removes. A
    target that is a link stays one: what it leads to is replaced. A restore calls `check` when it is entered, `claim`
    at its first load, `publish` in its commit, and `abandon` when it is left, whatever has happened, which the end of
    the context does too. No method may be called in two threads at once. `side_files` are the endings of what may come
    to lie next to what is staged and is removed with it. Those of a target, such as the log of the database that is
    there, go when it is replaced: a library would read them with the new file. The target itself is never opened.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        folder: bool = False,
        replace: bool = False,
        side_files: tuple[str, ...] = (),
    ) -> None:
        self.target = os.path.realpath(target)  #: the path that it is to have
        self._parent, name = os.path.split(self.target)
        # Not the name itself with something behind it: a name may have all of the 255 bytes that file systems allow.
        self._mark = f".holdfast-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"
        self.path = os.path.join(self._parent, f"{self._mark}{os.urandom(6).hex()}")  #: where it is made
        self._is_folder = folder
        self._replace = replace
        self._side_files = side_files
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Make nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not published."""
        self.abandon()

    def check(self) -> None:
        """Refuse a target in whose place nothing may be put, and change nothing.

        `UnsafeError` for one that holds data, unless `replace`, and for one that is no file, or no folder;
        `UnreachableError` or `CredentialsError` where nothing can be made next to it.
        """
        check_folder(self._parent)
        kind = _kind(self.target)
        expected = "a folder" if self._is_folder else "a regular file"
        if kind not in (None, expected):
            raise UnsafeError(f"{quote_name(self.target)} exists and is not {expected} but {kind}")
        if self._replace:
            return
        for aside in self._moved_aside():
            if kind is None:
                raise UnsafeError(
                    f"{quote_name(self.target)} was being replaced when a restore was killed: what it held is in "
                    f"{quote_name(aside)}",
                    hint="rename that to what it was, or use --replace to overwrite it",
                )
        if self.holds_data():
            raise self._refused("exists and holds data")

    def holds_data(self) -> bool:
        """Whether the target is a file of at least a byte, or a folder with anything in it, or cannot be read."""
        try:
            return bool(os.listdir(self.target) if self._is_folder else os.path.getsize(self.target))
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def claim(self) -> None:
        """Make and lock it, and remove what killed restores into the same target have left; `OSError` if it cannot."""
        self._sweep()
        with making(self.path):
            if self._is_folder:
                os.mkdir(self.path, 0o700)
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            else:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: then nothing sweeps either
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def descriptor(self) -> int:
        """The file or folder itself, whatever its name leads to by now; `UnsafeError` if that is another one.

        Whoever owns the folder may put a link in its place, and have root write to where that leads.
        """
        if self._descriptor is None:
            raise RuntimeError(self.path)
        if not self.is_at(self.path):
            raise UnsafeError(
                f"the temporary file {quote_name(self.path)} was removed or replaced by somebody else meanwhile",
                hint="look who else writes to this folder, or restore as its owner",
            )
        return self._descriptor

    def is_at(self, path: str) -> bool:
        """Whether it has got this name by now."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.lstat(path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False
        except OSError:  # the disk does not answer: what has no temporary name any more has got the other
            try:
                os.lstat(self.path)
            except FileNotFoundError:
                return True
            return False

    def publish(self) -> None:
        """Put it in the target's place, once it is on the disk with all that is in it, with the owner and mode of that.

        A file takes the place of another in one step. A folder that holds data is moved aside first: whoever looks
        between the two steps finds none, and where a restore is killed there the next `claim` brings the old one back.
        `UnsafeError` for data that has come there meanwhile, unless `replace`; the target is as it was after any error.
        """
        _ = self.descriptor
        _dress(self.path, self.target)
        for path in self._content():
            sync_path(path)
        if self._is_folder:
            self._publish_folder()
        else:
            with _moved_aside(self.target, self.path, self._side_files) as aside:
                self._publish_file()
            for path in aside:
                _remove_aside(path)
        _confirm(self._parent)

    def _content(self) -> Iterator[str]:
        """It and all that is in it, the innermost first."""
        for folder, _, names in os.walk(self.path, topdown=False):
            yield from (os.path.join(folder, name) for name in names if not os.path.islink(os.path.join(folder, name)))
            yield folder
        if not self._is_folder:
            yield self.path

    def _publish_file(self) -> None:
        if self._replace or (os.path.lexists(self.target) and not self.holds_data()):
            os.replace(self.path, self.target)
            return
        try:
            give_name(self.path, self.target)
        except FileExistsError as error:
            raise self._refused("was created by another process meanwhile") from error

    def _publish_folder(self) -> None:
        aside = f"{self.path}.old"
        try:
            if self._replace and self.holds_data():
                os.rename(self.target, aside)
            os.rename(self.path, self.target)  # also over a folder in which nothing is
        except BaseException as error:  # a signal may come between the two
            if self.is_at(self.target):
                error.add_note(f"{quote_name(self.target)} is restored all the same")
            elif os.path.lexists(aside):
                os.rename(aside, self.target)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise self._refused("was created by another process meanwhile") from error
            raise
        _remove_aside(aside)

    def _refused(self, why: str) -> UnsafeError:
        return UnsafeError(f"{quote_name(self.target)} {why}", hint="use --replace to overwrite it")

    def abandon(self) -> None:
        """Remove it, if it is still there, and its side files; `HoldfastError` with its name if that cannot be done."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        for suffix in ("", *self._side_files):
            try:
                _remove(self.path + suffix)
            except OSError as error:
                left = f"the temporary file {quote_name(self.path + suffix)} could not be removed"
                raise HoldfastError(f"{left}: {os_error_text(error)}") from error

    def _sweep(self) -> None:
        """Bring back what a killed restore moved aside, and remove what killed restores were making."""
        for aside in self._moved_aside():
            with contextlib.suppress(OSError), _unused(aside.removesuffix(".old")):
                if os.path.lexists(self.target):
                    _remove(aside)
                else:
                    os.rename(aside, self.target)
        for suffix in self._side_files:
            _sweep_side_files(self.target, self._parent, self._mark, suffix)
        for path in _staged(self._parent, self._mark):
            with contextlib.suppress(OSError), _unused(path):  # a restore that runs, or a file of somebody else
                _remove(path)

    def _moved_aside(self) -> Iterator[str]:
        return _staged(self._parent, self._mark, r"\.old") if self._is_folder else iter(())


def _staged(folder: str, mark: str, ending: str = "") -> Iterator[str]:
    """What restores into the same target have made."""
    made = re.compile(re.escape(mark) + "[0-9a-f]{12}" + ending)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, PermissionError):
        return  # a folder may be one to write to and not to read
    yield from (os.path.join(folder, name) for name in filter(made.fullmatch, names))


@contextlib.contextmanager
def _moved_aside(target: str, path: str, side_files: tuple[str, ...]) -> Iterator[list[str]]:
    """Take what lies next to a target out of the way of the new file, and bring it back after an error."""
    moved: dict[str, str] = {}
    try:
        for name in (target + suffix for suffix in side_files):
            if os.path.lexists(name):
                moved[name] = f"{path}{name.removeprefix(target)}.old"
                os.rename(name, moved[name])
        yield list(moved.values())
    except BaseException:
        for name, aside in moved.items() if os.path.lexists(path) else ():
            with contextlib.suppress(OSError):
                os.rename(aside, name)
        raise


@contextlib.contextmanager
def _unused(path: str) -> Iterator[None]:
    """Hold the lock of what a restore has made, or is gone; `OSError` while that restore runs."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, os.O_RDWR | flags)
    except IsADirectoryError:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):  # the latter of a folder on macOS
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        from shutil import rmtree  # which imports three modules for compression

        rmtree(path)


def _confirm(folder: str) -> None:
    """Make new names in a folder durable, once what they name is."""
    try:
        sync_path(folder)
    except OSError as error:
        log.warning("%s its folder could not be synced: %s", _AFTER_COMMIT, os_error_text(error))


def _remove_aside(path: str) -> None:
    """Remove what the new one has taken the place of."""
    try:
        _remove(path)
    except OSError as error:
        log.warning("%s %s is left over, remove it: %s", _AFTER_COMMIT, quote_name(path), os_error_text(error))


def _sweep_side_files(target: str, folder: str, mark: str, suffix: str) -> None:
    """Bring back what a killed restore has moved aside, or remove it where the new file is in its place."""
    for aside in _staged(folder, mark, re.escape(suffix) + r"\.old"):
        made = aside.removesuffix(f"{suffix}.old")
        with contextlib.suppress(OSError), _unused(made):
            if os.path.lexists(made) and not os.path.lexists(target + suffix):
                os.rename(aside, target + suffix)
            else:
                _remove(aside)


def _dress(path: str, target: str) -> None:
    """Give what is staged the owner and mode of what it replaces, so that whoever used that can use it too."""
    try:
        old, new = os.stat(target), os.stat(path)
    except FileNotFoundError:
        return
    try:
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.chown(path, old.st_uid, old.st_gid)
        os.chmod(path, stat.S_IMODE(old.st_mode))
    except OSError as error:
        text = "%s is restored, and could not be given the owner and mode that it had: %s"
        log.warning(text, quote_name(target), os_error_text(error))


def _kind(path: str) -> str | None:
    """What is at a real path, None where nothing is."""
    try:
        return file_kind(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreachableError(f"{quote_name(path)} cannot be reached: {os_error_text(error)}") from error


def check_folder(folder: str) -> None:
    """Make sure that a file can be made in the folder of a target, or say why not, without making it."""
    where = f"the folder {quote_name(folder)} of the target"
    try:
        status = os.stat(folder)
    except PermissionError as error:
        raise CredentialsError(f"{where} cannot be reached: permission denied") from error
    except FileNotFoundError as error:
        raise UnreachableError(f"{where} does not exist", hint="create it first") from error
    except OSError as error:
        raise UnreachableError(f"{where} cannot be reached: {os_error_text(error)}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UnreachableError(f"{where} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CredentialsError(
            f"{where} cannot be written: {write_refusal(folder)}",
            hint="what is restored is made next to the old one, and takes its place when it is whole",
        )


def write_refusal(path: str) -> str:
    """Why a file or folder that `os.access` says is not ours to write is not."""
    with contextlib.suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return "the file system is read-only"
    if os.geteuid() != 0:
        return "permission denied"
    return "permission denied even to root: it may be immutable (lsattr, chattr), or root may lack its capabilities"
