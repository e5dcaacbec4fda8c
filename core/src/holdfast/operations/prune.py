"""Prune: delete by a policy, never the last good backup of a source by accident.

The manifest goes first, so that whatever interrupts a deletion leaves no backup that cannot be restored; what is
then left of it belongs to nobody and is removed by the next prune, or the next backup of the source.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from holdfast.api import EventType, Operation, Watcher
from holdfast.errors import LockedError, NotFoundError, PartialError, os_error_text
from holdfast.operations._deciding import DecidedSource, check_policy, clock_of, decide_source
from holdfast.patience import Patience
from holdfast.plugins.registry import Registry
from holdfast.policy import (
    AHEAD,
    NEWEST_GOOD,
    Policy,
)
from holdfast.run import Run
from holdfast.setup import StoreLike
from holdfast.store import removal
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.entry import Entry, Listing, hidden_source
from holdfast.store.readers import deleting
from holdfast.store.renames import renamed_hint
from holdfast.store.retention import retentions_of, until_text

log = logging.getLogger("holdfast.prune")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a prune decided about one backup, and whether it was deleted (or would be, in a dry run)."""

    id: str  #: the id of the backup
    name: str  #: the name of its source
    keep: bool  #: whether it stays
    reasons: tuple[str, ...]  #: why, a few words each
    protected: bool = False  #: whether the policy would delete it and it stays as the newest good or proven one
    unknown: str = ""  #: why nothing can be said of a backup that is kept, otherwise empty
    in_use: bool = False  #: whether the policy would delete it and another process is reading it
    held_until: datetime | None = None  #: until when the store keeps it from everybody, against the policy
    failure: str = ""  #: why it could not be deleted, otherwise empty

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        until = self.held_until
        return {**asdict(self), "held_until": until.isoformat().replace("+00:00", "Z") if until else None}


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """What a prune did, or would do."""

    choices: tuple[Choice, ...]  #: what was decided about each backup, newest first within a source
    leftovers: tuple[str, ...]  #: the folders of unfinished backups that were removed
    dry_run: bool  #: whether nothing was deleted
    hidden: tuple[str, ...] = ()  #: the sources whose folders cannot be read, each with why
    clock: str = ""  #: why ages are not those by this host's clock, otherwise empty
    mixed: tuple[str, ...] = ()  #: the names under which backups of several databases lie, each with which these are

    @property
    def deleted(self) -> tuple[Choice, ...]:
        """The backups that are gone."""
        return tuple(choice for choice in self.choices if not choice.keep and not choice.failure)

    @property
    def kept(self) -> tuple[Choice, ...]:
        """The backups that stay."""
        return tuple(choice for choice in self.choices if choice.keep)

    @property
    def failed(self) -> tuple[Choice, ...]:
        """The backups that should be gone."""
        return tuple(choice for choice in self.choices if choice.failure)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is kept against the policy because nothing newer is good, and what nothing is known of."""
        protected = [
            _protected(choice) for choice in self.choices if choice.protected and NEWEST_GOOD in choice.reasons
        ]
        unknown = [f"kept {choice.name}/{choice.id}: {choice.unknown}" for choice in self.choices if choice.unknown]
        ahead = [
            f"kept {choice.name}/{choice.id}, which is {AHEAD}: see which clock is wrong; it replaces no other"
            for choice in self.choices
            if AHEAD in choice.reasons
        ]
        used = [
            f"kept {choice.name}/{choice.id}, which another process is reading or making: the next prune deletes it"
            for choice in self.choices
            if choice.in_use
        ]
        clock = (self.clock,) if self.clock else ()
        return (*clock, *protected, *unknown, *ahead, *used, *self.mixed, *self.hidden)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is kept as the newest proven backup alone, and what the store holds for now: nothing is amiss."""
        kept = (choice for choice in self.choices if choice.protected and NEWEST_GOOD not in choice.reasons)
        return (*map(_protected, kept), *self.held)

    @property
    def held(self) -> tuple[str, ...]:
        """What the policy would delete and the store keeps from everybody for now, a line each source."""
        return tuple(_held(self.choices))

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "dry_run": self.dry_run,
            "deleted": [choice.id for choice in self.deleted],
            "kept": [choice.id for choice in self.kept],
            "failed": [choice.id for choice in self.failed],
            "leftovers": list(self.leftovers),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def raise_for_failures(self) -> None:
        """Raise `PartialError` if a deletion failed."""
        if self.failed:
            first = self.failed[0]
            raise PartialError(
                f"{len(self.failed)} of {len(self.failed) + len(self.deleted)} backups could not be deleted: "
                f"{first.name}/{first.id}: {first.failure}"
            )


