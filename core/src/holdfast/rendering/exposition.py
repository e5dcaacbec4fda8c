"""Measures of stores as the text that Prometheus and the collectors of it read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from holdfast.operations.metrics import SourceMetrics, StoreMetrics
from holdfast.rendering.characters import printable
from holdfast.store.findings import State

_LONGEST = 60  # characters of the name of an engine, which a manifest may say anything of
_Value = Callable[[SourceMetrics], float | None]


def _seconds(time: datetime | None) -> float:
    """Never is the beginning of time, so that whatever compares ages tells of it."""
    return time.timestamp() if time else 0.0


# Name without `holdfast_`: what it is, and its value of a source, None for none.
_OF_A_SOURCE: dict[str, tuple[str, _Value]] = {
    "backup_last_success_timestamp_seconds": (
        "When the newest good backup was begun, 0 for never.",
        lambda source: _seconds(source.last_success),
    ),
    "backup_last_proven_timestamp_seconds": (
        "When a drill last proved a backup that is proven still, 0 for never.",
        lambda source: _seconds(source.last_proven),
    ),
    "backup_ahead_seconds": (
        "By how much a backup or its proof is later than the clock of the host that looked, 0 for not at all.",
        lambda source: source.ahead.total_seconds(),
    ),
    "backup_size_bytes": ("Plain bytes of the newest good backup.", lambda source: source.size_bytes),
    "backup_stored_bytes": ("Stored bytes of the newest good backup.", lambda source: source.stored_bytes),
    "backup_duration_seconds": (
        "How long the newest good backup took.",
        lambda source: source.duration_seconds,
    ),
}


def exposition(
    stores: Sequence[StoreMetrics],
    *,
    version: str,
    max_age: timedelta | None = None,
    max_unproven: timedelta | None = None,
) -> str:
    """The measures as text; with `max_age` and `max_unproven` it also says by when something is overdue."""
    sources = [source for store in stores for source in store.sources]
    limits = {
        "job_max_age_seconds": ("After which a source without a good backup is overdue.", max_age),
        "job_max_unproven_seconds": ("After which a source without a proven backup is overdue.", max_unproven),
    }
    lines: list[str] = []
    for name, (about, value) in _OF_A_SOURCE.items():
        lines += _family(name, about, ((_of_a_source(source), value(source)) for source in sources))
    for name, (about, limit) in limits.items():
        if limit is not None:
            seconds = limit.total_seconds()
            lines += _family(name, about, ((_of_a_source(source), seconds) for source in sources))
    lines += _family(
        "backups",
        "Backups by state.",
        (
            (f'{_of_a_source(source)},state="{state}"', source.backups.get(state, 0))
            for source in sources
            for state in State
        ),
    )
    lines += _family(
        "store_sources",
        "Sources in the store.",
        ((f'store="{_escaped(store.location)}"', len(store.sources)) for store in stores),
    )
    lines += _family(
        "store_read_timestamp_seconds",
        "When the store was last read, all of it.",
        ((f'store="{_escaped(store.location)}"', store.read_at.timestamp()) for store in stores),
    )
    lines += _family("build_info", "The version of Holdfast.", [(f'version="{_escaped(version)}"', 1)])
    return "\n".join([*lines, ""])


def _family(name: str, about: str, samples: Iterable[tuple[str, float | None]]) -> Iterator[str]:
    """The lines of a metric; where there is no sample of it, none."""
    lines = [f"holdfast_{name}{{{labels}}} {_number(value)}" for labels, value in samples if value is not None]
    return iter([f"# HELP holdfast_{name} {about}", f"# TYPE holdfast_{name} gauge", *lines] if lines else [])


def _of_a_source(source: SourceMetrics) -> str:
    engine = _escaped(printable(source.engine, _LONGEST))
    return f'name="{_escaped(source.name)}",engine="{engine}",store="{_escaped(source.location)}"'


def _escaped(text: str) -> str:
    """The value of a label: a quotation mark, a backslash or a line break would end it."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    """Milliseconds are enough of a time, and no exponent is needed."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"
