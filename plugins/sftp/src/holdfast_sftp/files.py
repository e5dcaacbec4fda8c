"""What is asked of a server about its files and folders, with as many requests on their way as can be."""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.api import HoldfastError, NotFoundError, quote_name
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, Pending

_IN_FLIGHT = 4 << 20  # bytes that are asked for ahead; 64 MiB/s at 60 ms there and back
_REQUESTS = 64
_MOST_PAGES = 16
_ST_RDONLY = 1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A name in a folder."""

    name: bytes
    attributes: wire.Attributes


@dataclass(kw_only=True)
class _Listing:
    """A folder that is being listed."""

    path: bytes
    opening: Pending
    handle: bytes = b""
    entries: list[Entry] = field(default_factory=list)
    error: OSError | None = None
    pages: int = 2  # asked for at once


def window(size: int) -> int:
    """How many requests of that many bytes are on their way at once."""
    return max(4, min(_REQUESTS, _IN_FLIGHT // size))


def is_folder(attributes: wire.Attributes) -> bool:
    """Whether that is told of a folder."""
    return attributes.mode is not None and stat.S_ISDIR(attributes.mode)


def open_file(connection: Connection, path: bytes, flags: int, text: str) -> bytes:
    """Open a file, and return what the server knows it by."""
    return opening(connection, path, flags).wait().fields(wire.HANDLE, text).text()


def opening(connection: Connection, path: bytes, flags: int) -> Pending:
    """Begin to open a file, which only its owner may read if it is made."""
    attributes = wire.mode_only(0o600) if flags & wire.CREATE else wire.uint(0)
    return connection.send(wire.OPEN, wire.string(path), wire.uint(flags), attributes)


def close(connection: Connection, handle: bytes) -> Pending:
    """Let a file or folder go."""
    return connection.send(wire.CLOSE, wire.string(handle))


def look_at(connection: Connection, path: bytes, text: str) -> wire.Attributes:
    """What is told of a file, or of a link itself."""
    return connection.call(wire.LSTAT, wire.string(path)).fields(wire.ATTRS, text).attributes()


def open_object(connection: Connection, path: bytes, text: str) -> tuple[bytes, int]:
    """Open a regular file for reading, in one turn; with its size."""
    looking = connection.send(wire.LSTAT, wire.string(path))
    reply = opening(connection, path, wire.FOR_READING).wait()
    try:
        attributes = looking.wait().fields(wire.ATTRS, text).attributes()
        if attributes.mode is not None and not stat.S_ISREG(attributes.mode):
            raise IsADirectoryError(errno.EISDIR, "not a regular file", text)
    except OSError:
        if reply.kind == wire.HANDLE:
            close(connection, reply.fields(wire.HANDLE, text).text())
        raise
    handle = reply.fields(wire.HANDLE, text).text()
    return handle, attributes.size or 0


def read_pieces(connection: Connection, handle: bytes, begin: int, end: int, text: str) -> Iterator[bytes]:
    """Read what lies between two bytes, several pieces ahead."""
    size, name = connection.read_size, wire.string(handle)
    waiting: deque[tuple[int, int, Pending]] = deque()
    asked, most = begin, 2
    while True:
        while asked < end and len(waiting) < most:
            count = min(size, end - asked)
            waiting.append((asked, count, _read(connection, name, asked, count)))
            asked += count
        if not waiting:
            return
        most = min(window(size), 2 * most)
        offset, count, pending = waiting.popleft()
        try:
            data = pending.wait().content(text)
        except EOFError:
            return
        if not data:
            raise wire.ProtocolError("the server sends nothing where there is something to read")
        if len(data) < count:  # which a server may do anywhere
            offset, count = offset + len(data), count - len(data)
            waiting.appendleft((offset, count, _read(connection, name, offset, count)))
        yield data


def _read(connection: Connection, name: bytes, offset: int, count: int) -> Pending:
    return connection.send(wire.READ, name, wire.uint64(offset), wire.uint(count))


def list_folders(connection: Connection, paths: Sequence[bytes]) -> Iterator[tuple[bytes, list[Entry] | OSError]]:
    """What lies in each of several folders, or why that is not told."""
    for at in range(0, len(paths), connection.handles):
        batch = [
            _Listing(path=path, opening=connection.send(wire.OPENDIR, wire.string(path)))
            for path in paths[at : at + connection.handles]
        ]
        for listing in batch:
            try:
                listing.handle = listing.opening.wait().fields(wire.HANDLE, os.fsdecode(listing.path)).text()
            except OSError as error:
                listing.error = error
        unfinished = [listing for listing in batch if listing.error is None]
        while unfinished:
            asked = [(listing, _next_pages(connection, listing)) for listing in unfinished]
            unfinished = [listing for listing, pages in asked if _take_pages(listing, pages)]
            for listing, _ in asked:
                if listing not in unfinished:
                    close(connection, listing.handle)
        for listing in batch:
            yield listing.path, listing.error or sorted(listing.entries, key=lambda entry: entry.name)


def _next_pages(connection: Connection, listing: _Listing) -> list[Pending]:
    pages = [connection.send(wire.READDIR, wire.string(listing.handle)) for _ in range(listing.pages)]
    listing.pages = min(_MOST_PAGES, 2 * listing.pages)
    return pages


def _take_pages(listing: _Listing, pages: list[Pending]) -> bool:
    """Take the names that came; whether there may be more."""
    for page in pages:
        try:
            fields = page.wait().fields(wire.NAME, os.fsdecode(listing.path))
        except EOFError:
            return False
        except OSError as error:
            listing.error = error
            return False
        for _ in range(fields.uint()):
            name, _, attributes = fields.text(), fields.text(), fields.attributes()
            if name not in (b".", b"..") and name and b"/" not in name and b"\0" not in name:
                listing.entries.append(Entry(name=name, attributes=attributes))
    return True


def make_folder(connection: Connection, path: bytes, text: str, *, within: bytes) -> None:
    """Make a folder, and those above it that lie below `within`."""
    reply = connection.call(wire.MKDIR, wire.string(path), wire.mode_only(0o700))
    error = reply.refusal(text)
    if error is None:
        return
    above = path.rpartition(b"/")[0]
    if isinstance(error, FileNotFoundError) and above and above.startswith(within):
        make_folder(connection, above, text, within=within)
        reply = connection.call(wire.MKDIR, wire.string(path), wire.mode_only(0o700))
        error = reply.refusal(text)
        if error is None:
            return
    try:
        attributes = connection.call(wire.STAT, wire.string(path)).fields(wire.ATTRS, text).attributes()
    except FileNotFoundError:
        if isinstance(error, FileNotFoundError):
            where = quote_name(os.fsdecode(above or path))
            raise NotFoundError(
                f"there is no folder {where} on the server, in which a folder is to be made",
                hint="only the folder of the store is made, and what lies in it: make it first, or mend its path",
            ) from None
        raise error from None
    if not is_folder(attributes):
        raise NotFoundError(f"{quote_name(os.fsdecode(path))} on the server is a file, expected a folder")


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is told of the file system of a folder."""

    free: int  # bytes that the account may use
    out_of_files: bool
    read_only: bool


def space_left(connection: Connection, path: bytes) -> Space | None:
    """What the server tells of the file system; None where it does not."""
    if wire.STATVFS not in connection.extensions:
        return None
    reply = connection.extended(wire.STATVFS, wire.string(path)).wait()
    if reply.kind != wire.EXTENDED_REPLY:
        return None
    fields = reply.fields(wire.EXTENDED_REPLY, "")
    _, size, _, _, free, files, _, free_files, _, flags = (fields.uint64() for _ in range(10))
    return Space(free=free * size, out_of_files=bool(files) and not free_files, read_only=bool(flags & _ST_RDONLY))


def explain_failure(connection: Connection, path: bytes, error: wire.ServerError) -> Exception:
    """What a mere "failure" means: OpenSSH has no other word for a full disk and a file system that is read-only."""
    space = space_left(connection, path)
    if space is not None and space.read_only:
        return OSError(errno.EROFS, os.strerror(errno.EROFS), error.filename)
    if space is not None and (space.free < connection.write_size or space.out_of_files):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), error.filename)
    text = str(error.strerror).lower()
    return HoldfastError(
        f"the server cannot do it and does not say why: {quote_name(str(error.filename))}: {text}",
        hint="look whether its disk is full or a quota is used up, and at what its log says",
    )
