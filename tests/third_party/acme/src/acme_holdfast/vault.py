"""A storage, as a module of plain functions: objects are rows of one SQLite file, `vault:///path`."""

import io
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from holdfast.api import Component, Kind, LockedError, Stat


class Vault:
    """Objects by path in the table `objects`, leases in `leases`."""

    def __init__(self, url: str) -> None:
        self.location = url
        self._file = url.partition("://")[2]
        self._ends: dict[str, float] = {}  # by holder when a lease of this opening ends, on the clock of this machine

    @contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(f"file:{self._file}?mode={'rwc' if create else 'rw'}", uri=True)
        except sqlite3.OperationalError as error:
            raise FileNotFoundError(2, "no vault", self._file) from error
        with closing(connection), connection:
            connection.execute("CREATE TABLE IF NOT EXISTS objects (path TEXT PRIMARY KEY, content BLOB)")
            connection.execute("CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, holder TEXT, ends REAL)")
            yield connection

    @contextmanager
    def writer(self, path: str) -> Iterator[io.BytesIO]:
        """Insert an object whole, or not at all."""
        content = io.BytesIO()
        yield content
        self._check_leases()
        with self._open(create=True) as vault:
            try:
                vault.execute("INSERT INTO objects VALUES (?, ?)", (path, content.getvalue()))
            except sqlite3.IntegrityError as error:
                raise FileExistsError(17, "exists", path) from error

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part of an object."""
        with self._open() as vault:
            row = vault.execute("SELECT content FROM objects WHERE path = ?", (path,)).fetchone()
        if row is None:
            raise FileNotFoundError(2, "no such object", path)
        content: bytes = row[0]
        return content[offset:] if length is None else content[offset : offset + length]

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Every object below a folder."""
        if not os.path.exists(self._file):
            return iter(())
        with self._open() as vault:
            rows = vault.execute("SELECT path, length(content) FROM objects").fetchall()
        return (Stat(path=path, size=size) for path, size in rows if not prefix or path.startswith(f"{prefix}/"))

    def stat(self, path: str) -> Stat:
        """Tell about one object."""
        return Stat(path=path, size=len(self.read(path)))

    def delete(self, path: str) -> None:
        """Remove an object."""
        self._check_leases()
        with suppress(FileNotFoundError), self._open() as vault:
            vault.execute("DELETE FROM objects WHERE path = ?", (path,))

    def barrier(self) -> None:
        """Every transaction was durable at its end."""

    @contextmanager
    def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:
        """Hold a name: a row that says when it ends, and a thread that puts this off."""
        holder = secrets.token_hex(8)
        with self._open(create=True) as vault:
            vault.execute("DELETE FROM leases WHERE name = ? AND ends <= ?", (name, time.time()))
            try:
                vault.execute("INSERT INTO leases VALUES (?, ?, ?)", (name, holder, time.time() + ttl))
            except sqlite3.IntegrityError as error:
                raise LockedError(f"{name} is held") from error
        self._ends[holder] = time.monotonic() + ttl
        over = threading.Event()
        keeper = threading.Thread(target=self._renew, args=(holder, ttl, over), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
            del self._ends[holder]
            with self._open() as vault:
                vault.execute("DELETE FROM leases WHERE holder = ?", (holder,))

    def _renew(self, holder: str, ttl: float, over: threading.Event) -> None:
        while not over.wait(ttl / 3) and time.monotonic() < self._ends[holder]:
            began = time.monotonic()
            with self._open() as vault:
                ends = (time.time() + ttl, holder)
                if not vault.execute("UPDATE leases SET ends = ? WHERE holder = ?", ends).rowcount:
                    began = -ttl  # it is somebody else's by now
            self._ends[holder] = began + ttl

    def _check_leases(self) -> None:
        """Change nothing once a lease is lost: somebody else may be at work."""
        if any(time.monotonic() >= ends for ends in self._ends.values()):
            raise LockedError("a lease was lost")


def holdfast_components() -> list[Component]:
    """List the storage."""
    return [Component(kind=Kind.STORAGE, name="vault", summary="rows of an SQLite file")]


def holdfast_storage(scheme: str, url: str) -> Vault | None:
    """Serve `vault`; a hook may leave arguments out that it has no use for."""
    return Vault(url) if scheme == "vault" else None
