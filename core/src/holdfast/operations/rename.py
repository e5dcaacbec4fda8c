"""Rename: give a source another name, with all of its backups, whole or not at all.

Manifests never change, so that those of before keep the former name, and a mark beside the claim says that it was the
source's. The mark is written first and the folder then renamed in one step: a run that is killed between the two leaves
the source under its old name, where the mark means nothing, and the next run goes on from there.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.api import EventType, Operation, Storage, SupportsRename, SupportsSharedLease, Watcher
from holdfast.errors import HoldfastError, LockedError, NotFoundError, UnsafeError, UsageError, quote_name
from holdfast.plugins.registry import Registry
from holdfast.run import Run
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.claims import owner_of
from holdfast.store.leasing import held
from holdfast.store.names import ID, check_source_name
from holdfast.store.origin import Origin
from holdfast.store.readers import source_lease
from holdfast.store.renames import former_path, mark_former_name, renamed_hint, renamed_to

log = logging.getLogger("holdfast.rename")


@dataclass(frozen=True, kw_only=True)
class RenameResult:
    """What a rename did."""

    old: str  #: the name that the source had
    name: str  #: the name that it has now
    backups: int  #: how many backups it has
    changed: bool = True  #: whether it had another name before

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def rename(
    old: str, new: str, *, store: StoreLike, registry: Registry, on_event: Watcher | None = None
) -> RenameResult:
    """Give the source `old` the name `new`, which nobody has; a source whose folder was renamed by hand is finished.

    A source in use (a backup being made, read or deleted) is a `LockedError`, a name that is taken an `UnsafeError`.
    Whatever fails or ends it leaves the source under one of the two names, and usable.
    """
    with Run(Operation.RENAME, registry=registry, on_event=on_event) as run:
        _check_names(old, new)
        catalog = open_catalog(store, registry)
        storage = catalog.storage
        if not isinstance(storage, SupportsRename) or not isinstance(storage, SupportsSharedLease):
            raise HoldfastError(
                f"the store at {quote_name(storage.location)} cannot rename a source: it has no way to do that in one "
                "step",
                hint="back up under another --name, and delete the old backups when they are not needed any more",
            )
        run.action = f"cannot rename '{old}'"
        run.emit(EventType.STARTED, store=storage.location, names=[old, new])
        with _alone(storage, old), _alone(storage, new):
            result = _rename(catalog, storage, old, new, run)
        log.info("renamed %s to %s", old, new, extra={"source_name": new})
        run.finish(**result.as_data())
        return result


def _check_names(old: str, new: str) -> None:
    check_source_name(old)
    check_source_name(new)
    if old == new:
        raise UsageError(f"'{old}' is the name that it has already")


@contextmanager
def _alone(storage: Storage, name: str) -> Iterator[None]:
    """Keep all others from using a source, as long as they are of a version that shares its lease."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(storage.lease(source_lease(name)), name))
        except LockedError as error:
            raise _in_use(name) from error
        yield


def _in_use(name: str) -> LockedError:
    return LockedError(
        f"'{name}' cannot be renamed now: a backup of it is being made, read or deleted",
        hint="run it again when that is done",
    )


def _rename(catalog: Catalog, storage: SupportsRename, old: str, new: str, run: Run) -> RenameResult:
    ids = _ids(catalog, old)
    there = any(True for _ in catalog.storage.list(new))
    if not ids and new in renamed_to(catalog.storage, old):
        return RenameResult(old=old, name=new, backups=len(_ids(catalog, new)), changed=False)
    if not ids and there:
        return _finish(catalog, old, new)
    if not ids:
        hint = renamed_hint(catalog.storage, old) or "see what is there: holdfast list"
        raise NotFoundError(f"no backups of '{old}' in {quote_name(catalog.storage.location)}", hint=hint)
    if there:
        raise UnsafeError(f"the name '{new}' is taken in this store", hint="choose another name")
    _check_free(catalog.storage, old, ids)
    mark_former_name(catalog.storage, old, old)
    try:
        storage.rename(old, new)
    except FileExistsError as error:
        catalog.storage.delete(former_path(old, old))
        raise UnsafeError(f"the name '{new}' was taken meanwhile", hint="choose another name") from error
    run.settled = f"'{old}' is called '{new}' all the same"
    catalog.storage.barrier()
    return RenameResult(old=old, name=new, backups=len(ids))


def _ids(catalog: Catalog, name: str) -> set[str]:
    """The ids of all folders of backups of a source, whether they are backups or what is left of some."""
    parts = (stat.path.split("/") for stat in catalog.walk(name))
    return {path[1] for path in parts if len(path) > 2 and path[0] == name and ID.fullmatch(path[1])}


def _check_free(storage: Storage, name: str, ids: set[str]) -> None:
    """Make sure that nobody is at work on a backup, also none of an older version, which knows no lease of a source."""
    for backup_id in sorted(ids):
        try:
            with held(storage.lease(backup_id), backup_id):
                pass
        except LockedError as error:
            raise _in_use(name) from error


def _finish(catalog: Catalog, old: str, new: str) -> RenameResult:
    """Mark a source whose folder somebody has renamed by hand, if its backups are those of its claim."""
    entries = catalog.listing(new).entries
    foreign = [entry.misplaced for entry in entries if entry.misplaced and entry.misplaced.name == old]
    owner = owner_of(catalog, new)
    if not foreign:
        hint = renamed_hint(catalog.storage, old) or "see what is there: holdfast list"
        raise NotFoundError(f"no backups of '{old}' in {quote_name(catalog.storage.location)}", hint=hint)
    if owner is None or not all(owner.owns(Origin.recorded(source)) for source in foreign):
        raise UnsafeError(
            f"the folder '{new}' holds backups of '{old}', which is another database than the one it belongs to",
            hint=f"move them back into the folder '{old}'",
        )
    mark_former_name(catalog.storage, new, old)
    return RenameResult(old=old, name=new, backups=len(entries))
