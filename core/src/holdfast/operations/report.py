"""What a report tells of stores: which sources need attention, their histories, what a policy would delete, copies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.api import Storage
from holdfast.errors import HoldfastError, PartialError, quote_name
from holdfast.operations._deciding import check_policy, clock_of, decide_source
from holdfast.operations._survey import SourceSurvey, StoreSurvey, check_apart, survey_store
from holdfast.plugins.registry import Registry
from holdfast.policy import Decision, Policy
from holdfast.setup import StoreLike, open_storage
from holdfast.store.entry import Entry, hidden_source
from holdfast.store.findings import State
from holdfast.store.overlap import linked_source
from holdfast.store.retention import retentions_of


@dataclass(frozen=True, kw_only=True)
class PlannedDeletion:
    """What a policy would delete of a source, oldest first, with how often each reason is given."""

    kept: int
    deleted: tuple[Entry, ...] = field(repr=False)
    reasons: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """A source of a store; `copies` is in how many of all the stores its newest good backup lies."""

    survey: SourceSurvey
    is_overdue: bool
    is_unproven: bool
    damaged: int
    unknown: int
    stored_bytes: int
    copies: int = 0
    pruning: PlannedDeletion | None = None


@dataclass(frozen=True, kw_only=True)
class StoreReport:
    """A store with its sources by name; `failure` is why it could not be read, `unread` which parts could not be."""

    location: str
    sources: tuple[SourceReport, ...] = field(default=(), repr=False)
    failure: HoldfastError | None = None
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """Stores as they were at a time, and the limits by which something in them is overdue."""

    read_at: datetime
    stores: tuple[StoreReport, ...]
    older_than: timedelta
    unproven_for: timedelta
    policy: Policy | None = None

    def raise_for_unread(self) -> None:
        """Raise why a store could not be read, or `PartialError` if it is only a part of it."""
        for store in self.stores:
            if store.failure is not None:
                raise store.failure
        for store in self.stores:
            if store.unread:
                raise PartialError(f"not all of {quote_name(store.location)} could be read: {'; '.join(store.unread)}")


def report(
    stores: Sequence[StoreLike],
    *,
    registry: Registry,
    older_than: timedelta,
    unproven_for: timedelta,
    policy: Policy | None = None,
    now: datetime,
) -> Report:
    """Read stores; of those that cannot be read it tells that, since a page without them would say that all is well."""
    if policy is not None:
        check_policy(policy)
    storages = [open_storage(store, registry) for store in stores]
    check_apart(storages)
    read: list[tuple[Storage, StoreSurvey | HoldfastError]] = []
    for storage in storages:
        try:
            read.append((storage, survey_store(storage, registry, now)[1]))
        except HoldfastError as error:
            read.append((storage, error))
    return report_of(read, older_than=older_than, unproven_for=unproven_for, policy=policy, now=now)


def report_of(
    read: Sequence[tuple[Storage, StoreSurvey | HoldfastError]],
    *,
    older_than: timedelta,
    unproven_for: timedelta,
    policy: Policy | None,
    now: datetime,
) -> Report:
    """The report of stores that have been read, or could not be."""
    stores = [store for _, store in read if isinstance(store, StoreSurvey)]
    good = Counter(key for store in stores for key in _keys(store, is_alone=len(stores) == 1))
    reports = []
    for storage, store in read:
        if isinstance(store, HoldfastError):
            reports.append(StoreReport(location=storage.location, failure=store))
            continue
        clock = clock_of(storage, store.listing, policy, now, dry_run=True, allow_last=False) if policy else None
        sources = []
        for each in store.sources:
            pruning = None
            if policy is not None and clock is not None:
                decided = decide_source(each.name, storage, each.entries, policy, clock, allow_last=False)
                pruning = _planned(storage, decided.entries, decided.decisions)
            sources.append(_source(each, good, pruning, now, older_than, unproven_for))
        reports.append(
            StoreReport(
                location=storage.location,
                sources=tuple(sources),
                unread=tuple(_unread(storage, store)),
                notes=(*([clock.text] if clock and clock.text else []), *_notes(store)),
            )
        )
    return Report(read_at=now, stores=tuple(reports), older_than=older_than, unproven_for=unproven_for, policy=policy)


def _keys(store: StoreSurvey, *, is_alone: bool) -> set[tuple[str, str, str]]:
    """What the newest good backups of other stores can be copies of: all good ones, or its own where it is alone."""
    if is_alone:
        return {_key(source.newest) for source in store.sources if source.newest}
    return {_key(entry) for source in store.sources for entry in source.entries if entry.good}


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.name, entry.id, entry.checksum


def _source(
    source: SourceSurvey,
    good: Mapping[tuple[str, str, str], int],
    pruning: PlannedDeletion | None,
    now: datetime,
    older_than: timedelta,
    unproven_for: timedelta,
) -> SourceReport:
    states = Counter(entry.state for entry in source.entries)
    return SourceReport(
        survey=source,
        is_overdue=source.last_success is None or source.last_success < now - older_than,
        is_unproven=source.last_proven is None or source.last_proven < now - unproven_for,
        damaged=states[State.DAMAGED],
        unknown=states[State.UNKNOWN],
        stored_bytes=sum(entry.stored_size for entry in source.entries),
        copies=good[_key(source.newest)] if source.newest else 0,
        pruning=pruning,
    )


def _planned(storage: Storage, entries: Mapping[str, Entry], decisions: Sequence[Decision]) -> PlannedDeletion:
    going = {decision.id: decision for decision in decisions if not decision.keep}
    noted = {entries[each].folder: entries[each].noted_retention for each in going}
    held = retentions_of(storage, noted)
    deleted = [entry for each, entry in entries.items() if each in going and entry.folder not in held]
    reasons = Counter(", ".join(going[entry.id].reasons) for entry in deleted)
    return PlannedDeletion(kept=len(entries) - len(deleted), deleted=tuple(deleted), reasons=reasons)


def _unread(storage: Storage, store: StoreSurvey) -> list[str]:
    links = {path: why for path in store.listing.foreign if (why := linked_source(storage, path))}
    return [*map(hidden_source, store.listing.hidden.items()), *map(hidden_source, links.items())]


def _notes(store: StoreSurvey) -> list[str]:
    left = len(store.listing.leftovers)
    unfinished = [f"{left} {'folder is' if left == 1 else 'folders are'} no backup: unfinished, or at work"]
    return [*(source.mixture for source in store.sources if source.mixture), *(unfinished if left else [])]
