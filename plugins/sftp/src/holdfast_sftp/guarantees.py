"""What a server guarantees besides what is asked of any storage: how names are given, what is durable, what fits."""

from collections.abc import Iterator

from holdfast.api import Guarantee
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection
from holdfast_sftp.files import space_left
from holdfast_sftp.server import Server


def guarantees(server: Server) -> Iterator[Guarantee]:
    """Ask for what the server says of itself; nothing is made."""
    return iter(server.call("", lambda connection: list(_told(connection, server.tree.root))))


def _told(connection: Connection, root: bytes) -> Iterator[Guarantee]:
    links = wire.HARDLINK in connection.extensions
    by_links = "a file gets its name by a hard link, where its file system has any"
    by_names = "none: whether it renames over what is there is tried by the next backup"
    yield Guarantee(name="hard links", holds=links, detail=by_links if links else by_names)
    syncs = wire.FSYNC in connection.extensions
    durable = "each file is on its disk before it counts" if syncs else "a loss of power may cost the last backup"
    yield Guarantee(name="sync", holds=syncs, detail=durable)
    space = space_left(connection, root)
    if space is None:
        yield Guarantee(name="space", holds=None, detail="the server has no such question")
    else:
        holds = space.free > 0 and not space.read_only
        told = "its file system is read-only" if space.read_only else f"{space.free / (1 << 30):.1f} GiB are free"
        yield Guarantee(name="space", holds=holds, detail=told)
    size = f"{connection.write_size >> 10} KiB a request"
    yield Guarantee(name="large requests", holds=connection.write_size > 32 << 10, detail=size)
