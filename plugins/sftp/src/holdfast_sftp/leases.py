"""Leases as files, each of a holder of its own, whose age by the server's clock tells whether it is still held."""

import logging
import math
import random
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from holdfast.api import HoldfastError, LeaseKeeper, LockedError, quote_name
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection
from holdfast_sftp.files import close, list_folders, opening
from holdfast_sftp.server import Server
from holdfast_sftp.tree import LEASES, exists

log = logging.getLogger("holdfast.storage")

_NAME = re.compile(r"(?P<name>.+)\.(?P<mode>[as])(?P<ttl>\d+)\.(?P<holder>[0-9a-f]{16})")
_GRACE = 1  # seconds, as times are told in whole ones
_ENDED = b"ended\n"  # larger than what a holder writes
_YOUNG = 2  # seconds; whoever is as new may be giving way at this moment, as we do
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """A file of a lease."""

    name: str
    shares: bool
    ttl: int
    file: str
    renewed: int  # by the server's clock
    ended: bool

    def is_over(self, now: int) -> bool:
        """Whether it was not renewed for so long that its holder must be dead, or thinks that it has lost it."""
        return self.ended or now - self.renewed > self.ttl + _GRACE


class FileLeases:
    """Leases of a store.

    Who wants one makes a file, and looks at the others afterwards: of two who do so at once at least one sees the
    other, and gives way. So no server has to compare or to replace anything, and only its own clock counts.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pool = server.pool
        self._tree = server.tree
        self._keepers: set[LeaseKeeper] = set()

    def check(self) -> None:
        """Raise `LockedError` if a lease that is held is lost: somebody else may be at work by now."""
        for keeper in list(self._keepers):
            keeper.check()

    @contextmanager
    def hold(self, name: str, ttl: float, *, shared: bool) -> Iterator[None]:
        """Hold a name alone or beside others that share it, and renew that; `LockedError` if somebody else holds it."""
        seconds = max(1, math.ceil(ttl))
        file = f"{quote(name, safe='')}.{'s' if shared else 'a'}{seconds}.{secrets.token_hex(8)}"
        with self._server.translated(f"{LEASES}/{file}"):
            self._take(name, file, shared=shared)
        try:
            with LeaseKeeper(name, lambda: self._renew(file, seconds), seconds) as keeper:
                self._keepers.add(keeper)
                try:
                    yield
                finally:
                    self._keepers.discard(keeper)
        finally:
            self._release(file)

    def _take(self, name: str, file: str, *, shared: bool) -> None:
        for left in reversed(range(_TRIES)):
            try:
                holders, now = self._announce_patiently(file)
                others = [each for each in holders if each.name == quote(name, safe="") and each.file != file]
                others = [each for each in others if not (shared and each.shares)]
            except BaseException:
                self._release(file)
                raise
            if not others:
                return
            self._release(file)
            if left and any(now - each.renewed <= _YOUNG for each in others):
                time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 (no secret)
                continue
            break
        raise LockedError(f"another process is at work on {quote_name(name)}")

    def _announce_patiently(self, file: str) -> tuple[list[_Holder], int]:
        tried = False

        def announce(connection: Connection) -> tuple[list[_Holder], int]:
            nonlocal tried
            again, tried = tried, True
            return self._announce(connection, file, again=again)

        return self._pool.call(announce)

    def _announce(self, connection: Connection, file: str, *, again: bool) -> tuple[list[_Holder], int]:
        """Make the file, and return all that are held after that, with the time of the server."""
        path = self._tree.path(f"{LEASES}/{file}")
        flags = wire.FOR_WRITING | wire.CREATE
        reply = opening(connection, path, flags).wait()
        if isinstance(reply.refusal(file), FileNotFoundError):
            self._tree.make_parent(connection, path, LEASES)
            reply = opening(connection, path, flags).wait()
        handle = reply.fields(wire.HANDLE, file).text()
        if again:  # it may have been made some time ago
            self._touch(connection, handle)
        else:
            close(connection, handle)
        holders = self._list(connection)
        now = next((each.renewed for each in holders if each.file == file), None)
        if now is None:
            raise HoldfastError(f"the server does not list what it was given, {quote_name(f'{LEASES}/{file}')}")
        for each in holders:
            if each.is_over(now):
                self._remove_dead(connection, each)
        return [each for each in holders if not each.is_over(now)], now

    def _touch(self, connection: Connection, handle: bytes, text: bytes = b"\n") -> None:
        """Let the server set the time of a file, and close it."""
        writing = connection.send(wire.WRITE, wire.string(handle), wire.uint64(0), wire.string(text))
        closing = close(connection, handle)
        for each in (writing, closing):
            each.wait().check(LEASES)

    def _list(self, connection: Connection) -> list[_Holder]:
        ((_, entries),) = list_folders(connection, [self._tree.root + b"/" + LEASES.encode()])
        if isinstance(entries, OSError):
            raise entries
        matches = ((_NAME.fullmatch(entry.name.decode(errors="replace")), entry) for entry in entries)
        return [
            _Holder(
                name=match["name"],
                shares=match["mode"] == "s",
                ttl=int(match["ttl"]),
                file=match[0],
                renewed=entry.attributes.modified or 0,
                ended=(entry.attributes.size or 0) >= len(_ENDED),
            )
            for match, entry in matches
            if match
        ]

    def _remove_dead(self, connection: Connection, holder: _Holder) -> None:
        """Remove what a dead holder left, unless it was renewed since it was listed."""
        path = self._tree.path(f"{LEASES}/{holder.file}")
        attributes = exists(connection, path, holder.file)
        if attributes is not None and attributes.modified == holder.renewed:
            connection.call(wire.REMOVE, wire.string(path))  # which we may have no right to: then it stays

    def _renew(self, file: str, ttl: int) -> bool:
        def renew(connection: Connection) -> bool:
            path = self._tree.path(f"{LEASES}/{file}")
            reply = opening(connection, path, wire.FOR_WRITING).wait()
            if isinstance(reply.refusal(file), FileNotFoundError):
                return False
            self._touch(connection, reply.fields(wire.HANDLE, file).text())
            return exists(connection, path, file) is not None

        return self._pool.call(renew, patience=ttl / 3)

    def _release(self, file: str) -> None:
        """End it: remove the file, or write into it that it has ended, or leave it to its age."""

        def release(connection: Connection) -> None:
            path = self._tree.path(f"{LEASES}/{file}")
            error = connection.call(wire.REMOVE, wire.string(path)).refusal(file)
            if error is None or isinstance(error, FileNotFoundError):
                return
            reply = opening(connection, path, wire.FOR_WRITING).wait()
            self._touch(connection, reply.fields(wire.HANDLE, file).text(), _ENDED)

        try:
            self._pool.call(release, patience=5.0)
        except (HoldfastError, OSError) as error:
            log.info("the lease %s ends by itself: %s", quote_name(file), error)
