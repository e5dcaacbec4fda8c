"""The short way in Python for what keeps a store in order: prune, pin, tag, rename and delete."""

import inspect
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from holdfast.api import Operation, Storage, Watcher
from holdfast.defaults import installed
from holdfast.operations import delete as delete_operation
from holdfast.operations import labels
from holdfast.operations import prune as prune_operation
from holdfast.operations import rename as rename_operation
from holdfast.operations.prune import PruneResult
from holdfast.operations.rename import RenameResult
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy, Texts, check_texts
from holdfast.record import Backup, reference
from holdfast.run import Run
from holdfast.setup import StoreAddress
from holdfast.signature import check_names, signature_of
from holdfast.store.catalog import open_catalog

__all__ = ["delete", "pin", "prune", "rename", "tag"]


@dataclass(frozen=True)
class PruneArguments(Policy):
    """The parameters of `prune`: the rules of a policy, and where and how to apply it."""

    store: str | os.PathLike[str] | Storage | None = None
    _: KW_ONLY
    store_options: Mapping[str, Any] | None = None
    names: Texts = ()
    dry_run: bool = False
    allow_last: bool = False
    registry: Registry | None = None
    on_event: Watcher | None = None


@signature_of(PruneArguments)
def prune(
    store: str | os.PathLike[str] | Storage | None = None,
    *,
    store_options: Mapping[str, Any] | None = None,
    names: Texts = (),
    dry_run: bool = False,
    allow_last: bool = False,
    registry: Registry | None = None,
    on_event: Watcher | None = None,
    **rules: Any,
) -> PruneResult:
    """Delete what a policy does not keep, for each source by itself; `rules` are the fields of `Policy`.

    Example::

        holdfast.prune("./backups", keep_daily=7, keep_weekly=5, max_age="400d")
    """
    registry = registry or installed()
    with Run(Operation.PRUNE, registry=registry, on_event=on_event, dry_run=dry_run):
        policy = policy_of(rules)
        names = check_texts("names", names)
    return prune_operation.prune(
        policy,
        store=StoreAddress(store, store_options),
        registry=registry,
        names=names,
        dry_run=dry_run,
        allow_last=allow_last,
        on_event=on_event,
    )


def policy_of(rules: dict[str, Any]) -> Policy:
    """Make a policy of keywords; unknown ones are a `UsageError`."""
    check_names(rules, [*inspect.signature(Policy).parameters])
    return Policy(**rules)


def pin(
    backup: str | Backup,
    /,
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    pinned: bool = True,
    registry: Registry | None = None,
) -> None:
    """Pin a backup, so that neither `prune` nor `delete` touches it; with `pinned=False` unpin it."""
    catalog = open_catalog(StoreAddress(store, store_options), registry or installed())
    labels.pin(catalog, catalog.find(reference(backup)), pinned=pinned)


def tag(
    backup: str | Backup,
    /,
    *tags: str,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    remove: bool = False,
    registry: Registry | None = None,
) -> tuple[str, ...]:
    """Add tags to a backup, or remove them, and return those that it has afterwards."""
    catalog = open_catalog(StoreAddress(store, store_options), registry or installed())
    return labels.tag(catalog, catalog.find(reference(backup)), tags, remove=remove)


def rename(
    old: str,
    new: str,
    /,
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> RenameResult:
    """Give the source `old` the name `new`, with all of its backups; later ones of its database get it by themselves.

    A source of which a backup is being made, read or deleted is a `LockedError`, a name that is taken an `UnsafeError`.
    """
    return rename_operation.rename(
        old, new, store=StoreAddress(store, store_options), registry=registry or installed(), on_event=on_event
    )


def delete(
    backup: str | Backup,
    /,
    *,
    store: str | os.PathLike[str] | Storage | None = None,
    store_options: Mapping[str, Any] | None = None,
    allow_last: bool = False,
    registry: Registry | None = None,
    on_event: Watcher | None = None,
) -> None:
    """Delete a backup; the newest good and the newest proven one of a source only with `allow_last`."""
    delete_operation.delete(
        backup,
        store=StoreAddress(store, store_options),
        registry=registry or installed(),
        allow_last=allow_last,
        on_event=on_event,
    )
