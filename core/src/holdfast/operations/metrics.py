"""What a monitoring system shall know of stores: of each source the times that count, sizes and numbers of backups."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.errors import PartialError, quote_name
from holdfast.operations._survey import SourceSurvey, StoreSurvey, check_apart, survey_store
from holdfast.plugins.registry import Registry
from holdfast.setup import StoreLike
from holdfast.store.catalog import Catalog
from holdfast.store.entry import hidden_source
from holdfast.store.findings import State
from holdfast.store.overlap import linked_source


@dataclass(frozen=True, kw_only=True)
class SourceMetrics:
    """The measures of a source; the sizes and the duration are of its newest good backup, None where there is none.

    `last_success` and `last_proven` are None for never, `ahead` by how much a backup is later than the clock.
    """

    name: str
    engine: str
    location: str
    last_success: datetime | None
    last_proven: datetime | None
    ahead: timedelta
    size_bytes: int | None
    stored_bytes: int | None
    duration_seconds: float | None
    backups: Mapping[State, int]


@dataclass(frozen=True, kw_only=True)
class StoreMetrics:
    """A store: when it was read, and its sources."""

    location: str
    read_at: datetime
    sources: tuple[SourceMetrics, ...]


def measure(stores: Sequence[StoreLike], *, registry: Registry, now: datetime | None = None) -> list[StoreMetrics]:
    """Measure stores by what is in them.

    All or nothing: of a store that is not there, or of which a source cannot be read, nothing can be told, and
    measures without it would end alarms about it. That is an error, as for a list.
    """
    read = [survey_store(store, registry, now) for store in stores]
    check_apart([catalog.storage for catalog, _ in read])
    return [_measure(catalog, survey) for catalog, survey in read]


def _measure(catalog: Catalog, store: StoreSurvey) -> StoreMetrics:
    links = {path: why for path in store.listing.foreign if (why := linked_source(catalog.storage, path))}
    unread = {**store.listing.hidden, **links}
    if unread:
        raise PartialError(
            f"nothing is told of {quote_name(store.location)}: {'; '.join(map(hidden_source, unread.items()))}"
        )
    return StoreMetrics(
        location=store.location,
        read_at=store.read_at,
        sources=tuple(_measure_source(source, store) for source in store.sources),
    )


def _measure_source(source: SourceSurvey, store: StoreSurvey) -> SourceMetrics:
    document = source.newest.manifest if source.newest else None
    return SourceMetrics(
        name=source.name,
        engine=source.engine,
        location=store.location,
        last_success=source.last_success,
        last_proven=source.last_proven,
        ahead=source.ahead - store.read_at if source.ahead else timedelta(0),
        size_bytes=document.size if document else None,
        stored_bytes=document.stored_size if document else None,
        duration_seconds=document.duration_seconds if document else None,
        backups=Counter(entry.state for entry in source.entries),
    )
