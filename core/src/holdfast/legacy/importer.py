"""Importing backups of the earlier BackupManager: each file becomes a backup of this store, with its old time.

That library kept `<id>.sql` or `<id>.sql.gz`, `<name>.db` copies, and a `manifest.json` that lists them. A file
is compared with its recorded checksum, streamed through the ordinary backup, and left where it is.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from holdfast.api import (
    Capability,
    Codec,
    DatabaseURL,
    DumpRequest,
    DumpSession,
    Engine,
    Facts,
    Operation,
    RestoreRequest,
    RestoreSession,
    Source,
    Storage,
    Stream,
    Watcher,
)
from holdfast.errors import HoldfastError, IntegrityError, NotFoundError, UsageError, os_error_text, quote_name
from holdfast.legacy.manager import BackupMetadata, sqlite_url
from holdfast.operations.backup import backup
from holdfast.patience import Patience
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.run import Run
from holdfast.setup import Parts, StoreLike
from holdfast.store.catalog import Catalog, unopened_catalog
from holdfast.store.names import slug

LISTING = "manifest.json"
STREAM = "database"
_READ = 1 << 20
_MAGIC = b"SQLite format 3\0"
_LARGEST = 64 << 20  # bytes of manifest.json
_SUFFIXES = {".sql": "sql", ".db": "image", ".sqlite": "image", ".sqlite3": "image"}
_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}  # by hexadecimal digits
_BY_HAND = {"sqlite": "sqlite3 TARGET_DB", "postgresql": "psql -X -v ON_ERROR_STOP=1 -d TARGET_DB"}


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What became of one file: `imported`, `present` (taken over before), `skipped` or `failed`, and why.

    The message of an imported one, if there is any, is what to know about it.
    """

    file: str
    status: str
    id: str = ""
    name: str = ""
    message: str = ""
    error: HoldfastError | None = None  #: of a failed one

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {key: value for key, value in vars(self).items() if key != "error"}


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file that is to be imported, opened safely and understood."""

    path: str
    metadata: BackupMetadata
    form: str
    codec: Codec | None
    sha256: str
    compared: bool

    @property
    def suffix(self) -> str:
        """What the plain bytes are."""
        return ".sql" if self.form == "sql" else ".sqlite"


def import_backups(
    folder: str,
    *,
    registry: Registry,
    store: StoreLike = None,
    on_event: Watcher | None = None,
    patience: Patience | None = None,
) -> Iterator[ImportResult]:
    """Import every backup that `manifest.json` in `folder` lists, yielding what became of each.

    A damaged, missing or unknown file is a result with status `failed` and stops no other; importing again
    imports nothing twice. Raises if the folder or its list cannot be read, or the store not be used. Watchers hear of
    each file that is imported, or cannot be, as of a run of its own. `patience` is what there is for names that another
    process has locked.
    """
    patience = patience or Patience(0, lambda _: None)
    with Run(Operation.IMPORT, registry=registry, on_event=on_event):
        entries = read_listing(folder)
        catalog = unopened_catalog(store, registry)
        catalog.open_or_create()
        known = dict(_known(catalog))
    for listed in entries:
        title = _title(listed)
        try:
            with Run(Operation.IMPORT, registry=registry, on_event=on_event):
                metadata = _metadata(listed)
                file = _examine(folder, metadata, registry) if metadata.success else None
            if file is None:
                why = f"its manifest.json says that the backup failed: {metadata.error or 'no reason given'}"
                yield ImportResult(file=title, status="skipped", message=why)
                continue
            before = known.get((metadata.backup_id, file.sha256))
            if before is not None:
                yield ImportResult(file=title, status="present", id=before[1], name=before[0])
                continue
            record = patience.until_free(partial(_import, file, registry, catalog.storage, on_event))
        except HoldfastError as error:
            yield ImportResult(file=title, status="failed", message=error.message, error=error)
        else:
            known[metadata.backup_id, file.sha256] = record.name, record.id
            said = "; ".join(record.warnings)
            yield ImportResult(file=title, status="imported", id=record.id, name=record.name, message=said)


def _known(catalog: Catalog) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """The names and ids of what was taken over before, by its old id and the digest of its file."""
    for entry in catalog.listing().entries:
        origin = entry.manifest.hints.get("imported") if entry.manifest else None
        if isinstance(origin, dict):
            yield (str(origin.get("backup_id")), str(origin.get("sha256"))), (entry.name, entry.id)


def read_listing(folder: str) -> list[Any]:
    """The entries of `manifest.json`, unchecked."""
    path = os.path.join(folder, LISTING)
    try:
        if os.path.getsize(path) > _LARGEST:
            raise IntegrityError(f"{quote_name(path)} is larger than {_LARGEST >> 20} MiB")
        with open(path, "rb") as file:
            entries = msgspec.json.decode(file.read())
    except FileNotFoundError as error:
        raise NotFoundError(
            f"no {LISTING} in {quote_name(folder)}",
            hint="name the folder that holds manifest.json and the files that it lists",
        ) from error
    except OSError as error:
        raise NotFoundError(f"cannot read {quote_name(path)}: {os_error_text(error)}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise IntegrityError(f"{quote_name(path)} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise IntegrityError(f"{quote_name(path)} holds {type(entries).__name__}, expected a list of backups")
    return entries


def _title(listed: Any) -> str:
    known = listed if isinstance(listed, dict) else {}
    name = os.path.basename(str(known.get("destination") or "")) or known.get("backup_id") or "an entry without a name"
    return quote_name(str(name)[:200])


def _metadata(listed: Any) -> BackupMetadata:
    """Read one entry; what may be missing has a default."""
    if not isinstance(listed, dict):
        raise IntegrityError(f"the entry is {type(listed).__name__}, expected an object")
    empty = {"source": "", "destination": "", "format": "", "size_bytes": -1, "checksum": ""}
    fields = {**empty, **{key: value for key, value in listed.items() if value is not None}}
    try:
        return msgspec.convert(fields, BackupMetadata, strict=False)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the entry cannot be read: {error}") from error


def _examine(folder: str, metadata: BackupMetadata, registry: Registry) -> _File:
    """Find the file of an entry in the folder, and compare it with what was recorded of it."""
    path = _locate(folder, metadata)
    name = quote_name(os.path.basename(path))
    codec = registry.codec("gzip") if path.endswith(".gz") else None
    extension = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    form = _SUFFIXES.get(extension, "image" if metadata.format == "file_copy" else "")
    if not form:
        raise UsageError(f"{name} is neither SQL text nor a copy of a database")
    algorithm = _DIGESTS.get(len(metadata.checksum), "")
    size, digests = _digests(_raw(path), {"sha256", algorithm} - {""})
    if algorithm and digests[algorithm] != metadata.checksum.lower():
        # Some releases digested the text before they compressed it.
        if codec is None or _digests(_plain(path, codec), {algorithm})[1][algorithm] != metadata.checksum.lower():
            raise IntegrityError(f"{name} is damaged: its {algorithm} is not the recorded one")
    elif not algorithm and metadata.size_bytes >= 0 and size != metadata.size_bytes:
        raise IntegrityError(f"{name} has {size} bytes, {metadata.size_bytes} are recorded")
    return _File(
        path=path, metadata=metadata, form=form, codec=codec, sha256=digests["sha256"], compared=bool(algorithm)
    )


def _locate(folder: str, metadata: BackupMetadata) -> str:
    """The regular file in the folder: only the last part of a recorded path counts, wherever the folder was then."""
    names = [os.path.basename(metadata.destination), f"{metadata.backup_id}.sql.gz", f"{metadata.backup_id}.sql"]
    for name in names:
        path = os.path.join(folder, name)
        if name and os.path.basename(name) == name and "\0" not in name and os.path.lexists(path):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise IntegrityError(f"{quote_name(name)} is not a regular file")
            return path
    raise NotFoundError(f"its file {quote_name(names[0] or names[1])} is not in {quote_name(folder)}")


def _raw(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_READ):
                yield chunk
    except OSError as error:
        raise HoldfastError(f"cannot read {quote_name(path)}: {os_error_text(error)}") from error


def _plain(path: str, codec: Codec) -> Iterator[bytes]:
    decoder = codec.decoder()
    for chunk in _raw(path):
        yield from decoder.decode(chunk)
    decoder.finish()


def _digests(chunks: Iterator[bytes], algorithms: set[str]) -> tuple[int, dict[str, str]]:
    running = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    size = 0
    for chunk in chunks:
        size += len(chunk)
        for hasher in running.values():
            hasher.update(chunk)
    return size, {name: hasher.hexdigest() for name, hasher in running.items()}


def _import(file: _File, registry: Registry, storage: Storage, on_event: Watcher | None) -> Backup:
    with Run(Operation.IMPORT, registry=registry, on_event=on_event):
        source = file.metadata.source or file.path
        url = source if "://" in source else sqlite_url(source)
        parsed = DatabaseURL.parse(url)
        engine = _OldEngine(name=registry.engine(parsed.scheme).name, file=file, source=_source(file, parsed))
        at = _time(file.metadata)
        plan = BackupPlan(source=url)
    parts = Parts(engine=engine, storage=storage)
    return backup(plan, registry=registry, parts=parts, at=at, on_event=on_event, operation=Operation.IMPORT)


def _time(metadata: BackupMetadata) -> datetime:
    try:
        return datetime.fromtimestamp(metadata.timestamp, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise IntegrityError(f"the recorded time {metadata.timestamp} is none") from error


def _source(file: _File, url: DatabaseURL) -> Source:
    """A file is the same source as for a backup of today; a database of a server is told by its URL."""
    if url.hosts or url.user is not None:
        return Source(name=slug(url.path.rpartition("/")[2]), identity=url.redacted())
    path = os.path.realpath(url.path.removeprefix("/"))
    # `<name>.db` copies bear the name that was given to them, SQL dumps only their id.
    name = os.path.basename(file.path.removesuffix(".gz")) if file.form == "image" else os.path.basename(path)
    return Source(name=os.path.splitext(name)[0], identity=path, local=True)


class _OldEngine(Engine):
    """Reads one old file as if it were a database being dumped; its name is that of the engine that will restore it."""

    name = ""
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, *, name: str, file: _File, source: Source) -> None:
        self.name = name
        self.file = file
        self.source = source

    def dump(self, request: DumpRequest) -> AbstractContextManager[DumpSession]:
        """Open the file."""
        del request
        return self._session()

    def restore(self, request: RestoreRequest) -> AbstractContextManager[RestoreSession]:
        """Never called: the real engine restores."""
        raise NotImplementedError

    @contextmanager
    def _session(self) -> Iterator["_OldDump"]:
        yield _OldDump(self)


def _check_beginning(first: bytes, file: _File) -> None:
    """Refuse what cannot be a backup: no text at all, or a copy of something else. An empty database has no bytes."""
    if file.form == "sql" and not first:
        raise IntegrityError(f"{quote_name(os.path.basename(file.path))} is empty")
    if file.form == "image" and first and first != _MAGIC:
        raise IntegrityError(f"{quote_name(os.path.basename(file.path))} is not an SQLite database")


class _OldDump:
    """The one stream of an old file."""

    def __init__(self, engine: _OldEngine) -> None:
        self._engine = engine
        self.source = engine.source
        file = engine.file
        size = None if file.codec else os.path.getsize(file.path)
        self.streams = (Stream(name=STREAM, suffix=file.suffix, size=size),)

    def read(self, stream: Stream) -> Iterator[bytes]:
        """Yield the plain bytes; they are the ones examined before, or the import fails."""
        del stream
        file = self._engine.file
        hasher = hashlib.sha256()
        first = b""
        for piece in self._plain(hasher):
            first = first or piece[: len(_MAGIC)]
            yield piece
        if hasher.hexdigest() != file.sha256:
            raise HoldfastError(f"{quote_name(file.path)} was changed while it was read")
        _check_beginning(first, file)

    def _plain(self, hasher: "hashlib._Hash") -> Iterator[bytes]:
        file = self._engine.file
        decoder = file.codec.decoder() if file.codec else None
        for chunk in _raw(file.path):
            hasher.update(chunk)
            if decoder is None:
                yield chunk
            else:
                yield from decoder.decode(chunk)
        if decoder is not None:
            decoder.finish()

    def proof(self) -> None:
        """Its files hold none."""

    def facts(self) -> Facts:
        """Say where the backup is from, so that it is imported once."""
        file, engine = self._engine.file, self._engine.name
        origin: Mapping[str, Any] = {"backup_id": file.metadata.backup_id, "sha256": file.sha256}
        warnings = () if file.compared else ("manifest.json has no checksum of it, so nothing was compared",)
        return Facts(
            warnings=warnings,
            restore_steps=_restore_steps(engine, file.form),
            hints={"format": file.form, "imported": origin},
        )


def _restore_steps(engine: str, form: str) -> tuple[str, ...]:
    """How to restore by hand what another program has written."""
    if form == "sql":
        client = _BY_HAND.get(engine, "the database's own client")
        return "# into a database that is new and empty", f"{{decode:{STREAM}}} | {client}"
    place = "mv -f 'TARGET_DB.new' 'TARGET_DB' && rm -f 'TARGET_DB-wal' 'TARGET_DB-shm' 'TARGET_DB-journal'"
    return (
        "# stop the programs that use the database, and put the file in its place, whole or not at all",
        f"{{decode:{STREAM}}} > 'TARGET_DB.new' && {place}",
    )
