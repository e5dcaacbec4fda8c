"""The contract of the earlier BackupManager, as thin faces over the same operations as everything else.

`BackupManager` takes URLs of any engine, `DatabaseBackup` names and paths; `backup_database` is one call. Methods
that return a `BackupResult` never raise for an operation that failed and say so in it; all others raise
`HoldfastError`s. Folders are made where they are missing.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote

from holdfast import functions, housekeeping
from holdfast.api import Codec, Engine, Watcher
from holdfast.defaults import default_store
from holdfast.errors import HoldfastError, NotFoundError, UsageError, os_error_text, quote_name
from holdfast.operations.prune import prune
from holdfast.plan import Checksums
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy, Texts
from holdfast.record import Backup, records, reference
from holdfast.store.catalog import Catalog
from holdfast.store.lookup import newest_good
from holdfast.store.names import check_source_name


class BackupFormat(StrEnum):
    """The forms in which `pg_dump` writes a database; an engine that has them takes them as its option `format`."""

    SQL = "sql"  #: one script
    CUSTOM = "custom"  #: one archive for `pg_restore`
    DIRECTORY = "directory"  #: an archive of one file for each table
    TAR = "tar"  #: the same as one file


@dataclass(frozen=True, kw_only=True)
class BackupMetadata:
    """A backup as the `manifest.json` of the earlier BackupManager lists it."""

    backup_id: str  #: its id
    source: str  #: the database that it was made from
    destination: str  #: the path of the file, or of the backup's folder
    format: str  #: `sql_dump`, `file_copy` or `compressed`
    timestamp: float  #: when it was begun, in seconds since 1970 (UTC)
    size_bytes: int  #: its size
    checksum: str  #: the digest of the file, or the SHA-256 of the backup's manifest
    success: bool = True  #: whether it was made
    error: str | None = None  #: why not

    @classmethod
    def of(cls, backup: Backup) -> Self:
        """Describe a backup in these terms."""
        return cls(
            backup_id=backup.id,
            source=backup.source_url,
            destination=backup.path,
            format="compressed" if backup.codec.partition(":")[0] != "none" else "file_copy",
            timestamp=backup.created_at.timestamp(),
            size_bytes=backup.size_bytes,
            checksum=backup.checksum,
        )

    def as_data(self) -> dict[str, Any]:
        """Plain data, as it stands in `manifest.json`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class BackupResult:
    """How an operation ended."""

    success: bool  #: whether it was done
    backup: Backup | None = None  #: the backup, where it was
    duration_seconds: float = 0.0  #: how long it took
    error: str | None = None  #: why not, in one line
    exception: HoldfastError | None = field(default=None, repr=False, compare=False)  #: the same as an exception

    def raise_for_error(self) -> Self:
        """Raise what went wrong as the `HoldfastError` that it was; return itself if nothing did."""
        if not self.success:
            raise self.exception or HoldfastError(self.error or "the operation failed")
        return self


class BackupOptions(TypedDict, total=False):
    """The options of a backup in this contract, which are those of a `holdfast.Pipeline` of the same names.

    A further option of a backup works here as well; type checkers learn of it when it is entered.
    """

    engine: Engine | None
    codec: str | Codec | None
    checksums: Checksums
    jobs: int | None
    select: Texts
    exclude: Texts
    options: Mapping[str, Any]
    proof: bool | None
    check: bool | None
    allow_damaged: bool
    adopt: bool
    tags: Texts
    registry: Registry | None
    on_event: Watcher | None


class KeepRules(TypedDict, total=False):
    """The rules of a `holdfast.Policy` besides the two maxima."""

    max_age: str | timedelta | None
    keep_last: int | None
    keep_hourly: int | None
    keep_daily: int | None
    keep_weekly: int | None
    keep_monthly: int | None
    keep_yearly: int | None
    keep_tags: Texts


class BackupManager:
    """Backs databases of any engine up into a folder and restores them, by URL.

    Example::

        manager = BackupManager("./backups")
        result = manager.backup("sqlite:///app.db")
        manager.restore(result.backup.id, "sqlite:///copy.db")
    """

    def __init__(self, backup_dir: str | os.PathLike[str] | None = None) -> None:
        self.backup_dir = _folder(backup_dir)  #: the store, as text

    def backup(self, url: str, *, name: str | None = None, **options: Unpack[BackupOptions]) -> BackupResult:
        """Back the database at `url` up; `options` are the fields of `BackupPlan`."""
        return _result(lambda: _backup(self.backup_dir, url, name, options))

    def create_backup(self, url: str, *, name: str | None = None, **options: Unpack[BackupOptions]) -> BackupResult:
        """The same as `backup`."""
        return self.backup(url, name=name, **options)

    def restore(self, backup_id: str | Backup, target_url: str, *, replace: bool = False) -> BackupResult:
        """Restore a backup into the database at `target_url`; one that holds data only with `replace`."""

        def run() -> Backup:
            record = self.get_backup(backup_id)
            functions.restore(record, target_url, store=self.backup_dir, replace=replace)
            return record

        return _result(run)

    def list_backups(self, name: str | None = None) -> list[Backup]:
        """All backups, or those of one source, oldest first."""
        catalog = _catalog(self.backup_dir)
        return records(catalog.listing(name).entries, catalog.storage)

    def get_backup(self, backup_id: str | Backup) -> Backup:
        """One backup by its id; an unknown one is a `NotFoundError`."""
        catalog = _catalog(self.backup_dir)
        return Backup.of(catalog.find(reference(backup_id)), catalog.storage)

    def delete_backup(self, backup_id: str | Backup, *, allow_last: bool = False) -> bool:
        """Delete a backup; the newest good or newest proven one of a source is refused without `allow_last`."""
        store = _catalog(self.backup_dir).storage
        housekeeping.delete(backup_id, store=store, allow_last=allow_last)
        return True

    def prune(
        self, max_age_days: float | None = None, max_backups: int | None = None, **rules: Unpack[KeepRules]
    ) -> int:
        """Delete what exceeds a maximum, or what no keep-rule keeps; returns how many are gone.

        The newest good and the newest proven backup of each source always stay. `rules` are the further fields
        of `Policy`.
        """
        policy = housekeeping.policy_of({"max_age_days": max_age_days, "max_backups": max_backups, **rules})
        return _prune(self.backup_dir, policy)


