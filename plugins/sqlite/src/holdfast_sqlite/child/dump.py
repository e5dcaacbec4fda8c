"""The dump task: take the snapshot, check it, and hand its pages or its script to the parent."""

from __future__ import annotations

import os
import sqlite3
import sys
import time

from holdfast_sqlite.child.background_check import BackgroundCheck
from holdfast_sqlite.child.channel import Channel, TaskError
from holdfast_sqlite.child.check import is_damage
from holdfast_sqlite.header import ROLLBACK, SIZE, WAL, versions
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.snapshot import spool
from holdfast_sqlite.snapshot.source import Source, begin_again, locked_size
from holdfast_sqlite.snapshot.wal import RawCopyUnsafe, WalSnapshot, write_all

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from holdfast_sqlite.script.writer import Told

_PIECE = 1 << 20
_LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")


def dump(channel: Channel) -> None:
    """Open the source, tell its size, and on `go` take the snapshot and send it.

    In WAL mode the snapshot is the moment of opening, which hinders nobody. In rollback mode it is the moment of
    `go`: writers wait from then until the image is in the scratch folder.
    """
    task = channel.task
    try:
        source = Source(
            task["path"], task["uri"], task["lock_timeout"], allow_damaged=task["allow_damaged"], private=task["copied"]
        )
        channel.send("ready", size=source.size, spools=not (is_nothing(task, source) or streams(task, source)))
        channel.wait()
        Dump(channel, source).run()
    except (sqlite3.Error, TaskError) as error:
        kind = error.kind if isinstance(error, TaskError) else getattr(error, "sqlite_errorname", "")
        if not kind.startswith(_LOCKED):
            raise
        raise TaskError(kind, _with_holders(str(error), task["path"])) from error


def _with_holders(text: str, path: str) -> str:
    from holdfast_sqlite.holders import process_names
    from holdfast_sqlite.snapshot.lock_table import who_blocks

    pids = who_blocks(path)
    return f"{text}, by {process_names(pids)}" if pids else text


def _is_whole(task: Mapping[str, Any]) -> bool:
    return task["format"] == "image" and not task["select"] and not task["exclude"]


def is_nothing(task: Mapping[str, Any], source: Source) -> bool:
    """Whether it is the image of an empty file."""
    return source.access == "empty" and _is_whole(task)


def streams(task: Mapping[str, Any], source: Source) -> bool:
    """Whether the pages are sent as they are put together, without an image in the scratch folder."""
    return source.access == "wal" and _is_whole(task) and task["method"] != "backup" and source.snapshot is not None


