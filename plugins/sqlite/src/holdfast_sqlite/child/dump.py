"""The dump task: take the snapshot, check it, and hand its pages or its script to the parent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time

from holdfast_sqlite.child.channel import Channel, Refusal
from holdfast_sqlite.child.check import is_damage, quick_check
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.snapshot import spool
from holdfast_sqlite.snapshot.source import Source
from holdfast_sqlite.snapshot.wal import Doubt, WalSnapshot, page_count, page_size, write_all

TYPE_CHECKING = False  # see `talk`
if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast_sqlite.proof.content import Described

_PIECE = 1 << 20


def dump(channel: Channel) -> None:
    """Open the source, tell its size, and on `go` take the snapshot and send it.

    In WAL mode the snapshot is the moment of opening, which hinders nobody. In rollback mode it is the moment of
    `go`: writers wait from then until the image is in the scratch folder.
    """
    task = channel.task
    source = Source(task["path"], task["uri"], task["timeout"], allow_damaged=task["allow_damaged"])
    channel.send("ready", size=source.size)
    channel.wait()
    Dump(channel, source).run()


class Dump:
    """One dump of an opened source."""

    def __init__(self, channel: Channel, source: Source) -> None:
        self._channel = channel
        self._task = channel.task
        self._source = source
        self._image = os.path.join(self._task["scratch"], "image.sqlite")
        self._check: Check | None = None
        self._lent: WalSnapshot | None = None
        self._way = ""

    def run(self) -> None:
        """Send `image` with the exact size, the bytes, and `done`."""
        source = self._source
        whole = self._task["format"] == "image" and not self._task["select"] and not self._task["exclude"]
        if source.way == "empty" and whole:
            self._channel.send("image", size=0, spool=None)
            self._start_check(sqlite3.connect(":memory:", check_same_thread=False))
        elif source.way == "wal" and whole and self._task["method"] != "backup" and source.snapshot is not None:
            self._stream()
        else:
            self._spool()
            if not whole:
                self._transform()
            self._hand_over()
        sys.stdout.buffer.flush()
        os.close(1)
        if self._lent is not None:
            self._channel.wait()  # until the parent has read everything: what the kernel lends it must not change
            self._lent.check_log()
        damage, unchecked, described = self._check.result() if self._check is not None else ([], [], [])
        source.tidy()
        warnings = [*source.warnings, *unchecked]
        frames = source.snapshot.frames if source.snapshot is not None else None
        self._channel.send(
            "done", damage=[*source.damage, *damage], warnings=warnings, way=self._way, frames=frames,
            version=sqlite3.sqlite_version,
            described=described,
        )  # fmt: skip

    def _stream(self) -> None:
        """Send the pages of a database in WAL mode as they are put together; nothing is written anywhere."""
        snapshot = self._source.snapshot
        if snapshot is None:
            raise RuntimeError(self._source.way)
        self._way = "raw"
        self._channel.send("image", size=snapshot.size, spool=None)
        self._start_check(self._source.database)
        self._lent = snapshot
        for piece in snapshot.pieces(_PIECE, snapshot.splice(1)):
            write_all(1, piece)

    def _spool(self) -> None:
        """Put an image into the scratch folder, the raw way if that is certain."""
        source, task = self._source, self._task
        spool.check_space(task["scratch"], source.size)
        started = time.monotonic()
        if source.way == "empty":
            os.close(spool.create(self._image))
        elif source.way == "as-is":
            self._way = "as it is"
            spool.as_it_is(source.path, self._image, source.timeout)
        elif source.way == "private":
            self._way = "private copy"
            self._refuse_unless_auto()
            spool.private_copy(source.path, self._image, source.timeout)
        elif task["method"] == "backup" or not self._raw():
            self._way = "backup"
            self._backup()
        self._channel.log(f"image of {source.path} by way of {self._way} after {time.monotonic() - started:.3f} s")

    def _raw(self) -> bool:
        """Copy the pages as they lie; False if that is not certain to be right."""
        source = self._source
        self._way = "raw"
        try:
            if source.doubt:
                raise Doubt(source.doubt)
            if source.snapshot is not None:
                self._overlaid()
                return True
            self._locked()
            return True
        except Doubt as doubt:
            source.doubt = str(doubt)
            self._refuse_unless_auto()
            self._channel.log(f"{source.path} is copied by SQLite's backup: {doubt}")
            return False

    def _locked(self) -> None:
        """Copy the file while writers wait: 0.1 s for 279 MB, a fifth less where the space is reserved before."""
        source = self._source
        target = spool.create(self._image)
        if hasattr(os, "posix_fallocate") and source.size:
            os.posix_fallocate(target, 0, source.size)
        before = os.getpriority(os.PRIO_PROCESS, 0)
        with contextlib.suppress(PermissionError):  # on a busy machine writers would wait for its scheduler as well
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        started = time.monotonic()
        source.begin()
        size = self._locked_size()
        spool.copy_file(source.descriptor, target, size)
        source.database.execute("ROLLBACK")  # from here on writers go on
        os.setpriority(os.PRIO_PROCESS, 0, before)
        self._channel.log(f"writers waited for {time.monotonic() - started:.3f} s at most")
        os.truncate(target, size)
        os.close(target)

    def _locked_size(self) -> int:
        """Bytes of the database; what may have changed since it was opened is looked at again, under the lock."""
        source = self._source
        header, there = source.header, os.fstat(source.descriptor).st_size
        size = page_size(header) * page_count(header, there)
        log = f"{source.path}-wal"
        if header[18:20] != b"\1\1" or (os.path.exists(log) and os.path.getsize(log)):
            raise Doubt("the database has changed to WAL mode")
        if size > there:
            raise Doubt(f"its header tells of {size} bytes, and it has {there}")
        return size

    def _overlaid(self) -> None:
        snapshot = self._source.snapshot
        if snapshot is None:
            raise RuntimeError(self._source.way)
        target = spool.create(self._image)
        for piece in snapshot.pieces(_PIECE):
            write_all(target, piece)
        snapshot.check_log()
        os.close(target)

    def _refuse_unless_auto(self) -> None:
        if self._task["method"] == "raw":
            raise Refusal(
                "failed", f"a raw copy is not certain to be right: {self._source.doubt}", hint="-o method=auto"
            )

    def _backup(self) -> None:
        source = self._source
        if os.path.exists(self._image):
            os.unlink(self._image)
        if source.database.in_transaction:
            source.database.execute("ROLLBACK")
        try:
            spool.backup(source.database, self._image, source.timeout, source.header[18:20])
        except sqlite3.DatabaseError as error:
            if not source.allow_damaged or not is_damage(error):
                raise
            source.damage.append(f"SQLite cannot copy it: {error}")
            self._way = "as it is"
            if os.path.exists(self._image):
                os.unlink(self._image)
            spool.as_it_is(source.path, self._image, source.timeout)

    def _open_image(self) -> sqlite3.Connection:
        uri = sqlite_uri(self._image, "ro&immutable=1")
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _transform(self) -> None:
        """Leave out what is not chosen."""
        if not self._task["select"] and not self._task["exclude"]:
            return
        from holdfast_sqlite.child.selection import choose

        chosen = os.path.join(self._task["scratch"], "chosen.sqlite")
        connection = sqlite3.connect(self._image, isolation_level=None)
        with _whole("tables cannot be chosen from it", "without --select and --exclude,"):
            found = choose(connection, chosen, select=self._task["select"], exclude=self._task["exclude"])
        self._source.warnings += found
        connection.close()
        os.replace(chosen, self._image)

    def _hand_over(self) -> None:
        """Have the parent read the image while it is checked here, or write it as a script."""
        self._start_check(self._open_image())
        if self._task["format"] == "sql":
            from holdfast_sqlite.script.writer import write_script

            connection = self._open_image()
            with open(self._image, "rb") as file:
                wal = file.read(20)[18:] == b"\2\2"
            os.unlink(self._image)
            self._channel.send("image", size=None, spool=None)
            with _whole("it cannot be written as SQL", "-o format=image"):
                self._source.warnings += write_script(connection, sys.stdout.buffer.write, wal=wal)
            return
        self._channel.send("image", size=os.path.getsize(self._image), spool=self._image)
        self._channel.wait()  # until the parent has opened it: its space is free once nobody reads it any more
        os.unlink(self._image)

    def _start_check(self, connection: sqlite3.Connection) -> None:
        self._check = Check(connection, self._channel, known_damage=bool(self._source.damage))


@contextlib.contextmanager
def _whole(failure: str, instead: str) -> Iterator[None]:
    """Say of what SQLite cannot read in full what works in its stead: the bytes as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        damaged = is_damage(error)
        way = f"{instead} --allow-damaged" if damaged else instead.rstrip(",")
        hint = f"{way} backs it up as it is"
        raise Refusal("damaged" if damaged else "failed", f"{failure}: {error}", hint=hint) from error


