"""A set of backups: one run over several databases, a backup each, which a tag of their own keeps together.

Where the engine can, all of them show one moment; where it cannot, that is said. One that fails stops no other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.api import DatabaseURL, Engine, Moment, MomentRequest, Operation, Watcher
from holdfast.error_boundary import translate_errors
from holdfast.errors import HoldfastError, PartialError, UsageError
from holdfast.operations.backup import backup
from holdfast.operations.databases import find
from holdfast.patience import Patience
from holdfast.plan import BackupPlan
from holdfast.plugins.engine import options_for
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.run import Run
from holdfast.scratch import scratch_folder
from holdfast.setup import Parts, complete
from holdfast.store.names import new_id
from holdfast.url import redact

_SHOWN = 10  # databases that a warning names


@dataclass(frozen=True, kw_only=True)
class FailedBackup:
    """A database of which no backup was made."""

    source_url: str  #: its URL, without its secrets
    error: HoldfastError  #: why


@dataclass(frozen=True, kw_only=True)
class BackupSet:
    """What came of one run over several databases."""

    tag: str  #: the tag that all of its backups have, but those that had been made for its `run` before
    backups: tuple[Backup, ...]  #: the backups that were made
    failed: tuple[FailedBackup, ...]  #: the databases of which none was made
    one_moment: bool  #: whether all of them show the same moment

    def raise_for_failures(self) -> None:
        """Raise `PartialError` if some of the backups failed; the others hold."""
        if self.failed:
            total = len(self.backups) + len(self.failed)
            raise PartialError(f"{len(self.failed)} of {total} backups failed")

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "tag": self.tag,
            "one_moment": self.one_moment,
            "backups": [record.as_data() for record in self.backups],
            "failed": [
                {"source_url": failure.source_url, "message": failure.error.message, "hint": failure.error.hint}
                for failure in self.failed
            ],
        }


def new_tag() -> str:
    """A tag for the backups of one run: no other run makes the same."""
    return f"set-{new_id()[0]}"


def find_sources(
    urls: Sequence[str],
    *,
    run: Run,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    engine: Engine | None = None,
    note: Callable[[str], object] | None = None,
) -> tuple[str, ...]:
    """The URLs of every database at these URLs, each once; `run` tells what was left out and `note` what else is there.

    `select` and `exclude` choose among the names of the databases.
    """
    run.hide(*urls)
    sources: dict[str, None] = {}
    for url in urls:
        listing = find(url, registry=run.registry, select=select, exclude=exclude, engine=engine)
        sources |= dict.fromkeys(listing)
        if note is not None and listing.notes:
            note("; ".join(listing.notes))
        for warning in listing.warnings:
            run.warn(warning)
    return tuple(sources)


def back_up_all(
    sources: Sequence[str],
    options: Mapping[str, Any],
    *,
    registry: Registry,
    parts: Parts | None = None,
    on_event: Watcher | None = None,
    on_result: Callable[[Backup | FailedBackup], object] | None = None,
    patience: Patience | None = None,
) -> BackupSet:
    """Back up each of `sources` once with these fields of a plan; one that fails does not keep others from being made.

    `patience` is what all of them have for locks. `on_result` is called with what came of each, as soon as that is
    known. Anything but a `HoldfastError` ends it.
    """
    parts = parts or Parts()
    sources = tuple(dict.fromkeys(sources))
    tag = new_tag()
    made: dict[str, Backup] = {}
    failed: list[FailedBackup] = []
    with ExitStack() as stack:
        with Run(Operation.BACKUP, registry=registry, on_event=on_event) as run:
            run.hide(*sources)
            moments = _hold(stack, sources, tag, options, run, parts.engine)
        for source in sources:
            result = _back_up(
                source,
                tag,
                options,
                msgspec.structs.replace(parts, moment=moments.get(source)),
                registry,
                on_event,
                patience or Patience(0, run.warn),
            )
            if isinstance(result, Backup):
                made[source] = result
            else:
                failed.append(result)
            if on_result:
                on_result(result)
        new = not any(record.reused for record in made.values())
        one_moment = len(made) < 2 or (new and _is_one({moments.get(source) for source in made}, made))
    return BackupSet(tag=tag, backups=tuple(made.values()), failed=tuple(failed), one_moment=one_moment)


def _back_up(
    source: str,
    tag: str,
    options: Mapping[str, Any],
    parts: Parts,
    registry: Registry,
    on_event: Watcher | None,
    patience: Patience,
) -> Backup | FailedBackup:
    try:
        with Run(Operation.BACKUP, registry=registry, on_event=on_event):
            plan = BackupPlan(source=source, **options)
            plan = plan.replace(tags=(*plan.tags, tag))
        return patience.until_free(lambda: backup(plan, registry=registry, parts=parts, on_event=on_event))
    except HoldfastError as error:
        return FailedBackup(source_url=redact(source), error=error)


def _hold(
    stack: ExitStack, sources: Sequence[str], tag: str, options: Mapping[str, Any], run: Run, engine: Engine | None
) -> dict[str, Moment]:
    """Hold the databases at one moment where their engine can, and tell what is not of one: by source its moment."""
    groups = _by_engine(sources, run.registry, engine)
    moments: dict[str, Moment] = {}
    missing: dict[str, str] = {}
    for owner, group in groups:
        name = tag if len(groups) == 1 else f"{tag}-{owner.name if owner else ''}"
        moment = _open(stack, owner, group, name, options, run)
        if moment is not None:
            moments |= dict.fromkeys(group, moment)
            missing |= moment.missing
    covered = [source for source in sources if source in moments and source not in missing]
    if len(sources) > 1 and (len(groups) > 1 or len(covered) < len(sources)):
        run.warn(_warning(len(sources), 0 if len(groups) > 1 else len(covered), missing))
    return moments


def _is_one(moments: Collection[Moment | None], sources: Collection[str]) -> bool:
    """Whether the moments of these sources are one, and none of them missed it."""
    return len(moments) == 1 and all(moment and not moment.missing.keys() & sources for moment in moments)


def _by_engine(
    sources: Sequence[str], registry: Registry, engine: Engine | None
) -> list[tuple[Engine | None, list[str]]]:
    """The sources that belong to one engine; of those whose URL names none that is None, and their backup says why."""
    groups: dict[str, tuple[Engine | None, list[str]]] = {}
    for source in sources:
        try:
            owner: Engine | None = complete(engine) if engine else registry.engine(DatabaseURL.parse(source).scheme)
        except HoldfastError:
            owner = None
        groups.setdefault(owner.name if owner else "", (owner, []))[1].append(source)
    return list(groups.values())


def _open(
    stack: ExitStack, engine: Engine | None, group: list[str], name: str, options: Mapping[str, Any], run: Run
) -> Moment | None:
    if engine is None or len(group) < 2:
        return None
    try:
        with translate_errors("cannot hold the databases at one moment", *group):
            request = MomentRequest(
                name=name,
                urls=tuple(group),
                scratch=stack.enter_context(scratch_folder()),
                options=options_for("backup", engine, options.get("options") or {}),
            )
            context = engine.moment(request)
            moment = None if context is None else stack.enter_context(context)
    except UsageError:  # each backup says the same
        return None
    except HoldfastError as error:
        run.warn(error.message)
        return None
    for warning in moment.warnings if moment is not None else ():
        run.warn(warning)
    return moment


def _warning(total: int, covered: int, missing: Mapping[str, str]) -> str:
    """Say which databases are not of one moment with the others, and why."""
    reasons = [f"{redact(source)} ({why})" for source, why in missing.items()]
    more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    named = f": {', '.join(reasons[:_SHOWN])}{more}" if reasons else ""
    if covered < 2:
        return f"{total} databases are backed up one after the other: together they are not one snapshot{named}"
    return f"{len(missing)} of {total} databases are not of one moment with the others{named}"