class Dump:
    """One dump of an opened source."""

    def __init__(self, channel: Channel, source: Source) -> None:
        self._channel = channel
        self._task = channel.task
        self._source = source
        self._image = os.path.join(self._task["scratch"], "image.sqlite")
        self._check: BackgroundCheck | None = None
        self._spliced: WalSnapshot | None = None
        self._method = ""
        self._frames: int | None = None
        self._script: Told | None = None

    def run(self) -> None:
        """Send `image` with the exact size, the bytes, and `done`."""
        source = self._source
        if is_nothing(self._task, source):
            self._channel.send("image", size=0, spool=None)
            self._start_check(sqlite3.connect(":memory:", check_same_thread=False))
        elif streams(self._task, source):
            self._stream()
        else:
            self._spool()
            if self._task["select"] or self._task["exclude"]:
                self._select()
            self._hand_over()
        sys.stdout.buffer.flush()
        os.close(1)
        if self._spliced is not None:
            self._channel.wait()  # until the parent has read everything: what the kernel lends it must not change
            self._source.confirm(pinned=True)
        damage, unchecked, described = self._check.result() if self._check is not None else ([], [], [])
        source.clean_up()
        warnings = [*source.warnings, *unchecked, *(self._script.warnings if self._script else [])]
        frames = source.snapshot.frames if source.snapshot is not None else self._frames
        self._channel.send(
            "done", damage=[*source.damage, *damage], warnings=warnings, method=self._method, frames=frames,
            version=sqlite3.sqlite_version,
            described=described, needs=self._script.needs if self._script else [],
        )  # fmt: skip

    def _stream(self) -> None:
        """Send the pages of a database in WAL mode as they are put together; nothing is written anywhere."""
        snapshot = self._source.snapshot
        if snapshot is None:
            raise RuntimeError(self._source.access)
        self._method = "raw"
        _extend(self._source.database, self._task["load_extension"])
        self._channel.send("image", size=snapshot.size, spool=None)
        self._start_check(self._source.database)
        self._spliced = snapshot
        for piece in snapshot.pieces(_PIECE, snapshot.splice(1)):
            write_all(1, piece)

    def _spool(self) -> None:
        """Put an image into the scratch folder, by a raw copy if that is safe."""
        source, task = self._source, self._task
        spool.check_space(task["scratch"], source.size)
        started = time.monotonic()
        if source.access == "empty":
            os.close(spool.create(self._image))
        elif source.access == "as-is":
            self._as_it_is()
        elif source.access == "private":
            self._method = "private copy"
            self._refuse_unless_auto()
            spool.private_copy(source.path, self._image, source.lock_timeout)
        elif task["method"] == "backup" or not self._raw():
            self._method = "backup"
            self._backup()
        source.confirm(pinned=self._method == "raw")
        self._channel.log(f"image of {source.path} by method '{self._method}' after {time.monotonic() - started:.3f} s")

    def _raw(self) -> bool:
        """Copy the pages as they lie; False if that is not certain to be right."""
        source = self._source
        self._method = "raw"
        try:
            if source.unsafe:
                raise RawCopyUnsafe(source.unsafe)
            if source.snapshot is not None:
                self._overlaid()
                return True
            self._locked()
            return True
        except RawCopyUnsafe as error:
            source.unsafe = str(error)
            self._refuse_unless_auto()
            self._channel.log(f"{source.path} is copied by SQLite's backup: {error}")
            return False

    def _locked(self) -> None:
        """Copy the file while writers wait: 0.1 s for 279 MB, a fifth less where the space is reserved before."""
        source = self._source
        target = spool.create(self._image)
        spool.reserve(target, source.size)
        started = time.monotonic()
        with spool.Urgency():
            begin_again(source)
            stamp = source.stamp()
            size = locked_size(source)
            spool.copy_file(source.descriptor, target, size)
            source.check_stamp(stamp)
            source.end()  # from here on writers go on
        self._channel.log(f"writers waited for {time.monotonic() - started:.3f} s at most")
        os.truncate(target, size)
        os.close(target)

    def _overlaid(self) -> None:
        snapshot = self._source.snapshot
        if snapshot is None:
            raise RuntimeError(self._source.access)
        target = spool.create(self._image)
        for piece in snapshot.pieces(_PIECE):
            write_all(target, piece)
        os.close(target)

    def _refuse_unless_auto(self) -> None:
        if self._task["method"] == "raw":
            raise TaskError("failed", f"a raw copy is not safe: {self._source.unsafe}", hint="use -o method=auto")

    def _backup(self) -> None:
        source = self._source
        spool.remove(self._image)
        if source.database.in_transaction:
            source.database.execute("ROLLBACK")
        try:
            begin_again(source)
            # In rollback mode nobody can change the file while this lasts; what a checkpoint does, the log explains.
            stamp = source.stamp() if versions(source.header) == ROLLBACK else None
            spool.backup(source.database, self._image, source.lock_timeout, versions(source.header))
            if stamp is not None:
                source.check_stamp(stamp)
            source.end()
        except sqlite3.DatabaseError as error:
            if not source.allow_damaged or not is_damage(error):
                raise
            source.damage.append(f"SQLite cannot copy it: {error}")
            spool.remove(self._image)
            self._as_it_is()

    def _as_it_is(self) -> None:
        from holdfast_sqlite.snapshot.opaque import OpaqueImage

        self._method = "as it is"
        image = OpaqueImage(self._source.path, self._image, self._source.lock_timeout)
        self._frames = image.frames
        self._source.warnings += [image.omission] if image.omission else []

    def _open_image(self) -> sqlite3.Connection:
        uri = sqlite_uri(self._image, "ro&immutable=1")
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        _extend(connection, self._task["load_extension"])
        return connection

    def _select(self) -> None:
        """Leave out what is not selected."""
        from holdfast_sqlite.child.selection import select_tables

        selected = os.path.join(self._task["scratch"], "selected.sqlite")
        connection = sqlite3.connect(self._image, isolation_level=None)
        _extend(connection, self._task["load_extension"])
        select, exclude = self._task["select"], self._task["exclude"]
        try:
            self._source.warnings += select_tables(connection, selected, select=select, exclude=exclude)
        except sqlite3.DatabaseError as error:
            failure = "tables cannot be selected from it"
            raise _unreadable(error, self._source.header, failure, "leave out --select and --exclude") from error
        connection.close()
        os.replace(selected, self._image)

    def _hand_over(self) -> None:
        """Have the parent read the image while it is checked here, or write it as a script."""
        self._start_check(self._open_image(), os.open(self._image, os.O_RDONLY | os.O_CLOEXEC))
        if self._task["format"] == "sql":
            from holdfast_sqlite.script.writer import write_script

            connection = self._open_image()
            with open(self._image, "rb") as file:
                wal = versions(file.read(SIZE)) == WAL
            os.unlink(self._image)
            self._channel.send("image", size=None, spool=None)
            try:
                extensions = self._task["load_extension"]
                self._script = write_script(connection, sys.stdout.buffer.write, wal=wal, extensions=extensions)
            except sqlite3.DatabaseError as error:
                raise _unreadable(
                    error, self._source.header, "it cannot be written as SQL", "use -o format=image"
                ) from error
            return
        self._channel.send("image", size=os.path.getsize(self._image), spool=self._image)
        self._channel.wait()  # until the parent has opened it: its space is free once nobody reads it any more
        os.unlink(self._image)

    def _start_check(self, connection: sqlite3.Connection, image: int | None = None) -> None:
        self._check = BackgroundCheck(connection, self._channel, self._source, image)


def _extend(connection: sqlite3.Connection, libraries: list[str]) -> None:
    """Load the extensions that the user has named."""
    if libraries:
        from holdfast_sqlite.extensions import load_extensions

        load_extensions(connection, libraries)


def _unreadable(error: sqlite3.DatabaseError, header: bytes, failure: str, instead: str) -> TaskError:
    """Say of what SQLite cannot read in full what to do instead: copy the bytes as they are."""
    damaged = is_damage(error, header)
    hint = f"{instead}{' and add --allow-damaged' if damaged else ''} to back it up as it is"
    return TaskError("damaged" if damaged else "failed", f"{failure}: {error}", hint=hint)