class Check:
    """A quick_check, and the description for the proof, beside the copying; damage may end the dump at once."""

    def __init__(self, connection: sqlite3.Connection, channel: Channel, *, known_damage: bool) -> None:
        self._problems: list[str] = []
        self._unchecked: list[str] = []
        self._described: list[Described] = []
        self._connection = connection
        self._channel = channel
        self._task = channel.task
        self._known_damage = known_damage
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if self._task["check"] and not self._known_damage:
            started = time.monotonic()
            self._problems, unchecked = quick_check(self._connection)
            self._unchecked += [f"quick_check could not be done: {unchecked}"] if unchecked else []
            self._give_up_on(self._problems)
            self._channel.log(f"quick_check took {time.monotonic() - started:.2f} s")
        if self._task["proof"] is not False:
            self._describe()

    def _describe(self) -> None:
        from holdfast_sqlite.proof.content import describe  # its hashlib is a tenth of this process's start

        tolerate = self._task["allow_damaged"]
        try:
            self._described = describe(self._connection, digests=self._task["proof"], tolerate=tolerate)
        except sqlite3.Error as error:
            if is_damage(error):
                self._give_up_on([str(error)])
            self._unchecked.append(f"there is no proof: {error}")

    def _give_up_on(self, problems: list[str]) -> None:
        if problems and not self._task["allow_damaged"]:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self._channel.send("error", kind="damaged", text=f"{problems[0]}{more}", hint=None)
            os._exit(1)

    def result(self) -> tuple[list[str], list[str], list[Described]]:
        """Wait for the end: the problems, what could not be done and why, and what the snapshot holds."""
        self._thread.join()
        return [f"quick_check of the source: {problem}" for problem in self._problems], self._unchecked, self._described
