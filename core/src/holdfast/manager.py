"""The short way in Python: one function a verb, over the same operations as the command line."""

from functools import cache
from typing import Any

from holdfast.api import Storage, Watcher
from holdfast.config import default_store
from holdfast.errors import UsageError
from holdfast.operations import backup as backup_operation
from holdfast.operations import restore as restore_operation
from holdfast.operations import retention
from holdfast.operations import verify as verify_operation
from holdfast.operations.restore import Restored
from holdfast.operations.verify import Verified
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.record import Backup
from holdfast.registry import Registry
from holdfast.store.catalog import Catalog


@cache
def installed() -> Registry:
    """The registry of what is installed, looked up once a process."""
    return Registry()


def backup(source: str | BackupPlan, /, *, on_event: Watcher | None = None, **options: Any) -> Backup:
    """Back a database up and return the record of it.

    `source` is a database URL, with the fields of `BackupPlan` as further arguments (`store`, `codec`, `name`,
    …), or a whole plan. Whatever fails raises a `HoldfastError` and leaves nothing in the store.

    Example::

        record = holdfast.backup("sqlite:///app.db", store="./backups", codec="zstd:3")
    """
    fields = _fields(BackupPlan, options)
    plan = source.replace(**fields) if isinstance(source, BackupPlan) else BackupPlan(source=source, **fields)
    return backup_operation.backup(plan, registry=installed(), on_event=on_event)


def restore(
    backup: str | Backup | RestorePlan, target: str = "", /, *, on_event: Watcher | None = None, **options: Any
) -> Restored:
    """Restore a backup, named by id, unique prefix, `latest` or `NAME/latest`, into the database at `target`.

    A target that holds data is refused with `UnsafeError`, unless `replace=True`. Further arguments are the
    fields of `RestorePlan`.

    Example::

        holdfast.restore("latest", "sqlite:///copy.db", store="./backups")
    """
    if isinstance(backup, RestorePlan):
        plan = backup
    else:
        reference = f"{backup.name}/{backup.id}" if isinstance(backup, Backup) else backup
        plan = RestorePlan(backup=reference, target=target, **_fields(RestorePlan, options))
    return restore_operation.restore(plan, registry=installed(), on_event=on_event)


def verify(
    *backups: str,
    store: str | Storage | None = None,
    read_data: bool = False,
    jobs: int | None = None,
    on_event: Watcher | None = None,
) -> list[Verified]:
    """Check backups, all of the store if none is named, and record what was found.

    Damage is a result, not an error: look at `passed`. With `read_data` everything is decoded as well.
    """
    catalog = _catalog(store)
    return [
        verify_operation.verify(
            entry, storage=catalog.storage, registry=installed(), read_data=read_data, jobs=jobs, on_event=on_event
        )
        for entry in verify_operation.select(catalog, backups)
    ]


def list_backups(store: str | Storage | None = None, *, name: str | None = None) -> list[Backup]:
    """List the backups of a store, or of one source of it, oldest first."""
    catalog = _catalog(store)
    return [Backup.of(entry, catalog.storage) for entry in catalog.listing(name).entries]


def delete(backup: str, /, *, store: str | Storage | None = None, force_empty: bool = False) -> None:
    """Delete a backup; the newest good and the newest proven one of a source only with `force_empty`."""
    catalog = _catalog(store)
    retention.delete(catalog, catalog.find(backup), force_empty=force_empty)


def _catalog(store: str | Storage | None) -> Catalog:
    storage = installed().storage(store or default_store()) if isinstance(store, str | None) else store
    catalog = Catalog(storage)
    catalog.open()
    return catalog


def _fields(kind: type[BackupPlan] | type[RestorePlan], fields: dict[str, Any]) -> dict[str, Any]:
    """Turn lists into tuples and refuse fields that a plan has not."""
    unknown = [name for name in fields if name not in kind.__struct_fields__]
    if unknown:
        raise UsageError(f"there is no option '{unknown[0]}' (there are: {', '.join(kind.__struct_fields__)})")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
