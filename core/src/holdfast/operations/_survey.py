"""What the backups of a store tell of its sources at a time: when each was last backed up, and last proven."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, combinations

from holdfast.api import Storage
from holdfast.errors import UsageError, quote_name
from holdfast.plugins.registry import Registry
from holdfast.policy import is_ahead
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.claims import claimed_names
from holdfast.store.entry import Entry, Listing
from holdfast.store.findings import State, proven_at
from holdfast.store.lineage import are_mixed, lineages, mixture
from holdfast.store.overlap import share_a_place

_NOT_GOOD = (State.DAMAGED, State.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class SourceSurvey:
    """A source of a store.

    `newest` is its newest good backup, `last_success` when it was begun and `last_proven` when a drill last proved one
    that is proven still; a time that is later than the clock, `ahead`, is neither. Of a source of which there are whole
    backups those of a selection do not count. Where the backups of several databases lie under the name, which
    `mixture` then tells, all of it is of the one that is furthest behind.
    """

    name: str
    engine: str = ""
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    newest: Entry | None = None
    last_success: datetime | None = None
    last_proven: datetime | None = None
    ahead: datetime | None = None
    mixture: str = ""


@dataclass(frozen=True, kw_only=True)
class StoreSurvey:
    """A store as it was at a time, with its sources by name; those that never had a whole backup are among them."""

    location: str
    read_at: datetime
    sources: tuple[SourceSurvey, ...] = field(repr=False)
    listing: Listing = field(repr=False)


def survey_store(store: StoreLike, registry: Registry, now: datetime | None = None) -> tuple[Catalog, StoreSurvey]:
    """Read a store; one that is not there, or cannot be read, is a `NotFoundError`."""
    catalog = open_catalog(store, registry)
    listing = catalog.listing(cached=True)
    known = claimed_names(catalog)
    return catalog, survey(catalog.storage, listing, known, now or datetime.now(UTC))


def check_apart(storages: Sequence[Storage]) -> None:
    """Refuse stores of which two are the same, or lie within each other."""
    for storage, other in combinations(storages, 2):
        if share_a_place(storage, other):
            raise UsageError(f"the store {quote_name(other.location)} is named twice, and would count twice")


def survey(storage: Storage, listing: Listing, known: Iterable[str], now: datetime) -> StoreSurvey:
    """What a listing tells of the sources in it, and of those that are `known` to have been there."""
    sources: dict[str, list[Entry]] = {name: [] for name in known}
    for entry in listing.entries:
        sources.setdefault(entry.name, []).append(entry)
    return StoreSurvey(
        location=storage.location,
        read_at=now,
        sources=tuple(_survey_source(storage, name, entries, now) for name, entries in sorted(sources.items())),
        listing=listing,
    )


def _survey_source(storage: Storage, name: str, entries: Sequence[Entry], now: datetime) -> SourceSurvey:
    groups = lineages(storage, name, entries)
    apart = groups if are_mixed(groups) else [list(chain.from_iterable(groups))]
    each = [_Database.of(group, now) for group in apart]
    behind = min(each, key=lambda database: _time(database.last_success))
    return SourceSurvey(
        name=name,
        engine=next((entry.manifest.source.engine for entry in reversed(entries) if entry.manifest), ""),
        entries=tuple(entries),
        newest=behind.newest,
        last_success=behind.last_success,
        last_proven=min((database.last_proven for database in each), key=_time),
        ahead=max((database.ahead for database in each), key=_time),
        mixture=mixture(name, groups),
    )


@dataclass(frozen=True, kw_only=True)
class _Database:
    """What the backups of one database tell, as `SourceSurvey` has it."""

    newest: Entry | None
    last_proven: datetime | None
    ahead: datetime | None

    @property
    def last_success(self) -> datetime | None:
        return self.newest.created_at if self.newest else None

    @classmethod
    def of(cls, group: Sequence[Entry], now: datetime) -> "_Database":
        backups = [entry for entry in group if not entry.part] or group
        states = [(entry, entry.state) for entry in backups]
        good = [entry for entry, state in states if state not in _NOT_GOOD]
        proven = (entry for entry, state in states if state is State.PROVEN)
        proofs = [time for entry in proven if (time := proven_at(entry.findings))]
        times = [*(entry.created_at for entry in good[-1:]), *proofs]
        return cls(
            newest=next((entry for entry in reversed(good) if not is_ahead(entry.created_at, now)), None),
            last_proven=max((time for time in proofs if not is_ahead(time, now)), default=None),
            ahead=max((time for time in times if is_ahead(time, now)), default=None),
        )


def _time(time: datetime | None) -> float:
    return time.timestamp() if time else 0.0
