"""Restore: the image is built beside the target, checked, and takes its place in one rename, or one transaction."""

import collections
import errno
import itertools
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.api import (
    Blob,
    HoldfastError,
    IntegrityError,
    Preview,
    RestoreRequest,
    Step,
    UnsafeError,
    quote_name,
    sync_path,
)
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.child.check import integrity_check, quick_check
from holdfast_sqlite.child.references import check_references
from holdfast_sqlite.child.selection import select_tables
from holdfast_sqlite.errors import database_error, error_class
from holdfast_sqlite.extensions import load_extensions
from holdfast_sqlite.files import free_bytes, read_through
from holdfast_sqlite.header import MAGIC, read_header
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.merge.session import Merge, preview_replacement
from holdfast_sqlite.script.loader import ApplicationNeededError, load_script
from holdfast_sqlite.target.file import Target
from holdfast_sqlite.target.place import reserve, write_error

log = logging.getLogger("holdfast.sqlite")

_CACHE = "PRAGMA cache_size=-8192"  # KiB: more does not make a load quicker that only appends


class Restore:
    """One restore into a file; until `commit` nothing is touched but a temporary file beside the target.

    With a `merge` only some tables are put into a target that holds others, and the temporary file lies elsewhere.
    """

    def __init__(self, target: Target, request: RestoreRequest, merge: Merge | None = None) -> None:
        self._target = target
        self._merge = merge
        self._request = request
        self._lock = threading.Lock()
        self._running: sqlite3.Connection | None = None
        self._closed = False
        self._needed = 0  # bytes of an image; those of a script say nothing
        self._warnings: list[str] = []
        if len(request.streams) != 1:
            raise IntegrityError(f"an SQLite backup has one stream, this one has {len(request.streams)}")
        self._format = request.facts.get("format")  # None in backups of older programs
        if self._format not in (None, "image", "sql"):
            text = f"the manifest says that the backup is in the format {str(self._format)[:40]!r}"
            raise IntegrityError(f"{text}, expected 'image' or 'sql'")
        self.steps = (Step(stream=request.streams[0].name),)

    def load(self, step: Step, blob: Blob) -> None:
        """Build the new database in a temporary file and check it; the space of an image is reserved first."""
        del step
        image = self._merge.image if self._merge else self._target.image
        selected = bool(self._request.select or self._request.exclude)
        whole = str(self._request.scratch / "whole.sqlite") if selected else image
        try:
            if not self._merge:
                self._target.claim()
            with _disk_full():
                self._fill(blob, whole)
                if selected:
                    self._select(whole, image)
                if self._request.check:
                    self._check(image)
            if self._merge:
                self._merge.check()
            else:
                self._target.confirm()
                sync_path(image)
        except OSError as error:
            raise self._write_failure(error, selected=selected) from error

    def _write_failure(self, error: OSError, *, selected: bool) -> HoldfastError:
        """Tell the folder of the target from that for temporary files, where the whole is restored of a selection."""
        scratch, target = str(self._request.scratch), self._target.path
        if selected and (free_bytes(scratch) or 0) < (free_bytes(os.path.dirname(target)) or 0):
            return write_error(scratch, error, needed=self._needed, hint="set TMPDIR to a folder with more space")
        return write_error(target, error, needed=self._needed)

    def _fill(self, blob: Blob, path: str) -> None:
        """Write an image as it is, or load a script; the first bytes tell which of the two it is."""
        chunks = iter(blob.chunks())
        first = next(chunks, b"")
        rest = itertools.chain((first,), chunks)
        if not self._is_script(bytes(first[: len(MAGIC)])):
            self._needed = blob.stream.size or 0
            _write_image(path, rest, self._needed)
            return
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with self._connection(path, f"cannot load the SQL script into {quote_name(self._target.path)}") as connection:
            # Nobody sees the file before it is whole.
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_CACHE)
            try:
                load_script(connection, rest, folder=self._request.scratch)
            except ApplicationNeededError:
                # That the blob is not what was stored goes first: its digests are compared at the end.
                collections.deque(rest, maxlen=0)
                raise

    def _is_script(self, magic: bytes) -> bool:
        """Whether a backup that begins so is SQL text; those of older programs do not say."""
        return magic != MAGIC and (self._format == "sql" if self._format else bool(magic))

    def _select(self, whole: str, image: str) -> None:
        with self._connection(whole, "cannot select tables") as connection:
            try:
                self._warnings += select_tables(
                    connection,
                    image,
                    select=self._request.select,
                    exclude=self._request.exclude,
                    references=not self._merge,
                )
            except TaskError as error:
                raise error_class(error.kind)(str(error), hint=error.hint) from error
        os.unlink(whole)

    def _check(self, image: str) -> None:
        if not os.path.getsize(image):
            return  # no bytes at all are an empty database
        started = time.monotonic()
        with self._connection(image, "cannot check the restored image", "ro&immutable=1") as connection:
            check = integrity_check if self._request.check == "full" else quick_check
            verdict = check(connection, header=read_header(image))
            damage = verdict.damage
            if damage:
                with open(image, "rb") as file:
                    read_through(file.fileno())
            self._warnings += [*verdict.faults, *verdict.unchecked]
            if check is integrity_check and not damage and not verdict.void:
                self._warnings += check_references(connection)
        log.info("%s of the image took %.2f s", check.__name__, time.monotonic() - started)
        if damage and self._request.allow_damaged:
            self._warnings.append(f"the restored database is damaged: {damage[0]}")
        elif damage:
            raise IntegrityError(
                f"the restored database is damaged: {damage[0]}",
                hint="use --allow-damaged to restore it nevertheless",
            )

    @contextmanager
    def _connection(self, path: str, doing: str, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """Open a file that is ours alone; `close` interrupts what runs there."""
        connection = sqlite3.connect(sqlite_uri(path, mode), uri=True, isolation_level=None, check_same_thread=False)
        try:
            with self._lock:
                self._running = None if self._closed else connection
            if self._closed:
                raise HoldfastError("the restore was aborted")
            load_extensions(connection, self._request.options.extensions)
            yield connection
        except TaskError as error:
            raise error_class(error.kind)(str(error), hint=error.hint) from error
        except sqlite3.Error as error:
            raise database_error(error, doing) from error
        finally:
            with self._lock:
                self._running = None
            connection.close()

    def commit(self) -> None:
        """Let the new database take the target's place, or the tables that of theirs in it."""
        if self._merge:
            self._merge.commit()
            self._warnings += self._target.named.same_file()
            self._warnings += self._merge.warnings
        elif self._request.live and self._target.exists:
            self._target.copy_live(self._request.scratch)
        else:
            self._target.replace(self._request.scratch)

    def preview(self, blobs: Mapping[str, Blob]) -> Preview:
        """Of selected tables, which only the backup itself names: what would happen to each of them."""
        if not self._merge:
            return preview_replacement(self._target, self._request)
        self.load(self.steps[0], blobs[self.steps[0].stream])
        return self._merge.check()

    @property
    def warnings(self) -> Sequence[str]:
        """What was restored otherwise than it was dumped, and what could not be checked."""
        return [*self._warnings, *self._target.warnings]

    def close(self) -> None:
        """Stop what runs, and remove the temporary file if it is still there."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.interrupt()
        self._target.abandon()


@contextmanager
def _disk_full() -> Iterator[None]:
    """Let SQLite's word for a full disk be the system's."""
    try:
        yield
    except HoldfastError as error:
        if getattr(error.__cause__, "sqlite_errorname", "") != "SQLITE_FULL":
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def _write_image(path: str, chunks: Iterator[bytes | bytearray | memoryview], size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if size:
            reserve(descriptor, os.path.dirname(path), size)  # a full disk is found out before anything is written
        done = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.write(descriptor, view)
                view = view[written:]
                done += written
        os.truncate(descriptor, done)  # a damaged backup may be shorter than recorded
    finally:
        os.close(descriptor)


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[Restore]:
    """Check the target at `request.url` and restore beside it; what is left without `commit` is removed."""
    target = Target.of(request)
    merge = Merge(target, request) if request.selective and target.holds_data(Path(request.scratch)) else None
    if request.live and not target.exists:
        log.info("%s does not exist: --live makes no difference", quote_name(target.path))
    elif not merge and not request.replace and target.holds_data(Path(request.scratch)):
        raise UnsafeError(
            f"{quote_name(target.path)} exists and holds data",
            hint="use --replace to overwrite it" + (", with --live in one transaction" if request.live else ""),
        )
    if target.exists and not request.live:
        target.refuse_in_use()
    restore = Restore(target, request, merge)
    try:
        yield restore
    finally:
        restore.close()
