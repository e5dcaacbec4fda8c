"""Steps of a workflow: plain functions that pickle, take plain data and return plain data.

Any orchestrator or executor can run them as its tasks, in other processes and on other machines. A step that does
not reach its aim raises a `HoldfastError`, which pickles too, so that the workflow fails or tries again. The result
of `backup_task` can be handed to the steps that follow.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from holdfast import functions as manager
from holdfast.defaults import default_store
from holdfast.errors import IntegrityError, UsageError
from holdfast.plan import BackupPlan
from holdfast.proof import summary

Data = dict[str, Any]
Store = str | os.PathLike[str] | None


def backup_task(source: str | Mapping[str, Any], /, **options: Any) -> Data:
    """Back a database up; `source` is its URL or a whole plan as plain data, `options` fields of `BackupPlan`.

    Returns the record of the backup (`id`, `name`, `state`, `size_bytes`, …) with the `store` it lies in.

    Example::

        record = backup_step("sqlite:///app.db", store="./backups")
    """
    plan = BackupPlan(source=source) if isinstance(source, str) else BackupPlan.from_data(dict(source))
    store = os.fspath(options.pop("store", None) or plan.store or default_store())
    record = manager.backup(plan, store=store, **options)
    return {**_plain(record.as_data()), "store": store}


def verify_task(
    backup: str | Mapping[str, Any], /, *, store: Store = None, read_data: bool = False, jobs: int | None = None
) -> Data:
    """Verify one backup, named by reference or by the result of another step; damage raises `IntegrityError`."""
    reference, store = _find(backup, store)
    (result,) = manager.verify(reference, store=store, read_data=read_data, jobs=jobs)
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
    """Drill one backup, named by reference or by the result of another step; a difference raises `IntegrityError`."""
    reference, store = _find(backup, store)
    result = manager.drill(reference, store=store, into=into, options=options, jobs=jobs)
    if not result.passed:
        raise IntegrityError(f"the drill of {result.id} failed: {summary(result.problems)}")
    return {**_plain(result.as_data()), "store": store}


def prune_task(store: Store = None, /, *, names: Sequence[str] = (), dry_run: bool = False, **rules: Any) -> Data:
    """Prune a store; `rules` are the fields of `Policy`. Returns the ids deleted and kept, and warnings."""
    place = os.fspath(store or default_store())
    result = manager.prune(place, names=names, dry_run=dry_run, **rules)
    return {**_plain(result.as_data()), "store": place}


def _find(backup: Any, store: Store) -> tuple[str, str]:
    """The reference and the store of a backup given in either way."""
    if isinstance(backup, str):
        return backup, os.fspath(store or default_store())
    known = backup if isinstance(backup, Mapping) else {}
    if not {"name", "id"} <= known.keys():
        raise UsageError("a backup is named by a reference, or by the result of another step, which has an id and name")
    return f"{backup['name']}/{backup['id']}", os.fspath(store or backup.get("store") or default_store())


def _plain(data: Data) -> Data:
    plain: Data = msgspec.json.decode(msgspec.json.encode(data))  # tuples become lists, as they would on the wire
    return plain
