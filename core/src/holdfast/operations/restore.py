"""Restore: check all that can be checked, load every stream, commit only what agrees with the manifest."""

from holdfast.api import Codec, DatabaseURL, Engine, Operation, Storage, Watcher
from holdfast.errors import PartialError
from holdfast.identities import IdentitySource
from holdfast.operations._loading import RestoreResult, identity_of, load, resolve_restore
from holdfast.plan import RestorePlan
from holdfast.plugins.registry import Registry
from holdfast.proof import summary
from holdfast.run import Run
from holdfast.scratch import scratch_folder
from holdfast.setup import StoreAddress
from holdfast.store.catalog import open_catalog
from holdfast.store.entry import ahead_warning
from holdfast.store.lookup import is_latest, usable_manifest
from holdfast.store.overlap import check_outside
from holdfast.store.readers import reading
from holdfast.store.sealed import open_backup
from holdfast.url import redact

__all__ = ["RestoreResult", "raise_for_failures", "restore"]


def restore(
    plan: RestorePlan,
    *,
    registry: Registry,
    storage: Storage | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    on_event: Watcher | None = None,
    dry_run: bool = False,
    identity: IdentitySource | None = None,
) -> RestoreResult:
    """Restore one backup into `plan.target`; after a failure the target is as it was, or the error says what is left.

    Where the engine goes on after errors, `failures` of the result lists what is missing, and all else is there.
    `storage`, `engine` and `codec` stand in for those that the plan and the manifest name, `identity` for the plan's.
    """
    with Run(Operation.RESTORE, registry=registry, on_event=on_event, dry_run=dry_run) as run:
        run.hide(plan.target)
        run.action = f"restore into {redact(plan.target)} failed"
        DatabaseURL.parse(plan.target)  # a wrong call is told before a missing store
        catalog = open_catalog(StoreAddress(storage or plan.store, plan.store_options), registry)
        check_outside(catalog.storage, plan.target)
        entry = catalog.find(plan.backup)
        run.identify(entry.id, entry.name)
        manifest = usable_manifest(catalog, entry, plan.backup, allow_damaged=plan.allow_damaged)
        if is_latest(plan.backup) and (warning := ahead_warning(entry)):
            run.warn(warning)
        opened = open_backup(
            catalog.storage, entry, manifest, registry=registry, identity=identity or identity_of(plan)
        )
        setup = resolve_restore(plan, entry, opened, run=run, storage=catalog.storage, engine=engine, codec=codec)
        with scratch_folder() as scratch, reading(catalog.storage, entry):
            result = load(setup, scratch, dry_run=dry_run)
        run.finish(**result.as_data())
        return result


def raise_for_failures(result: RestoreResult) -> None:
    """Raise `PartialError` if some of the backup was not restored."""
    if result.failures:
        count = f"{len(result.failures)} object{'s were' if len(result.failures) > 1 else ' was'}"
        raise PartialError(
            f"{count} not restored: {summary(map(str, result.failures))}",
            hint=f"all else is in {result.target}, and stays there",
        )
