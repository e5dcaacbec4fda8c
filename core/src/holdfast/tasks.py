"""Tasks of a workflow: plain functions that pickle, take plain data and return plain data.

Any orchestrator or executor can run them, in other processes and on other machines. A task that does
not reach its aim raises a `HoldfastError`, which pickles too, so that the workflow fails or tries again. The result
of `backup_task` can be handed to the tasks that follow.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import msgspec

from holdfast import functions, housekeeping
from holdfast.api import RetentionMode
from holdfast.defaults import default_store
from holdfast.errors import IntegrityError, PartialError, UnsafeError, UsageError
from holdfast.operations.restore import raise_for_failures
from holdfast.plan import BackupOptions, BackupPlan, RestoreOptions
from holdfast.policy import Policy, Texts
from holdfast.proof import summary
from holdfast.signature import keywords_of, signature_of

Data = dict[str, Any]
Store = str | os.PathLike[str] | None
StoreOptions = Mapping[str, Any] | None


class BackupTaskArguments(BackupOptions, frozen=True, kw_only=True):
    """The keywords of `backup_task`: those of a backup, with every part by name."""

    store: Store = None
    codec: str | None = None
    checksums: Texts = ()


@keywords_of(BackupTaskArguments)
def backup_task(source: str | Mapping[str, Any], /, **options: Any) -> Data:
    """Back a database up; `source` is its URL or a whole plan as plain data, `options` fields of `BackupPlan`.

    Returns the record of the backup (`id`, `name`, `state`, `size_bytes`, …) with the `store` it lies in, and the
    `store_options` where some were given.

    Example::

        record = backup_task("sqlite:///app.db", store="./backups")
    """
    plan = BackupPlan(source=source) if isinstance(source, str) else BackupPlan.from_data(dict(source))
    store = os.fspath(options.pop("store", None) or plan.store or default_store())
    where = _where(store, options.pop("store_options", None) or plan.store_options)
    return {**_plain(functions.backup(plan, **where, **options).as_data()), **where}


@keywords_of(BackupTaskArguments)
def backup_all_task(source: str | Sequence[str], /, **options: Any) -> Data:
    """Back up every database of the server, folder or pattern `source`, or of a list of URLs, in one run.

    Returns the `tag` that the backups have in common, whether they show `one_moment`, and the records of all as
    `backups`, each of which can be handed on. If some fail, the others are made all the same, and then
    `PartialError` names those that were not.
    """
    where = _where(options.pop("store", None) or default_store(), options.pop("store_options", None))
    done = functions.backup_all(source, **where, **options)
    if done.failed:
        reasons = summary([f"{failure.source_url}: {failure.error.message}" for failure in done.failed])
        raise PartialError(
            f"{len(done.failed)} of {len(done.failed) + len(done.backups)} backups failed: {reasons}",
            hint=f"those that were made have the tag {done.tag}" if done.backups else None,
        )
    data = _plain(done.as_data())
    return {**data, "backups": [{**record, **where} for record in data["backups"]], **where}


def verify_task(
    backup: str | Mapping[str, Any],
    /,
    *,
    store: Store = None,
    store_options: StoreOptions = None,
    read_data: bool = False,
    jobs: int | None = None,
) -> Data:
    """Verify one backup, named by reference or by the result of another task; damage raises `IntegrityError`."""
    reference, where = _find(backup, store, store_options)
    (result,) = functions.verify(reference, **where, read_data=read_data, jobs=jobs)
    if not result.passed:
        raise IntegrityError(f"backup {result.id} is damaged: {summary(result.problems)}")
    return {**_plain(result.as_data()), **where}


def drill_task(
    backup: str | Mapping[str, Any],
    /,
    *,
    store: Store = None,
    store_options: StoreOptions = None,
    into: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> Data:
    """Drill one backup, named by reference or by the result of another task; a difference raises `IntegrityError`."""
    reference, where = _find(backup, store, store_options)
    result = functions.drill(reference, **where, into=into, options=options, jobs=jobs)
    if not result.passed:
        raise IntegrityError(f"the drill of {result.id} failed: {summary(result.problems)}")
    return {**_plain(result.as_data()), **where}


def copy_task(
    backup: str | Mapping[str, Any],
    /,
    *,
    to: str | os.PathLike[str],
    to_options: StoreOptions = None,
    store: Store = None,
    store_options: StoreOptions = None,
    jobs: int | None = None,
    retain: str | None = None,
    retain_mode: RetentionMode | None = None,
) -> Data:
    """Copy one backup into the store `to`, named by reference or by the result of another task.

    Returns what became of it there, with `to` as its `store`, so that it can be handed on; damage raises
    `IntegrityError`.
    """
    reference, where = _find(backup, store, store_options)
    done = functions.copy(
        reference, **where, to=to, to_options=to_options, jobs=jobs, retain=retain, retain_mode=retain_mode
    )
    done.raise_for_failures()
    (result,) = done.copies
    return {**_plain(result.as_data()), **_where(to, to_options)}


class PlannedTarget(RestoreOptions, frozen=True):
    """What `plan_restore_task` takes by its place as well."""

    target: str = ""


class PlanRestoreArguments(PlannedTarget, frozen=True, kw_only=True):
    """The parameters of `plan_restore_task` after the first."""

    store: Store = None


class RestoreTaskArguments(PlanRestoreArguments, frozen=True, kw_only=True):
    """The parameters of `restore_task` after the first."""

    digest: str | None = None


@keywords_of(PlanRestoreArguments)
def plan_restore_task(backup: str | Mapping[str, Any], /, target: str = "", **options: Any) -> Data:
    """Tell what a restore of one backup into the database at `target` would do, and touch nothing.

    `options` are fields of `RestorePlan`. Returns which backup it is, the `target` without its secrets, the `changes`
    to what it holds, and the `digest` of all this, with which `restore_task` does that and nothing else. What the
    restore itself would refuse is refused here too.

    Example::

        plan = plan_restore_task("app/latest", "sqlite:///app.db", store="./backups", replace=True)
    """
    reference, where = _find(backup, options.pop("store", None), options.pop("store_options", None))
    result = functions.restore(reference, target, **where, **options, dry_run=True)
    data = {**_plain(result.as_data()), **where, "options": _plain(options)}
    return {**data, "digest": _digest(data)}


@keywords_of(RestoreTaskArguments)
def restore_task(
    backup: str | Mapping[str, Any], /, target: str = "", *, digest: str | None = None, **options: Any
) -> Data:
    """Restore one backup, named by reference or by the result of another task, into the database at `target`.

    With the `digest` of what `plan_restore_task` told of the same call, the restore is refused with `UnsafeError` if
    it would do anything else by now: the target has changed, or another backup is the latest.

    Example::

        restore_task(plan, "sqlite:///app.db", digest=plan["digest"], replace=True)
    """
    if digest is not None and digest != plan_restore_task(backup, target, **options)["digest"]:
        raise UnsafeError(
            "the restore would not do what was planned: backup, target or options have changed since",
            hint="plan it anew, and let that be approved",
        )
    reference, where = _find(backup, options.pop("store", None), options.pop("store_options", None))
    result = functions.restore(reference, target, **where, **options)
    raise_for_failures(result)
    return {**_plain(result.as_data()), **where}


@dataclass(frozen=True)
class PruneTaskArguments(Policy):
    """The parameters of `prune_task`."""

    store: Store = None
    _: KW_ONLY
    store_options: StoreOptions = None
    names: Texts = ()
    dry_run: bool = False


@signature_of(PruneTaskArguments)
def prune_task(
    store: Store = None,
    *,
    store_options: StoreOptions = None,
    names: Texts = (),
    dry_run: bool = False,
    **rules: Any,
) -> Data:
    """Prune a store; `rules` are the fields of `Policy`. Returns the ids deleted and kept, and warnings."""
    where = _where(store or default_store(), store_options)
    result = housekeeping.prune(**where, names=names, dry_run=dry_run, **rules)
    return {**_plain(result.as_data()), **where}


def _find(backup: Any, store: Store, options: StoreOptions) -> tuple[str, Data]:
    """The reference of a backup given in either way, and how its store is named."""
    if isinstance(backup, str):
        return backup, _where(store or default_store(), options)
    record = backup if isinstance(backup, Mapping) else {}
    if not {"name", "id"} <= record.keys():
        raise UsageError("a backup is named by a reference, or by the result of another task, which has an id and name")
    if store is None:
        store, options = backup.get("store"), backup.get("store_options") if options is None else options
    return f"{backup['name']}/{backup['id']}", _where(store or default_store(), options)


def _digest(plan: Data) -> str:
    """A digest of what a plan tells, without how long it took to find that out."""
    told = {key: value for key, value in plan.items() if key not in ("duration_seconds", "warnings")}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def _where(store: str | os.PathLike[str], options: StoreOptions) -> Data:
    """How a store is named to the functions and in results: with its options where it has any."""
    return {"store": os.fspath(store), **({"store_options": dict(options)} if options else {})}


def _plain(data: Data) -> Data:
    plain: Data = msgspec.json.decode(msgspec.json.encode(data))  # tuples become lists, as they would on the wire
    return plain