def _held(choices: Sequence[Choice]) -> Iterator[str]:
    """A line each source: there may be hundreds."""
    held: dict[str, list[tuple[datetime, str]]] = {}
    for choice in choices:
        if choice.held_until is not None:
            held.setdefault(choice.name, []).append((choice.held_until, choice.id))
    for name, backups in held.items():
        (first, backup_id), (last, _) = min(backups), max(backups)
        what = f"{name}/{backup_id} is" if len(backups) == 1 else f"{len(backups)} backups of '{name}' are"
        text = f"{what} kept by retention in the store until {first:%Y-%m-%d %H:%M} UTC"
        yield text if len(backups) == 1 else f"{text} ({backup_id}) and later, the last until {last:%Y-%m-%d %H:%M} UTC"


def _protected(choice: Choice) -> str:
    return f"kept {choice.name}/{choice.id}, {' and '.join(choice.reasons)}, which the policy would delete"


def prune(
    policy: Policy,
    *,
    store: StoreLike,
    registry: Registry,
    names: Sequence[str] = (),
    dry_run: bool = False,
    allow_last: bool = False,
    now: datetime | None = None,
    on_event: Watcher | None = None,
    on_choice: Callable[[Choice], None] | None = None,
    patience: Patience | None = None,
) -> PruneResult:
    """Delete what the policy does not keep, of all sources or of those in `names`, and remove leftovers.

    An empty policy is a `UsageError`. The newest good and the newest proven backup of a source stay, unless
    `allow_last`; one of a selection takes the place of no whole one. A deletion that fails is reported in the result
    and stops no other one. Watchers hear of the prune, and of each deletion in it as of one by `delete`. `on_choice`
    is called for each backup at once when its fate is settled, the oldest of a source first. `patience` is what there
    is for readers to end.
    """
    with Run(Operation.PRUNE, registry=registry, on_event=on_event, dry_run=dry_run) as run:
        check_policy(policy)
        catalog = open_catalog(store, registry)
        listing = catalog.listing()
        unfinished = set() if dry_run else removal.unfinished_objects(catalog)
        clock = clock_of(catalog.storage, listing, policy, now, dry_run=dry_run, allow_last=allow_last)
        entries: dict[str, list[Entry]] = {name: [] for name in _names(catalog, listing, names)}
        for entry in listing.entries:
            if entry.name in entries:
                entries[entry.name].append(entry)
        sources = [
            decide_source(name, catalog.storage, each, policy, clock, allow_last=allow_last)
            for name, each in entries.items()
        ]
        run.emit(EventType.STARTED, store=catalog.storage.location, names=[source.name for source in sources])
        choices: list[Choice] = []
        leftovers: list[str] = []
        for source in sources:
            choices += _carry_out(
                catalog, source, policy, run, on_choice, dry_run=dry_run, patience=patience or Patience(0, run.warn)
            )
            leftovers += _sweep(catalog, source.name, listing, dry_run=dry_run)
        if not dry_run:
            removal.remove_unfinished(catalog, [source.name for source in sources], unfinished)
            removal.remove_empty_sources(catalog)
        result = PruneResult(
            choices=tuple(choices),
            leftovers=tuple(leftovers),
            dry_run=dry_run,
            clock=clock.text,
            hidden=tuple(map(hidden_source, listing.hidden.items())),
            mixed=tuple(source.mixture for source in sources if source.mixture),
        )
        for note in result.notes:
            log.info("%s", note)
        run.finish(**result.as_data())
        return result


