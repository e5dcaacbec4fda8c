"""Scratch folders: private, removed at the end, and swept after processes that could not remove theirs."""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.defaults import scratch_root
from holdfast.errors import HoldfastError, PluginError, UnreachableError, UnsafeError, os_error_text, quote_name
from holdfast.filesystem import making

log = logging.getLogger("holdfast.scratch")

PREFIX = "holdfast-scratch-"
_LOCK = ".lock"
_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder for spooled streams, removed at the end.

    An flock on the folder says that its process lives. What a killed process left, maybe the image of a whole
    database, is removed by the next run of the same user.
    """
    root = scratch_root()
    try:
        sweep(root)
        path, held = _make(root)
    except OSError as error:
        raise HoldfastError(
            f"cannot make a scratch folder in {quote_name(root)}: {os_error_text(error)}",
            hint="set TMPDIR to a folder that can be written",
        ) from error
    try:
        yield Path(path)
    except (HoldfastError, OSError) as error:
        if type(error) in _OTHERWISE_MEANT and _is_gone(path, held[0]):
            raise _removed_meanwhile(path, error) from error
        raise
    finally:
        _remove_held(path, held)


# What engines say whose files have gone away: of the database, of the target, of a program.
_OTHERWISE_MEANT = frozenset({HoldfastError, UnreachableError, UnsafeError, PluginError, FileNotFoundError})


def _is_gone(path: str, descriptor: int) -> bool:
    try:
        return not os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return True


def _removed_meanwhile(path: str, error: HoldfastError | OSError) -> HoldfastError:
    """The failure of a run whose scratch folder was removed, by a job that cleans up temporary files for instance."""
    text = os_error_text(error) if isinstance(error, OSError) else error.message
    return HoldfastError(
        f"the scratch folder {quote_name(path)} was removed by another program while it was in use (what failed then: "
        f"{text})",
        hint="keep what cleans up temporary files away from it, or set TMPDIR to another folder",
    )


def sweep(root: str) -> list[str]:
    """Remove the scratch folders below `root` that are ours and that no living process holds; return them."""
    removed = []
    for entry in os.scandir(root):
        if not entry.name.startswith(PREFIX) or not _is_own_folder(entry):
            continue
        with contextlib.suppress(OSError):  # somebody else was quicker, or is at work in it
            _remove_held(entry.path, _hold(entry.path))
            removed.append(entry.path)
            log.info("removed the scratch folder %s of a process that was killed", entry.path)
    return removed


def _make(root: str) -> tuple[str, list[int]]:
    """Make a folder and hold it; between the two a sweep may take it for abandoned, and then another is made."""
    while True:
        # The name comes first: a signal may come as soon as there is a folder, and ends whatever was to return it.
        path = os.path.join(root, PREFIX + secrets.token_hex(6))
        made = False
        try:
            with making(path):
                os.mkdir(path, 0o700)
            made = True
            held = _hold_if_possible(path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(held[0])):
                    return path, held
            _close(held)
        except FileExistsError:
            continue
        except (FileNotFoundError, BlockingIOError):
            if not made or not os.path.isdir(root):
                raise
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(path)
            raise


def _hold(path: str) -> list[int]:
    """Lock a folder, or raise `BlockingIOError` at once; the lock ends with these descriptors, first the folder's.

    NFS locks alone what is open for writing, as no folder can be (EBADF, flock(2)), and SMB no folder at all: there a
    file in it is locked.
    """
    held = [_open_folder(path)]
    try:
        try:
            fcntl.flock(held[0], _AT_ONCE)
        except BlockingIOError:
            raise
        except OSError as error:
            log.info("%s cannot be locked, a file in it is: %s", quote_name(path), os_error_text(error))
            held.append(
                os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            )
            fcntl.flock(held[1], _AT_ONCE)
    except BaseException:
        _close(held)
        raise
    return held


def _hold_if_possible(path: str) -> list[int]:
    """As `_hold`; where there are no locks nobody can take the folder for abandoned, either."""
    try:
        return _hold(path)
    except (BlockingIOError, FileNotFoundError):
        raise
    except OSError as error:
        log.info("%s is not locked: %s", quote_name(path), os_error_text(error))
        return [_open_folder(path)]


def _open_folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _close(held: list[int]) -> None:
    while held:
        os.close(held.pop())


def _remove_held(path: str, held: list[int]) -> None:
    """Remove a folder, and let go of it; NFS keeps a name for a file that is open, and with it the folder."""
    try:
        _close(held[1:])
        _remove(path)
    finally:
        _close(held[:1])


def _is_own_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def run_cleanup(clean: Callable[[], object]) -> None:
    """Run a clean-up that may be repeated to its end, also when a signal ends it half-way.

    The command line ignores all further signals, so that the second time is undisturbed.
    """
    try:
        clean()
    except Exception:
        raise
    except BaseException:
        clean()
        raise


_HUNG = 0.6  # seconds without a step forward, after which a call is taken for one that does not return


def run_unless_hung(clean: Callable[[], object]) -> None:
    """Run a clean-up after a signal in a thread of its own, and leave it as soon as it does not get on.

    What hangs may be the very call that the signal has ended: a store that does not answer must not keep a program from
    ending. A clean-up that is long but gets on is waited for. Raises what it raises, and `TimeoutError`.
    """
    failure: list[BaseException] = []

    def run() -> None:
        try:
            clean()
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits)
            failure.append(error)

    thread = threading.Thread(target=run, name="holdfast-cleanup", daemon=True)
    thread.start()
    before, since = None, time.monotonic()
    while thread.is_alive():
        thread.join(0.05)
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 (there is no other way to see it)
        now = (id(frame), frame.f_lasti) if frame else None
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > _HUNG:
            raise TimeoutError(f"a call does not return, for {_HUNG} s")
    if failure:
        raise failure[0]


def _remove(path: str) -> None:
    try:
        run_cleanup(lambda: shutil.rmtree(path))
    except FileNotFoundError:
        pass  # the first, interrupted try had all but finished
    except OSError as error:
        log.warning("could not remove the scratch folder %s: %s", path, os_error_text(error))
