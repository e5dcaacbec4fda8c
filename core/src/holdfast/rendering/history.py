"""The history of a source on the page: its year as a calendar, sizes and durations as lines, and all as a table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from holdfast.operations.report import SourceReport
from holdfast.rendering import svg
from holdfast.rendering.html import Column, scrolled, seconds, size, table, text
from holdfast.store.entry import Entry
from holdfast.store.findings import State

_DAY = timedelta(days=1)
# The class of a day with backups of several states: the first of these that it has.
_DAYS = {State.PROVEN: "p", State.VERIFIED: "g", State.COMPLETE: "g", State.DAMAGED: "b", State.UNKNOWN: "b"}
_ORDER = {State.PROVEN: 0, State.VERIFIED: 1, State.COMPLETE: 1, State.DAMAGED: 2, State.UNKNOWN: 2}
_MONTHS = [
    Column(title="Month"),
    Column(title="Backups"),
    Column(title="Proven"),
    Column(title="Damaged"),
    Column(title="Days without"),
    Column(title="Stored"),
    Column(title="Took"),
]


@dataclass(kw_only=True)
class _Month:
    backups: int = 0
    proven: int = 0
    damaged: int = 0
    days: set[int] = field(default_factory=set)
    last: Entry | None = None


class _Year:
    """The backups of a source in the weeks of the calendar, by day, week and month."""

    def __init__(self, entries: Sequence[Entry], start: date, last: date) -> None:
        self.days: dict[int, State] = {}
        self.weeks: list[Entry | None] = [None] * svg.WEEKS
        self.months: dict[tuple[int, int], _Month] = {}
        begin, end = start.toordinal(), last.toordinal()
        for entry in entries:
            at = entry.created_at
            day = at.toordinal() - begin
            if not 0 <= day <= end - begin:
                continue
            state = entry.state
            before = self.days.get(day)
            if before is None or _ORDER[state] < _ORDER[before]:
                self.days[day] = state
            month = self.months.setdefault((at.year, at.month), _Month())
            month.backups += 1
            month.proven += state is State.PROVEN
            month.damaged += state is State.DAMAGED
            if _ORDER[state] < 2:
                self.weeks[day // 7] = month.last = entry
                month.days.add(at.day)


def history(number: int, source: SourceReport, where: str, now: datetime) -> str:
    """The article of a source; `where` is its store, where there are several."""
    last = now.date()
    start = svg.first_day(last)
    year = _Year(source.survey.entries, start, last)
    name = source.survey.name
    span = (last - start).days + 1
    good = [state for state in year.days.values() if _ORDER[state] < 2]
    about = f"Of {span} days {len(good)} have a good backup, {good.count(State.PROVEN)} of them one that is proven."
    days = {day: _DAYS[state] for day, state in year.days.items()}
    newest = source.survey.newest.manifest if source.survey.newest else None
    stored = [float(entry.stored_size) if entry else None for entry in year.weeks]
    took = [max(0.0, entry.manifest.duration_seconds) if entry and entry.manifest else None for entry in year.weeks]
    lines = ""
    if newest is not None:
        lines = _chart(f"s{number}", f"Stored size of {name}", stored, size(newest.stored_size), "stored", _size)
        lines += _chart(f"t{number}", f"Duration of {name}", took, seconds(newest.duration_seconds), "took", seconds)
    rows = _rows(year, start, last)
    months = scrolled(f"{name} by month", table(f"{name} by month", _MONTHS, rows))
    return (
        f"<article id=h{number}><h3>{name}{where} <small>{text(source.survey.engine)}</small></h3>"
        f"<div class=row>{svg.calendar(number, name, days, last, about)}{lines}</div>"
        f"<details><summary>{name} by month</summary>{months}</details></article>\n"
    )


def _size(value: float) -> str:
    """A size that was a number for a line."""
    return size(int(value))


def _chart(
    identity: str, name: str, values: Sequence[float | None], newest: str, word: str, write: Callable[[float], str]
) -> str:
    known = [value for value in values if value is not None]
    about = f"Newest {newest}, between {write(min(known))} and {write(max(known))}." if known else f"Newest {newest}."
    return f"<figure>{svg.line(identity, name, values, about)}<figcaption>{word} <b>{newest}</b></figcaption></figure>"


def _rows(year: _Year, start: date, last: date) -> Iterator[list[str]]:
    month = last.replace(day=1)
    while (month.year, month.month) >= (start.year, start.month):
        of = year.months.get((month.year, month.month), _Month())
        following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        span = (min(last, following - _DAY) - max(start, month)).days + 1
        document = of.last.manifest if of.last else None
        yield [
            f"{month:%Y-%m}",
            str(of.backups),
            str(of.proven),
            str(of.damaged),
            str(span - len(of.days)),
            size(document.stored_size) if document else "-",
            seconds(document.duration_seconds) if document else "-",
        ]
        month = (month - _DAY).replace(day=1)
