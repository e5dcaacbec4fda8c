"""Dump: what a child process reads of a database that others may be writing to, as one stream.

The child pins a snapshot and sends the pages of the file as they lie (`holdfast_sqlite.snapshot.wal`), or spools an
image where writers would otherwise have to wait, or lets SQLite's own backup make one where a raw copy is not
certain to be right. In this process nothing of the source is ever opened.
"""

import logging
import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from holdfast.api import DumpRequest, Facts, HoldfastError, Proof, Source, Stream, quote_name
from holdfast_sqlite.errors import source_error
from holdfast_sqlite.header import SIZE, change_counter
from holdfast_sqlite.location.path import check_source, database_path, real_path
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.manual_restore import restore_steps
from holdfast_sqlite.moment import HeldCopy, held_copy
from holdfast_sqlite.proof.record import assemble
from holdfast_sqlite.session import Child
from holdfast_sqlite.target.attributes import describe_file

log = logging.getLogger("holdfast.sqlite")

_READ = 1 << 20
STREAM = "database"


class Dump:
    """One dump: a child process that has opened the source, and its one stream.

    Of a moment with others it has opened a `copy`; `late` says why there is none although one was asked for.
    """

    def __init__(
        self, child: Child, path: str, request: DumpRequest, *, copy: HeldCopy | None = None, late: str = ""
    ) -> None:
        self._child = child
        self._copy = copy
        self._late = late
        self._path = path
        self._request = request
        try:
            self._file = describe_file(real_path(path))
        except OSError as error:
            message = {"kind": "os", "errno": error.errno, "text": str(error), "file": path}
            raise source_error(message, f"database {quote_name(path)}", request.options.lock_timeout) from error
        self._header = b""
        self._done: dict[str, Any] = {}
        self._is_image = request.options.format == "image"
        ready = self._expect("ready")
        size = ready["size"]
        self.spooled = size if ready["spools"] else 0  #: bytes that are needed in the scratch folder for a while
        suffix = ".sqlite" if self._is_image else ".sql"
        # A script may be half or twice as large as the file: no size is better than a wrong one.
        self.streams = (Stream(name=STREAM, suffix=suffix, size=size if self._is_image else None),)
        self.source = Source(name=os.path.splitext(os.path.basename(path))[0], identity=real_path(path), local=True)

    def read(self, stream: Stream) -> Iterator[bytes | bytearray]:
        """Yield the image or script; what is wrong with the source shows at the end at the latest."""
        del stream
        self._child.send("go")
        image = self._expect("image")
        if image["spool"] is None:
            yield from self._pieces(self._child.pages, image["size"])
        else:
            descriptor = os.open(image["spool"], os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._child.send("opened")
                yield from self._pieces(descriptor, image["size"])
            finally:
                os.close(descriptor)
        self._done = self._expect("done")

    def _pieces(self, descriptor: int, size: int | None) -> Iterator[bytes | bytearray]:
        """Read to the end in pieces of 1 MiB; `size`, where it is known, is what there has to be."""
        total = 0
        while piece := _fill(descriptor):
            if not total:
                self._header = bytes(piece[:SIZE])
            total += len(piece)
            yield piece
        self._child.send("read")
        if size is not None and total != size:
            self._expect("done")  # raises what the child says went wrong
            raise HoldfastError(f"the image of {quote_name(self._path)} has {total} bytes, expected {size}")

    def _expect(self, event: str) -> dict[str, Any]:
        message = self._child.receive()
        if message["event"] == "error":
            raise source_error(message, f"database {quote_name(self._path)}", self._request.options.lock_timeout)
        if message["event"] != event:
            raise HoldfastError(f"the SQLite engine's child process said '{message['event']}', expected '{event}'")
        return message

    def proof(self) -> Proof | None:
        """What the snapshot held; an image is compared by the core's own digest of the stream."""
        described = [tuple(row) for row in self._done["described"]]
        return assemble(described, image=STREAM if self._is_image else None) if described else None

    def facts(self) -> Facts:
        """Tell about the snapshot."""
        done = self._done
        point: dict[str, Any] = {}
        if self._is_image and self._header:
            point["change_counter"] = change_counter(self._header)
        copy = self._copy
        frames = copy.frames if copy else done["frames"]
        if frames is not None:
            point["wal_frames"] = frames
        if copy:
            point["moment"] = copy.moment
        form = self._request.options.format
        hints: dict[str, Any] = {"format": form, "method": copy.method if copy else done["method"], "file": self._file}
        if done["needs"]:
            hints["needs"] = done["needs"]  # objects that a script makes only with the help of their application
        late = [f"it is not of one moment with the other backups of this run: {self._late}"] if self._late else []
        return Facts(
            server_version=done["version"],
            consistency_point=point,
            warnings=(*late, *(copy.warnings if copy else ()), *done["warnings"]),
            restore_steps=restore_steps(STREAM, form, mode=int(self._file["mode"], 8)),
            hints=hints,
            damage=tuple(done["damage"]),
        )


def _fill(descriptor: int) -> bytes | bytearray:
    """The next 1 MiB, less at the end only: a pipe gives what it happens to hold."""
    first = _read(descriptor, _READ)  # most often all of it, and no buffer had to be cleared for it
    if len(first) == _READ or not first:
        return first
    piece = bytearray(first)
    while len(piece) < _READ and (more := _read(descriptor, _READ - len(piece))):
        piece += more
    return piece


def _read(descriptor: int, size: int) -> bytes:
    """What a pipe holds; gevent and eventlet make those of child processes non-blocking."""
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            select.select([descriptor], [], [])  # which in such a process lets the others go on


@contextmanager
def open_dump(request: DumpRequest) -> Iterator[Dump]:
    """Open the database at `request.url`; leaving ends the child process and with it every lock."""
    path = database_path(request.url)
    check_source(path)
    real = real_path(path)
    with ExitStack() as stack:
        copy, late = held_copy(stack, request.moment, real)
        child = stack.enter_context(_child(copy.path if copy else real, request, copied=copy is not None))
        yield Dump(child, path, request, copy=copy, late=late)


def _child(path: str, request: DumpRequest, *, copied: bool) -> Child:
    options = request.options
    return Child(
        "dump",
        scratch=request.scratch,
        path=path,
        uri=sqlite_uri(path, "ro"),
        lock_timeout=options.lock_timeout,
        method=options.method,
        format=options.format,
        load_extension=options.extensions,
        select=request.select,
        exclude=request.exclude,
        check=request.check,
        proof=request.proof,
        allow_damaged=request.allow_damaged,
        copied=copied,
    )