class DatabaseBackup:
    """Backs named databases up into a folder: SQLite files by path, PostgreSQL by URL.

    Example::

        backups = DatabaseBackup("./backups")
        backups.backup_sqlite("app.db", "app")
        backups.restore_sqlite("app", "copy.db")
    """

    def __init__(self, backup_dir: str | os.PathLike[str]) -> None:
        self.backup_dir = _folder(backup_dir)  #: the store, as text

    def backup_sqlite(
        self, path: str | os.PathLike[str], name: str | None = None, **options: Unpack[BackupOptions]
    ) -> Backup:
        """Back an SQLite file up under a name, that of the file if None."""
        return _backup(self.backup_dir, sqlite_url(path), name, options)

    def restore_sqlite(self, name: str, path: str | os.PathLike[str], *, replace: bool = False) -> bool:
        """Restore the newest good backup of that name into a file; one that holds data only with `replace`."""
        newest = newest_good(_catalog(self.backup_dir), check_source_name(name))
        if newest is None:
            raise NotFoundError(f"no good backup of {quote_name(name)} in {quote_name(self.backup_dir)}")
        target = os.fspath(path)
        _make(os.path.dirname(os.path.abspath(target)))
        functions.restore(newest.folder, sqlite_url(target), store=self.backup_dir, replace=replace)
        return True

    def backup_postgres(
        self,
        url: str,
        name: str | None = None,
        format: BackupFormat | str | None = None,  # noqa: A002 (the name in the contract)
        **options: Unpack[BackupOptions],
    ) -> Backup:
        """Back a PostgreSQL database up under a name; `format` None means the engine's own."""
        if format is not None:
            if format not in tuple(BackupFormat):
                raise UsageError(f"no format {quote_name(str(format))} (there are: {', '.join(BackupFormat)})")
            options["options"] = {**options.get("options", {}), "format": str(format)}
        return _backup(self.backup_dir, url, name, options)

    def list_backups(self) -> list[Backup]:
        """All backups, oldest first."""
        catalog = _catalog(self.backup_dir)
        return records(catalog.listing().entries, catalog.storage)

    def prune(self, max_age_days: float | None = None, max_backups: int | None = None) -> int:
        """Delete what exceeds a maximum, of each name by itself; returns how many are gone."""
        return _prune(self.backup_dir, Policy(max_age_days=max_age_days, max_backups=max_backups))


def backup_database(
    url: str,
    backup_dir: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    **options: Unpack[BackupOptions],
) -> BackupResult:
    """Back the database at `url` up into a folder (`HOLDFAST_STORE`, else `./backups`, if None).

    Never raises for an operation that failed: look at `success` and `error`, or call `raise_for_error()`.

    Example::

        result = backup_database("sqlite:///app.db", "./backups")
        print(result.backup.id if result.success else result.error)
    """
    return _result(lambda: BackupManager(backup_dir).backup(url, name=name, **options).raise_for_error().backup)


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """The URL of an SQLite file, whatever characters are in its path."""
    return f"sqlite:///{quote(os.fsencode(path), safe='/')}"


def _result(run: Callable[[], Backup | None]) -> BackupResult:
    began = time.monotonic()
    try:
        record = run()
    except HoldfastError as error:
        seconds = round(time.monotonic() - began, 3)
        return BackupResult(success=False, duration_seconds=seconds, error=error.message, exception=error)
    return BackupResult(success=True, backup=record, duration_seconds=round(time.monotonic() - began, 3))


def _folder(backup_dir: str | os.PathLike[str] | None) -> str:
    """The store's place; a folder is made, a URL is left to its storage."""
    if backup_dir is not None and not isinstance(backup_dir, str | os.PathLike):
        raise UsageError(f"the folder for backups is of type {type(backup_dir).__name__}, expected a path")
    place = default_store() if backup_dir is None else os.fspath(backup_dir)
    if "://" not in place:
        place = os.path.abspath(os.path.expanduser(place))
        _make(place)
    return place


def _backup(backup_dir: str, url: str, name: str | None, options: BackupOptions) -> Backup:
    if "store" in options:
        raise UsageError("backups go to the folder that was named first: 'store' is no option here")
    return functions.backup(url, store=backup_dir, name=name, **options)


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise HoldfastError(f"cannot make the folder {quote_name(folder)}: {os_error_text(error)}") from error


def _catalog(backup_dir: str) -> Catalog:
    catalog = Catalog(functions.installed().storage(backup_dir))
    catalog.open_or_create()
    return catalog


def _prune(backup_dir: str, policy: Policy) -> int:
    result = prune(policy, store=_catalog(backup_dir).storage, registry=functions.installed())
    if result.failed:
        first = result.failed[0]
        raise HoldfastError(f"{len(result.failed)} backups could not be deleted: {first.id}: {first.failure}")
    return len(result.deleted)
