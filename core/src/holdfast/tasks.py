"""Tasks of a workflow: plain functions that pickle, take plain data and return plain data.

Any orchestrator or executor can run them, in other processes and on other machines. A task that does
not reach its aim raises a `HoldfastError`, which pickles too, so that the workflow fails or tries again. The result
of `backup_task` can be handed to the tasks that follow.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import msgspec

from holdfast import functions
from holdfast.defaults import default_store
from holdfast.errors import IntegrityError, PartialError, UsageError
from holdfast.plan import BackupOptions, BackupPlan
from holdfast.policy import Policy, Texts
from holdfast.proof import summary
from holdfast.signature import keywords_of, signature_of

Data = dict[str, Any]
Store = str | os.PathLike[str] | None


class BackupTaskArguments(BackupOptions, frozen=True, kw_only=True):
    """The keywords of `backup_task`: those of a backup, with every part by name."""

    store: Store = None
    codec: str | None = None
    checksums: Texts = ()


@keywords_of(BackupTaskArguments)
def backup_task(source: str | Mapping[str, Any], /, **options: Any) -> Data:
    """Back a database up; `source` is its URL or a whole plan as plain data, `options` fields of `BackupPlan`.

    Returns the record of the backup (`id`, `name`, `state`, `size_bytes`, …) with the `store` it lies in.

    Example::

        record = backup_task("sqlite:///app.db", store="./backups")
    """
    plan = BackupPlan(source=source) if isinstance(source, str) else BackupPlan.from_data(dict(source))
    store = os.fspath(options.pop("store", None) or plan.store or default_store())
    record = functions.backup(plan, store=store, **options)
    return {**_plain(record.as_data()), "store": store}


@keywords_of(BackupTaskArguments)
def backup_all_task(source: str | Sequence[str], /, **options: Any) -> Data:
    """Back up every database of the server, folder or pattern `source`, or of a list of URLs, in one run.

    Returns the `tag` that the backups have in common, whether they show `one_moment`, and the records of all as
    `backups`, each of which can be handed on. If some fail, the others are made all the same, and then
    `PartialError` names those that were not.
    """
    store = os.fspath(options.pop("store", None) or default_store())
    done = functions.backup_all(source, store=store, **options)
    if done.failed:
        reasons = summary([f"{failure.source_url}: {failure.error.message}" for failure in done.failed])
        raise PartialError(
            f"{len(done.failed)} of {len(done.failed) + len(done.backups)} backups failed: {reasons}",
            hint=f"those that were made have the tag {done.tag}" if done.backups else None,
        )
    data = _plain(done.as_data())
    return {**data, "backups": [{**record, "store": store} for record in data["backups"]], "store": store}


def verify_task(
    backup: str | Mapping[str, Any], /, *, store: Store = None, read_data: bool = False, jobs: int | None = None
) -> Data:
    """Verify one backup, named by reference or by the result of another task; damage raises `IntegrityError`."""
    reference, store = _find(backup, store)
    (result,) = functions.verify(reference, store=store, read_data=read_data, jobs=jobs)
    if not result.passed:
        raise IntegrityError(f"backup {result.id} is damaged: {summary(result.problems)}")
    return {**_plain(result.as_data()), "store": store}


def drill_task(
    backup: str | Mapping[str, Any],
    /,
    *,
    store: Store = None,
    into: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> Data:
    """Drill one backup, named by reference or by the result of another task; a difference raises `IntegrityError`."""
    reference, store = _find(backup, store)
    result = functions.drill(reference, store=store, into=into, options=options, jobs=jobs)
    if not result.passed:
        raise IntegrityError(f"the drill of {result.id} failed: {summary(result.problems)}")
    return {**_plain(result.as_data()), "store": store}


def copy_task(
    backup: str | Mapping[str, Any], /, *, to: str | os.PathLike[str], store: Store = None, jobs: int | None = None
) -> Data:
    """Copy one backup into the store `to`, named by reference or by the result of another task.

    Returns what became of it there, with `to` as its `store`, so that it can be handed on; damage raises
    `IntegrityError`.
    """
    reference, store = _find(backup, store)
    done = functions.copy(reference, store=store, to=to, jobs=jobs)
    done.raise_for_failures()
    (result,) = done.copies
    return {**_plain(result.as_data()), "store": os.fspath(to)}


@dataclass(frozen=True)
class PruneTaskArguments(Policy):
    """The parameters of `prune_task`."""

    store: Store = None
    _: KW_ONLY
    names: Texts = ()
    dry_run: bool = False


@signature_of(PruneTaskArguments)
def prune_task(store: Store = None, *, names: Texts = (), dry_run: bool = False, **rules: Any) -> Data:
    """Prune a store; `rules` are the fields of `Policy`. Returns the ids deleted and kept, and warnings."""
    place = os.fspath(store or default_store())
    result = functions.prune(place, names=names, dry_run=dry_run, **rules)
    return {**_plain(result.as_data()), "store": place}


def _find(backup: Any, store: Store) -> tuple[str, str]:
    """The reference and the store of a backup given in either way."""
    if isinstance(backup, str):
        return backup, os.fspath(store or default_store())
    record = backup if isinstance(backup, Mapping) else {}
    if not {"name", "id"} <= record.keys():
        raise UsageError("a backup is named by a reference, or by the result of another task, which has an id and name")
    return f"{backup['name']}/{backup['id']}", os.fspath(store or backup.get("store") or default_store())


def _plain(data: Data) -> Data:
    plain: Data = msgspec.json.decode(msgspec.json.encode(data))  # tuples become lists, as they would on the wire
    return plain
