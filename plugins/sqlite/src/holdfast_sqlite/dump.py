"""Dump: a consistent image of a database that others may be writing to, by SQLite's pinned online backup.

The backup API copies page by page and starts again whenever another connection commits, unless the source is
pinned by an open read transaction: the `sqlite3` shell's own `.backup` had not finished after 422 s on a busy
database. The image goes to a file in the scratch folder, is checked there, and is then streamed.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.api import (
    DumpRequest,
    Facts,
    HoldfastError,
    IntegrityError,
    LockedError,
    Proof,
    Source,
    Stream,
    reason,
    shown,
)
from holdfast_sqlite.check import database_error, quick_check
from holdfast_sqlite.content import Described, describe
from holdfast_sqlite.location import MAGIC, check_source, database_path, sqlite_uri
from holdfast_sqlite.proof import assemble

log = logging.getLogger("holdfast.sqlite")

_PAGES = 10_000  # a step of 40 MB at the usual page size
_READ = 1 << 20
STREAM = "database"


class DumpSnapshot:
    """One dump: the source pinned by a read transaction, its image to be read once."""

    def __init__(self, connection: sqlite3.Connection, path: str, request: DumpRequest) -> None:
        self._connection = connection
        self._path = path
        self._request = request
        self._closed = False
        self._damage: list[str] = []
        self._header = b""
        self._described: list[Described] = []
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        self._size = pages * size
        self.streams = (Stream(name=STREAM, suffix=".sqlite", size=self._size),)
        real = os.path.realpath(path)
        stem = os.path.splitext(os.path.basename(path))[0]
        self.source = Source(name=stem, identity=real)

    def close(self) -> None:
        """Give up: a copy that runs in another thread ends at its next step."""
        self._closed = True

    def read(self, stream: Stream) -> Iterator[bytes]:
        """Copy the pinned database to the scratch folder, check the image, and yield it."""
        del stream
        image = self._request.scratch / "image.sqlite"
        try:
            self._copy(str(image))
        except sqlite3.Error as error:
            raise database_error(error, f"cannot copy {shown(self._path)}") from error
        if self._request.check:
            self._check(str(image))
        try:
            if self._request.proof is not False:
                self._describe()
        except sqlite3.Error as error:
            raise database_error(error, f"cannot read {shown(self._path)}") from error
        descriptor = os.open(image, os.O_RDONLY)
        try:
            os.unlink(image)  # its space is free as soon as it is read, however this process ends
            self._header = os.pread(descriptor, 100, 0)
            while chunk := os.read(descriptor, _READ):
                yield chunk
        finally:
            os.close(descriptor)

    def _copy(self, image: str) -> None:
        self._check_space()
        target = sqlite3.connect(image, isolation_level=None, check_same_thread=False)
        try:
            # The image is thrown away unless it is whole: nothing in it needs a journal or an fsync.
            target.execute("PRAGMA synchronous=OFF")
            target.execute("PRAGMA journal_mode=OFF")
            self._connection.backup(target, pages=_PAGES, progress=self._progress)
        finally:
            target.close()

    def _progress(self, status: int, remaining: int, total: int) -> None:
        """Stop a copy that nobody waits for: CPython's loop would retry a busy source for ever."""
        if self._closed:
            raise HoldfastError("the backup has been given up")
        log.debug("copied %d of %d pages", total - remaining, total, extra={"status": status})

    def _check_space(self) -> None:
        free = os.statvfs(self._request.scratch)
        available = free.f_bavail * free.f_frsize
        if available < self._size:
            raise HoldfastError(
                f"not enough space in {shown(str(self._request.scratch.parent))}: {self._size} bytes are needed "
                f"for a moment, {available} are free",
                hint="set TMPDIR to a folder with more space",
            )

    def _check(self, image: str) -> None:
        started = time.monotonic()
        self._damage = [f"quick_check of the source: {problem}" for problem in quick_check(image)]
        log.info("quick_check took %.2f s", time.monotonic() - started, extra={"problems": len(self._damage)})
        if self._damage and not self._request.allow_damaged:
            more = f" (and {len(self._damage) - 1} more)" if len(self._damage) > 1 else ""
            raise IntegrityError(
                f"database {shown(self._path)} is damaged: {self._damage[0]}{more}",
                hint="--allow-damaged backs it up all the same and marks the backup as damaged",
            )

    def _describe(self) -> None:
        """Record what the snapshot holds, for drills."""
        digests = self._request.proof  # asked for, or left to the size of the database
        self._described = describe(self._connection, digests=digests, tolerate=self._request.allow_damaged)

    def proof(self) -> Proof | None:
        """What the snapshot held; its image is compared by the core's own digest of the stream."""
        return assemble(self._described, image=STREAM) if self._described else None

    def facts(self) -> Facts:
        """Tell about the image."""
        header = self._header
        return Facts(
            server_version=sqlite3.sqlite_version,
            consistency_point={"change_counter": int.from_bytes(header[24:28], "big")} if header else {},
            restore_steps=(f"{{decode:{STREAM}}} > TARGET_DB",),
            hints={"format": "image"},
            damage=tuple(self._damage),
        )


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[DumpSnapshot]:
    """Pin the database at `request.url`; writers go on in WAL mode and wait in the others until this is left."""
    path = database_path(request.url)
    found = check_source(path)
    _check_magic(path, found.st_size)
    timeout = request.options.busy_timeout
    connection = None
    try:
        connection = sqlite3.connect(
            sqlite_uri(path, "ro"), uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        snapshot = DumpSnapshot(connection, path, request)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        failure = database_error(error, f"cannot read database {shown(path)}")
        if isinstance(failure, LockedError):
            failure.hint = f"another process holds a lock; -o busy_timeout=SECONDS waits longer than {timeout:g}"
        raise failure from error
    try:
        yield snapshot
    finally:
        snapshot.close()
        connection.close()


def _check_magic(path: str, size: int) -> None:
    """Tell what is no database before SQLite does, in words that help; no bytes at all are an empty database."""
    try:
        with open(path, "rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise HoldfastError(f"cannot read database {shown(path)}: {reason(error)}") from error
    if size and magic != MAGIC:
        raise IntegrityError(
            f"{shown(path)} is not an SQLite database: it does not begin with 'SQLite format 3'",
            hint="an encrypted database (SQLCipher) looks like this too and cannot be read",
        )