def _names(catalog: Catalog, listing: Listing, wanted: Sequence[str]) -> list[str]:
    """The sources to prune; one that is not there is a `NotFoundError`."""
    there = sorted({entry.name for entry in listing.entries} | {left.partition("/")[0] for left in listing.leftovers})
    for name in wanted:
        if name not in there:
            hint = renamed_hint(catalog.storage, name)
            raise NotFoundError(f"no backups of '{name}' (there are: {', '.join(there) or 'none'})", hint=hint)
    return [name for name in there if not wanted or name in wanted]


def _sweep(catalog: Catalog, name: str, listing: Listing, *, dry_run: bool) -> list[str]:
    """Remove the unfinished folders of a source that nobody is at work on, or say which those are."""
    if not dry_run:
        return removal.sweep(catalog, name)
    return removal.abandoned(catalog.storage, (folder for folder in listing.leftovers if folder.startswith(f"{name}/")))


def _carry_out(
    catalog: Catalog,
    source: DecidedSource,
    policy: Policy,
    run: Run,
    on_choice: Callable[[Choice], None] | None,
    *,
    dry_run: bool,
    patience: Patience,
) -> list[Choice]:
    """Delete what goes, the oldest first, and tell about all."""
    choices = []
    going = [source.entries[decision.id] for decision in source.decisions if not decision.keep]
    held = retentions_of(catalog.storage, {entry.folder: entry.noted_retention for entry in going})
    stay = len(going) < len(source.decisions)
    for decision in reversed(source.decisions):
        entry = source.entries[decision.id]
        choice = Choice(
            id=decision.id,
            name=source.name,
            keep=decision.keep,
            reasons=decision.reasons,
            protected=decision.protected,
            unknown=entry.doubt,
        )
        if (retention := held.get(entry.folder)) is not None:
            reasons = (f"kept until {until_text(retention)} by its retention", *choice.reasons)
            choice = replace(choice, keep=True, reasons=reasons, held_until=retention.until)
        planned = choice
        if not choice.keep and not dry_run:
            choice = _delete(catalog, entry, choice, policy, run, others_stay=stay)
            while choice.in_use and patience.rest(f"{choice.name}/{choice.id} is being read"):
                choice = _delete(catalog, entry, planned, policy, run, others_stay=stay)
        if on_choice is not None:
            on_choice(choice)
        choices.append(choice)
    return choices[::-1]


def _delete(catalog: Catalog, entry: Entry, choice: Choice, policy: Policy, run: Run, *, others_stay: bool) -> Choice:
    """Delete one backup, and return the choice with what came of it: gone, in use, to be kept after all, or failed."""
    with run.part(Operation.DELETE) as deletion:
        deletion.identify(entry.id, entry.name)
        deletion.action = f"cannot delete {entry.id}"
        # What the store refuses stops no other deletion; a watcher that fails ends the prune.
        with ExitStack() as stack:
            try:
                stack.enter_context(deleting(catalog.storage, entry))
                current = catalog.reload(entry)
            except LockedError:
                return replace(choice, keep=True, reasons=("in use",), in_use=True)
            except OSError as error:
                return replace(choice, failure=_told_failure(deletion, error))
            if current is None:
                return choice
            if current.pinned or set(current.tags) & set(policy.keep_tags) or current.doubt:
                reasons = (current.doubt or "pinned or tagged meanwhile",)
                return replace(choice, keep=True, reasons=reasons, unknown=current.doubt)
            deletion.emit(EventType.STARTED)
            try:
                removal.remove_backup(catalog, current, others_stay=others_stay)
            except OSError as error:
                return replace(choice, failure=_told_failure(deletion, error))
        deletion.finish(id=entry.id, name=entry.name, stored_bytes=entry.stored_size)
    log.info("deleted %s", entry.folder, extra={"id": entry.id, "source_name": entry.name})
    return choice


def _told_failure(deletion: Run, error: OSError) -> str:
    """Tell of a deletion that the store refused, and return why it did."""
    deletion.fail(error)
    return os_error_text(error)
