"""The listing of a store: its backups, what is wrong with them, and sources that no drill has proven for too long."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from holdfast.command_text import command_text
from holdfast.errors import OverdueError, PartialError, UsageError, quote_name
from holdfast.plugins.registry import Registry
from holdfast.policy import AHEAD, is_ahead
from holdfast.record import Backup, records
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.claims import claimed_names
from holdfast.store.entry import Entry, hidden_source
from holdfast.store.findings import State, proven_at
from holdfast.store.lineage import Lineage, are_mixed, lineages, mixture
from holdfast.store.names import check_source_name
from holdfast.store.removal import abandoned
from holdfast.store.renames import renamed_hint


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """A source of which nothing was backed up, or no backup proven, in time.

    `newest` is its newest good backup, `last` when it was begun, or when one was last proven. `ahead` is a time of one
    that is later than the clock, and so says nothing.
    """

    name: str
    newest: Entry | None
    last: datetime | None
    ahead: datetime | None = None

    def __str__(self) -> str:
        if self.newest is None:
            return f"{self.name} (no backup)"
        if self.ahead is not None:
            return f"{self.name} ({self.ahead:%Y-%m-%d %H:%M} UTC, which is {AHEAD})"
        return f"{self.name} (never)" if self.last is None else f"{self.name} (last {self.last:%Y-%m-%d %H:%M} UTC)"


def overdue(
    entries: Iterable[Entry],
    period: timedelta,
    *,
    known: Iterable[str] = (),
    proven: bool = True,
    now: datetime | None = None,
) -> tuple[Overdue, ...]:
    """The sources, those of the `known` names included, of which nothing good was backed up within `period`.

    With `proven` those of which no backup that is still proven passed a drill within it. Never counts as too long ago,
    and so does a time that is still to come. Of a source of which there are whole backups those of a selection do not
    count.
    """
    now = now or datetime.now(UTC)
    sources: dict[str, list[Entry]] = defaultdict(list, {name: [] for name in known})
    for entry in entries:
        sources[entry.name].append(entry)
    late = []
    for name, every in sorted(sources.items()):
        backups = [entry for entry in every if not entry.part] or every
        good = [entry for entry in backups if entry.good]
        if proven:
            times = [proven_at(entry.findings) for entry in backups if entry.state is State.PROVEN]
        else:
            times = [entry.created_at for entry in good]
        ahead = max((time for time in times if time is not None and is_ahead(time, now)), default=None)
        last = max((time for time in times if time is not None and not is_ahead(time, now)), default=None)
        if last is None or last < now - period:
            late.append(Overdue(name=name, newest=next(reversed(good or backups), None), last=last, ahead=ahead))
    return tuple(late)


@dataclass(frozen=True, kw_only=True)
class StoreListing:
    """The backups of a store that were asked for, oldest first, and what a reader of the list has to know.

    `location` is where the store is, `warnings` tell of what is damaged, foreign or unfinished, `overdue` of sources
    without a recent proof. `empty` says that there is no backup at all, whatever its state. `hidden` are the sources
    whose folders cannot be read, of which nothing is listed.
    """

    location: str
    backups: tuple[Backup, ...]
    warnings: tuple[str, ...]
    overdue: tuple[Overdue, ...]
    empty: bool
    name: str | None = None
    unproven_for: timedelta | None = None
    older_than: timedelta | None = None
    hidden: tuple[str, ...] = ()

    def raise_for_hidden(self) -> None:
        """Raise `PartialError` if there are sources that cannot be read: the list is not all that there is."""
        if self.hidden:
            are = "1 source" if len(self.hidden) == 1 else f"{len(self.hidden)} sources"
            raise PartialError(f"{are} of {quote_name(self.location)} could not be read: {', '.join(self.hidden)}")

    def raise_for_overdue(self, period: str) -> None:
        """Raise `OverdueError` if a source, or the one that was named, has no proof or backup of the last `period`."""
        if self.unproven_for is None and self.older_than is None:
            return
        if self.empty:  # the last one may have been deleted: a check that watches must not fall silent
            of = f" of '{self.name}'" if self.name is not None else ""
            raise OverdueError(f"no backup{of} in {quote_name(self.location)}")
        if self.overdue:
            first, count = self.overdue[0], len(self.overdue)
            sources = "1 source" if count == 1 else f"{count} sources"
            done = "backed up" if self.unproven_for is None else "proven"
            drill = f"drill it: {command_text('holdfast', 'drill', f'{first.name}/latest')}"
            raise OverdueError(
                f"{sources} not {done} within {period}: " + ", ".join(map(str, self.overdue)),
                hint=drill if self.unproven_for is not None and first.newest else "see why no backup was made",
            )


def list_store(
    *,
    store: StoreLike,
    registry: Registry,
    name: str | None = None,
    state: str | None = None,
    tag: str | None = None,
    unproven_for: timedelta | None = None,
    older_than: timedelta | None = None,
) -> StoreListing:
    """List a store, or one source of it; with a period only the newest backup of each source that is overdue.

    `unproven_for` looks for proofs, `older_than` for backups; both at once are a `UsageError`.
    """
    if name is not None:
        check_source_name(name)
    if unproven_for is not None and older_than is not None:
        raise UsageError("unproven_for and older_than are two checks: make one of them at a time")
    period = older_than if unproven_for is None else unproven_for
    catalog = open_catalog(store, registry)
    listing = catalog.listing(name, cached=True)
    late: tuple[Overdue, ...] = ()
    entries = list(listing.entries)
    groups = _lineages(catalog, entries)
    if period is not None:
        known = claimed_names(catalog, name)
        late = tuple(_late(groups, known, period, proven=unproven_for is not None))
        entries = [source.newest for source in late if source.newest is not None]
    entries = [
        entry
        for entry in entries
        if (state is None or state == str(entry.state)) and (tag is None or tag in entry.tags)
    ]
    unfinished = abandoned(catalog.storage, listing.leftovers)
    renamed = renamed_hint(catalog.storage, name) if name is not None and not listing.entries else None
    return StoreListing(
        location=catalog.storage.location,
        backups=tuple(records(entries, catalog.storage)),
        warnings=(
            *([renamed] if renamed else []),
            *_problems(entries),
            *(mixed for name, each in groups.items() if (mixed := mixture(name, each))),
            *map(hidden_source, listing.hidden.items()),
            *map(_foreign, listing.foreign),
            *map(_unfinished, unfinished),
        ),
        overdue=late,
        empty=not listing.entries,
        name=name,
        unproven_for=unproven_for,
        older_than=older_than,
        hidden=tuple(sorted(listing.hidden)),
    )


def _lineages(catalog: Catalog, entries: Sequence[Entry]) -> dict[str, list[Lineage]]:
    sources: dict[str, list[Entry]] = {}
    for entry in entries:
        sources.setdefault(entry.name, []).append(entry)
    return {name: lineages(catalog.storage, name, every) for name, every in sources.items()}


def _late(
    groups: Mapping[str, list[Lineage]], known: Iterable[str], period: timedelta, *, proven: bool
) -> Iterator[Overdue]:
    """What is overdue, of a name with backups of several databases each of them by itself."""
    for name in sorted({*groups, *known}):
        each = groups.get(name, [])
        for group in each if are_mixed(each) else [list(chain.from_iterable(each))]:
            yield from overdue(group, period, known=[name], proven=proven)


def _problems(entries: Iterable[Entry]) -> list[str]:
    return [
        f"{entry.folder} {'cannot be judged' if entry.doubt else 'is damaged'}: {entry.doubt or entry.problem}"
        for entry in entries
        if entry.doubt or entry.problem
    ]


def _foreign(path: str) -> str:
    return f"{quote_name(path)} is a link or no folder, and is not followed: nothing in it is listed"


def _unfinished(folder: str) -> str:
    return f"{folder} is unfinished or half deleted and is no backup; the next backup of this source removes it"
