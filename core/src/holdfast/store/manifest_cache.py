"""The cache of manifests: their outlines, kept on this machine, so that a list need not read thousands from a store.

Nothing in it is believed where it matters: it tells what a list shows and which backup `latest` can mean. What
restores, verifies, copies or deletes reads the manifest from the store. It may be removed at any time.
"""

import contextlib
import hashlib
import logging
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import msgspec

from holdfast.api import Stat, Storage
from holdfast.decodable import decodable
from holdfast.store import manifest
from holdfast.store.manifest import Manifest, SourceRecord

if TYPE_CHECKING:
    import sqlite3

log = logging.getLogger("holdfast.cache")

_Result = TypeVar("_Result")

Key = tuple[str, str]
"""A backup in its store: the name of its source, and its id."""

_WAIT = 0.2  # seconds for another process that is writing; then it is done without
_UNUSED = 90 * 24 * 3600.0  # seconds after which the file of a store that nobody lists any more is removed
_TABLE = (
    "CREATE TABLE IF NOT EXISTS manifests (source TEXT, id TEXT, mark TEXT, checksum TEXT, origin TEXT, outline BLOB,"
    " fingerprint TEXT, notes TEXT, PRIMARY KEY (source, id)) WITHOUT ROWID"
)
_SHAPE = zlib.crc32(repr((_TABLE, [kind.__struct_fields__ for kind in manifest.RECORDS])).encode()) & 0x7FFFFFFF


def cache_folder() -> str:
    """The folder of the cache: `HOLDFAST_CACHE`, else where the system keeps such; empty for none."""
    configured = os.environ.get("HOLDFAST_CACHE")
    if configured:
        return "" if configured == "none" else os.path.abspath(configured)
    import platformdirs

    folder = platformdirs.user_cache_dir("holdfast")
    return folder if os.path.isabs(folder) else ""  # a user without a home has none


def origin_text(source: SourceRecord) -> str:
    """What tells the databases apart that backups of one name are of; two that are equal in this are of the same."""
    address = source.address if source.position else ""
    return msgspec.json.encode((source.identity, source.host, address)).decode()


class Row(NamedTuple):
    """What is known of one manifest: the size and version of its object, its digest, and the outline as bytes.

    `fingerprint` is that of the folder of a backup that lacked nothing, and `notes` the paths of the notes in it then.
    """

    mark: str
    checksum: str
    data: bytes
    fingerprint: str = ""
    notes: str = ""

    @classmethod
    def of(cls, mark: str, checksum: str, document: Manifest, fingerprint: str, notes: Iterable[str]) -> "Row":
        """What is to be known from now on."""
        return cls(mark, checksum, msgspec.msgpack.encode(document), fingerprint, "\n".join(notes))

    def outline(self) -> Manifest | None:
        """The outline; None where the bytes are no such thing."""
        try:
            return _decoder().decode(self.data)
        except msgspec.MsgspecError:
            return None


@cache
def _decoder() -> "msgspec.msgpack.Decoder[Manifest]":
    """One for all of them: to find out about the type takes longer than to decode an outline."""
    return msgspec.msgpack.Decoder(decodable(Manifest))


def mark_of(stat: Stat) -> str:
    """What changes where another manifest lies under the same name."""
    return f"{stat.size} {stat.version}"


@dataclass
class ManifestCache:
    """The outlines of one store; what the system refuses, and what another user could have written, is no cache."""

    path: str
    _broken: bool = field(default=False, init=False)

    @classmethod
    def of(cls, storage: Storage) -> Self:
        """The cache of a store; a storage whose location is neither path nor URL is nowhere, and has none."""
        location, folder = storage.location, ""
        if location.startswith("/") or "://" in location:
            folder = cache_folder()
        name = hashlib.sha256(location.encode(errors="surrogateescape")).hexdigest()[:32]
        return cls(os.path.join(folder, f"{name}.manifests") if folder else "")

    def origins(self, name: str) -> Mapping[str, str]:
        """Of each backup of a source that is known, by id, what its manifest says that it is of."""
        return dict(self._read("SELECT id, origin FROM manifests WHERE source = ?", name))

    def rows(self, name: str | None = None) -> dict[Key, Row]:
        """What is known of all manifests, or of those of a source."""
        read = self._read(
            "SELECT source, id, mark, checksum, outline, fingerprint, notes FROM manifests"
            " WHERE source = ifnull(?, source)",
            name,
        )
        return {(source, each): Row(*known) for source, each, *known in read}

    def update(self, added: Mapping[Key, tuple[Row, SourceRecord]], gone: Iterable[Key]) -> None:
        """Keep what is known of manifests, and what they are of; forget those that are gone."""
        gone = list(gone)
        if not (added or gone):
            return
        rows = [
            (*key, row.mark, row.checksum, origin_text(source), row.data, row.fingerprint, row.notes)
            for key, (row, source) in added.items()
        ]

        def write(database: "sqlite3.Connection") -> None:
            database.executemany("DELETE FROM manifests WHERE source = ? AND id = ?", gone)
            database.executemany("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")

        self._with_database(write, create=True)

    def _read(self, statement: str, *values: str | None) -> list[Any]:
        return self._with_database(lambda database: database.execute(statement, values).fetchall()) or []

    def _with_database(
        self, work: "Callable[[sqlite3.Connection], _Result]", *, create: bool = False
    ) -> "_Result | None":
        """What comes of it, None without a database; whatever goes wrong with one costs time and nothing else."""
        if self._broken or not self.path or not (create or os.path.exists(self.path)):
            return None
        try:
            import sqlite3
        except ImportError:  # a Python without it
            return None
        try:
            self._check_private(create=create)
            with contextlib.closing(sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)) as database:
                return work(database) if _is_prepared(database, create=create) else None
        except (OSError, sqlite3.Error) as error:
            self._broken = True
            log.debug("no cache of manifests: %s", error)
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                with contextlib.suppress(OSError):
                    os.unlink(self.path)
            return None

    def _check_private(self, *, create: bool) -> None:
        folder = os.path.dirname(self.path)
        if create:
            os.makedirs(folder, 0o700, exist_ok=True)
        status = os.stat(folder)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise PermissionError(f"{folder} is of another user, or others may write in it")
        if create and not os.path.exists(self.path):
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            _remove_unused(folder)


def _is_prepared(database: "sqlite3.Connection", *, create: bool) -> bool:
    """Whether there is a table of this version, which is made where one is to be written to."""
    (shape,) = database.execute("PRAGMA user_version").fetchone()
    if not create:
        return bool(shape == _SHAPE)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA page_size = 16384")  # of a new file; an outline is about 3 kB
    database.execute("BEGIN IMMEDIATE")
    if shape != _SHAPE:
        database.execute("DROP TABLE IF EXISTS manifests")
        database.execute(f"PRAGMA user_version = {_SHAPE}")
    database.execute(_TABLE)
    return True


def _remove_unused(folder: str) -> None:
    """Remove what is kept of stores that nobody has listed for long."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".manifests") and entry.stat().st_mtime < time.time() - _UNUSED:
                os.unlink(entry.path)
